"""How exact a .tflite has to be, per recipe and kind of stage."""

from nasfpn_lite.errors import UserError

# The least signal-to-noise ratio per kind of stage, in dB. Measured at the worst stage of each kind, 32 test photos of
# two trained nasfpnlite_3x48 at 320, blood cells (bccd) / playing cards; in int8 their AP
# went from 0.578 to 0.574 and from 0.791 to 0.790:
#                      backbone       lateral        cell           tower          box            class
#   float32            103.1 / 109.5  105.6 / 111.7  103.3 / 112.9  106.3 / 115.8  107.0 / 117.3  122.9 / 128.8
#   float16             40.5 /  45.9   42.1 /  48.0   38.8 /  47.6   41.5 /  47.4   41.9 /  49.9   56.5 /  60.7
#   dynamic_wi8_afp32   15.6 /  26.7   16.5 /  29.1   15.6 /  28.1   17.6 /  28.4   22.9 /  30.5   32.5 /  41.4
#   static_wi8_ai8       9.0 /  12.9   10.0 /  15.3    7.3 /  15.5    9.9 /  16.8   11.0 /  18.0   25.5 /  28.9
#   qat_wi8_ai8          9.4 /  15.6   11.7 /  17.1   10.9 /  15.9   12.5 /  17.2   14.6 /  19.3   29.1 /  34.8
# (the last one against the float weights that its training ended with, of two other trainings on the same photos).
# Allowed is the lower one less 4 dB, rounded down: an error twice as large (6 dB) is outside. float32 has 10 dB, as the
# order of its sums depends on the processor.
TOLERANCES_DB: dict[str, dict[str, float]] = {
    "float32": {"backbone": 93.0, "lateral": 95.0, "cell": 93.0, "tower": 96.0, "box": 97.0, "class": 112.0},
    "float16": {"backbone": 36.0, "lateral": 38.0, "cell": 34.0, "tower": 37.0, "box": 37.0, "class": 52.0},
    "dynamic_wi8_afp32": {"backbone": 11.0, "lateral": 12.0, "cell": 11.0, "tower": 13.0, "box": 18.0, "class": 28.0},
    "static_wi8_ai8": {"backbone": 5.0, "lateral": 6.0, "cell": 3.0, "tower": 5.0, "box": 7.0, "class": 21.0},
    "qat_wi8_ai8": {"backbone": 5.0, "lateral": 7.0, "cell": 6.0, "tower": 8.0, "box": 10.0, "class": 25.0},
}
# A file with stages in float has no reason to leave float further than one in int8. 16-bit activations gain little, for
# the 8-bit weights make most of the error (benchmarks/results/selective.md).
_AS_EXACT_AS = dict.fromkeys(("selective_wi8_ai8", "static_wi8_ai16"), "static_wi8_ai8")


def tolerance_db(recipe: str, kind: str) -> float:
    """Returns the lowest signal-to-noise ratio that a recipe allows at stages of a kind, in dB.

    Raises:
        UserError: Nobody has measured the recipe yet.
    """
    recipe = _AS_EXACT_AS.get(recipe, recipe)
    if recipe not in TOLERANCES_DB:
        raise UserError(f"expected a recipe with a known tolerance, one of {', '.join(TOLERANCES_DB)}, got {recipe!r}")
    return TOLERANCES_DB[recipe][kind]
