"""Exits of a stacked pyramid: the head reads every exit's features, with one set of weights.

One head for all keeps a file of all exits as small as one of the last, and leaves the weights' names as they are. Its
batch norms are shared too: folded into convolutions, norms of each exit's own would make weights of each exit's own.
They can be shared because all pyramids end in batch norms themselves, which bring every exit's features to the range
that the head expects; and in training the head sees the exits as one batch, so that its norms' statistics are of all.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from nasfpn_lite.blocks import Blocks
from nasfpn_lite.head import build_head
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.levels import level_name
from nasfpn_lite.specs import DetectorSpec

_OUTPUTS = (BOX_OUTPUT, CLASS_OUTPUT)
JOINED = "exits"  # begins the names of the layers that put the exits' features into one batch


def output_name(spec: DetectorSpec, number: int, output: str) -> str:
    """Returns the name of an exit's output, exits counted from 1; the last one's is the plain detector's."""
    return output if number == len(spec.exits) else f"exit{number}_{output}"


def joined_name(level: int) -> str:
    """Returns the name of the layer that puts the exits' features of a level into one batch."""
    return f"{JOINED}_{level_name('P', level)}"


def feature_names(spec: DetectorSpec) -> tuple[str, ...]:
    """Returns the names under which an exit hands its features on: "P3" and so on."""
    return tuple(level_name("P", level) for level in spec.neck.levels)


def build_exits(blocks: Blocks, pyramids: list[dict[int, Any]], spec: DetectorSpec) -> dict[str, Any]:
    """Builds one head over all exits' features.

    Args:
        pyramids: For each exit {level: (b, h, w, channels)}.

    Returns:
        Under `output_name` each exit's (b, N, 4) and (b, N, num_classes), as of `build_head`.
    """
    layers, split = blocks.keras.layers, blocks.keras.ops.split
    joined = {
        level: layers.Concatenate(axis=0, name=joined_name(level))([pyramid[level] for pyramid in pyramids])
        for level in spec.neck.levels
    }
    parts = {name: split(x, len(pyramids), axis=0) for name, x in build_head(blocks, joined, spec).items()}
    return {output_name(spec, n + 1, name): parts[name][n] for n in range(len(pyramids)) for name in _OUTPUTS}


def repeat_targets(batches: Iterable[Any], spec: DetectorSpec) -> Iterator[Any]:
    """Yields (images, targets) whose targets are there for each exit's outputs: all exits have to say the same."""
    numbers = range(1, len(spec.exits) + 1)
    for images, targets in batches:
        repeated = {output_name(spec, n, name): targets[name] for n in numbers for name in _OUTPUTS}
        yield images, {**targets, **repeated}


def exit_loss_weights(spec: DetectorSpec, weights: tuple[float, ...]) -> dict[str, float]:
    """Returns the weight of each output's loss, all exits' together 1.

    Args:
        weights: Of the exits, from the first to the last; () for equal ones.
    """
    shares = weights or (1.0,) * len(spec.exits)
    return {output_name(spec, n + 1, name): share / sum(shares) for n, share in enumerate(shares) for name in _OUTPUTS}
