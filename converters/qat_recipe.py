"""How quantization-aware training goes about it, and the job that its process is given; light to import."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError

QAT_FOLDER = "qat"  # inside the output folder: what an interrupted training goes on from
JOB_FILE, TRAINED_FILE, ERROR_FILE = "job.json", "trained.npz", "error.json"


@dataclass(frozen=True)
class QatRecipe:
    """A short training on int8 grids, from converged weights.

    Batch norms are folded before the first step, so their statistics are frozen throughout.

    Attributes:
        learning_rate: Peak for Adam; a cosine takes it to zero.
        max_start_drop: AP, 0..1, that the network on its measured grids may lie below float before the first step;
            beyond it something is wrong that training would only hide.
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
