#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print_error(const char* format, va_list arguments) {
  fflush(stdout);
  fputs("ERROR: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_error(format, arguments);
  va_end(arguments);
  fputs("ERROR: Benchmarking failed.\n", stderr);
  exit(EXIT_FAILED);
}

void fail_usage(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_error(format, arguments);
  va_end(arguments);
  exit(EXIT_USAGE);
}

static const char* status_name(int status) {
  switch (status) {
    case 1: return "invalid argument";
    case 2: return "out of memory";
    case 3: return "failure at run time";
    case 5: return "unsupported";
    case 6: return "not found";
    case 500: return "file cannot be read";
    case 501: return "no valid TFLite file";
    case 504: return "compilation failed";
    default: return "see LiteRT's status codes";
  }
}

void require(int status, const char* what) {
  if (status != 0) {
    fail("cannot %s: LiteRT status %d (%s)", what, status, status_name(status));
  }
}

void* allocate(size_t count, size_t size_bytes) {
  void* memory = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
  if (memory == NULL) {
    fail("out of memory: cannot have %zu x %zu bytes", count, size_bytes);
  }
  return memory;
}
