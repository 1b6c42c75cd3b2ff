"""Do zeros in the weights make a network faster? Times pruned float and int8 files against dense ones.

    python -m nasfpn_lite.benchmarks.try_pruning [--hide-avx] -o DIR

Random weights will do. XNNPACK uses no sparse kernel on a processor with AVX; --hide-avx makes it believe that there is
none. "backbone" is MobileNetV2 up to its global mean; "padded 1 1" is the padding that sparse kernels demand.
"""

import argparse
import ctypes
import inspect
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from nasfpn_lite.backbones.mobilenet_v2 import build_mobilenet_v2
from nasfpn_lite.benchmarks.cpu_time import time_in_turns
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import load_converter, make_interpreter
from nasfpn_lite.converters.upsampling import replace_tiles
from nasfpn_lite.detector import build_detector
from nasfpn_lite.files import write_bytes_atomically
from nasfpn_lite.variants import get_spec
from nasfpn_lite.weights import set_arrays, to_arrays

SIZE, ROUNDS = 320, 60
NETWORKS = ("backbone", "backbone, padded 1 1", "detector", "detector, padded 1 1")
CASES = (("float", 0.9), ("float", 0.75), ("int8", 0.9), ("int8", 0.0), ("float", 0.0))  # the last is the reference
LIBRARY = "libpywrap_litert_common.so"  # of ai-edge-litert (2.3.0), holds XNNPACK with its local symbols
HARDWARE, FLAGS_OFFSET, SSE_FLAGS = "xnn_init_hardware_config", 8, 0b1111  # sse, sse2, ssse3, sse4_1; AVX is bit 4


def prune(kernel: np.ndarray, share: float) -> np.ndarray:
    """Returns a kernel whose smallest values, `share` of all, are zero."""
    bound = np.quantile(np.abs(kernel), share)
    return np.where(np.abs(kernel) < bound, 0, kernel).astype(kernel.dtype)


def build(network: str) -> keras.Model:
    """Returns one of NETWORKS, without batch norms."""
    image = keras.Input((SIZE, SIZE, 3))
    options: dict[str, Any] = {"top_channels": None, "expanded_c4": False, "symmetric_padding": True}
    if network.startswith("detector"):
        model = build_detector(get_spec("nasfpnlite_3x48", size=str(SIZE), num_classes=80), folded=True)
    else:
        taps = build_mobilenet_v2(keras, image, bn_momentum=0.9, folded=True, **options)
        model = keras.Model(image, keras.layers.GlobalAveragePooling2D(keepdims=True)(taps["C5"]))
    for layer in model.layers:
        if network.endswith("1 1") and isinstance(layer, keras.layers.ZeroPadding2D):
            layer.padding = ((1, 1), (1, 1))  # the same result at even sizes
    return keras.models.clone_model(model)


def convert(model: keras.Model, kind: str, share: float) -> bytes:
    """Makes a .tflite of random weights, those of 1x1 convolutions pruned; biases keep the signal alive."""
    rng, arrays = np.random.default_rng(0), to_arrays(model)
    for name, array in arrays.items():
        if name.endswith("bias"):
            arrays[name] = rng.normal(0, 0.5, array.shape).astype(np.float32)
        elif array.ndim == 4 and array.shape[:2] == (1, 1):
            arrays[name] = prune(array, share)
    set_arrays(model, arrays)
    network = tf.function(lambda image: model(image, training=False))
    network = network.get_concrete_function(tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32))
    module = load_converter()
    converter = module.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(network)])
    converter.optimizations = [module.Optimize.EXPERIMENTAL_SPARSITY] if share else []
    if kind == "int8":
        images = [rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(2)]
        converter.optimizations += [module.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in images)
    graph = Graph(converter.convert())
    replace_tiles(graph)
    return graph.to_bytes()


def hide_avx() -> None:
    """Clears AVX and what came after it from what XNNPACK knows of this processor; to be called before it is used."""
    library = Path(inspect.getfile(schema_py_generated)).parent / LIBRARY
    ctypes.CDLL(str(library))
    symbols = subprocess.check_output(["nm", str(library)], text=True).splitlines()
    offset = next(int(line.split()[0], 16) for line in symbols if line.endswith(f" t {HARDWARE}"))
    maps = Path("/proc/self/maps").read_text().splitlines()
    base = next(int(line.split("-")[0], 16) for line in maps if line.endswith(LIBRARY))
    config = ctypes.CFUNCTYPE(ctypes.c_void_p)(base + offset)()
    ctypes.c_uint64.from_address(config + FLAGS_OFFSET).value &= SSE_FLAGS


def main(argv: list[str] | None = None) -> None:
    """Prints a table per network."""
    parser = argparse.ArgumentParser(description="Times pruned .tflite files against dense ones.")
    parser.add_argument("--hide-avx", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="keep files here, or take them")
    args = parser.parse_args(argv)
    if args.hide_avx:
        if platform.machine() != "x86_64" or not shutil.which("nm"):
            parser.error("--hide-avx needs Linux on x86-64 and the program nm")
        hide_avx()
    for network in NETWORKS:
        files = [args.output / f"{network}_{kind}_{share:.0%}.tflite" for kind, share in CASES]
        for file, case in zip(files, CASES, strict=True):
            if not file.is_file():
                write_bytes_atomically(file, convert(build(network), *case))
        timings = time_in_turns([make_interpreter(file) for file in files], ROUNDS)
        print(f"\n| {network} | ms | / dense float32 | MB |\n|---|---|---|---|")
        for (kind, zeros), file, timing in zip(CASES, files, timings, strict=True):
            ratio = f"{timing.ratio.median:.3f} ({timing.ratio.low:.3f} to {timing.ratio.high:.3f})"
            print(
                f"| {kind}, {zeros:.0%} zeros | {timing.milliseconds:.2f} | {ratio} | {file.stat().st_size / 1e6:.2f} |"
            )


if __name__ == "__main__":
    main()
