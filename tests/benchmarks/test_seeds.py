"""Several seeds of several detectors: what is run, in which order, and that nothing is done twice."""

import json
from pathlib import Path

import pytest

from nasfpn_lite.benchmarks import seeds
from nasfpn_lite.benchmarks.seeds import Arm, Plan, parse_arm, read_figures, train_and_score, write_results
from nasfpn_lite.cli import main
from nasfpn_lite.errors import UserError
from nasfpn_lite.runs import write_run_description
from nasfpn_lite.variants import get_spec
from tests.hand_made_detector import make_detector_tflite

ARMS = (Arm("fpn", ("--variant", "fpnlite_64")), Arm("ssd", ("--variant", "ssdlite")))


class Commands:
    """Stands for `nasfpn-lite`: leaves the files that it would leave."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def __call__(self, arguments: list[str], log: Path) -> str:
        self.given.append(list(arguments))
        if arguments[0] == "train":
            folder = Path(arguments[arguments.index("-o") + 1])
            variant = arguments[arguments.index("--variant") + 1]
            write_run_description(folder, get_spec(variant, size="64x128", num_classes=2), (), {})
            (folder / "weights.npz").touch()
        if arguments[0] == "convert":
            for recipe in seeds.RECIPES:
                (Path(arguments[-1]) / f"run_{recipe}_raw.tflite").touch()
        return json.dumps({"AP": 0.25 if "float32" in arguments[1] else 0.125})


def make_plan(**changes) -> Plan:
    return Plan(
        **{"data": Path("photos"), "split": "val", "seeds": 2, "arms": ARMS, "common": ("--epochs", "3"), **changes}
    )


def test_an_arm_is_a_name_and_options():
    assert parse_arm("3x48, no flips=--variant nasfpnlite_3x48") == Arm(
        "3x48, no flips", ("--variant", "nasfpnlite_3x48")
    )
    assert parse_arm("a b=").slug == "a_b"
    for text in ("--variant ssdlite", "=--variant ssdlite"):
        with pytest.raises(UserError, match="expected an arm as"):
            parse_arm(text)
    with pytest.raises(UserError, match="cannot read the options of the arm .*No closing quotation"):
        parse_arm("a=--variant 'ssdlite")


def test_seed_after_seed():
    assert [(arm.name, seed) for arm, seed in make_plan().pieces] == [("fpn", 0), ("ssd", 0), ("fpn", 1), ("ssd", 1)]


def test_mistakes_are_told_before_any_work(capsys):
    with pytest.raises(UserError, match="differ in letters or digits"):
        make_plan(arms=(Arm("a b", ()), Arm("a-b", ())))
    with pytest.raises(SystemExit):
        make_plan(common=("--epoch-count", "3"))
    assert "--epoch-count" in capsys.readouterr().err
    with pytest.raises(UserError, match="nope"):
        make_plan(arms=(*ARMS, Arm("typo", ("--variant", "nope"))))


def test_commands_of_a_seed_and_nothing_twice(tmp_path):
    run, plan = Commands(), make_plan()
    train_and_score(plan, ARMS[0], 7, tmp_path, run)
    train, convert, first, second = run.given
    run_folder = str(tmp_path / "run")
    assert train == (f"train --data photos --epochs 3 --variant fpnlite_64 --seed 7 --resume -o {run_folder}".split())
    assert convert[:4] == ["convert", run_folder, "--data", "photos"]
    assert [(c[0], c[4:]) for c in (first, second)] == [("eval", ["--split", "val", "--json"])] * 2
    assert json.loads((tmp_path / "scores.json").read_text()) == {"float32": 0.25, "static_wi8_ai8": 0.125}
    train_and_score(plan, ARMS[0], 7, tmp_path, run)
    assert [command[0] for command in run.given[4:]] == ["eval", "eval"]


@pytest.mark.parametrize("change", [{"split": "test"}, {"common": ("--epochs", "50")}, {"data": Path("others")}])
def test_figures_of_another_job_are_never_taken(tmp_path, change):
    train_and_score(make_plan(), ARMS[0], 0, tmp_path, Commands())
    other = Commands()
    with pytest.raises(UserError, match="holds figures of .* give another -o"):
        train_and_score(make_plan(**change), ARMS[0], 0, tmp_path, other)
    assert other.given == []


def test_a_split_without_objects_has_no_score(tmp_path):
    def run(arguments, log):
        return Commands()(arguments, log) if arguments[0] != "eval" else '{"AP": null}'

    with pytest.raises(UserError, match="no object"):
        train_and_score(make_plan(), ARMS[0], 0, tmp_path, run)
    assert not (tmp_path / "scores.json").exists()


def test_scores_are_those_that_eval_prints(tmp_path, tiny_coco, capsys):
    def run(arguments, log):
        assert arguments[0] == "eval" and main(arguments) == 0
        answers.append(json.loads(text := capsys.readouterr().out))
        return text

    answers, plan = [], make_plan(data=tiny_coco, split="train")
    Commands()(["train", "--variant", "fpnlite_64", "-o", str(tmp_path / "run")], tmp_path)
    for recipe, dtype in zip(seeds.RECIPES, ("float32", "int8"), strict=True):
        (tmp_path / f"run_{recipe}_raw.tflite").write_bytes(make_detector_tflite(dtype=dtype))
    train_and_score(plan, ARMS[0], 0, tmp_path, run)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert list(scores.values()) == [answer["AP"] for answer in answers]
    assert scores["float32"] > 0


def test_figures_of_what_is_done(tmp_path):
    plan = make_plan()
    assert read_figures(plan, tmp_path) == []
    train_and_score(plan, ARMS[1], 1, tmp_path / "ssd" / "seed1", Commands())
    (tmp_path / "latency.json").write_text('{"ssd": [3.0, 2.9, 3.1]}')
    (figures,) = read_figures(plan, tmp_path)
    assert (figures.name, figures.ap, figures.ap_int8, figures.latency_ms) == (
        "ssd",
        {1: 25.0},
        {1: 12.5},
        [3.0, 2.9, 3.1],
    )
    write_results(plan, tmp_path, "command")
    assert json.loads((tmp_path / "seeds.json").read_text())["arms"][0]["ap"] == {"1": 25.0}
    assert "one seed" in (tmp_path / "seeds.md").read_text() and "<svg" in (tmp_path / "seeds.html").read_text()


def test_a_failed_command_names_its_log(tmp_path):
    with pytest.raises(UserError, match=r"exit code 2; .*log.txt says why"):
        seeds.run_command(["eval", "nothing.tflite", "--data", str(tmp_path)], tmp_path / "log.txt")
    assert "instances_train.json" in (tmp_path / "log.txt").read_text()
