"""What a user learns of quantization-aware training before any: each layer's treatment, or what is wrong."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.genotype import NASFPNLITE_15, Genotype, MergingCell

SMALL = ("--size", "64x128", "--classes", "2")


def test_every_layer_with_its_treatment(capsys):
    assert main(["doctor", "--qat", "nasfpnlite_3x48", *SMALL, "--json"]) == 0
    layers = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert layers["Conv1"] == {"name": "Conv1", "kind": "Conv2D", "weights": True, "output": "fused"}
    assert layers["pyramid3_cell15_P6_pointwise"] == {
        **{"name": "pyramid3_cell15_P6_pointwise", "kind": "Conv2D", "weights": True, "output": "learned"}
    }
    assert main(["doctor", "--qat", "nasfpnlite_3x48", *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "weights", "output", "meaning"]
    assert {line.split()[0] for line in lines[2:-2]} == set(layers)
    kernels = sum(layer["weights"] for layer in layers.values())
    grids = sum(layer["output"] in ("learned", "fixed") for layer in layers.values())
    assert lines[-1] == f"{len(layers)} layers, all covered: {kernels} kernels, {grids} grids of activations"
    assert "tf_keras" not in sys.modules


def test_a_run_and_a_genotype_of_ones_own(tiny_run, tmp_path, capsys):
    assert main(["doctor", "--qat", str(tiny_run), "--json"]) == 0
    names = {layer["name"] for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert "fpn_P3_pointwise" in names
    cells = (*NASFPNLITE_15.cells, MergingCell(6, "attention", (17, 18)))
    genotype = tmp_path / "genotype.json"
    genotype.write_text(json.dumps(Genotype(3, 6, cells).to_dict()))
    assert main(["doctor", "--qat", "nasfpnlite_3x64", *SMALL, "--genotype", str(genotype), "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    kinds = Counter(layer["kind"] for layer in layers if layer["name"].startswith("pyramid1_"))
    assert kinds["Multiply"] == sum(cell.op == "attention" for cell in cells)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--qat", "nosuch"], "unknown variant 'nosuch'; there are nasfpnlite_3x48"),
        (["--qat", "RUN", "--size", "64"], "a trained run keeps what it has"),
        (["--qat", "FOLDER"], "expected a run folder (with spec.json)"),
    ],
)
def test_mistakes_are_told_before_keras_is_imported(tiny_run, tmp_path, arguments, message):
    replaced = [{"RUN": str(tiny_run), "FOLDER": str(tmp_path)}.get(text, text) for text in arguments]
    code = "import sys; from nasfpn_lite.cli import main; code = main(['doctor', *sys.argv[1:]])"
    code += "; sys.exit(code if 'keras' not in sys.modules else 99)"
    done = subprocess.run(
        [sys.executable, "-c", code, *replaced], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
