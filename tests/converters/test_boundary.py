"""The search for the fewest float stages: the search itself, then a detector with one stage that int8 ruins."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.compare import Budget, Change, Comparison, check
from nasfpn_lite.converters import boundary
from nasfpn_lite.converters.boundary import convert_automatically, find_smallest
from nasfpn_lite.converters.budget import Judgement, Scoring
from nasfpn_lite.converters.calibration import Calibration, make_synthetic_calibration
from nasfpn_lite.converters.certificate import read_certificate
from nasfpn_lite.converters.convert import Converted, Source, Target
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.metadata import read_metadata
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import VARIANTS
from nasfpn_lite.weights import to_arrays

BAD = "head_class1_P4"


class Asked:
    """Sets that are enough are those that hold all of `needed`; remembers what was asked."""

    def __init__(self, needed: str) -> None:
        self.needed, self.sets = set(needed), []

    def __call__(self, stages: tuple[str, ...]) -> bool:
        self.sets.append("".join(stages))
        return self.needed <= set(stages)


@pytest.mark.parametrize("needed", ["a", "b", "h", "ah", "cdg", "abcdefgh"])
def test_what_is_needed_is_found_and_nothing_else(needed):
    asked = Asked(needed)
    assert find_smallest("abcdefgh", asked, lambda stage: ord(stage)) == tuple(needed)
    assert "" in asked.sets


def test_order_of_trials():
    asked = Asked("c")
    assert find_smallest("abcdefgh", asked, lambda stage: ord(stage)) == ("c",)
    # none; 1, 2, 4; 3 by bisection; then chunks of one, the dearest first: c, b, a; and what is left once more
    assert asked.sets == ["", "a", "ab", "abcd", "abc", "ab", "ac", "c", ""]


def test_within_the_budget_nothing_is_kept():
    asked = Asked("")
    assert find_smallest("abc", asked, lambda stage: 0) == ()
    assert asked.sets == [""]


def test_not_even_all_are_enough():
    asked = Asked("z")
    assert find_smallest("abc", asked, lambda stage: 0) is None
    assert asked.sets == ["", "a", "ab", "abc"]


def test_a_gain_of_chance_does_not_leave_a_needless_stage():
    """With {a} or {b, c}: after a has gone, b and c are both needed."""
    enough = [{"a"}, {"b", "c"}]

    def within(stages: tuple[str, ...]) -> bool:
        return any(need <= set(stages) for need in enough)

    kept = find_smallest("bca", within, {"a": 9, "b": 1, "c": 1}.__getitem__)
    assert kept == ("b", "c")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> tuple[Source, np.ndarray]:
    """A small detector; a thousandfold channel between the two convolutions of one tower layer, undone behind."""
    from nasfpn_lite.data.records import Category
    from tests.converters.conftest import _build_lively_model

    spec = VARIANTS["fpnlite_64"]
    neck = dataclasses.replace(spec.neck, width=16)
    head = dataclasses.replace(spec.head, depth=1, shared_towers=False)
    spec = dataclasses.replace(spec, image_size=(64, 128), num_classes=2, neck=neck, head=head)
    photos = make_synthetic_calibration(spec).images
    arrays = to_arrays(_build_lively_model(spec, photos))
    arrays[f"{BAD}_depthwise/kernel"][:, :, 0] *= 1000
    arrays[f"{BAD}_pointwise/kernel"][:, :, 0] /= 1000
    return Source(spec, (Category(1, "ant"), Category(2, "bee")), arrays), photos


@pytest.fixture
def judged_by_error(monkeypatch, damaged):
    """Stands for COCO AP: every percent of squared error of the class logits at P4 costs a point."""
    _, photos = damaged

    def logits(path: Path) -> np.ndarray:
        # At 64x128, nine anchors a place: 8 x 16 places at P3, then 4 x 8 at P4.
        anchors = [TFLiteDetector(path).run(photo)["class_logits"] for photo in photos]
        return np.stack(anchors)[:, 1152 : 1152 + 288]

    def judge(candidate, reference, scoring, budget):
        exact = logits(candidate.with_name("reference.tflite"))
        drop = min(99.0, 100 * float(np.square(logits(candidate) - exact).mean() / exact.var()))
        change = Change(100.0, 100.0 - drop, (-drop, -drop))
        comparison = Comparison(change, {}, {}, len(photos), 0, 0)
        return Judgement(comparison, budget, tuple(check(comparison, budget)))

    monkeypatch.setattr(boundary, "judge", judge)
    monkeypatch.setattr(Scoring, "detect", lambda self, detector: [])


def test_ranges_are_measured_once(monkeypatch, damaged, tmp_path):
    source, photos = damaged
    ranges, given = {"act": (0.0, 1.5)}, []

    def convert_measured(source, targets, calibration, *, ranges, force):
        given.append(ranges)
        made = [Converted(target.path, target.recipe, target.form, 1, 0.5) for target in targets]
        return made, ranges or {"act": (0.0, 1.5)}

    def run_process(module, folder):
        given.append(json.loads((folder / "job.json").read_text())["ranges"])
        return {"stages": [{"stage": BAD, "error_share": 1.0, "multiply_adds": 5}]}

    monkeypatch.setattr(boundary, "convert_measured", convert_measured)
    monkeypatch.setattr(boundary, "run_process", run_process)
    plain, calibration = Target("static_wi8_ai8", "raw", tmp_path / "x.tflite"), Calibration(photos, "synthetic")
    trials = boundary._Trials(source, plain, tmp_path, None, Budget(1.0, None), calibration, print)
    trials._convert(())
    trials.measure_stages()
    trials._convert((BAD,))
    assert given == [None, {"act": [0.0, 1.5]}, ranges]
    assert (trials.shares, trials.costs) == ({BAD: 1.0}, {BAD: 5})


def search(damaged, folder: Path, coco: Path, budget: float) -> tuple[boundary.Boundary, list[str]]:
    from nasfpn_lite.data.coco import load_split

    source, photos = damaged
    said: list[str] = []
    found = convert_automatically(
        source,
        (Target("static_wi8_ai8", "raw", folder / "x_static_wi8_ai8_raw.tflite"), "x_selective_wi8_ai8_raw.tflite"),
        Scoring(coco, load_split(coco, "test")),
        Budget(budget, None),
        calibration=Calibration(photos, "synthetic"),
        commands=lambda target: {"stages": " ".join(target.float_stages)},
        say=said.append,
    )
    return found, said


def test_the_stage_that_int8_ruins_stays_in_float_and_no_other(damaged, judged_by_error, tiny_coco, tmp_path):
    found, said = search(damaged, tmp_path, tiny_coco, 60.0)
    assert [stage.stage for stage in found.stages] == [BAD], said
    assert found.stages[0].violations[0].startswith("AP fell by")
    assert found.stages[0].error_share > 0.3
    assert said[:2] == ["trying plain int8", said[1]] and "over the budget" in said[1]
    assert f"trying 1 in float: {BAD}" in said
    file = tmp_path / "x_selective_wi8_ai8_raw.tflite"
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"{file.name}.certificate.json"]
    assert found.judged.converted.path == file
    operators = view_graphs(Graph(file.read_bytes()).model)[0].operators
    floats = [operator for operator in operators if operator.arithmetic() == "float"]
    assert [operator.name for operator in floats] == ["DEPTHWISE_CONV_2D", "CONV_2D"]
    assert {o.arithmetic() for o in operators if o.weights is not None} == {"int8", "float"}
    assert read_metadata(file.read_bytes()).float_stages == (BAD,)
    certificate = read_certificate(file.read_bytes())
    assert certificate["float_stages"] == [BAD]
    assert certificate["commands"] == {"stages": BAD}
    assert set(found.latency_ms) == {"float32", "plain int8", "this file"}
    assert min(*found.latency_ms.values(), found.stages[0].latency_ms_without) > 0


def test_within_the_budget_the_file_is_plain_int8(damaged, judged_by_error, tiny_coco, tmp_path):
    found, said = search(damaged, tmp_path, tiny_coco, 100.0)
    assert found.stages == ()
    assert (found.tried, len(said)) == (1, 3)
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "x_static_wi8_ai8_raw.tflite"
    assert read_metadata((tmp_path / "x_static_wi8_ai8_raw.tflite").read_bytes()).recipe == "static_wi8_ai8"


def test_names_that_are_taken_stop_it_before_any_work(damaged, tiny_coco, tmp_path):
    (tmp_path / "x_selective_wi8_ai8_raw.tflite").touch()
    with pytest.raises(UserError, match="x_selective_wi8_ai8_raw.tflite; overwrite with --force"):
        search(damaged, tmp_path, tiny_coco, 60.0)
