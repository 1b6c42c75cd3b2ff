"""The signatures of a file of several exits: each goes on from the features of the one before."""

from dataclasses import dataclass

from nasfpn_lite.exits import feature_names
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.specs import DetectorSpec

IMAGE = "image"


@dataclass(frozen=True)
class ExitSignature:
    """One signature.

    Attributes:
        name: "exit_1", "exit_2", ...
        pyramid: How many pyramids have been computed after it.
        inputs: "image" for the first exit; else the features of the one before, by name.
        features: What it hands on; nothing for the last.
    """

    name: str
    pyramid: int
    inputs: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Boxes, scores and features."""
        return (BOX_OUTPUT, CLASS_OUTPUT, *self.features)


def exit_signatures(spec: DetectorSpec) -> tuple[ExitSignature, ...]:
    """Returns the signatures of a detector's exits, the first exit first; none for a detector without exits."""
    features, last = feature_names(spec), len(spec.exits)
    return tuple(
        ExitSignature(f"exit_{n}", pyramid, (IMAGE,) if n == 1 else features, features if n < last else ())
        for n, pyramid in enumerate(spec.exits, start=1)
    )
