"""`compare-runs` from run folders to a verdict: its AP is that of `eval`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.weights import load_arrays, save_arrays


@pytest.fixture(scope="module")
def runs(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four runs of two seeds, each with weights of its own."""
    folder = tmp_path_factory.mktemp("runs")
    for number, name in enumerate(("a0", "a1", "b0", "b1")):
        shutil.copytree(tiny_run, folder / name)
        (folder / name / "recipe.json").write_text(json.dumps({"seed": number % 2}))
        arrays = load_arrays(folder / name / "weights.npz")
        rng = np.random.default_rng(number)
        arrays["head_class_predictor_pointwise/bias"] += rng.normal(0, 0.5, 18).astype(np.float32)
        save_arrays(arrays, folder / name / "weights.npz")
    return [str(folder / name) for name in ("a0", "a1", "b0", "b1")]


def test_from_run_folders_to_a_verdict(
    runs: list[str], tiny_coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare-runs", *runs[:2], "--against", *runs[2:], "--data", str(tiny_coco), "--split", "train"]
    assert main([*command, "--bootstrap", "20", "-o", str(tmp_path / "seeds.svg"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["runs"] == {"A": runs[:2], "B": runs[2:]} and data["images"] == 6
    assert main(["eval", runs[1], "--data", str(tiny_coco), "--split", "train", "--json"]) == 0
    assert data["A"]["ap_by_seed"]["1"] == pytest.approx(100 * json.loads(capsys.readouterr().out)["AP"])
    aps = [[data[side]["ap_by_seed"][seed] for seed in ("0", "1")] for side in "AB"]
    assert data["test"]["difference"] == pytest.approx(sum(aps[0]) / 2 - sum(aps[1]) / 2) != 0
    low, high = data["test"]["interval"]
    word = "no difference shown" if low <= 0 <= high else "A is better" if low > 0 else "B is better"
    assert data["verdict"].startswith(word)
    assert (tmp_path / "seeds.svg").read_text().startswith("<svg")
    assert main([*command, "--bootstrap", "0"]) == 0
    printed = capsys.readouterr().out
    assert "paired t-test with 1 degrees of freedom" in printed and printed.splitlines()[-1].startswith(word)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--against", "B0"], "side B needs at least 2 runs"),
        (["--data", "nowhere"], "there is no such folder"),
        (["-o", "seeds.png"], "expected a name that ends in .svg"),
    ],
)
def test_refusals(
    runs: list[str], tiny_coco: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    change = [runs[2] if word == "B0" else word for word in change]
    command = ["compare-runs", *runs[:2], "--against", *runs[2:], "--data", str(tiny_coco), *change]
    assert main(command) == 2
    assert message in capsys.readouterr().err
