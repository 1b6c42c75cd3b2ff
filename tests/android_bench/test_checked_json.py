"""Records from JSON, and the path of what does not fit."""

import json
from dataclasses import dataclass
from typing import Literal

import pytest

from nasfpn_lite.android_bench.checked_json import RecordError, parse_record, to_json_data


@dataclass(frozen=True)
class Leaf:
    count: int
    share: float

    def __post_init__(self) -> None:
        if self.count < 0:
            raise RecordError("count", f"expected at least 0, got {self.count}")


@dataclass(frozen=True)
class Tree:
    name: str
    kind: Literal["a", "b"]
    leaves: tuple[Leaf, ...]
    pair: tuple[float, float] | None
    versions: dict[str, str]
    on: bool
    best: Leaf | None = None


TREE = Tree("t", "a", (Leaf(1, 0.5), Leaf(2, 1.0)), (0.1, 0.2), {"adb": "1"}, True, Leaf(3, 0.25))


def data_of(tree: Tree = TREE) -> dict:
    return json.loads(json.dumps(to_json_data(tree)))


def test_round_trip():
    assert parse_record(Tree, data_of()) == TREE


def test_a_default_may_be_missing():
    data = data_of()
    del data["best"]
    assert parse_record(Tree, data).best is None


def test_whole_numbers_are_numbers():
    data = data_of()
    data["leaves"][0]["share"] = 1
    assert isinstance(parse_record(Tree, data).leaves[0].share, float)


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        (lambda d: d.pop("name"), "name", "is missing"),
        (lambda d: d.update(nmae=1), "nmae", "is unknown; expected name, kind"),
        (lambda d: d.update(name=3), "name", "expected text, got 3"),
        (lambda d: d.update(kind="c"), "kind", "expected 'a' or 'b', got 'c'"),
        (lambda d: d.update(on=1), "on", "expected true or false, got 1"),
        (lambda d: d.update(leaves={}), "leaves", "expected a list"),
        (lambda d: d["leaves"][1].update(count=True), "leaves[1].count", "expected a whole number, got True"),
        (lambda d: d["leaves"][1].update(count=1.5), "leaves[1].count", "expected a whole number, got 1.5"),
        (lambda d: d["leaves"][1].update(count=-1), "leaves[1].count", "expected at least 0, got -1"),
        (lambda d: d["leaves"][0].update(share="x"), "leaves[0].share", "expected a number, got 'x'"),
        (lambda d: d["leaves"][0].update(share=float("inf")), "leaves[0].share", "expected a number, got inf"),
        (lambda d: d["leaves"].append(None), "leaves[2]", "expected an object, got None"),
        (lambda d: d.update(pair=[1.0]), "pair", "expected 2 entries, got 1"),
        (lambda d: d["versions"].update(git=2), "versions.git", "expected text, got 2"),
        (lambda d: d.update(versions=[]), "versions", "expected an object"),
        (lambda d: d["best"].pop("count"), "best.count", "is missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(change, path, problem):
    data = data_of()
    change(data)
    with pytest.raises(RecordError) as caught:
        parse_record(Tree, data)
    assert caught.value.path == path
    assert caught.value.problem.startswith(problem)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_object_at_all():
    with pytest.raises(RecordError, match="the record: expected an object, got 'x'"):
        parse_record(Tree, "x")


def test_long_values_are_cut_in_messages():
    with pytest.raises(RecordError) as caught:
        parse_record(Tree, ["y" * 1000])
    assert len(str(caught.value)) < 120
