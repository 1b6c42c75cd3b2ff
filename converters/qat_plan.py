"""What quantization-aware training does to each layer: data, known before anything is trained.

The rules follow what an int8 .tflite computes: weights on a symmetric grid per output channel; every tensor that is
written to memory on a grid of its own; what is fused into the operator before it (ReLU after a convolution or an
addition), and what only moves values, on the grid of its source.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from nasfpn_lite.graph import Call, trace
from nasfpn_lite.layer_names import GRID as GRID  # for whoever puts layers on their grids

Output = Literal["learned", "fixed", "fused", "source"]

_WEIGHTED = ("Conv2D", "DepthwiseConv2D")
_COMPUTING = (*_WEIGHTED, "Add", "Multiply", "ReLU", "Concatenate")
_MOVING = ("MaxPooling2D", "UpSampling2D", "ZeroPadding2D", "Reshape")  # they pick or copy values
SIGMOID_RANGE = (0.0, 255 / 256)  # the grid that TFLite's int8 LOGISTIC demands: scale 1/256, zero point -128

_EXPLANATIONS: dict[Output, str] = {
    "learned": "range measured on photos, trained with the weights",
    "fixed": "range that the operator demands",
    "fused": "computed together with the next layer",
    "source": "same grid as its input",
}


@dataclass(frozen=True)
class LayerPlan:
    """The treatment of one layer.

    Attributes:
        kind: The layer's class.
        weights: Whether its kernel is quantized, per output channel.
        output: "learned": range measured on photos, then trained; "fixed": SIGMOID_RANGE; "fused": not written to
            memory, or put on the grid of what follows; "source": same grid as its input.
    """

    name: str
    kind: str
    weights: bool
    output: Output

    @property
    def explanation(self) -> str:
        """The treatment of the output, in words."""
        return _EXPLANATIONS[self.output]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        return asdict(self)


class PlanError(ValueError):
    """A layer that no rule covers."""


def plan_quantization(model: Any) -> tuple[LayerPlan, ...]:
    """Plans every layer of a folded detector (`build_detector(spec, folded=True)` with Keras 3).

    Raises:
        PlanError: There is a layer that no rule covers; the message names it.
    """
    calls = trace(model)
    plans: dict[str, LayerPlan] = {}
    for call in calls:
        plan = LayerPlan(call.name, call.kind, call.kind in _WEIGHTED, _output(call, calls))
        if plans.setdefault(call.name, plan) != plan:
            raise PlanError(f"{call.name} is shared, and its outputs would need different treatments")
    return tuple(plans.values())


def _output(call: Call, calls: tuple[Call, ...]) -> Output:
    if call.kind == "Activation" and call.layer.activation.__name__ == "sigmoid":
        return "fixed"
    if call.kind in _MOVING:
        return "source"
    if call.kind not in _COMPUTING:
        raise PlanError(f"{call.name} is a {call.kind}; expected one of {(*_COMPUTING, *_MOVING)} or a sigmoid")
    after = [calls[place] for place in call.consumers]
    if call.kind != "ReLU" and len(after) == 1 and after[0].kind == "ReLU":
        return "fused"
    # Concatenation copies bytes: all its inputs have to be on its grid.
    if after and all(_ends_in_concatenation(follower, calls) for follower in after):
        return "fused"
    return "learned"


def _ends_in_concatenation(call: Call, calls: tuple[Call, ...]) -> bool:
    if call.kind == "Reshape" and len(call.consumers) == 1:
        return _ends_in_concatenation(calls[call.consumers[0]], calls)
    return call.kind == "Concatenate"
