"""DropBlock and stochastic depth: layers of a network in training; no detector for use has them.

Their only state is a Keras seed generator, whose second number counts the calls. It drives the schedule, a checkpoint
keeps it, and a network has the same weights with these layers as without.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from nasfpn_lite.errors import UserError

BLOCK_SIZE = 3  # the paper's section 4.5


@dataclass(frozen=True)
class Dropping:
    """How much is kept, and when.

    Attributes:
        keep: Probability of keeping, above 0 and up to 1.
        ramp_steps: Calls in training over which the probability falls from 1 to `keep`, linearly; 0: `keep` at once.
        seed: Layers mix their names into it.
    """

    keep: float
    ramp_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UserError(f"a keep probability lies above 0 and is at most 1, got {self.keep}")
        if self.ramp_steps < 0:
            raise UserError(f"ramp_steps must be 0 or more, got {self.ramp_steps}")


@dataclass(frozen=True)
class Regularization:
    """What a training drops; None for nothing.

    Attributes:
        drop_block: Blocks of the pyramid's features.
        drop_path: Branches of AmoebaNet-D: `keep` in the last cell, falling to it linearly from 1 before the first.
    """

    drop_block: Dropping | None = None
    drop_path: Dropping | None = None


class _Drop(keras.layers.Layer):
    """Holds the seed generator and the schedule; subclasses say what is dropped."""

    def __init__(self, dropping: Dropping, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropping = dropping
        self.active = True
        self.seed_generator = keras.random.SeedGenerator(_mix(dropping.seed, self.name))

    def call(self, x: Any, training: bool = False) -> Any:
        """Drops in training and returns x itself otherwise."""
        if not training or not self.active or self.dropping.keep == 1:
            return x
        return self.drop(x, self.keep_probability())

    def keep_probability(self) -> Any:
        """Returns the keep probability of the next call in training, a float32 scalar."""
        calls = ops.cast(ops.convert_to_tensor(self.seed_generator.state)[1], "float32")
        done = ops.minimum(1.0, calls / self.dropping.ramp_steps) if self.dropping.ramp_steps else 1.0
        return 1.0 - (1.0 - self.dropping.keep) * done

    def drop(self, x: Any, keep: Any) -> Any:
        raise NotImplementedError

    def noise(self, shape: tuple[Any, ...]) -> Any:
        """Returns float32 numbers of 0..1, and counts the call."""
        return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the layer."""
        return {**super().get_config(), "dropping": asdict(self.dropping)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Drop":
        """Rebuilds the layer."""
        return cls(**{**config, "dropping": Dropping(**config["dropping"])})


@keras.saving.register_keras_serializable("nasfpn_lite")
class DropBlock(_Drop):
    """Sets square blocks of a feature map to zero and scales the rest up, so that the sum of a constant map stays.

    Each channel of each image has blocks of its own. A block starts at every place where it lies inside the map with
    probability gamma = (1 - keep) H W / block**2 / ((H - block + 1) (W - block + 1)); since blocks overlap, slightly
    more than `keep` is kept. The scale is one number for all images computed at once: elements / elements kept.

    Source: Ghiasi et al. 2018, arXiv:1810.12890, as in tensorflow/tpu, detection/modeling/architecture/nn_ops.py.
    Differs: there rows are held to the map's width, and gamma's divisor ignores that a small map has smaller blocks.
    """

    def __init__(self, dropping: Dropping, block_size: int = BLOCK_SIZE, **kwargs: Any) -> None:
        super().__init__(dropping, **kwargs)
        self.block_size = block_size

    def drop(self, x: Any, keep: Any) -> Any:
        """(b, H, W, c) -> (b, H, W, c)."""
        height, width = x.shape[1:3]
        block = min(self.block_size, height, width)
        starts = (height - block + 1) * (width - block + 1)
        gamma = (1.0 - keep) * (height * width / block**2 / starts)
        # A start is the block's upper left corner, so that every start lies inside and padding spreads it.
        shape = ops.shape(x)
        seeds = ops.cast(self.noise((shape[0], height - block + 1, width - block + 1, shape[3])) < gamma, "float32")
        padding = [[0, 0], [block - 1, block - 1], [block - 1, block - 1], [0, 0]]
        kept = 1.0 - ops.max_pool(ops.pad(seeds, padding), block, 1, "valid", data_format="channels_last")
        size = ops.cast(ops.size(kept), "float32")
        scale = size / ops.maximum(ops.sum(kept), 1.0)
        return x * ops.cast(kept * scale, x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the layer."""
        return {**super().get_config(), "block_size": self.block_size}


@keras.saving.register_keras_serializable("nasfpn_lite")
class DropPath(_Drop):
    """Sets whole images' branches to zero and scales the others by 1 / keep: stochastic depth.

    Source: Huang et al. 2016, arXiv:1603.09382; drop_connect in tensorflow/tpu.
    """

    def drop(self, x: Any, keep: Any) -> Any:
        """(b, ...) -> (b, ...), each image kept or dropped as a whole."""
        shape = (ops.shape(x)[0], *(1 for _ in x.shape[1:]))
        kept = ops.cast(self.noise(shape) < keep, "float32")
        return x * ops.cast(kept / keep, x.dtype)


@contextmanager
def nothing_dropped(model: Any) -> Iterator[None]:
    """Lets a model in training mode compute without dropping, in a with block and outside compiled graphs."""
    layers = [layer for layer in model.layers if isinstance(layer, _Drop)]
    for layer in layers:
        layer.active = False
    try:
        yield
    finally:
        for layer in layers:
            layer.active = True


def random_states(model: Any) -> dict[str, Any]:
    """Returns {layer name: variable} of the seed generators, Keras's own included: no weights, but part of a state."""
    generators = {layer.name: getattr(layer, "seed_generator", None) for layer in model.layers}
    return {name: generator.state for name, generator in generators.items() if generator is not None}


def _mix(seed: int, name: str) -> int:
    """Returns a seed of 31 bits, equal for equal names on every machine."""
    return zlib.crc32(f"{seed} {name}".encode()) >> 1
