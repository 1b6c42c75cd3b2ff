#define _GNU_SOURCE
#include "folder_run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

static const char INDEX[] = "outputs.json";

typedef struct {
  char** names;
  size_t count;
} FileList;

static char* join(const char* folder, const char* name) {
  size_t size = strlen(folder) + strlen(name) + 2;
  char* path = allocate(size, 1);
  snprintf(path, size, "%s/%s", folder, name);
  return path;
}

static int is_input(const struct dirent* entry) { return entry->d_name[0] != '.'; }

static int compare_names(const struct dirent** first, const struct dirent** second) {
  return strcmp((*first)->d_name, (*second)->d_name);
}

static FileList list_files(const char* folder) {
  struct dirent** entries;
  int count = scandir(folder, &entries, is_input, compare_names);
  if (count < 0) {
    fail("cannot read the input folder %s: %s", folder, strerror(errno));
  }
  if (count == 0) {
    fail("expected raw input files in %s, but it is empty", folder);
  }
  FileList files = {allocate((size_t)count, sizeof(char*)), (size_t)count};
  for (int i = 0; i < count; i++) {
    files.names[i] = strdup(entries[i]->d_name);
    if (files.names[i] == NULL) {
      fail("out of memory");
    }
    free(entries[i]);
  }
  free(entries);
  return files;
}

static size_t sum_sizes(const TensorList* tensors) {
  size_t size = 0;
  for (size_t i = 0; i < tensors->count; i++) size += tensors->items[i].size_bytes;
  return size;
}

static void read_input(const char* path, unsigned char* bytes, size_t size_bytes) {
  struct stat status;
  if (stat(path, &status) != 0) {
    fail("cannot read the input %s: %s", path, strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {  // before it is opened: a pipe would wait for a writer
    fail("expected only files among the inputs, but %s is none", path);
  }
  if ((size_t)status.st_size != size_bytes) {
    fail("expected %zu bytes of input in %s, got %lld: it must hold what the model takes, in its type and shape",
         size_bytes, path, (long long)status.st_size);
  }
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fail("cannot read the input %s: %s", path, strerror(errno));
  }
  if (fread(bytes, 1, size_bytes, file) != size_bytes) {
    fail("cannot read the whole input %s: %s", path, strerror(errno));
  }
  fclose(file);
}

// Returns "0_NAME.raw" with all but plain characters of the tensor's name replaced: it may hold '/' and ':'. Of a long
// one, as a converter joins it of all that it fused, the beginning: file systems take 255 bytes.
static char* output_file_name(size_t index, const char* tensor_name) {
  enum { SIZE = 160 };
  char* name = allocate(SIZE, 1);
  snprintf(name, SIZE, "%zu_%.128s.raw", index, tensor_name);
  for (char* letter = name; *letter != '\0'; letter++) {
    if (!isalnum((unsigned char)*letter) && strchr("._-", *letter) == NULL) *letter = '_';
  }
  return name;
}

static FILE* open_for_writing(const char* folder, const char* name) {
  char* path = join(folder, name);
  FILE* file = fopen(path, "wb");
  if (file == NULL) {
    fail("cannot write the output %s: %s", path, strerror(errno));
  }
  free(path);
  return file;
}

static FILE** open_outputs(const Model* model, const char* folder) {
  FILE** files = allocate(model->outputs.count, sizeof(FILE*));
  for (size_t i = 0; i < model->outputs.count; i++) {
    char* name = output_file_name(i, model->outputs.items[i].name);
    files[i] = open_for_writing(folder, name);
    free(name);
  }
  return files;
}

static void close_file(FILE* file) {
  if (ferror(file) != 0 || fclose(file) != 0) {
    fail("cannot write all outputs: is there space left?");
  }
}

static void write_inputs(Model* model, const unsigned char* bytes) {
  for (size_t i = 0; i < model->inputs.count; i++) {
    write_tensor(&model->inputs.items[i], bytes);
    bytes += model->inputs.items[i].size_bytes;
  }
}

static void append_outputs(Model* model, FILE** files, unsigned char* bytes) {
  for (size_t i = 0; i < model->outputs.count; i++) {
    Tensor* tensor = &model->outputs.items[i];
    read_tensor(tensor, bytes);
    if (fwrite(bytes, 1, tensor->size_bytes, files[i]) != tensor->size_bytes) {
      fail("cannot write the output %s: %s", tensor->name, strerror(errno));
    }
  }
}

static void write_json_text(FILE* file, const char* text) {
  fputc('"', file);
  for (; *text != '\0'; text++) {
    unsigned char letter = (unsigned char)*text;
    if (letter == '"' || letter == '\\') {
      fprintf(file, "\\%c", letter);
    } else if (letter < 0x20) {
      fprintf(file, "\\u%04x", letter);
    } else {
      fputc(letter, file);
    }
  }
  fputc('"', file);
}

static void write_json_output(FILE* file, size_t index, const Tensor* tensor) {
  char* name = output_file_name(index, tensor->name);
  fputs("{\"name\": ", file);
  write_json_text(file, tensor->name);
  fprintf(file, ", \"file\": \"%s\", \"dtype\": \"%s\", \"shape\": [", name, type_name(tensor));
  for (unsigned int axis = 0; axis < tensor->type.layout.rank; axis++) {
    fprintf(file, "%s%d", axis ? ", " : "", tensor->type.layout.dimensions[axis]);
  }
  fprintf(file, "], \"size_bytes\": %zu}", tensor->size_bytes);
  free(name);
}

static void write_index(const Model* model, const FileList* inputs, const char* folder) {
  FILE* file = open_for_writing(folder, INDEX);
  fputs("{\"inputs\": [", file);
  for (size_t i = 0; i < inputs->count; i++) {
    fputs(i ? ", " : "", file);
    write_json_text(file, inputs->names[i]);
  }
  fputs("],\n \"outputs\": [", file);
  for (size_t i = 0; i < model->outputs.count; i++) {
    fputs(i ? ",\n  " : "", file);
    write_json_output(file, i, &model->outputs.items[i]);
  }
  fputs("]}\n", file);
  close_file(file);
}

void run_on_folder(Model* model, const char* input_folder, const char* output_folder) {
  FileList inputs = list_files(input_folder);
  if (mkdir(output_folder, 0755) != 0 && errno != EEXIST) {
    fail("cannot make the output folder %s: %s", output_folder, strerror(errno));
  }
  char* old_index = join(output_folder, INDEX);
  unlink(old_index);  // it would call what is written now whole
  free(old_index);
  size_t input_size = sum_sizes(&model->inputs);
  unsigned char* input = allocate(input_size, 1);
  unsigned char* output = allocate(sum_sizes(&model->outputs), 1);
  FILE** files = open_outputs(model, output_folder);
  for (size_t i = 0; i < inputs.count; i++) {
    char* path = join(input_folder, inputs.names[i]);
    read_input(path, input, input_size);
    free(path);
    write_inputs(model, input);
    run_model(model);
    append_outputs(model, files, output);
  }
  for (size_t i = 0; i < model->outputs.count; i++) close_file(files[i]);
  write_index(model, &inputs, output_folder);
  printf("INFO: Ran the model on %zu inputs of %s\n", inputs.count, input_folder);
  for (size_t i = 0; i < inputs.count; i++) free(inputs.names[i]);
  free(inputs.names);
  free(files);
  free(output);
  free(input);
}
