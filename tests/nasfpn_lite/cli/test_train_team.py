"""`train` on several devices and in several processes: one process writes, resumption is exact, refusals are clear.

The network is replaced by a small one, which compiles in seconds; all else is what a user runs.
"""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasfpn_lite.weights import load_arrays
from tests.team_runs import TIMEOUT_S, TWO_CPU_DEVICES, finish, free_address, start

TOLERANCE = 1e-4  # rounding differs from the first step on, and each step of training multiplies it
MAIN = """
import sys
import keras
from nasfpn_lite import train
def small_detector(spec, **options):
    image = keras.Input((*spec.image_size, 3), name="image")
    x, outputs = image, {"class_logits": [], "box_encodings": []}
    for level in range(1, spec.neck.max_level + 1):
        x = keras.layers.Conv2D(8, 3, 2, "same", use_bias=False, name=f"conv{level}")(x)
        x = keras.layers.BatchNormalization(momentum=options["bn_momentum"], name=f"bn{level}")(x)
        x = keras.layers.ReLU(name=f"act{level}")(x)
        for name, values in (("class_logits", spec.num_classes), ("box_encodings", 4)):
            if level >= spec.neck.min_level:
                y = keras.layers.Conv2D(9 * values, 1, name=f"{name}{level}")(x)
                outputs[name].append(keras.layers.Reshape((-1, values), name=f"{name}{level}_flat")(y))
    return keras.Model(image, {k: keras.layers.Concatenate(axis=1, name=k)(v) for k, v in outputs.items()})
train.build_detector = small_detector
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from nasfpn_lite.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen photos to train on, the last unreadable, and four to validate on; a genotype of two cells."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 13), ("val", 4)):
        images, annotations = [], []
        (folder / split).mkdir()
        for number in range(1, count + 1):
            image = rng.integers(0, 90, (48, 80, 3), dtype=np.uint8)
            x, y, side = (int(v) for v in rng.integers((2, 2, 14), (40, 20, 26)))
            image[y : y + side, x : x + side] = 255
            cv2.imwrite(str(folder / split / f"{number}.png"), image)
            images.append({"id": number, "file_name": f"{number}.png", "height": 48, "width": 80})
            box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0}
            annotations.append({"id": number, "image_id": number, "category_id": 7, **box})
        coco = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "box"}]}
        (folder / f"instances_{split}.json").write_text(json.dumps(coco))
    (folder / "train" / "13.png").write_bytes(b"no image")
    cells = [{"level": 4, "op": "attention", "inputs": [0, 1]}, {"level": 3, "op": "sum", "inputs": [0, 2]}]
    (folder / "genotype.json").write_text(json.dumps({"min_level": 3, "max_level": 4, "cells": cells}))
    return folder


def command(data: Path, run: Path, *more: str) -> list[str]:
    return [
        *("-c", MAIN, "-v", "train", "--data", str(data), "--variant", "nasfpnlite_3x48", "--size", "64x128"),
        *("--genotype", str(data / "genotype.json"), "--no-pretrained", "--batch-size", "4", "--epochs", "34"),
        *("--learning-rate", "0.002", "--precision", "float32", "-o", str(run), *more),
    ]


def start_two(data: Path, run: Path, *more: str) -> list[subprocess.Popen]:
    """Starts two processes; the second one has another run folder, which nothing may be written to."""
    address, processes = free_address(), []
    for index, folder in enumerate((run, run.with_name(f"{run.name}_of_the_second"))):
        team = ("--processes", "2", "--process-id", str(index), "--coordinator", address)
        processes.append(start(command(data, folder, *team, *more), KERAS_BACKEND="jax"))
    return processes


def assert_ended_well(*processes: subprocess.Popen) -> list[str]:
    ended = finish(*processes)
    for code, _, errors in ended:
        assert code == 0, errors[-3000:]
    return [output for _, output, _ in ended]


def wait_for_newer(path: Path, time_ns: int, processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not path.is_file() or path.stat().st_mtime_ns <= time_ns:
        for process in processes:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1][-3000:]
        time.sleep(0.02)


def difference(left: Path, right: Path) -> float:
    arrays, others = load_arrays(left / "weights.npz"), load_arrays(right / "weights.npz")
    assert arrays.keys() == others.keys()
    return max(float((np.abs(arrays[k] - others[k]) / np.maximum(1, np.abs(arrays[k]))).max()) for k in arrays)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    outputs = assert_ended_well(*start_two(data, run))
    assert outputs == [f"{run}\n", ""]
    return run


def test_only_the_first_process_writes(whole: Path, data: Path) -> None:
    assert not whole.with_name("whole_of_the_second").exists()
    names = {"spec.json", "categories.json", "recipe.json", "versions.json", "log.csv", "weights.npz", "skipped.json"}
    assert {path.name for path in whole.iterdir()} == names
    assert list(json.loads((whole / "skipped.json").read_text())) == [str(data / "train" / "13.png")]
    rows = [row.split(",") for row in (whole / "log.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["step", "26", "52", "78", "104"]
    assert all(0 <= float(row[-1]) <= 1 for row in rows[1:])  # val_AP after each of four rounds


def test_resume_after_sigkill_is_exact(whole: Path, data: Path, tmp_path: Path) -> None:
    """First the second process is killed, then the first one, then both; what is left alone ends by itself."""
    run = tmp_path / "killed"
    for victims, more in (((1,), ()), ((0,), ("--resume",)), ((0, 1), ("--resume",))):
        before = (run / "checkpoint.npz").stat().st_mtime_ns if more else 0
        processes = start_two(data, run, *more)
        wait_for_newer(run / "checkpoint.npz", before, processes)
        for victim in victims:
            processes[victim].send_signal(signal.SIGKILL)
        ended = finish(*processes)
        assert all(code != 0 for code, _, _ in ended), ended
        assert not (run / "weights.npz").exists()
        if victims == (1,):
            assert ended[0][0] == 2 and "error: another of the 2 processes has ended" in ended[0][2], ended[0][2][
                -3000:
            ]
    assert_ended_well(*start_two(data, run, "--resume"))
    assert difference(run, whole) == 0
    first_columns = [[row.split(",")[0] for row in (r / "log.csv").read_text().splitlines()] for r in (run, whole)]
    assert first_columns[0] == first_columns[1]


def test_one_process_and_two_devices_give_the_same(whole: Path, data: Path, tmp_path: Path) -> None:
    one = start(command(data, tmp_path / "one"), KERAS_BACKEND="jax")
    two = start(command(data, tmp_path / "two", "--devices", "all"), KERAS_BACKEND="jax", XLA_FLAGS=TWO_CPU_DEVICES)
    other_seed = start(command(data, tmp_path / "other", "--seed", "1"), KERAS_BACKEND="jax")
    assert_ended_well(one, two, other_seed)
    assert difference(tmp_path / "one", whole) < TOLERANCE
    assert difference(tmp_path / "two", whole) < TOLERANCE
    assert difference(tmp_path / "other", whole) > 100 * TOLERANCE


def test_two_devices_on_tensorflow(data: Path, tmp_path: Path) -> None:
    """Over two rounds only: TensorFlow's synchronized variance rounds otherwise than its plain one."""
    one = start(command(data, tmp_path / "one", "--epochs", "17"), KERAS_BACKEND="tensorflow")
    two = start(command(data, tmp_path / "two", "--epochs", "17", "--devices", "2"), KERAS_BACKEND="tensorflow")
    assert_ended_well(one, two)
    assert difference(tmp_path / "two", tmp_path / "one") < TOLERANCE


def test_refusals(data: Path, tmp_path: Path) -> None:
    team = ("--processes", "2", "--process-id")
    nobody, nobody_else = (("--coordinator", free_address(), "--join-timeout", "2") for _ in range(2))
    cases = [
        ((*team, "1", *nobody), "jax", "process 0 cannot be reached at 127.0.0.1:"),
        ((*team, "0", *nobody_else), "jax", "process 1 did not join at 127.0.0.1:"),
        ((*team, "1", *nobody), "tensorflow", "several processes train together on JAX only"),
        (("--devices", "3"), "tensorflow", "expected 3 devices, but there are 2"),
        (("--devices", "2", "--batch-size", "3"), "tensorflow", "a batch of 3 images cannot be shared equally by 2"),
        (("--devices", "2", "--accumulate", "2"), "tensorflow", "several devices compute a batch in parts on JAX only"),
    ]
    processes = [start(command(data, tmp_path / "run", *more), KERAS_BACKEND=backend) for more, backend, _ in cases]
    for (code, _, errors), (more, _, message) in zip(finish(*processes), cases, strict=True):
        assert code == 2 and f"error: {message}" in errors, (more, errors[-3000:])
    assert not (tmp_path / "run").exists()


def test_processes_of_different_options_are_refused(data: Path, tmp_path: Path) -> None:
    unvalidated = shutil.copytree(data, tmp_path / "data")
    (unvalidated / "instances_val.json").unlink()
    address = free_address()
    processes = [
        start(
            command((data, unvalidated)[index], tmp_path / "run", "--processes", "2", "--process-id", str(index),
                    "--coordinator", address, "--seed", str(index)),
            KERAS_BACKEND="jax",
        )
        for index in range(2)
    ]  # fmt: skip
    for code, _, errors in finish(*processes):
        assert code == 2
        assert "error: process 1 was started with another seed, val_sha256 than process 0" in errors
    assert not (tmp_path / "run").exists()
