"""The topology of a searched pyramid as data: merging cells, genotypes and the published ones, literally.

Node ids: 0 .. L-1 are the L input features, finest first; cell i makes node L + i.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nasfpn_lite.errors import UserError

OPS = ("sum", "attention")


class GenotypeError(UserError):
    """A genotype that cannot be built."""


@dataclass(frozen=True)
class MergingCell:
    """Merges two nodes into a new one: resample both to `level`, `op`, activation, 3x3 convolution, batch norm.

    Attributes:
        level: Pyramid level of the new node; its stride is 2**level pixels.
        op: "sum", or "attention": coarser + finer * sigmoid(global max of coarser).
        inputs: Two different node ids, both earlier than the cell's own.

    Source: Ghiasi et al. 2019, arXiv:1904.07392, section 3.1 and figures 3 and 4.
    """

    level: int
    op: str
    inputs: tuple[int, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if not all(isinstance(number, int) for number in (self.level, *self.inputs)):
            raise GenotypeError(f"a merging cell's level and inputs are whole numbers, got {self.level}, {self.inputs}")
        if self.op not in OPS:
            raise GenotypeError(f"a merging cell's op must be one of {OPS}, got {self.op!r}")
        if len(self.inputs) != 2 or self.inputs[0] == self.inputs[1]:
            raise GenotypeError(f"a merging cell takes two different node ids, got {self.inputs}")


@dataclass(frozen=True)
class Genotype:
    """A pyramid network: takes one feature per level and gives one per level, so that it can be stacked.

    The last cell of a level is that level's output. When an output is built, every earlier node of its level
    that nothing has consumed so far is added to the merged feature before the activation.

    Source: Ghiasi et al. 2019, section 3.1; the order of counting follows tensorflow/tpu nasfpn.py @7dc921f.
    """

    min_level: int
    max_level: int
    cells: tuple[MergingCell, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(self.cells))
        if self.min_level > self.max_level:
            raise GenotypeError(f"min_level must not exceed max_level, got {self.min_level} and {self.max_level}")
        for index, cell in enumerate(self.cells):
            node = self.num_inputs + index
            bad = [i for i in cell.inputs if not 0 <= i < node]
            if bad:
                raise GenotypeError(f"cell {index} (node {node}) may look back at nodes 0..{node - 1}, got {bad}")
            if not self.min_level <= cell.level <= self.max_level:
                raise GenotypeError(
                    f"cell {index} must lie at level {self.min_level}..{self.max_level}, got {cell.level}"
                )
        missing = sorted(set(self.levels) - {cell.level for cell in self.cells})
        if missing:
            raise GenotypeError(f"every level needs a cell that makes its output; levels without one: {missing}")

    @property
    def levels(self) -> tuple[int, ...]:
        """All levels, finest first."""
        return tuple(range(self.min_level, self.max_level + 1))

    @property
    def num_inputs(self) -> int:
        """Number of input features, one per level."""
        return self.max_level - self.min_level + 1

    @property
    def node_levels(self) -> tuple[int, ...]:
        """Level of every node, inputs first."""
        return self.levels + tuple(cell.level for cell in self.cells)

    @property
    def outputs(self) -> dict[int, int]:
        """Level to the node id of its output."""
        return {level: node for node, level in enumerate(self.node_levels) if node >= self.num_inputs}

    @property
    def dangling(self) -> tuple[tuple[int, ...], ...]:
        """For each cell, the unconsumed nodes that are added to it; empty for cells that are not outputs."""
        consumed: set[int] = set()
        extra: list[tuple[int, ...]] = []
        for index, cell in enumerate(self.cells):
            node = self.num_inputs + index
            consumed.update(cell.inputs)
            added: tuple[int, ...] = ()
            if self.outputs[cell.level] == node:
                added = tuple(n for n in range(node) if self.node_levels[n] == cell.level and n not in consumed)
                consumed.update(added)
            extra.append(added)
        return tuple(extra)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes and JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Genotype":
        """Builds a genotype from plain data, as read from a JSON file.

        Raises:
            GenotypeError: A field is missing or unknown, or the graph breaks a rule.
        """
        try:
            cells = tuple(MergingCell(**cell) for cell in data["cells"])
            return cls(min_level=data["min_level"], max_level=data["max_level"], cells=cells)
        except (KeyError, TypeError, ValueError) as error:
            raise GenotypeError(
                'a genotype is {"min_level", "max_level", "cells": [{"level", "op", "inputs": [a, b]}, ...]}; '
                f"reading it failed with {type(error).__name__}: {error}"
            ) from error


def _cells(rows: Sequence[tuple[int, str, tuple[int, int]]]) -> tuple[MergingCell, ...]:
    return tuple(MergingCell(level, op, inputs) for level, op, inputs in rows)


# fmt: off
# The 7-cell NAS-FPN. Source: paper figures 6 and 7f; tensorflow/tpu, .../modeling/architecture/nasfpn.py.
NASFPN_7 = Genotype(min_level=3, max_level=7, cells=_cells([
    (4, "attention", (1, 3)),   # 5
    (4, "sum",       (1, 5)),   # 6
    (3, "sum",       (0, 6)),   # 7  P3
    (4, "sum",       (6, 7)),   # 8  P4
    (5, "attention", (7, 8)),   # 9  P5
    (7, "attention", (6, 9)),   # 10 P7
    (6, "attention", (9, 10)),  # 11 P6
]))

# A 9-cell P3-P6 graph. Source: MnasFPN (arXiv:1912.01106), figure 3, "NAS-FPNLite-S"; without its cell-wide residuals.
NASFPN_P3P6_9 = Genotype(min_level=3, max_level=6, cells=_cells([
    (4, "sum",       (1, 2)),    # 4
    (4, "attention", (1, 2)),    # 5
    (4, "sum",       (4, 5)),    # 6
    (4, "sum",       (4, 6)),    # 7
    (4, "sum",       (1, 2)),    # 8
    (3, "sum",       (0, 5)),    # 9  P3
    (4, "sum",       (4, 9)),    # 10 P4
    (5, "attention", (2, 6)),    # 11 P5
    (6, "sum",       (10, 11)),  # 12 P6
]))

# 15 cells, P3-P6: a RECONSTRUCTION. The paper tells the number of cells and never their wiring. Parameters and FLOPs
# of its Table 1 leave one split (11 intermediate cells at P4, four outputs); the wiring inside that split is ours,
# grown from the 9-cell graph above.
NASFPNLITE_15 = Genotype(min_level=3, max_level=6, cells=_cells([
    (4, "sum",       (1, 2)),    # 4
    (4, "attention", (1, 2)),    # 5
    (4, "sum",       (0, 1)),    # 6
    (4, "sum",       (4, 5)),    # 7
    (4, "attention", (3, 4)),    # 8
    (4, "sum",       (6, 7)),    # 9
    (4, "sum",       (7, 8)),    # 10
    (4, "sum",       (9, 10)),   # 11
    (4, "sum",       (5, 11)),   # 12
    (4, "sum",       (10, 12)),  # 13
    (4, "sum",       (11, 13)),  # 14
    (3, "sum",       (0, 13)),   # 15 P3
    (4, "sum",       (14, 15)),  # 16 P4
    (5, "attention", (2, 14)),   # 17 P5
    (6, "sum",       (16, 17)),  # 18 P6
]))

# FPN (arXiv:1612.03144) in merging cells: top-down, each level from its input and the output above. Its top level has
# one input and is no merging cell, which takes two different ones; here the second is the input below. In the first
# pyramid that changes nothing: the top input is the pooled one below, 2x passes ReLU (not ReLU6) and convolution as x
# does, and batch norm takes the 2 away. Also unlike FPN, what goes down has passed the output's convolution.
FPN_P3P7 = Genotype(min_level=3, max_level=7, cells=_cells([
    (7, "sum", (3, 4)),  # 5 P7
    (6, "sum", (3, 5)),  # 6 P6
    (5, "sum", (2, 6)),  # 7 P5
    (4, "sum", (1, 7)),  # 8 P4
    (3, "sum", (0, 8)),  # 9 P3
]))
FPN_P3P6 = Genotype(min_level=3, max_level=6, cells=_cells([
    (6, "sum", (2, 3)),  # 4 P6
    (5, "sum", (2, 4)),  # 5 P5
    (4, "sum", (1, 5)),  # 6 P4
    (3, "sum", (0, 6)),  # 7 P3
]))

# PANet (arXiv:1803.01534) in merging cells: top-down, then bottom-up, where each level comes from the way down and the
# output below. Differs: down by max pooling, as in every merging cell, instead of a convolution of stride 2.
PANET_P3P7 = Genotype(min_level=3, max_level=7, cells=_cells([
    (6, "sum", (3, 4)),   # 5
    (5, "sum", (2, 5)),   # 6
    (4, "sum", (1, 6)),   # 7
    (3, "sum", (0, 7)),   # 8  P3
    (4, "sum", (7, 8)),   # 9  P4
    (5, "sum", (6, 9)),   # 10 P5
    (6, "sum", (5, 10)),  # 11 P6
    (7, "sum", (4, 11)),  # 12 P7
]))
PANET_P3P6 = Genotype(min_level=3, max_level=6, cells=_cells([
    (5, "sum", (2, 3)),  # 4
    (4, "sum", (1, 4)),  # 5
    (3, "sum", (0, 5)),  # 6 P3
    (4, "sum", (5, 6)),  # 7 P4
    (5, "sum", (4, 7)),  # 8 P5
    (6, "sum", (3, 8)),  # 9 P6
]))
# fmt: on

# What --genotype takes instead of a file.
GENOTYPES = {
    "nasfpn_7": NASFPN_7,
    "nasfpn_9": NASFPN_P3P6_9,
    "nasfpnlite_15": NASFPNLITE_15,
    "fpn_p3p7": FPN_P3P7,
    "fpn_p3p6": FPN_P3P6,
    "panet_p3p7": PANET_P3P7,
    "panet_p3p6": PANET_P3P6,
}
