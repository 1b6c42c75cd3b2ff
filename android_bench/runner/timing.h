// Runs of a model against the clock.
#ifndef NASFPN_TIMING_H
#define NASFPN_TIMING_H

#include <stddef.h>

#include "model.h"

typedef struct {
  double* latencies_us;  // in run order
  size_t count;
  size_t capacity;
} Runs;

// Returns a clock's reading in microseconds; only differences mean something.
double read_clock_us(void);

// Runs the model at least `least` times and for at least `min_secs`, but begins no run after `max_secs`, and prints
// benchmark_model's two lines about it.
Runs measure(Model* model, int least, double min_secs, double max_secs);
void free_runs(Runs* runs);

// Returns the mean; 0 without runs.
double average_us(const Runs* runs);

// Writes one latency in microseconds a line.
void write_latencies(const Runs* runs, const char* path);

#endif
