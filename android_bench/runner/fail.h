// The ways a run ends early. Messages go to standard error, a line each, as benchmark_model's do.
#ifndef NASFPN_FAIL_H
#define NASFPN_FAIL_H

#include <stddef.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

// Prints "ERROR: ..." and ends the program with EXIT_FAILED.
_Noreturn void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Prints "ERROR: ..." and ends the program with EXIT_USAGE.
_Noreturn void fail_usage(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Ends the program unless LiteRT's status is 0; `what` follows "cannot".
void require(int status, const char* what);

// Returns memory filled with zeros; ends the program if there is none left.
void* allocate(size_t count, size_t size_bytes);

#endif
