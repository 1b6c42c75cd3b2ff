// The command line: benchmark_model's flags with its defaults, and a few of our own.
#ifndef NASFPN_OPTIONS_H
#define NASFPN_OPTIONS_H

#include <stdbool.h>

typedef struct {
  const char* graph;
  int num_threads;
  int num_runs;
  int warmup_runs;
  double min_secs;
  double max_secs;  // of each phase
  double warmup_min_secs;
  bool use_xnnpack;
  bool enable_op_profiling;
  bool print_share;
  const char* latencies_file;  // NULL: none
  const char* input_folder;    // NULL: measure with random input
  const char* output_folder;   // NULL as input_folder
} Options;

// Reads the command line; ends the program on --help, and with a message on anything it does not know.
Options parse_options(int argument_count, char** arguments);

#endif
