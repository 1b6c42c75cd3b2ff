"""How numbers are stored in a .tflite: the recipes, by the names that ai-edge-quantizer gives them.

Grammar: ranges of activations `dynamic`, `static` or trained (`qat`), then `w`eights and `a`ctivations as `i`nteger or
`f`loating `p`oint with their bits.
"""

from dataclasses import dataclass

from nasfpn_lite.errors import UserError

MIN_CALIBRATION_IMAGES = 100


@dataclass(frozen=True)
class Recipe:
    """One way to store weights and to compute.

    Attributes:
        weight_bits: 32, 16 (float) or 8 (integer, a scale per output channel).
        integer_activations: All arithmetic is int8, in raw files the image and the outputs too; detect files take uint8
            pixels and give float32.
        trained: Made by quantization-aware training, not from a run alone.
    """

    name: str
    weight_bits: int
    integer_activations: bool = False
    trained: bool = False

    @property
    def needs_calibration(self) -> bool:
        """Whether ranges of activations must be measured on images."""
        return self.integer_activations and not self.trained


# Those that `convert` makes of a run; the other one needs a training of its own.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", weight_bits=32),
        Recipe("float16", weight_bits=16),
        Recipe("dynamic_wi8_afp32", weight_bits=8),
        Recipe("static_wi8_ai8", weight_bits=8, integer_activations=True),
    )
}
QAT = Recipe("qat_wi8_ai8", weight_bits=8, integer_activations=True, trained=True)
ALL_RECIPES: dict[str, Recipe] = {**RECIPES, QAT.name: QAT}


def get_recipe(name: str) -> Recipe:
    """Looks a recipe up by name."""
    if name not in ALL_RECIPES:
        raise UserError(f"unknown recipe {name!r}; there are {', '.join(ALL_RECIPES)}")
    return ALL_RECIPES[name]
