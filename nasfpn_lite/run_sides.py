"""Which runs may be compared: several seeds of one recipe on each side, trained on the same data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.runs import WEIGHTS_FILE, Run
from nasfpn_lite.seed_statistics import LEAST_SEEDS


def seed_of(run: Run) -> int:
    """Returns the seed of a training."""
    return int(run.recipe.get("seed", 0))


def check_sides(first: Sequence[Run], second: Sequence[Run]) -> tuple[str, ...]:
    """Makes sure that each side is several seeds of one recipe, trained on the same data.

    Returns:
        What differs between the sides: "recipe.epochs: 50 against 150".

    Raises:
        UserError: A side has too few or equal runs, or its runs differ in more than the seed, or the data differs.
    """
    for name, runs in (("A", first), ("B", second)):
        _check_side(name, runs)
    _refuse_copies([*first, *second])
    left, right = (_describe(runs[0]) for runs in (first, second))
    if _unlike(left, right, "data_sha256"):
        raise UserError(
            "the two sides were trained on different annotations, so that a difference would not be the recipes'; "
            "train both on the same data"
        )
    return tuple(_name_differences(left, right))


def _check_side(name: str, runs: Sequence[Run]) -> None:
    folders = ", ".join(str(run.folder) for run in runs)
    if len(runs) < LEAST_SEEDS:
        raise UserError(
            f"side {name} needs at least {LEAST_SEEDS} runs of one recipe with different seeds, three or more are "
            f"better, got {len(runs)} ({folders}): one training cannot tell how much of its AP is chance; "
            "train more with `nasfpn-lite train ... --seed N`"
        )
    seeds = [seed_of(run) for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"side {name} holds a seed more than once, which adds no evidence: {folders}: {seeds}")
    for run in runs[1:]:
        if differences := _name_differences(_describe(runs[0]), _describe(run)):
            raise UserError(
                f"side {name} must hold one recipe with different seeds, but {runs[0].folder} and {run.folder} differ: "
                f"{'; '.join(differences)}"
            )


def _refuse_copies(runs: Sequence[Run]) -> None:
    seen: dict[bytes, Path] = {}
    for run in runs:
        weights = (run.folder / WEIGHTS_FILE).read_bytes()
        if weights in seen:
            raise UserError(f"{seen[weights]} and {run.folder} hold the same weights; give each training once")
        seen[weights] = run.folder


def _describe(run: Run) -> dict[str, str]:
    """Everything that decides a training but its seed, flat, with JSON texts as values."""
    recipe = run.recipe.get("recipe")
    if recipe is not None:  # fields that an older version did not know have their defaults
        recipe = TrainingRecipe.from_dict(recipe).to_dict()
    others = {key: run.recipe.get(key) for key in ("backbone_weights", "data_sha256", "backend")}
    return dict(_flatten({"spec": run.spec.to_dict(), "recipe": recipe, **others}))


def _flatten(value: Any, path: str = "") -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(path, json.dumps(value))]
    return [pair for key, item in value.items() for pair in _flatten(item, f"{path}.{key}".lstrip("."))]


def _unlike(left: dict[str, str], right: dict[str, str], key: str) -> bool:
    """A key that one side lacks, as runs of older versions do, is not unlike."""
    values = {side.get(key, "null") for side in (left, right)} - {"null"}
    return len(values) > 1


def _name_differences(left: dict[str, str], right: dict[str, str]) -> list[str]:
    keys = [*left, *(key for key in right if key not in left)]
    return [
        f"{key}: {left.get(key, 'not there')} against {right.get(key, 'not there')}"
        for key in keys
        if left.get(key) != right.get(key) and (key != "data_sha256" or _unlike(left, right, key))
    ]
