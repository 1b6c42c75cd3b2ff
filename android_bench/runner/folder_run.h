// A model run once on each raw file of a folder.
#ifndef NASFPN_FOLDER_RUN_H
#define NASFPN_FOLDER_RUN_H

#include "model.h"

// Runs the model on the files of `input_folder` in the order of their names, each of them all inputs' bytes one after the
// other, and writes into `output_folder` a file for each output, with the bytes of all runs one after the other. In the
// end outputs.json says what is in them: without it they are not whole.
void run_on_folder(Model* model, const char* input_folder, const char* output_folder);

#endif
