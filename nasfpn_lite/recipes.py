"""Training recipes as data, and the presets; `preset_notes` says where each comes from and what to expect of it."""

import math
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from nasfpn_lite.data.augment import AugmentSpec
from nasfpn_lite.errors import UserError

BoxLossName = Literal["huber", "giou"]


class RecipeError(UserError):
    """A recipe that cannot be trained."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How a detector is trained.

    Attributes:
        batch_size: Images per update.
        accumulate: Parts in which a batch is computed one after another, to need less memory; a divisor of batch_size.
            The update is that of the whole batch; only batch norms see less at once.
        optimizer: "sgd" with momentum, or "adamw", which gets on faster in a training of a few minutes.
        learning_rate: Peak, for this batch size and optimizer.
        warmup_steps: Linear from a tenth of the peak.
        schedule: "step" divides by 10 at each of `drops`; "cosine" falls to zero.
        drops: For "step": increasing fractions of the training, between 0 and 1.
        weight_decay: On kernels only, decoupled from the momentum.
        clip_norm: Bound of the gradient's norm over all weights; None for none.
        frozen_stride: Pretrained layers whose output has this stride or a finer one stay as they are; 0 trains all.
            They see the largest maps: freezing up to stride 4 saves a third of MobileNetV2's step.
        ema: Train and ship an exponential moving average of the weights.
        precision: "float32" or "mixed_bfloat16"; losses and weights stay float32.
        box_loss: "huber" on the boxes' codes, or "giou" on the boxes.
        drop_path_keep: AmoebaNet-D only: probability of keeping a branch of its last cell; 1 for no stochastic depth.
        drop_block_keep: DropBlock's keep probability in the pyramid; 1 for no DropBlock.
        drop_block_ramp: It falls from 1 to drop_block_keep over the training, linearly, instead of being constant.
        exit_weights: What the losses of each exit count for, from the first to the last; only their proportions
            matter. () for equal ones, and for a spec without exits.
        validations: How often the validation images are scored on the way (0: never).
    """

    batch_size: int
    epochs: int
    learning_rate: float
    schedule: Literal["step", "cosine"]
    drops: tuple[float, ...] = ()
    warmup_steps: int = 500
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float | None = 10.0
    frozen_stride: int = 0
    ema: bool = True
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    accumulate: int = 1
    box_loss: BoxLossName = "huber"
    drop_path_keep: float = 1.0
    drop_block_keep: float = 1.0
    drop_block_ramp: bool = True
    exit_weights: tuple[float, ...] = ()
    validations: int = 5
    augment: AugmentSpec = field(default_factory=AugmentSpec)

    def __post_init__(self) -> None:
        for name in ("drops", "exit_weights"):
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))
        self._check_numbers()
        for name in ("schedule", "optimizer", "precision", "box_loss"):
            choices = get_args(type(self).__annotations__[name])
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        if self.batch_size % self.accumulate:
            raise RecipeError(
                f"a batch of {self.batch_size} images cannot be computed in {self.accumulate} equal parts; "
                "choose a divisor of the batch size"
            )
        increasing = all(a < b for a, b in pairwise((0.0, *self.drops, 1.0)))
        if self.drops and not (self.schedule == "step" and increasing):
            raise RecipeError(
                "drops are fractions of the training between 0 and 1, in increasing order, for the schedule step; "
                f"got {self.drops} for {self.schedule}"
            )

    def _check_numbers(self) -> None:
        positive = ("batch_size", "epochs", "accumulate", "learning_rate", "clip_norm")
        for name in positive:
            value = getattr(self, name)
            if not (value is None and name == "clip_norm" or 0 < value < math.inf):
                raise RecipeError(f"{name} must be positive and finite, got {value}")
        for name in ("warmup_steps", "weight_decay", "frozen_stride", "validations"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        for name in ("drop_block_keep", "drop_path_keep"):
            if not 0 < getattr(self, name) <= 1:
                raise RecipeError(f"{name} must be above 0 and at most 1, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise RecipeError(f"momentum must be at least 0 and below 1, got {self.momentum}")
        if not all(0 < weight < math.inf for weight in self.exit_weights):
            raise RecipeError(f"exit_weights must be positive and finite, got {self.exit_weights}")

    def bn_momentum(self, total_steps: int) -> float:
        """Returns the batch-norm momentum: statistics must forget the start within a short training."""
        return min(0.99, max(0.9, 1.0 - 20.0 / (total_steps * self.accumulate)))

    def ema_decay(self, total_steps: int) -> float:
        """Returns the decay of the averaged weights: about a tenth of the training, at most 5000 steps."""
        return min(0.9998, max(0.9, 1.0 - 10.0 / total_steps))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes and JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrainingRecipe":
        """Rebuilds a recipe from `to_dict`'s data."""
        try:
            return cls(**{**data, "augment": AugmentSpec(**data["augment"])})
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(f"this is no training recipe of this version: {error}") from error


# Paper section 4: batch 64, 50 epochs, rate .08 divided by 10 after 30 and 40. Its code's weight decay 1e-4 is a loss
# term that momentum .9 multiplies by ten; decoupled decay has to be ten times larger.
_PAPER = TrainingRecipe(
    batch_size=64,
    epochs=50,
    learning_rate=0.08,
    schedule="step",
    drops=(0.6, 0.8),
    warmup_steps=500,
    weight_decay=1e-3,
)

PRESETS: dict[str, TrainingRecipe] = {
    # Ours, for a few hundred photos on two cores. AdamW, since in as few steps SGD has hardly begun to learn.
    "finetune": TrainingRecipe(
        batch_size=8,
        epochs=120,
        learning_rate=0.002,
        schedule="cosine",
        warmup_steps=200,
        optimizer="adamw",
        weight_decay=0.01,
        frozen_stride=4,
    ),
    "paper": _PAPER,
    "paper_dropblock": replace(_PAPER, epochs=150, drops=(120 / 150, 140 / 150), drop_block_keep=0.9),
    "amoebanet_cosine": replace(_PAPER, schedule="cosine", drops=(), drop_path_keep=0.7),
    "crop640": replace(_PAPER, warmup_steps=1000, clip_norm=None, frozen_stride=4, ema=False),
}
