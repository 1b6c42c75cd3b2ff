#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

enum { SIGNATURE = 0 };

static void check_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fail("cannot open the model %s: %s", path, strerror(errno));
  }
  // Every .tflite has this at its fifth byte; the library's own message names no reason.
  char start[8] = {0};
  size_t size = fread(start, 1, sizeof start, file);
  fclose(file);
  if (size < sizeof start || memcmp(start + 4, "TFL3", 4) != 0) {
    fail("expected a .tflite file in %s, but it does not begin as one: push it again", path);
  }
}

static LiteRtEnvironment make_environment(void) {
  // CPU alone: else the library looks for GPU and NPU libraries first, which costs time and fills the log.
  const LiteRtEnvOption settings[] = {
      {LITERT_OPTION_ACCELERATORS, {LITERT_ANY_INT, {.int_value = LITERT_CPU}}},
      {LITERT_OPTION_LOG_SEVERITY, {LITERT_ANY_INT, {.int_value = LITERT_LOG_INFO}}},
  };
  LiteRtEnvironment environment;
  require(LiteRtCreateEnvironment(sizeof settings / sizeof *settings, settings, &environment), "start LiteRT");
  return environment;
}

static void add_settings(LiteRtOptions options, const char* name, const char* text) {
  char* copy = strdup(text);
  LiteRtOpaqueOptions settings;
  if (copy == NULL) {
    fail("out of memory");
  }
  require(LiteRtCreateOpaqueOptions(name, copy, free, &settings), "make settings");
  require(LiteRtAddOpaqueOptions(options, settings), "add settings");
}

static void compile(Model* model, const Options* options) {
  LiteRtOptions settings;
  require(LiteRtCreateOptions(&settings), "make settings");
  require(LiteRtSetOptionsHardwareAccelerators(settings, LITERT_CPU), "choose the CPU");
  char text[96];
  snprintf(text, sizeof text, "num_threads = %d\nkernel_mode = \"%s\"\n", options->num_threads,
           options->use_xnnpack ? "xnnpack" : "builtin");
  add_settings(settings, "xnnpack", text);
  if (options->enable_op_profiling) {
    add_settings(settings, "runtime_options_string", "enable_profiling = true\n");
  }
  require(LiteRtCreateCompiledModel(model->environment, model->file, settings, &model->compiled), "prepare the model");
  LiteRtDestroyOptions(settings);
  if (options->enable_op_profiling) {
    require(LiteRtCompiledModelGetProfiler(model->compiled, &model->profiler), "get the profiler");
  }
}

static bool has_fixed_shape(const LiteRtLayout* layout) {
  for (unsigned int i = 0; i < layout->rank; i++) {
    if (layout->dimensions[i] < 0) return false;
  }
  return true;
}

static void make_buffer(const Model* model, Tensor* tensor, LiteRtTensorBufferRequirements requirements) {
  if (!has_fixed_shape(&tensor->type.layout)) {
    fail("expected fixed shapes, but tensor %s of %s has an open one: convert the model again", tensor->name, model->path);
  }
  require(LiteRtCreateManagedTensorBufferFromRequirements(model->environment, &tensor->type, requirements, &tensor->buffer),
          "make a tensor");
  require(LiteRtGetTensorBufferPackedSize(tensor->buffer, &tensor->size_bytes), "measure a tensor");
}

static TensorList allocate_tensors(size_t count) {
  return (TensorList){allocate(count, sizeof(Tensor)), allocate(count, sizeof(LiteRtTensorBuffer)), count};
}

static void make_inputs(Model* model, LiteRtSignature signature) {
  size_t count;
  require(LiteRtGetNumSignatureInputs(signature, &count), "count the inputs");
  model->inputs = allocate_tensors(count);
  for (size_t i = 0; i < count; i++) {
    Tensor* tensor = &model->inputs.items[i];
    LiteRtTensor handle;
    LiteRtTensorBufferRequirements requirements;
    require(LiteRtGetSignatureInputName(signature, i, &tensor->name), "name an input");
    require(LiteRtGetSignatureInputTensorByIndex(signature, i, &handle), "find an input");
    require(LiteRtGetRankedTensorType(handle, &tensor->type), "read an input's shape");
    require(LiteRtGetCompiledModelInputBufferRequirements(model->compiled, SIGNATURE, i, &requirements), "size an input");
    make_buffer(model, tensor, requirements);
    model->inputs.buffers[i] = tensor->buffer;
  }
}

static void make_outputs(Model* model, LiteRtSignature signature) {
  size_t count;
  require(LiteRtGetNumSignatureOutputs(signature, &count), "count the outputs");
  model->outputs = allocate_tensors(count);
  LiteRtLayout* layouts = allocate(count, sizeof(LiteRtLayout));
  require(LiteRtGetCompiledModelOutputTensorLayouts(model->compiled, SIGNATURE, count, layouts, true), "shape the outputs");
  for (size_t i = 0; i < count; i++) {
    Tensor* tensor = &model->outputs.items[i];
    LiteRtTensor handle;
    LiteRtTensorBufferRequirements requirements;
    require(LiteRtGetSignatureOutputName(signature, i, &tensor->name), "name an output");
    require(LiteRtGetSignatureOutputTensorByIndex(signature, i, &handle), "find an output");
    require(LiteRtGetRankedTensorType(handle, &tensor->type), "read an output's type");
    tensor->type.layout = layouts[i];
    require(LiteRtGetCompiledModelOutputBufferRequirements(model->compiled, SIGNATURE, i, &requirements), "size an output");
    make_buffer(model, tensor, requirements);
    model->outputs.buffers[i] = tensor->buffer;
  }
  free(layouts);
}

Model load_model(const Options* options) {
  Model model = {.path = options->graph};
  check_file(model.path);
  model.environment = make_environment();
  require(LiteRtCreateModelFromFile(model.environment, model.path, &model.file), "read the model");
  compile(&model, options);
  LiteRtSignature signature;
  require(LiteRtGetModelSignature(model.file, SIGNATURE, &signature), "find a signature");
  make_inputs(&model, signature);
  make_outputs(&model, signature);
  return model;
}

static void destroy_tensors(TensorList* tensors) {
  for (size_t i = 0; i < tensors->count; i++) {
    LiteRtDestroyTensorBuffer(tensors->buffers[i]);
  }
  free(tensors->items);
  free(tensors->buffers);
}

void destroy_model(Model* model) {
  destroy_tensors(&model->inputs);
  destroy_tensors(&model->outputs);
  LiteRtDestroyCompiledModel(model->compiled);
  LiteRtDestroyModel(model->file);
  LiteRtDestroyEnvironment(model->environment);
}

static void describe_tensors(const char* role, const TensorList* tensors) {
  for (size_t i = 0; i < tensors->count; i++) {
    const Tensor* tensor = &tensors->items[i];
    printf("INFO: %s %s: %s [", role, tensor->name, type_name(tensor));
    for (unsigned int axis = 0; axis < tensor->type.layout.rank; axis++) {
      printf("%s%d", axis ? "," : "", tensor->type.layout.dimensions[axis]);
    }
    printf("], %zu bytes\n", tensor->size_bytes);
  }
}

void describe_model(const Model* model) {
  describe_tensors("Input", &model->inputs);
  describe_tensors("Output", &model->outputs);
  size_t index, operators;
  LiteRtSubgraph graph;
  require(LiteRtGetMainModelSubgraphIndex(model->file, &index), "find the main graph");
  require(LiteRtGetModelSubgraph(model->file, index, &graph), "find the main graph");
  require(LiteRtGetNumSubgraphOps(graph, &operators), "count the operators");
  printf("INFO: Operators: %zu, fully_accelerated=%d\n", operators, is_delegated(model));
}

bool is_delegated(const Model* model) {
  bool is_whole;
  require(LiteRtCompiledModelIsFullyAccelerated(model->compiled, &is_whole), "ask what was delegated");
  return is_whole;
}

void run_model(Model* model) {
  int status = LiteRtRunCompiledModel(model->compiled, SIGNATURE, model->inputs.count, model->inputs.buffers,
                                      model->outputs.count, model->outputs.buffers);
  require(status, "run the model");
}

void write_tensor(Tensor* tensor, const void* bytes) {
  void* address;
  require(LiteRtLockTensorBuffer(tensor->buffer, &address, LITERT_LOCK_WRITE), "write an input");
  memcpy(address, bytes, tensor->size_bytes);
  require(LiteRtUnlockTensorBuffer(tensor->buffer), "write an input");
}

void read_tensor(Tensor* tensor, void* bytes) {
  void* address;
  require(LiteRtLockTensorBuffer(tensor->buffer, &address, LITERT_LOCK_READ), "read an output");
  memcpy(bytes, address, tensor->size_bytes);
  require(LiteRtUnlockTensorBuffer(tensor->buffer), "read an output");
}

const char* type_name(const Tensor* tensor) {
  switch (tensor->type.element_type) {
    case LITERT_FLOAT16: return "float16";
    case LITERT_FLOAT32: return "float32";
    case LITERT_FLOAT64: return "float64";
    case LITERT_BOOL: return "bool";
    case LITERT_INT8: return "int8";
    case LITERT_INT16: return "int16";
    case LITERT_INT32: return "int32";
    case LITERT_INT64: return "int64";
    case LITERT_UINT8: return "uint8";
    case LITERT_UINT16: return "uint16";
    case LITERT_UINT32: return "uint32";
    case LITERT_UINT64: return "uint64";
    default: fail("tensor %s is of LiteRT's type %d, which is no type of an array here", tensor->name,
                  tensor->type.element_type);
  }
}

static uint32_t next_random(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;  // Numerical Recipes' generator; its high bits are good enough here
  return *state >> 8;
}

static void fill_tensor(Tensor* tensor, uint32_t* state) {
  unsigned char* bytes = allocate(tensor->size_bytes, 1);
  size_t count = tensor->size_bytes;
  switch (tensor->type.element_type) {
    case LITERT_FLOAT32:
      for (size_t i = 0; i < count / sizeof(float); i++) {
        ((float*)(void*)bytes)[i] = (float)next_random(state) / (1 << 23) - 1.0f;
      }
      break;
    case LITERT_INT8:
    case LITERT_UINT8:
      for (size_t i = 0; i < count; i++) bytes[i] = (unsigned char)(next_random(state) >> 16);
      break;
    // Wider integers are sizes or indices: 1 is the safest. Other types stay at 0.
    case LITERT_INT32:
      for (size_t i = 0; i < count / sizeof(int32_t); i++) ((int32_t*)(void*)bytes)[i] = 1;
      break;
    case LITERT_INT64:
      for (size_t i = 0; i < count / sizeof(int64_t); i++) ((int64_t*)(void*)bytes)[i] = 1;
      break;
    default: break;
  }
  write_tensor(tensor, bytes);
  free(bytes);
}

void fill_inputs(Model* model) {
  uint32_t state = 1;
  for (size_t i = 0; i < model->inputs.count; i++) {
    fill_tensor(&model->inputs.items[i], &state);
  }
}

void start_profile(Model* model) {
  if (model->profiler != NULL) {
    require(LiteRtStartProfiler(model->profiler), "start the profiler");
  }
}

void print_profile(Model* model, const char* title) {
  if (model->profiler == NULL) return;
  const char* text = NULL;
  require(LiteRtStopProfiler(model->profiler), "stop the profiler");
  require(LiteRtGetProfileSummary(model->profiler, model->compiled, &text), "sum up the profile");
  printf("INFO: %s:\n%s\n", title, text);
  free((void*)text);
}
