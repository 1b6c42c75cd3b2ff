"""Quantization-aware training, in processes of its own: this one never imports tf_keras."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.convert import RANGES
from nasfpn_lite.converters.parity import measure_parity
from nasfpn_lite.converters.qat_recipe import QatJob, QatRecipe
from nasfpn_lite.converters.quantize import QuantizationError, train_on_grids
from nasfpn_lite.runs import load_run
from nasfpn_lite.weights import load_arrays

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="quantization-aware training is not installed",
)

LAYERS_CHECK = """
import sys, json
import keras, numpy as np, tensorflow as tf
before = keras.layers.Conv2D
from pathlib import Path
from nasfpn_lite.converters import qat_layers
from nasfpn_lite.converters.qat_plan import plan_quantization
from nasfpn_lite.converters.ranges import on_grid
from nasfpn_lite.detector import build_detector
from nasfpn_lite.folding import folded_detector
from nasfpn_lite.runs import load_run
from nasfpn_lite.weights import load_arrays, set_arrays
import tf_keras

run = load_run(Path(sys.argv[1]))
spec, arrays = folded_detector(run.spec, load_arrays(run.folder / "weights.npz"))
folded = build_detector(spec, folded=True)
set_arrays(folded, arrays)
twin = qat_layers.build_twin(spec)
set_arrays(twin, arrays)
image = np.random.default_rng(0).uniform(-1, 1, (2, 64, 128, 3)).astype("float32")
difference = lambda a, b: max(float(np.abs(np.array(a[n]) - np.array(b[n])).max()) for n in a)
plan = plan_quantization(folded)
quantized = qat_layers.quantize_twin(twin, plan)
ranges = {name: (-20.0, 20.0) for name in qat_layers.read_ranges(quantized)}
qat_layers.write_ranges(quantized, ranges)
kernel = tf.constant(np.array([[-1.0, 0.5], [0.004, 0.003]], "float32").reshape(1, 2, 1, 2))
depthwise = tf.constant(np.array([[-1.0, 0.05], [0.004, 0.0253]], "float32").reshape(2, 1, 2, 1))
print(json.dumps({
    "twin": difference(folded(image, training=False), twin(image, training=False)),
    "unfolded": difference(run.build_model()(image, training=False), twin(image, training=False)),
    "coarse": difference(folded(image, training=False), quantized(on_grid(image), training=False)),
    "kernel": (qat_layers.KernelQuantizer(depthwise=False)(kernel, False, {}).numpy().ravel() * 127).tolist(),
    "depthwise": qat_layers.KernelQuantizer(depthwise=True)(depthwise, False, {}).numpy().ravel().tolist(),
    "ranges": qat_layers.read_ranges(quantized) == ranges,
    "planned": sorted(ranges) == sorted(p.name for p in plan if p.output == "learned"),
    "wrapped": all(x.name.startswith("quant_") for x in quantized.layers[1:]),
    "keras": keras.layers.Conv2D is before and (keras.__version__[0], tf_keras.__version__[0]) == ("3", "2"),
}))
"""


def run_python(code: str, *arguments: str) -> str:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_twin_in_tf_keras_computes_the_same_and_quantizers_do_what_they_say(tiny_run: Path) -> None:
    result = json.loads(run_python(LAYERS_CHECK, str(tiny_run)).splitlines()[-1])
    assert result["twin"] <= 1e-5
    assert result["unfolded"] <= 1e-5
    assert result["coarse"] > 1e-3  # grids over -20..20 are far outside what the two lines above allow
    assert result["ranges"] and result["planned"] and result["wrapped"] and result["keras"]
    # Channel 0 spans 1: steps of 1/127. Channel 1 spans .5: steps of .5/127; .003 is .76 of a step.
    np.testing.assert_allclose(result["kernel"], [-127, 63.5, 1, 0.5], atol=1e-3)
    # Depthwise: a range per channel; .0253 is 64.26 steps of .05/127.
    np.testing.assert_allclose(result["depthwise"], [-1, 0.05, 1 / 127, 64 * 0.05 / 127], atol=1e-6)


@pytest.fixture(scope="module")
def trained_run(tiny_run: Path, tiny_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run with a recipe, as `train` would have left it."""
    from nasfpn_lite.recipes import PRESETS

    folder = tmp_path_factory.mktemp("qat") / "run"
    shutil.copytree(tiny_run, folder)
    recipe = {"seed": 5, "data": str(tiny_coco), "recipe": PRESETS["finetune"].to_dict()}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def arguments(run: Path, output: Path, *more: str) -> list[str]:
    # 6 images and 2 a batch: 3 steps an epoch, 60 in all, checkpoints after 30 and 60.
    options = ("--epochs", "20", "--batch-size", "2", "--learning-rate", "0.001", "--force")
    return ["quantize", str(run), "-o", str(output), *options, *more]


def start(run: Path, output: Path) -> subprocess.Popen:
    code = "import sys; from nasfpn_lite.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments(run, output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_kill_and_resume_give_the_same_result_and_an_int8_file(trained_run: Path, tmp_path: Path, capsys) -> None:
    whole, killed = (start(trained_run, tmp_path / name) for name in ("whole", "killed"))
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / "qat" / "checkpoint.npz").is_file():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()[1][-3000:]
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "qat" / "trained.npz").exists()
    assert main(arguments(trained_run, tmp_path / "killed", "--resume", "--seed", "1")) == 2
    assert "other options" in capsys.readouterr().err
    assert main(arguments(trained_run, tmp_path / "killed", "--resume", "--json")) == 0
    assert "tf_keras" not in sys.modules
    file = Path(json.loads(capsys.readouterr().out)["files"][0]["path"])
    error = whole.communicate(timeout=300)[1]
    assert whole.returncode == 0, error[-3000:]
    expected, resumed = (load_arrays(tmp_path / name / "qat" / "trained.npz") for name in ("whole", "killed"))
    assert expected.keys() == resumed.keys()
    assert any(key.startswith(RANGES) for key in expected)
    after_relu = [ends for key, ends in expected.items() if key.startswith(RANGES) and key.endswith(("relu", "act"))]
    # What began before the ranges were measured would still hold a part of -6..6.
    assert after_relu and all(low == 0 < high for low, high in after_relu)
    for key, array in expected.items():
        np.testing.assert_array_equal(resumed[key], array, err_msg=key)
    assert main(["inspect", str(file), "--json", "--strict"]) == 0
    audit = json.loads(capsys.readouterr().out)
    assert audit["int8_multiply_add_share"] == 1.0
    run = load_run(trained_run)
    noise = np.random.default_rng(0).integers(0, 256, (2, *run.spec.image_size, 3), np.uint8)
    parity = measure_parity(run, file, noise)  # against what the training ended with
    assert not parity.missing
    own = next(entry for entry in parity.stages if entry.stage.name == "Conv1_relu")
    assert own.snr_db > 20.0  # the first layer of 8 bits alone


def test_a_network_that_its_grids_broke_is_not_trained(trained_run: Path, tiny_coco: Path, tmp_path: Path) -> None:
    # That nothing may be lost, and more, is what no network keeps to: the check is really made before the first step.
    job = QatJob(trained_run, tiny_coco, QatRecipe(max_start_drop=-1.0), force=True)
    with pytest.raises(QuantizationError, match="before the first step, .* in float; more than -1.000 apart"):
        train_on_grids(job, tmp_path / "qat")
    assert sorted(path.name for path in (tmp_path / "qat").iterdir()) == ["error.json", "job.json"]


def test_refusals(trained_run: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    output = tmp_path / "there"
    (output / "qat").mkdir(parents=True)
    (output / "qat" / "checkpoint.npz").write_bytes(b"of another training")
    assert main(arguments(trained_run, output)) == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert main([*arguments(trained_run, tmp_path / "x"), "--learning-rate", "0"]) == 2
    assert "learning_rate must be positive" in capsys.readouterr().err
    assert main([*arguments(trained_run, tmp_path / "z"), "--data", str(tmp_path / "gone")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert main([text for text in arguments(trained_run, tmp_path / "z") if text != "--force"]) == 2
    assert "calibration needs at least 100 images, got 6" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()  # told before the training's process begins
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(arguments(trained_run, tmp_path / "y")) == 2
    assert 'pip install "nasfpn-lite[qat]"' in capsys.readouterr().err


def test_advice_needs_a_budget_and_trains_nothing(trained_run: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    assert main(arguments(trained_run, tmp_path / "a", "--advise")) == 2
    assert "add --max-ap-drop" in capsys.readouterr().err
    monkeypatch.setattr("nasfpn_lite.compare._LEAST_AP", 100.1)
    assert main(arguments(trained_run, tmp_path / "a", "--advise", "--max-ap-drop", "100")) == 2
    assert "the reference itself has AP" in capsys.readouterr().err
    monkeypatch.setattr("nasfpn_lite.compare._LEAST_AP", 0.0)  # a few steps of training may find nothing
    assert main(arguments(trained_run, tmp_path / "a", "--advise", "--max-ap-drop", "100")) == 0
    assert "static_wi8_ai8 is within the budget: no training is needed" in capsys.readouterr().out
    assert not (tmp_path / "a").exists()
