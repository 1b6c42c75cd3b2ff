"""A detector of several exits cut into networks that go on from each other's features."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from nasfpn_lite.exits import feature_names, joined_name, output_name
from nasfpn_lite.graph import layer_calls
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.specs import DetectorSpec

_OUTPUTS = (BOX_OUTPUT, CLASS_OUTPUT)


class ExitParts:
    """Cuts a model of `build_detector(spec, every_exit=True)` with Keras 3; all that it makes shares its layers."""

    def __init__(self, model: Any, spec: DetectorSpec) -> None:
        self.model, self.spec = model, spec
        self.count = len(spec.exits)
        calls = layer_calls(model)
        joins = {call.operation.name: call for call in calls}
        self._joined = {
            name: joins[joined_name(level)] for name, level in zip(feature_names(spec), spec.neck.levels, strict=True)
        }
        self._ends = {name: joins[name].outputs[0] for name in _OUTPUTS}
        after = {id(call.outputs[0]) for call in self._joined.values()}
        self._trunk: list[Any] = []
        self._head: list[Any] = []
        for call in calls:
            fed = {id(x) for x in call.arguments.keras_tensors}
            if fed & {id(x) for x in self._ends.values()} or id(call.outputs[0]) in after and not fed & after:
                continue  # what joins the exits and what takes them apart again
            (self._head if fed & after else self._trunk).append(call)
            after |= {id(x) for x in call.outputs} if fed & after else set()

    def producers(self, number: int) -> dict[str, str]:
        """Returns the layer behind each of an exit's features: {"P3": name, ...}."""
        return {name: x._keras_history.operation.name for name, x in self._features(number).items()}

    def whole(self) -> Any:
        """Returns one network from the image to every exit's outputs, in which each exit calls the head by itself."""
        outputs: dict[str, Any] = {}
        for number in range(1, self.count + 1):
            found = self._head_outputs(self._features(number))
            outputs |= {output_name(self.spec, number, name): x for name, x in found.items()}
        return keras.Model(self.model.input, outputs)

    def part(self, number: int, enter: Mapping[str, Callable[[Any], Any]] | None = None) -> Any:
        """Returns one exit's network.

        Args:
            number: From 1 on.
            enter: Feature -> layer to send it through when it comes in; None to take features as they are.

        Returns:
            A model from the image, or from the features of the exit before, {"P3": ...}, to {"box_encodings": ...,
            "class_logits": ...} and, for all but the last exit, this exit's features.
        """
        features = self._features(number)
        inputs = self.model.input
        if number > 1:
            before = self._features(number - 1)
            inputs = {name: keras.Input(x.shape[1:], name=name) for name, x in before.items()}
            values = {id(x): enter[name](inputs[name]) if enter else inputs[name] for name, x in before.items()}
            _apply(self._trunk, values)
            features = {name: values[id(x)] for name, x in features.items()}
        handed_on = features if number < self.count else {}
        return keras.Model(inputs, {**self._head_outputs(features), **handed_on}, name=f"exit_{number}")

    def _features(self, number: int) -> dict[str, Any]:
        return {name: call.arguments.keras_tensors[number - 1] for name, call in self._joined.items()}

    def _head_outputs(self, features: dict[str, Any]) -> dict[str, Any]:
        values = {id(self._joined[name].outputs[0]): x for name, x in features.items()}
        _apply(self._head, values)
        return {name: values[id(x)] for name, x in self._ends.items()}


def _apply(calls: Iterable[Any], values: dict[int, Any]) -> None:
    """Repeats the calls whose inputs are known and outputs are not; `values` are the known, by the id of the old."""
    for call in calls:
        known = [id(x) in values for x in call.outputs]
        # A feature that was handed on may be computable from another one: an output cell reads other outputs.
        if not any(known) and all(id(x) in values for x in call.arguments.keras_tensors):
            inputs, given = call.arguments.fill_in(values)
            outputs = call.operation(*inputs, **given)
            values.update({id(x): y for x, y in zip(call.outputs, keras.tree.flatten(outputs), strict=True)})
