"""Adaptive training sample selection: each box chooses by its own measure how well an anchor must fit. NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasfpn_lite.anchors import anchor_sizes
from nasfpn_lite.boxes import iou
from nasfpn_lite.levels import shape_at
from nasfpn_lite.specs import DetectorSpec

NEAREST = 9  # locations of each level


@dataclass(frozen=True)
class AnchorLevel:
    """Where a level's anchors stand; they follow those of the levels before, location by location.

    Attributes:
        centres: (n, 2) float32: y and x of the locations, in pixels.
        per_location: Anchors at each location.
    """

    centres: np.ndarray
    per_location: int


def anchor_levels(spec: DetectorSpec) -> tuple[AnchorLevel, ...]:
    """Returns the levels of the anchors that `make_anchors` makes."""
    levels = []
    for level in spec.neck.levels:
        sides = ((np.arange(count) + 0.5) * 2**level for count in shape_at(spec.image_size, level))
        centres = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
        levels.append(AnchorLevel(centres.astype(np.float32), len(anchor_sizes(spec, level))))
    return tuple(levels)


class AdaptiveMatcher:
    """Matches boxes to anchors; a `targets.Matcher`.

    1. A box's candidates are all anchors at the 9 locations of each level that are nearest to its centre, and at those
       as near as the ninth.
    2. It takes the candidates that stand inside it and have an IoU with it of at least t = m + s: mean and standard
       deviation of its candidates' IoUs. An anchor that several boxes take belongs to the one with the higher IoU (the
       first of equals).
    3. A box that has none now takes the free candidate with the highest IoU above 0, wherever that stands.

    Source: Zhang et al. 2020, arXiv:1912.02424, section 4.2, and its code: all anchors of a location are candidates,
    and the standard deviation divides by n - 1. Differs: ties in distance, and rule 3, without which an object that
    lies between the locations of the finest level would be background.
    """

    def __init__(self, levels: Sequence[AnchorLevel]) -> None:
        self.levels = tuple(levels)

    def __call__(self, boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """Returns the box number for each anchor, (N,) int32; -1 for none. Boxes (M, 4) and anchors (N, 4), yxyx."""
        matches = np.full(len(anchors), -1, np.int32)
        best = np.zeros(len(anchors), np.float32)
        candidates = [self._candidates(box) for box in boxes]
        overlaps = [iou(box[None], anchors[near])[0] for box, near in zip(boxes, candidates, strict=True)]
        for number, (box, near, overlap) in enumerate(zip(boxes, candidates, overlaps, strict=True)):
            fits = (overlap >= overlap.mean() + overlap.std(ddof=min(1, len(near) - 1))) & _inside(anchors[near], box)
            fits &= overlap > best[near]
            matches[near[fits]], best[near[fits]] = number, overlap[fits]
        for number in sorted(set(range(len(boxes))) - set(matches.tolist())):
            near, overlap = candidates[number], overlaps[number]
            free = np.where(matches[near] < 0, overlap, 0)
            if free.max() > 0:
                matches[near[free.argmax()]] = number
        return matches

    def _candidates(self, box: np.ndarray) -> np.ndarray:
        """Returns anchor numbers, level by level."""
        centre, start, found = (box[:2] + box[2:]) / 2, 0, []
        for level in self.levels:
            distance = ((level.centres - centre) ** 2).sum(axis=1)
            last = min(NEAREST, len(distance)) - 1
            near = np.flatnonzero(distance <= np.partition(distance, last)[last])
            found.append((start + near[:, None] * level.per_location + np.arange(level.per_location)).ravel())
            start += len(distance) * level.per_location
        return np.concatenate(found)


def _inside(anchors: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Says which anchors have their centre inside a box, (n,) bool."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    return ((centres > box[:2]) & (centres < box[2:])).all(axis=1)
