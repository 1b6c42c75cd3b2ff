"""Trainings on COCO, planned on paper: hours and memory per preset, from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from nasfpn_lite.recipes import TrainingRecipe

COCO_IMAGES = 118_287  # of train2017
GIGABYTE = 2**30
CARD_BYTES = (16 * GIGABYTE, 80 * GIGABYTE)
_USABLE = 0.9  # of a card's memory: the rest goes to its context and to what lies between allocations
_HOUR_S = 3600


@dataclass(frozen=True)
class Load:
    """What a training step of one device was measured to take.

    Attributes:
        memory_bytes: The most that the process, or its device where that can tell, held.
    """

    variant: str
    batch: int
    images_per_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Network:
    """A variant's needs.

    Attributes:
        images_per_s: On one device as measured, or computed from another network's by their FLOPs.
        base_bytes: Memory that does not depend on the batch; None where it is unknown.
        image_bytes: Memory per image of a batch; None where it is unknown.
    """

    variant: str
    images_per_s: float
    measured: bool
    base_bytes: float | None = None
    image_bytes: float | None = None

    def memory_bytes(self, images: int) -> float | None:
        """Returns the memory for so many images at once."""
        if self.base_bytes is None or self.image_bytes is None:
            return None
        return self.base_bytes + images * self.image_bytes


@dataclass(frozen=True)
class Plan:
    """One preset on COCO, on one device.

    Attributes:
        memory_bytes: For the whole batch at once; None where it is unknown.
        parts: For each of CARD_BYTES: the smallest `--accumulate` that fits, None where no part fits or it is unknown.
    """

    preset: str
    network: Network
    steps: int
    hours: float
    memory_bytes: float | None
    parts: tuple[int | None, ...]


def fit_network(loads: Sequence[Load]) -> Network:
    """Draws a line through the memory of a variant's measured batches; speed is the best one.

    Args:
        loads: Of one variant; two batches or more give the line.
    """
    ordered = sorted(loads, key=lambda load: load.batch)
    speed = max(load.images_per_s for load in ordered)
    small, large = ordered[0], ordered[-1]
    if small.batch == large.batch:
        return Network(large.variant, speed, measured=True)
    slope = max(0.0, (large.memory_bytes - small.memory_bytes) / (large.batch - small.batch))
    return Network(large.variant, speed, True, large.memory_bytes - slope * large.batch, slope)


def compute_network(variant: str, flops: int, like: Network, like_flops: int) -> Network:
    """Guesses a network that was not measured: it does as many FLOPs per second as one that was."""
    return Network(variant, like.images_per_s * like_flops / flops, measured=False)


def plan(preset: str, recipe: TrainingRecipe, network: Network) -> Plan:
    """Plans a preset's training of a network on COCO's 118 thousand images."""
    steps = recipe.epochs * (COCO_IMAGES // recipe.batch_size)
    hours = steps * recipe.batch_size / network.images_per_s / _HOUR_S
    parts = tuple(_find_parts(network, recipe.batch_size, card) for card in CARD_BYTES)
    return Plan(preset, network, steps, hours, network.memory_bytes(recipe.batch_size), parts)


def _find_parts(network: Network, batch: int, card_bytes: int) -> int | None:
    for parts in (divisor for divisor in range(1, batch + 1) if batch % divisor == 0):
        memory = network.memory_bytes(batch // parts)
        if memory is not None and memory <= _USABLE * card_bytes:
            return parts
    return None
