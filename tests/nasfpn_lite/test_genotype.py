import json

import pytest

from nasfpn_lite.genotype import (
    FPN_P3P6,
    FPN_P3P7,
    GENOTYPES,
    NASFPN_7,
    NASFPN_P3P6_9,
    NASFPNLITE_15,
    PANET_P3P6,
    PANET_P3P7,
    Genotype,
    GenotypeError,
    MergingCell,
)


def rows(genotype: Genotype) -> list[tuple[int, str, tuple[int, int]]]:
    return [(cell.level, cell.op, cell.inputs) for cell in genotype.cells]


def test_seven_cells_literally() -> None:
    assert (NASFPN_7.min_level, NASFPN_7.max_level) == (3, 7)
    assert rows(NASFPN_7) == [
        (4, "attention", (1, 3)),
        (4, "sum", (1, 5)),
        (3, "sum", (0, 6)),
        (4, "sum", (6, 7)),
        (5, "attention", (7, 8)),
        (7, "attention", (6, 9)),
        (6, "attention", (9, 10)),
    ]


def test_seven_cells_outputs_and_dangling() -> None:
    assert NASFPN_7.outputs == {3: 7, 4: 8, 5: 9, 6: 11, 7: 10}
    # Input P5 (node 2) is unconsumed when P5 is built, input P7 (node 4) when P7 is.
    assert NASFPN_7.dangling == ((), (), (), (), (2,), (4,), ())


def test_nine_cells_literally() -> None:
    assert (NASFPN_P3P6_9.min_level, NASFPN_P3P6_9.max_level) == (3, 6)
    assert rows(NASFPN_P3P6_9) == [
        (4, "sum", (1, 2)),
        (4, "attention", (1, 2)),
        (4, "sum", (4, 5)),
        (4, "sum", (4, 6)),
        (4, "sum", (1, 2)),
        (3, "sum", (0, 5)),
        (4, "sum", (4, 9)),
        (5, "attention", (2, 6)),
        (6, "sum", (10, 11)),
    ]


def test_nine_cells_dangling() -> None:
    assert NASFPN_P3P6_9.dangling == ((), (), (), (), (), (), (7, 8), (), (3,))


def test_fifteen_cells_literally() -> None:
    assert (NASFPNLITE_15.min_level, NASFPNLITE_15.max_level) == (3, 6)
    assert rows(NASFPNLITE_15) == [
        (4, "sum", (1, 2)),
        (4, "attention", (1, 2)),
        (4, "sum", (0, 1)),
        (4, "sum", (4, 5)),
        (4, "attention", (3, 4)),
        (4, "sum", (6, 7)),
        (4, "sum", (7, 8)),
        (4, "sum", (9, 10)),
        (4, "sum", (5, 11)),
        (4, "sum", (10, 12)),
        (4, "sum", (11, 13)),
        (3, "sum", (0, 13)),
        (4, "sum", (14, 15)),
        (5, "attention", (2, 14)),
        (6, "sum", (16, 17)),
    ]


def test_fifteen_cells_meet_the_fingerprint_of_table_1() -> None:
    intermediate = [cell.level for node, cell in enumerate(NASFPNLITE_15.cells, 4) if node < 15]
    assert intermediate == [4] * 11
    assert NASFPNLITE_15.outputs == {3: 15, 4: 16, 5: 17, 6: 18}
    assert not any(NASFPNLITE_15.dangling)


def test_fpn_literally() -> None:
    """Each output from its input and the output above; the top one from the inputs of the two highest levels."""
    assert (FPN_P3P7.min_level, FPN_P3P7.max_level) == (3, 7)
    assert rows(FPN_P3P7) == [
        (7, "sum", (3, 4)),
        (6, "sum", (3, 5)),
        (5, "sum", (2, 6)),
        (4, "sum", (1, 7)),
        (3, "sum", (0, 8)),
    ]
    assert (FPN_P3P6.min_level, FPN_P3P6.max_level) == (3, 6)
    assert rows(FPN_P3P6) == [(6, "sum", (2, 3)), (5, "sum", (2, 4)), (4, "sum", (1, 5)), (3, "sum", (0, 6))]
    assert FPN_P3P7.outputs == {7: 5, 6: 6, 5: 7, 4: 8, 3: 9}


def test_panet_literally() -> None:
    assert (PANET_P3P7.min_level, PANET_P3P7.max_level) == (3, 7)
    assert rows(PANET_P3P7) == [
        (6, "sum", (3, 4)),
        (5, "sum", (2, 5)),
        (4, "sum", (1, 6)),
        (3, "sum", (0, 7)),
        (4, "sum", (7, 8)),
        (5, "sum", (6, 9)),
        (6, "sum", (5, 10)),
        (7, "sum", (4, 11)),
    ]
    assert PANET_P3P7.outputs == {3: 8, 4: 9, 5: 10, 6: 11, 7: 12}
    assert (PANET_P3P6.min_level, PANET_P3P6.max_level) == (3, 6)
    assert rows(PANET_P3P6) == [
        (5, "sum", (2, 3)),
        (4, "sum", (1, 4)),
        (3, "sum", (0, 5)),
        (4, "sum", (5, 6)),
        (5, "sum", (4, 7)),
        (6, "sum", (3, 8)),
    ]
    assert PANET_P3P6.outputs == {3: 6, 4: 7, 5: 8, 6: 9}


@pytest.mark.parametrize("genotype", [FPN_P3P7, FPN_P3P6, PANET_P3P7, PANET_P3P6])
def test_classic_pyramids_add_and_leave_nothing_dangling(genotype: Genotype) -> None:
    assert {cell.op for cell in genotype.cells} == {"sum"}
    assert not any(genotype.dangling)


@pytest.mark.parametrize("genotype", GENOTYPES.values())
def test_json_round_trip(genotype: Genotype) -> None:
    assert Genotype.from_dict(json.loads(json.dumps(genotype.to_dict()))) == genotype


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (((3, "sum", (0, 2)),), "cell 0 .node 2. may look back at nodes 0..1"),
        (((5, "sum", (0, 1)),), "must lie at level 3..4, got 5"),
        (((3, "sum", (0, 1)),), r"levels without one: \[4\]"),
    ],
)
def test_genotype_refuses(cells: tuple, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        Genotype(3, 4, tuple(MergingCell(*cell) for cell in cells))


@pytest.mark.parametrize(("op", "inputs"), [("mul", (0, 1)), ("sum", (1, 1)), ("sum", (1,)), ("sum", (0, 1.0))])
def test_cell_refuses(op: str, inputs: tuple) -> None:
    with pytest.raises(GenotypeError, match="merging cell"):
        MergingCell(4, op, inputs)


@pytest.mark.parametrize("data", [{}, {"min_level": 3, "max_level": 4, "cells": [{"level": 3}]}, {"cells": 3}])
def test_from_dict_says_what_a_genotype_is(data: dict) -> None:
    with pytest.raises(GenotypeError, match="a genotype is"):
        Genotype.from_dict(data)
