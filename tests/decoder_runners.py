"""Runs generated decoders of any language on raw outputs, and makes contracts to generate them from."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasfpn_lite.converters.contract import (
    BoxContract,
    Contract,
    InputContract,
    TensorContract,
    describe_anchors,
)
from nasfpn_lite.converters.decoders.golden import expand_tensor
from nasfpn_lite.converters.decoders.write import KOTLIN_FILE, PYTHON_FILE
from nasfpn_lite.converters.metadata import BOXES
from nasfpn_lite.data.records import Category
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec

Case = tuple[dict[str, Any] | None, dict[str, np.ndarray]]  # thresholds, outputs by name
Runner = Callable[[Path, Contract, Sequence[Case]], dict[str, Any]]
PHOTO_SIZE = (91, 203)  # of the photo that boxes are brought back to
LABELS = (Category(-3, 'a "b" \\ $x ${y} {{form}}\nü\x01\x7f9'), Category(0, "bee"), Category(2**40, "cow"))
# (scale, zero point) of the input and of the outputs, for each type
QUANTIZATIONS = {
    "float32": ((0.0, 0), (0.0, 0), (0.0, 0)),
    "int8": ((1 / 127.5, -1), (0.0371, -7), (0.0613, 31)),
    "uint8": ((1 / 127.5, 127), (0.0371, 120), (0.0613, 159)),
    "int16": ((1 / 32767, 0), (0.00013, 0), (0.00021, 0)),
}


def make_contract(form: str, dtype: str, *, resize: str = "stretch") -> Contract:
    """A contract of 64 x 128 pixels and three nasty labels, without a file."""
    anchors = describe_anchors(get_spec("nasfpnlite_3x48", size="64x128"))
    image, boxes, logits = ((float(np.float32(scale)), zero_point) for scale, zero_point in QUANTIZATIONS[dtype])
    if form == "raw":
        outputs = (
            TensorContract("box_encodings", (1, anchors.count, 4), dtype, *boxes, ""),
            TensorContract("class_logits", (1, anchors.count, 3), dtype, *logits, ""),
        )
    else:
        shapes = {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)}
        outputs = tuple(TensorContract(name, shape, "float32", 0.0, 0, "") for name, shape in shapes.items())
    return Contract(
        form=form,
        input=InputContract(
            TensorContract("image", (1, 64, 128, 3), dtype, *image, ""), "RGB", 127.5, 127.5, resize, 127
        ),
        outputs=outputs,
        boxes=BoxContract(BOXES[form]["coding"], ("ymin", "xmin", "ymax", "xmax"), 4.135166556742356),
        anchors=anchors,
        thresholds=PostprocessSpec(),
        labels=LABELS,
    )


def golden_cases(golden: dict[str, Any]) -> list[Case]:
    """Returns the inputs of golden vectors."""
    outputs = {name: expand_tensor(entry) for name, entry in golden["outputs"].items()}
    return [(case["thresholds"], outputs) for case in golden["cases"]]


def run_python(folder: Path, contract: Contract, cases: Sequence[Case]) -> dict[str, Any]:
    """Imports a generated decoder.py and runs it; answers as `check_answers` takes them, and boxes in a photo."""
    spec = importlib.util.spec_from_file_location("generated_decoder", folder / PYTHON_FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    height, width = contract.image_size
    pixels = (np.arange(height * width * 3) % 256).astype(np.uint8).reshape(height, width, 3)
    given = module.make_input(pixels)
    assert (given.shape, given.dtype) == (contract.input.tensor.shape, contract.input.tensor.dtype)
    answers = []
    for thresholds, outputs in cases:
        found = module.decode(outputs, **(thresholds or {}))
        original = module.to_original(found, module.fit_size(*PHOTO_SIZE)[1], PHOTO_SIZE)
        labels = [module.LABELS[index] for index in found.classes]
        answers.append(
            {
                "boxes_yxyx": found.boxes_yxyx,
                "scores": found.scores,
                "classes": found.classes.tolist(),
                "ids": [label[0] for label in labels],
                "names": [label[1] for label in labels],
                "original": original.boxes_yxyx,
            }
        )
    return {"input": given.reshape(-1)[:256], "cases": answers}


def run_cpp(folder: Path, contract: Contract, cases: Sequence[Case]) -> dict[str, Any]:
    """Compiles a generated decoder.hpp with all warnings as errors and runs it."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    lines = "".join(
        f"    const auto {o.name} = load<std::remove_const_t<std::remove_pointer_t<decltype(Outputs::{o.name})>>>"
        f'(folder + "/" + std::to_string(i) + "_{o.name}.bin");\n    outputs.{o.name} = {o.name}.data();\n'
        for o in contract.outputs
    )
    decoder = "Decoder decoder(Thresholds{score, top, iou, most});" if contract.form == "raw" else "Decoder decoder;"
    anchors = 'save(folder + "/anchors.bin", Decoder::make_anchors());' if contract.form == "raw" else ""
    text = _CPP_MAIN.replace("LOAD", lines).replace("DECODER", decoder).replace("ANCHORS", anchors)
    (folder / "main.cpp").write_text(text, encoding="utf-8")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    _call(["g++", *flags, "-I", str(folder), str(folder / "main.cpp"), "-o", str(folder / "main")])
    return _run_program([str(folder / "main")], folder, contract, cases)


def run_kotlin(folder: Path, contract: Contract, cases: Sequence[Case]) -> dict[str, Any]:
    """Compiles a generated Decoder.kt with warnings as errors and runs it on a Java machine."""
    jars = find_kotlin_jars()
    if jars is None or shutil.which("java") is None:
        pytest.skip("no Kotlin compiler: needs java, and kotlin-jupyter-kernel or KOTLIN_JARS=folder")
    options = "score, top, iou, most" if contract.form == "raw" else ""
    anchors = 'save(folder, "anchors.bin", makeAnchors())' if contract.form == "raw" else ""
    names = ", ".join(f'"{output.name}"' for output in contract.outputs)
    text = _KOTLIN_MAIN.replace("OPTIONS", options).replace("ANCHORS", anchors).replace("NAMES", names)
    (folder / "Main.kt").write_text(text.replace("INPUT_SIZE", str(contract.input.tensor.to_tensor().dtype.itemsize)))
    (library,) = jars.glob("kotlin-stdlib-[0-9]*.jar")
    compiler = ["java", "-cp", f"{jars}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    flags = ["-no-stdlib", "-no-reflect", *(["-Werror"] if contract.form == "raw" else []), "-cp", str(library)]
    sources = [str(folder / KOTLIN_FILE), str(folder / "Main.kt")]
    _call([*compiler, *flags, *sources, "-d", str(folder / "classes")])
    command = ["java", "-cp", f"{folder / 'classes'}{os.pathsep}{library}", "nasfpnlite.decoder.MainKt"]
    return _run_program(command, folder, contract, cases)


def find_kotlin_jars() -> Path | None:
    """Folder with the jars of a Kotlin compiler: $KOTLIN_JARS, or those of the package kotlin-jupyter-kernel."""
    if "KOTLIN_JARS" in os.environ:
        return Path(os.environ["KOTLIN_JARS"])
    found = importlib.util.find_spec("run_kotlin_kernel")
    return Path(found.origin).parent / "jars" if found is not None and found.origin else None


def _run_program(command: list[str], folder: Path, contract: Contract, cases: Sequence[Case]) -> dict[str, Any]:
    lines = []
    for index, (thresholds, outputs) in enumerate(cases):
        lines.append(" ".join(str(value) for value in (thresholds or dict.fromkeys("abcd", 1)).values()))
        for name, values in outputs.items():
            (folder / f"{index}_{name}.bin").write_bytes(values.tobytes())
    (folder / "cases.txt").write_text("\n".join(lines))
    printed = _call([*command, str(folder)])
    answers = []
    for text in printed.split("case\n")[1:]:
        rows = [line.split() for line in text.splitlines()]
        found = [row[1:] for row in rows if row[0] == "found"]
        answers.append(
            {
                "boxes_yxyx": np.array([row[:4] for row in found], np.float32).reshape(-1, 4),
                "scores": np.array([row[4] for row in found], np.float32),
                "classes": [int(row[5]) for row in found],
                "ids": [int(row[6]) for row in found],
                "names": [bytes.fromhex(row[7]).decode() for row in found],
                "original": np.array([row[1:] for row in rows if row[0] == "original"], np.float32).reshape(-1, 4),
            }
        )
    assert len(answers) == len(cases)
    if contract.form == "raw":
        anchors = np.frombuffer((folder / "anchors.bin").read_bytes(), np.float32).reshape(-1, 4)
        np.testing.assert_array_equal(anchors, contract.anchors.to_array())
    given = np.frombuffer((folder / "input.bin").read_bytes(), contract.input.tensor.dtype)
    assert given.size == np.prod(contract.input.tensor.shape)
    return {"input": given[:256], "cases": answers}


def _call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_CPP_MAIN = r"""
#include "decoder.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>

using namespace nasfpn_lite_decoder;

template <class T> std::vector<T> load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <class T> void save(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  std::vector<std::uint8_t> pixels(std::size_t{3} * kImageHeight * kImageWidth);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % 256);
  std::vector<InputValue> input(pixels.size());
  fill_input(pixels.data(), input.data());
  save(folder + "/input.bin", input);
  ANCHORS
  std::ifstream list(folder + "/cases.txt");
  double score, iou;
  std::size_t top, most;
  for (int i = 0; list >> score >> top >> iou >> most; ++i) {
    Outputs outputs{};
LOAD
    DECODER
    const std::vector<Detection> result = decoder.decode(outputs);
    std::printf("case\n");
    for (const Detection& d : result) {
      const Label& label = kLabels[d.class_index];
      std::printf("found %.9g %.9g %.9g %.9g %.9g %d %lld ", d.ymin, d.xmin, d.ymax, d.xmax, d.score, d.class_index,
                  static_cast<long long>(label.id));
      for (const char c : label.name) std::printf("%02x", static_cast<unsigned char>(c));
      std::printf("\n");
    }
    for (const Detection& d : to_original(result, fit_size(91, 203), 91, 203))
      std::printf("original %.9g %.9g %.9g %.9g\n", d.ymin, d.xmin, d.ymax, d.xmax);
  }
}
"""

_KOTLIN_MAIN = r"""
package nasfpnlite.decoder

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

fun save(folder: String, name: String, values: FloatArray) {
    val buffer = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    for (value in values) buffer.putFloat(value)
    File(folder, name).writeBytes(buffer.array())
}

fun main(arguments: Array<String>) {
    val folder = arguments[0]
    val pixels = ByteArray(3 * IMAGE_HEIGHT * IMAGE_WIDTH) { (it % 256).toByte() }
    val input = ByteBuffer.allocate(pixels.size * INPUT_SIZE)
    fillInput(pixels, input)
    File(folder, "input.bin").writeBytes(input.array())
    ANCHORS
    check(allocateOutputs().mapValues { it.value.capacity() } == OUTPUT_BYTES)
    for ((i, line) in File(folder, "cases.txt").readLines().withIndex()) {
        val words = line.split(" ")
        val score = words[0].toDouble()
        val top = words[1].toInt()
        val iou = words[2].toDouble()
        val most = words[3].toInt()
        val outputs = listOf(NAMES).associateWith { ByteBuffer.wrap(File(folder, "${i}_$it.bin").readBytes()) }
        val result = Decoder(OPTIONS).decode(outputs)
        println("case")
        for (d in result) {
            val label = LABELS[d.classIndex]
            val name = label.name.toByteArray().joinToString("") { "%02x".format(it) }
            println("found ${d.ymin} ${d.xmin} ${d.ymax} ${d.xmax} ${d.score} ${d.classIndex} ${label.id} $name")
        }
        for (d in toOriginal(result, fitSize(91, 203), 91, 203)) {
            println("original ${d.ymin} ${d.xmin} ${d.ymax} ${d.xmax}")
        }
    }
}
"""
