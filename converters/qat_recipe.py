"""How quantization-aware training goes about it, and the job that its process is given; light to import."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError

QAT_FOLDER = "qat"  # inside the output folder: what an interrupted training goes on from
_CHANCE_AP = 0.02  # networks that find next to nothing differ by as much
JOB_FILE, TRAINED_FILE, ERROR_FILE = "job.json", "trained.npz", "error.json"


@dataclass(frozen=True)
class QatRecipe:
    """A short training on int8 grids, from converged weights.

    The schedule of batch normalization: frozen from the first step to the last, for it is folded into the convolutions
    before. So the weights that are trained are those that the file holds.

    Attributes:
        learning_rate: Peak for Adam; a cosine takes it to zero.
        max_start_drop: AP, 0..1, that the network on its measured grids may lie below float before the first step;
            beyond it, or beyond half of float's, something is wrong that training would only hide.
    """

    epochs: int = 10
    batch_size: int = 8
    learning_rate: float = 1e-4
    clip_norm: float = 10.0
    ema_decay: float = 0.98
    max_start_drop: float = 0.1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} must be positive, got {getattr(self, name)}")

    def check_start(self, float_ap: float, grid_ap: float) -> None:
        """Refuses to train a network that its grids have broken; both AP are 0..1.

        Raises:
            UserError: It is too far below float.
        """
        allowed = min(self.max_start_drop, max(float_ap / 2, _CHANCE_AP))
        if float_ap - grid_ap > allowed:
            raise UserError(
                f"on int8 grids the network has AP {grid_ap:.3f} before the first step, {float_ap:.3f} in float; more "
                f"than {allowed:.3f} apart means wrong calibration photos or preprocessing, not lack of training"
            )


@dataclass(frozen=True)
class QatJob:
    """All that decides the result, beside the files in the folders it names."""

    run: Path
    data: Path
    recipe: QatRecipe
    seed: int = 0
    force: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that JSON can hold."""
        return {**asdict(self), "run": str(self.run), "data": str(self.data)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "QatJob":
        """Rebuilds a job from `to_dict`'s data."""
        values = {**data, "run": Path(data["run"]), "data": Path(data["data"]), "recipe": QatRecipe(**data["recipe"])}
        return cls(**values)
