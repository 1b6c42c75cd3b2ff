"""Training from the command line: kill and resume, JAX without TensorFlow, portable weights, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.cli.train import with_exits
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import VARIANTS
from nasfpn_lite.weights import load_arrays

TWO_CELLS = {
    "min_level": 3,
    "max_level": 4,
    "cells": [{"level": 4, "op": "attention", "inputs": [0, 1]}, {"level": 3, "op": "sum", "inputs": [0, 2]}],
}
BLOCK_TENSORFLOW = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras"):
            raise ImportError(name + " must not be imported")
sys.meta_path.insert(0, Block())
"""
MAIN = "import sys; from nasfpn_lite.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small images with a bright box on each, the last of each split cut short; and a two-cell genotype."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 13), ("val", 4)):
        images, annotations = [], []
        for number in range(1, count + 1):
            image = rng.integers(0, 90, (48, 80, 3), dtype=np.uint8)
            x, y, side = (int(v) for v in rng.integers((2, 2, 14), (40, 20, 26)))
            image[y : y + side, x : x + side] = 255
            (folder / split).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / split / f"{number}.png"), image)
            images.append({"id": number, "file_name": f"{number}.png", "height": 48, "width": 80})
            annotations.append(
                {"id": number, "image_id": number, "category_id": 7, "bbox": [x, y, side, side], "area": side * side,
                 "iscrowd": 0}
            )  # fmt: skip
        last = folder / split / f"{count}.png"
        last.write_bytes(last.read_bytes()[:200])
        coco = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "box"}]}
        (folder / f"instances_{split}.json").write_text(json.dumps(coco))
    (folder / "genotype.json").write_text(json.dumps(TWO_CELLS))
    return folder


def train_arguments(data: Path, run: Path, *more: str) -> list[str]:
    return [
        *("train", "--data", str(data), "--variant", "nasfpnlite_3x48", "--size", "64x128", "--batch-size", "2"),
        *("--genotype", str(data / "genotype.json"), "--epochs", "13", "--learning-rate", "0.01", "-o", str(run)),
        *more,
    ]


def start(code: str, arguments: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err[-3000:]
    return out


def test_kill_and_resume_give_the_same_weights(data: Path, tmp_path: Path) -> None:
    options = ("--drop-block", "0.8", "--accumulate", "2")  # a schedule and noise of their own, and parts of a batch
    whole = start(MAIN, train_arguments(data, tmp_path / "whole", *options))
    killed = start(MAIN, train_arguments(data, tmp_path / "killed", *options))
    deadline = time.monotonic() + 1200
    while not (tmp_path / "killed" / "checkpoint.npz").is_file():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()[1][-3000:]
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "weights.npz").exists()
    assert json.loads(finish(start(MAIN, train_arguments(data, tmp_path / "killed", "--resume", "--json", *options))))[
        "run"
    ]
    finish(whole)
    assert main(train_arguments(data, tmp_path / "whole", "--resume", *options, "--epochs", "14")) == 2
    skipped = json.loads((tmp_path / "killed" / "skipped.json").read_text())
    assert list(skipped) == [str(data / "train" / "13.png")]
    expected, resumed = (load_arrays(tmp_path / name / "weights.npz") for name in ("whole", "killed"))
    assert expected.keys() == resumed.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(resumed[key], array, err_msg=key)
    steps = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "killed")]
    assert [row.split(",")[0] for row in steps[0]] == [row.split(",")[0] for row in steps[1]]
    assert len(steps[0]) == 4  # 13 epochs of 6 steps in three rounds of 26


def test_jax_trains_without_tensorflow_and_weights_are_portable(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code = BLOCK_TENSORFLOW + MAIN
    finish(start(code, train_arguments(data, run, "--epochs", "2", "--exits", "every"), KERAS_BACKEND="jax"))
    assert (run / "log.csv").read_text().splitlines()[0].endswith("exit2_box_loss,exit2_class_loss")
    predict = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom nasfpn_lite.runs import load_run\n"
        "model = load_run(Path(sys.argv[1])).build_model()\n"
        "image = np.random.default_rng(0).uniform(-1, 1, (2, 64, 128, 3)).astype('float32')\n"
        "np.savez(sys.argv[2], **{k: np.asarray(v) for k, v in model(image, training=False).items()})\n"
    )
    for backend in ("jax", "tensorflow"):
        finish(start(predict, [str(run), str(tmp_path / f"{backend}.npz")], KERAS_BACKEND=backend))
    jax, tensorflow = (load_arrays(tmp_path / f"{name}.npz") for name in ("jax", "tensorflow"))
    for key in ("box_encodings", "class_logits"):
        np.testing.assert_allclose(jax[key], tensorflow[key], rtol=0, atol=1e-4)


def test_refusals(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.npz").write_bytes(b"of another run")
    for more, message in (
        ([], "holds a run already; add --resume"),
        (["--preset", "best"], "unknown preset 'best'"),
        (["--classes", "3"], "--classes says 3, but"),
        (["--classes", "1"], "holds a run already"),
        (["--epochs", "0"], "epochs must be positive"),
    ):
        assert main(train_arguments(data, run, *more)) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--data", "nowhere"], ["--data", ".", "--epochs", "0"]])
def test_a_mistake_is_told_before_keras_is_loaded(options, tmp_path):
    code = (
        "import sys; from nasfpn_lite.cli import main\n"
        f"code = main(['train', *{options!r}, '-o', 'run']); print(code, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("exits", "expected"), [(None, ()), ("every", (1, 2, 3, 4, 5, 6, 7)), ("1,3,7", (1, 3, 7)), ("2,7", (2, 7))]
)
def test_exits_as_a_user_names_them(exits: str | None, expected: tuple[int, ...]) -> None:
    assert with_exits(VARIANTS["nasfpnlite_7x64"], exits).exits == expected


@pytest.mark.parametrize("exits", ["all", "1;7", "1,", "-1,7", "1,3"])
def test_other_exits_are_refused(exits: str) -> None:
    with pytest.raises(UserError, match="expected|exits"):
        with_exits(VARIANTS["nasfpnlite_7x64"], exits)


def test_a_weight_for_each_exit(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = train_arguments(data, tmp_path / "run", "--exits", "every", "--exit-weights", "1,2")
    assert main(command) == 2
    assert "a weight for each of the 3 exits, got [1.0, 2.0]" in capsys.readouterr().err
