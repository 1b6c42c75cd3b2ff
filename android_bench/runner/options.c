#include "options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

typedef enum { TEXT, COUNT, SECONDS, SWITCH } FlagKind;

typedef struct {
  const char* name;
  FlagKind kind;
  int least;  // of a COUNT
  size_t offset;
  const char* help;
} Flag;

static const Flag FLAGS[] = {
    {"graph", TEXT, 0, offsetof(Options, graph), "the model, a .tflite file (required)"},
    {"num_threads", COUNT, 1, offsetof(Options, num_threads), "threads (1)"},
    {"num_runs", COUNT, 1, offsetof(Options, num_runs), "least number of timed runs (50)"},
    {"warmup_runs", COUNT, 0, offsetof(Options, warmup_runs), "least number of runs before them (1)"},
    {"min_secs", SECONDS, 0, offsetof(Options, min_secs), "least time for the timed runs (1)"},
    {"max_secs", SECONDS, 0, offsetof(Options, max_secs), "time after which no run begins, in each phase (150)"},
    {"warmup_min_secs", SECONDS, 0, offsetof(Options, warmup_min_secs), "least time for the runs before them (0.5)"},
    {"use_xnnpack", SWITCH, 0, offsetof(Options, use_xnnpack), "run on XNNPACK, else on the plain kernels (true)"},
    {"enable_op_profiling", SWITCH, 0, offsetof(Options, enable_op_profiling), "time every operator too (false)"},
    {"print_share", SWITCH, 0, offsetof(Options, print_share), "load it once more for the operators left out (false)"},
    {"latencies_file", TEXT, 0, offsetof(Options, latencies_file), "where to write each run's microseconds (nowhere)"},
    {"input_folder", TEXT, 0, offsetof(Options, input_folder), "run on each raw file of this folder, instead of measuring"},
    {"output_folder", TEXT, 0, offsetof(Options, output_folder), "where to write what comes out of them"},
};
enum { FLAG_COUNT = sizeof FLAGS / sizeof *FLAGS };

static void print_help(void) {
  puts("Runs a .tflite file with LiteRT and prints how long that takes. Flags, with their defaults:");
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    printf("  --%s=  %s\n", FLAGS[i].name, FLAGS[i].help);
  }
}

static const Flag* find_flag(const char* argument, const char* equals) {
  size_t length = (size_t)(equals - argument) - 2;
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    if (strlen(FLAGS[i].name) == length && strncmp(FLAGS[i].name, argument + 2, length) == 0) {
      return &FLAGS[i];
    }
  }
  fail_usage("unknown flag %s: --help lists those there are", argument);
}

static int parse_count(const Flag* flag, const char* text) {
  char* end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || errno != 0 || value < flag->least || value > 1000000000) {
    fail_usage("--%s: expected a whole number of at least %d, got '%s'", flag->name, flag->least, text);
  }
  return (int)value;
}

static double parse_seconds(const Flag* flag, const char* text) {
  char* end;
  double value = strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !isfinite(value) || value < 0) {
    fail_usage("--%s: expected seconds, 0 or more, got '%s'", flag->name, text);
  }
  return value;
}

static bool parse_switch(const Flag* flag, const char* text) {
  if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0) return true;
  if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0) return false;
  fail_usage("--%s: expected true or false, got '%s'", flag->name, text);
}

static void set_option(Options* options, const Flag* flag, const char* text) {
  void* field = (char*)options + flag->offset;
  switch (flag->kind) {
    case TEXT:
      if (*text == '\0') fail_usage("--%s: expected a path, got nothing", flag->name);
      *(const char**)field = text;
      break;
    case COUNT: *(int*)field = parse_count(flag, text); break;
    case SECONDS: *(double*)field = parse_seconds(flag, text); break;
    case SWITCH: *(bool*)field = parse_switch(flag, text); break;
  }
}

static void check_options(const Options* options) {
  if (options->graph == NULL) {
    fail_usage("expected --graph=MODEL.tflite; --help lists all flags");
  }
  if ((options->input_folder == NULL) != (options->output_folder == NULL)) {
    fail_usage("expected --input_folder and --output_folder together, got one of them");
  }
}

Options parse_options(int argument_count, char** arguments) {
  Options options = {
      .num_threads = 1, .num_runs = 50, .warmup_runs = 1, .min_secs = 1, .max_secs = 150, .warmup_min_secs = 0.5,
      .use_xnnpack = true,
  };
  for (int i = 1; i < argument_count; i++) {
    const char* equals = strchr(arguments[i], '=');
    if (strcmp(arguments[i], "--help") == 0) {
      print_help();
      exit(EXIT_SUCCESS);
    }
    if (strncmp(arguments[i], "--", 2) != 0 || equals == NULL) {
      fail_usage("expected --flag=value, got '%s': --help lists the flags", arguments[i]);
    }
    set_option(&options, find_flag(arguments[i], equals), equals + 1);
  }
  check_options(&options);
  return options;
}
