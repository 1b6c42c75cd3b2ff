// Measures a .tflite file with LiteRT and prints what benchmark_model would, so that one parser reads both; or runs it on
// a folder of raw inputs and writes what comes out.
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "folder_run.h"
#include "model.h"
#include "options.h"
#include "timing.h"

// Returns a field of this process's memory in MB, such as "VmHWM:" (largest so far); 0 where the system does not tell.
// getrusage would give the peak of the program that started this one.
static double read_memory_mb(const char* field) {
  FILE* file = fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, field, strlen(field)) == 0) {
      sscanf(line + strlen(field), "%lf", &kilobytes);
    }
  }
  if (file != NULL) fclose(file);
  return kilobytes / 1024;
}

static void print_options(const Options* options) {
  printf("INFO: STARTING!\nINFO: Min num runs: [%d]\nINFO: Min runs duration (seconds): [%g]\n", options->num_runs,
         options->min_secs);
  printf("INFO: Graph: [%s]\nINFO: Enable op profiling: [%d]\n", options->graph, options->enable_op_profiling);
  printf("INFO: #threads used for CPU inference: [%d]\nINFO: Use xnnpack: [%d]\n", options->num_threads,
         options->use_xnnpack);
}

static void run_benchmark(Model* model, const Options* options, double init_us, double memory_at_start_mb) {
  double memory_after_init_mb = read_memory_mb("VmRSS:");
  fill_inputs(model);
  Runs warm_up = measure(model, options->warmup_runs, options->warmup_min_secs, options->max_secs);
  start_profile(model);
  Runs runs = measure(model, options->num_runs, options->min_secs, options->max_secs);
  printf("INFO: Inference timings in us: Init: %.0f, First inference: %.0f, Warmup (avg): %g, Inference (avg): %g\n",
         init_us, warm_up.count ? warm_up.latencies_us[0] : 0, average_us(&warm_up), average_us(&runs));
  printf("INFO: Memory footprint delta from the start of the tool (MB): init=%g overall=%g\n",
         memory_after_init_mb - memory_at_start_mb, read_memory_mb("VmRSS:") - memory_at_start_mb);
  printf("INFO: Overall peak memory footprint (MB) via periodic monitoring: %g\n", read_memory_mb("VmHWM:"));
  print_profile(model, "Operator-wise Profiling Info for Regular Benchmark Runs");
  if (options->latencies_file != NULL) {
    write_latencies(&runs, options->latencies_file);
  }
  free_runs(&warm_up);
  free_runs(&runs);
}

// Prints the profile of one run of a model that the delegate took in part: it alone tells which operators were left out.
// It needs an instance of its own, since the profiler slows a model that was prepared for it.
static void print_share(Options options) {
  options.enable_op_profiling = true;
  Model model = load_model(&options);
  fill_inputs(&model);
  run_model(&model);
  start_profile(&model);
  run_model(&model);
  print_profile(&model, "Profiling Info for One Run with the Delegate");
  destroy_model(&model);
}

int main(int argument_count, char** arguments) {
  Options options = parse_options(argument_count, arguments);
  setvbuf(stdout, NULL, _IOLBF, 0);  // a killed run keeps the lines it had
  double memory_at_start_mb = read_memory_mb("VmRSS:");
  print_options(&options);
  double start_us = read_clock_us();
  Model model = load_model(&options);
  double init_us = read_clock_us() - start_us;
  printf("INFO: Loaded model %s\n", options.graph);
  describe_model(&model);
  printf("INFO: Initialized session in %gms.\n", init_us / 1e3);
  if (options.input_folder != NULL) {
    run_on_folder(&model, options.input_folder, options.output_folder);
  } else {
    run_benchmark(&model, &options, init_us, memory_at_start_mb);
  }
  bool is_unclear = options.print_share && options.use_xnnpack && !options.enable_op_profiling && !is_delegated(&model);
  destroy_model(&model);
  if (is_unclear && options.input_folder == NULL) {
    print_share(options);
  }
  if (fflush(stdout) != 0 || ferror(stdout) != 0) {
    fail("cannot write the log to standard output: is there space left?");
  }
  return 0;
}
