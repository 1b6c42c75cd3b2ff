#include "timing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"

double read_clock_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void append(Runs* runs, double latency_us) {
  if (runs->count == runs->capacity) {
    runs->capacity = runs->capacity ? 2 * runs->capacity : 1024;
    runs->latencies_us = realloc(runs->latencies_us, runs->capacity * sizeof(double));
    if (runs->latencies_us == NULL) {
      fail("out of memory after %zu runs", runs->count);
    }
  }
  runs->latencies_us[runs->count++] = latency_us;
}

double average_us(const Runs* runs) {
  double sum = 0;
  for (size_t i = 0; i < runs->count; i++) sum += runs->latencies_us[i];
  return runs->count ? sum / (double)runs->count : 0;
}

static double deviation_us(const Runs* runs) {
  double average = average_us(runs), squares = 0;
  for (size_t i = 0; i < runs->count; i++) {
    squares += (runs->latencies_us[i] - average) * (runs->latencies_us[i] - average);
  }
  return sqrt(squares / (double)runs->count);
}

static int compare_doubles(const void* first, const void* second) {
  double a = *(const double*)first, b = *(const double*)second;
  return (a > b) - (a < b);
}

// Interpolates between neighbours, as the rest of the project does.
static double percentile(const double* sorted, size_t count, double percent) {
  double position = (double)(count - 1) * percent / 100;
  size_t below = (size_t)position, above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (sorted[above] - sorted[below]) * (position - (double)below);
}

static void print_runs(const Runs* runs) {
  if (runs->count == 0) {
    printf("INFO: count=0\n\n");
    return;
  }
  size_t count = runs->count;
  double* sorted = allocate(count, sizeof(double));
  memcpy(sorted, runs->latencies_us, count * sizeof(double));
  qsort(sorted, count, sizeof(double), compare_doubles);
  double median = percentile(sorted, count, 50), p5 = percentile(sorted, count, 5), p95 = percentile(sorted, count, 95);
  if (count == 1) {
    printf("INFO: count=1 curr=%.0f", sorted[0]);
  } else {
    printf("INFO: count=%zu first=%.0f curr=%.0f min=%.0f max=%.0f avg=%g std=%.0f", count, runs->latencies_us[0],
           runs->latencies_us[count - 1], sorted[0], sorted[count - 1], average_us(runs), deviation_us(runs));
  }
  printf(" p5=%.0f median=%.0f p95=%.0f\n\n", p5, median, p95);
  free(sorted);
}

Runs measure(Model* model, int least, double min_secs, double max_secs) {
  printf("INFO: Running benchmark for at least %d iterations and at least %g seconds but terminate if exceeding %g "
         "seconds.\n", least, min_secs, max_secs);
  Runs runs = {NULL, 0, 0};
  double start = read_clock_us(), now = start;
  while ((runs.count < (size_t)least || now - start < min_secs * 1e6) && now - start <= max_secs * 1e6) {
    double before = read_clock_us();
    run_model(model);
    now = read_clock_us();
    append(&runs, now - before);
  }
  print_runs(&runs);
  return runs;
}

void free_runs(Runs* runs) { free(runs->latencies_us); }

void write_latencies(const Runs* runs, const char* path) {
  FILE* file = fopen(path, "w");
  if (file == NULL) {
    fail("cannot write the latencies to %s: %s", path, strerror(errno));
  }
  for (size_t i = 0; i < runs->count; i++) {
    fprintf(file, "%.3f\n", runs->latencies_us[i]);
  }
  if (ferror(file) != 0 || fclose(file) != 0) {
    fail("cannot write the latencies to %s: is there space left?", path);
  }
}
