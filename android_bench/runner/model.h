// A model ready to run, with its input and output tensors.
#ifndef NASFPN_MODEL_H
#define NASFPN_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "litert_c_api.h"
#include "options.h"

typedef struct {
  const char* name;  // in the model's first signature
  LiteRtRankedTensorType type;
  LiteRtTensorBuffer buffer;
  size_t size_bytes;
} Tensor;

typedef struct {
  Tensor* items;
  LiteRtTensorBuffer* buffers;  // of the items, in a row as the library takes them
  size_t count;
} TensorList;

typedef struct {
  const char* path;
  LiteRtEnvironment environment;
  LiteRtModel file;
  LiteRtCompiledModel compiled;
  LiteRtProfiler profiler;  // NULL unless operators are profiled
  TensorList inputs;
  TensorList outputs;
} Model;

// Reads and compiles options->graph and makes its tensors; ends the program with a message where that fails.
Model load_model(const Options* options);
void destroy_model(Model* model);

// Prints the tensors, and whether the delegate took all of the graph.
void describe_model(const Model* model);

// Returns whether the delegate took all of the graph; the library knows no shares.
bool is_delegated(const Model* model);

void run_model(Model* model);

// Fills the inputs with the same random values every time: floats in -1..1, eight-bit integers over their whole range.
void fill_inputs(Model* model);

// Copies bytes into a tensor, or out of it; there must be tensor->size_bytes of them.
void write_tensor(Tensor* tensor, const void* bytes);
void read_tensor(Tensor* tensor, void* bytes);

// Returns NumPy's name of the tensor's type.
const char* type_name(const Tensor* tensor);

// Do nothing unless the model was loaded with enable_op_profiling.
void start_profile(Model* model);
void print_profile(Model* model, const char* title);

#endif
