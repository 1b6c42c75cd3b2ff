"""The network in training, for every kind of pyramid: it computes the same, and no layer is left out of the plan.

tf_keras is imported in a process of its own.
"""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="quantization-aware training is not installed",
)

CHECK = """
import dataclasses, json, sys
import keras, numpy as np
from nasfpn_lite.converters import qat_layers
from nasfpn_lite.converters.qat_plan import plan_quantization
from nasfpn_lite.converters.ranges import on_grid
from nasfpn_lite.detector import build_detector
from nasfpn_lite.folding import folded_detector
from nasfpn_lite.genotype import NASFPN_7, Genotype, MergingCell
from nasfpn_lite.variants import get_spec
from nasfpn_lite.weights import set_arrays, to_arrays


def draw_genotype(seed):
    rng = np.random.default_rng(seed)
    levels = [*rng.integers(3, 7, rng.integers(0, 5)).tolist(), *rng.permutation([3, 4, 5, 6]).tolist()]
    operations = rng.choice(["sum", "attention"], len(levels)).tolist()
    pairs = [tuple(rng.choice(4 + i, 2, replace=False).tolist()) for i in range(len(levels))]
    return Genotype(3, 6, tuple(MergingCell(*cell) for cell in zip(levels, operations, pairs)))


def make_spec(kind):
    if kind in ("nasfpnlite_3x48", "ssdlite"):
        return get_spec(kind, size="64x128", num_classes=2)
    width, genotype, top = (64, NASFPN_7, 7) if kind == "7 cells" else (48, draw_genotype(int(kind.split()[1])), 6)
    spec = get_spec(f"nasfpnlite_3x{width}", size="128x256" if top == 7 else "64x128", num_classes=2)
    return dataclasses.replace(
        spec, neck=dataclasses.replace(spec.neck, genotype=genotype, max_level=top, repeats=1)
    )


def shifted(arrays, rng):
    # Statistics as training leaves them, not 0 and 1: else folding would be tried on nothing.
    for name, values in arrays.items():
        if name.endswith(("/moving_mean", "/beta")):
            values[:] = rng.normal(0, 0.1, values.shape)
        if name.endswith(("/moving_variance", "/gamma")):
            values[:] = rng.uniform(0.7, 1.4, values.shape)
    return arrays


kind = sys.argv[1]
spec, rng = make_spec(kind), np.random.default_rng(0)
keras.utils.set_random_seed(0)
model = build_detector(spec)
set_arrays(model, shifted(to_arrays(model), rng))
image = rng.uniform(-1, 1, (1, *spec.image_size, 3)).astype("float32")
unfolded = {name: np.array(value) for name, value in model(image, training=False).items()}
folded_spec, arrays = folded_detector(spec, to_arrays(model))
plan = plan_quantization(build_detector(folded_spec, folded=True))
twin = qat_layers.build_twin(folded_spec)
set_arrays(twin, arrays)
same = {name: np.array(value) for name, value in twin(image, training=False).items()}
quantized = qat_layers.quantize_twin(twin, plan)
ranges = {name: (-20.0, 20.0) for name in qat_layers.read_ranges(quantized)}
qat_layers.write_ranges(quantized, ranges)
coarse = {name: np.array(value) for name, value in quantized(on_grid(image), training=False).items()}
wrapped = {x.name.removeprefix(qat_layers.PREFIX): x for x in quantized.layers if x.name.startswith(qat_layers.PREFIX)}
difference = lambda a: max(float(np.abs(a[name] - unfolded[name]).max()) for name in unfolded)
print(json.dumps({
    "difference": difference(same),
    "coarse": difference(coarse),
    "largest": max(float(np.abs(value).max()) for value in unfolded.values()),
    "all": sorted(name for name in wrapped if name in {p.name for p in plan}) == sorted(p.name for p in plan),
    "weights": all(bool(wrapped[p.name].quantize_config.weights) == p.weights for p in plan),
    "ranges": sorted(ranges) == sorted(p.name for p in plan if p.output == "learned"),
    "products": sum(p.kind == "Multiply" for p in plan),
}))
"""


@pytest.mark.parametrize("kind", ["nasfpnlite_3x48", "7 cells", "ssdlite", "genotype 1", "genotype 2"])
def test_twin_computes_the_same_and_every_layer_is_treated_as_planned(kind):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CHECK, kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["difference"] <= 1e-5, result
    assert result["coarse"] > 1e-3, result  # grids over -20..20: what the line above would notice
    assert result["all"] and result["weights"] and result["ranges"]
    assert (result["products"] > 0) == (kind != "ssdlite")  # attention: what tfmot takes only with a config
