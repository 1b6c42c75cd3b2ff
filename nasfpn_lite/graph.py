"""A functional model as a list of layer calls, for code that must know what feeds what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Call:
    """One use of a layer; a layer that several levels share has several.

    Attributes:
        name: Of the layer.
        layer: The model's own.
        output_shape: Of one image's output, its first if there are several.
        inputs: Places in the list of the calls that feed this one, without the model's input.
        consumers: Places of the calls that this one feeds.
    """

    name: str
    layer: Any
    output_shape: tuple[int, ...]
    inputs: tuple[int, ...]
    consumers: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The layer's class, for example "Conv2D"."""
        return type(self.layer).__name__


def rewire(model: Any, call: Callable[..., Any]) -> Any:
    """Returns a functional model of the same layers, weights and all, called anew.

    Args:
        call: Stands in for `layer(inputs, **kwargs)`: it is given the layer and these.
    """
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def run_layers(model: Any, image: Any, **kwargs: Any) -> None:
    """Calls the layers of a functional model one by one, for what that changes in them.

    A value is let go after its last reader; a call of the model itself keeps all of them to its end.

    Args:
        image: The model's input.
        kwargs: For every layer, for example `training=True`.
    """
    values, nodes = {id(model.inputs[0]): image}, _nodes(model)
    last_readers = {id(x): node for node in nodes for x in node.arguments.keras_tensors}
    for node in nodes:
        inputs, given = node.arguments.fill_in(values)
        outputs = node.operation(*inputs, **{**given, **kwargs})
        values.update({id(x): y for x, y in zip(node.outputs, keras.tree.flatten(outputs), strict=True)})
        for key in {id(x) for x in node.arguments.keras_tensors if last_readers[id(x)] is node}:
            del values[key]


def trace(model: Any) -> tuple[Call, ...]:
    """Returns the calls of a functional model of Keras 3 in the order of computation."""
    nodes = _nodes(model)
    made = {id(tensor): place for place, node in enumerate(nodes) for tensor in node.output_tensors}
    inputs = [tuple(made[id(x)] for x in node.arguments.keras_tensors if id(x) in made) for node in nodes]
    consumers = [tuple(i for i, fed in enumerate(inputs) if place in fed) for place in range(len(nodes))]
    return tuple(
        Call(node.operation.name, node.operation, tuple(node.output_tensors[0].shape[1:]), fed, used)
        for node, fed, used in zip(nodes, inputs, consumers, strict=True)
    )


def _nodes(model: Any) -> list[Any]:
    # Not through a layer's own list of nodes: a layer may serve other models too.
    by_depth = sorted(model._nodes_by_depth.items(), reverse=True)
    return [node for _, level in by_depth for node in level if not node.is_input]
