"""The parts of a network that an int8 file may keep in float: blocks, cells, towers, predictors."""

import re
from collections.abc import Sequence

from nasfpn_lite.converters.qat_plan import LayerPlan
from nasfpn_lite.errors import UserError
from nasfpn_lite.head import BOX_OUTPUT, CLASS_OUTPUT

_STAGE = re.compile(
    r"(Conv1|expanded_conv|block_\d+|Conv_1|conv\d_block\d+|conv1|lateral_C\d+|pyramid\d+_cell\d+_P\d+|fpn_sum_P\d+|"
    r"fpn_P\d+|extra_P\d+|head_(?:box|class)\d+_P\d+|head_(?:box|class)_predictor)(?:_|$)"
)
_ALIASES = {"out_relu": "Conv_1", BOX_OUTPUT: "head_box_predictor", CLASS_OUTPUT: "head_class_predictor"}


def group_stages(plan: Sequence[LayerPlan]) -> dict[str, tuple[str, ...]]:
    """Returns stage -> its layers, in the order of computation.

    What only moves values belongs to no stage: it is computed as its source and its readers are. Nor does a sigmoid,
    which the converter puts into int8 in any case. A predictor's stage holds the joined output too, so that an output
    which is kept is float32 in the file.
    """
    stages: dict[str, tuple[str, ...]] = {}
    for layer in plan:
        if layer.output not in ("source", "fixed"):
            name = stage_of(layer.name)
            stages[name] = (*stages.get(name, ()), layer.name)
    return stages


def stage_of(layer: str) -> str:
    """Returns the stage of a layer; a layer that follows none of our names is a stage of its own."""
    named = _STAGE.match(layer)
    return _ALIASES.get(layer, named[1] if named else layer)


def layers_of(plan: Sequence[LayerPlan], stages: Sequence[str]) -> frozenset[str]:
    """Returns the layers of some stages.

    Raises:
        UserError: The network has no such stage.
    """
    known = group_stages(plan)
    unknown = [name for name in stages if name not in known]
    if unknown:
        raise UserError(f"expected stages of this network, got {', '.join(unknown)}; there are {', '.join(known)}")
    return frozenset(layer for name in stages for layer in known[name])
