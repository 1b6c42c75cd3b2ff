"""A functional model as a list of layer calls, for code that must know what feeds what."""

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Call:
    """One use of a layer; a layer that several levels share has several.

    Attributes:
        name: Of the layer.
        layer: A copy of the layer: its options hold, its weights do not.
        inputs: Places in the list of the calls that feed this one, without the model's input.
        consumers: Places of the calls that this one feeds.
    """

    name: str
    layer: Any
    inputs: tuple[int, ...]
    consumers: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The layer's class, for example "Conv2D"."""
        return type(self.layer).__name__


def trace(model: Any) -> tuple[Call, ...]:
    """Returns the calls of a functional model of Keras 3 in the order of computation."""
    layers: list[Any] = []
    inputs: list[tuple[int, ...]] = []
    made: dict[int, int] = {}
    alive: list[Any] = []  # an id belongs to one tensor only as long as that tensor lives

    def record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        fed = args[0] if isinstance(args[0], (list, tuple)) else [args[0]]
        inputs.append(tuple(made[id(tensor)] for tensor in fed if id(tensor) in made))
        made[id(output)] = len(layers)
        layers.append(layer)
        alive.append(output)
        return output

    keras.models.clone_model(model, call_function=record)
    consumers = [tuple(i for i, fed in enumerate(inputs) if place in fed) for place in range(len(layers))]
    return tuple(Call(x.name, x, fed, used) for x, fed, used in zip(layers, inputs, consumers, strict=True))
