"""How numbers are stored in a .tflite: the recipes, by the names that ai-edge-quantizer gives them.

Grammar: ranges of activations `dynamic`, `static`, static but for stages in float (`selective`), or trained (`qat`);
then `w`eights and `a`ctivations as `i`nteger or `f`loating `p`oint with their bits.
"""

from dataclasses import dataclass

from nasfpn_lite.errors import UserError

MIN_CALIBRATION_IMAGES = 100


@dataclass(frozen=True)
class Recipe:
    """One way to store weights and to compute.

    Attributes:
        weight_bits: 32, 16 (float) or 8 (integer, a scale per output channel).
        activation_bits: 32 (float), 16 or 8 (integer). With 8, in raw files the image and the outputs are int8 too;
            detect files take uint8 pixels and give float32. With 16, image and outputs are float32.
        trained: Made by quantization-aware training, not from a run alone.
        selective: Stages that the target names stay in float.
    """

    name: str
    weight_bits: int
    activation_bits: int = 32
    trained: bool = False
    selective: bool = False

    @property
    def integer_activations(self) -> bool:
        """Whether arithmetic is in integers; such a file is made of the folded network."""
        return self.activation_bits < 32

    @property
    def on_grids(self) -> bool:
        """Whether the network itself holds the ranges, in 8 bits; else TensorFlow's converter measures them."""
        return self.activation_bits == 8

    @property
    def needs_calibration(self) -> bool:
        """Whether ranges of activations must be measured on images."""
        return self.integer_activations and not self.trained


# Those that `convert` makes of a run, and that XNNPACK runs whole.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", weight_bits=32),
        Recipe("float16", weight_bits=16),
        Recipe("dynamic_wi8_afp32", weight_bits=8),
        Recipe("static_wi8_ai8", weight_bits=8, activation_bits=8),
    )
}
QAT = Recipe("qat_wi8_ai8", weight_bits=8, activation_bits=8, trained=True)
# No kernels in XNNPACK: exact, and slow. Not among RECIPES, so that nobody gets it who did not ask for it.
WIDE = Recipe("static_wi8_ai16", weight_bits=8, activation_bits=16)
SELECTIVE = Recipe("selective_wi8_ai8", weight_bits=8, activation_bits=8, selective=True)
CONVERTIBLE: dict[str, Recipe] = {**RECIPES, WIDE.name: WIDE, SELECTIVE.name: SELECTIVE}
ALL_RECIPES: dict[str, Recipe] = {**CONVERTIBLE, QAT.name: QAT}


def get_recipe(name: str) -> Recipe:
    """Looks a recipe up by name."""
    if name not in ALL_RECIPES:
        raise UserError(f"unknown recipe {name!r}; there are {', '.join(ALL_RECIPES)}")
    return ALL_RECIPES[name]
