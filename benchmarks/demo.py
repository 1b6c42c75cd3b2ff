"""The whole way in one call: data, training, conversion, accuracy, latency, report."""

import json
import logging
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasfpn_lite.benchmarks.bench import bench
from nasfpn_lite.benchmarks.demo_set import make_demo_set
from nasfpn_lite.benchmarks.record import BenchOptions
from nasfpn_lite.benchmarks.report import write_report
from nasfpn_lite.benchmarks.report_data import INT8, RESULTS_FILE
from nasfpn_lite.converters.recipes import MIN_CALIBRATION_IMAGES, RECIPES
from nasfpn_lite.data.coco import SPLITS, find_splits, load_split, read_record
from nasfpn_lite.data.records import Split
from nasfpn_lite.drawing import draw_detections, draw_ground_truth, save_image
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.recipes import PRESETS, RecipeError, TrainingRecipe
from nasfpn_lite.runs import WEIGHTS_FILE, Run
from nasfpn_lite.variants import get_spec

DATA_FOLDER, FILES_FOLDER, EXAMPLES_FOLDER = "data", "tflite", "examples"
EXAMPLES = 6
DEMO_VARIANT, DEMO_SIZE, DEMO_PRESET = "nasfpnlite_3x48", "192", "demo"
DEMO_RECIPE = TrainingRecipe(
    batch_size=4,
    epochs=18,
    learning_rate=0.003,
    schedule="cosine",
    warmup_steps=60,
    optimizer="adamw",
    weight_decay=1e-3,
    frozen_stride=4,
    validations=3,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoOptions:
    """What the demo does.

    Attributes:
        data: A COCO folder; None makes a small set.
        size: Of the network's input, "S" or "HxW" pixels.
        preset: Name of the recipe, for the records; DEMO_PRESET is the demo's own.
    """

    output: Path
    data: Path | None = None
    variant: str = DEMO_VARIANT
    size: str = DEMO_SIZE
    seed: int = 0
    preset: str = DEMO_PRESET
    recipe: TrainingRecipe = field(default=DEMO_RECIPE)
    bench: BenchOptions = field(default=BenchOptions(rounds=12))


def find_recipe(preset: str) -> TrainingRecipe:
    """Returns the recipe of a preset's name.

    Raises:
        RecipeError: There is no such preset.
    """
    recipes = {DEMO_PRESET: DEMO_RECIPE, **PRESETS}
    if preset not in recipes:
        raise RecipeError(f"unknown preset {preset!r}; there are {', '.join(recipes)}")
    return recipes[preset]


def run_demo(options: DemoOptions) -> dict[str, Any]:
    """Goes the whole way and returns what results.json holds; a second call goes on where the first one stopped.

    Raises:
        UserError: The data or the folder does not allow it.
    """
    clock = _Clock()
    output = options.output
    with clock.part("data"):
        data = _prepare_data(options)
        images = _count_images(data, options.seed)
    with clock.part("training"):
        run = _train(options, data)
    with clock.part("conversion"):
        files = _convert(run, output / FILES_FOLDER)
    split = _load_held_out(data, run, options.seed)
    with clock.part("accuracy"):
        scores = [_score(file, split) for file in files]
    with clock.part("latency"):
        logger.info("latency of %d files", len(files))
        report = bench(files, options.bench)
    measured = {result.file: result for result in report.results}
    results = {
        "data": {"name": "demo" if options.data is None else data.name, "images": images},
        "calibration": _read_calibration(_find(files, INT8)),
        "files": [{**score, **vars(measured[score["file"]]), "file": score["file"]} for score in scores],
        "machine": vars(report.machine),
        "examples": _draw_examples(_find(files, INT8), split, output),
        "commands": _list_commands(options, data, split.name, files),
        "seconds": clock.seconds,
    }
    write_text_atomically(output / RESULTS_FILE, json.dumps(results, indent=1) + "\n")
    write_report(output)
    return results


class _Clock:
    """Takes the time of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        logger.info("== %s", name)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)
        logger.info("   %s took %.0f s", name, self.seconds[name])


def _prepare_data(options: DemoOptions) -> Path:
    if options.data is not None:
        return options.data
    folder = options.output / DATA_FOLDER
    # The annotations of the last split are written last: with them the set is whole.
    if not (folder / "instances_test.json").is_file():
        make_demo_set(folder, seed=options.seed)
    return folder


def _train(options: DemoOptions, data: Path) -> Run:
    from nasfpn_lite.train import TrainingJob, train

    job = TrainingJob(
        data=data,
        spec=get_spec(options.variant, size=options.size),
        recipe=options.recipe,
        preset=options.preset,
        variant=options.variant,
        seed=options.seed,
    )
    return train(job, options.output, resume=True)


def _convert(run: Run, folder: Path) -> list[Path]:
    """Makes all recipes in the raw form and int8 with suppression inside, unless they are there already."""
    from nasfpn_lite.converters.calibration import load_calibration
    from nasfpn_lite.converters.convert import Source, Target, convert_all

    name = run.recipe.get("variant") or "detector"
    wanted = [*((recipe, "raw") for recipe in RECIPES), (INT8, "detect")]
    targets = [Target(recipe, form, folder / f"{name}_{recipe}_{form}.tflite") for recipe, form in wanted]
    weights = run.folder / WEIGHTS_FILE
    if not all(_is_newer(target.path, weights) for target in targets):
        split = load_split(Path(run.recipe["data"]), "train", categories=run.categories, seed=run.recipe["seed"])
        calibration = load_calibration(split, run.spec, source="train", force=True)
        if len(calibration.images) < MIN_CALIBRATION_IMAGES:
            logger.warning("int8 is calibrated with %d photos only; its accuracy may suffer", len(calibration.images))
        convert_all(Source.from_run(run), targets, calibration=calibration, force=True)
    return [target.path for target in targets]


def _is_newer(path: Path, than: Path) -> bool:
    return path.is_file() and path.stat().st_mtime >= than.stat().st_mtime


def _load_held_out(data: Path, run: Run, seed: int) -> Split:
    splits = find_splits(data)
    name = next((split for split in ("test", "val") if split in splits), next(iter(splits)))
    if name not in ("test", "val"):
        logger.warning("%s has neither test nor val photos: accuracy is taken on %s, which says little", data, name)
    return load_split(data, name, categories=run.categories, seed=seed)


def _count_images(data: Path, seed: int) -> dict[str, int]:
    """Reads what will be used, so that a broken file stops the demo before its training."""
    return {name: len(load_split(data, name, seed=seed).images) for name in find_splits(data) if name in SPLITS}


def _read_calibration(file: Path) -> dict[str, Any]:
    from nasfpn_lite.converters.metadata import read_metadata

    return read_metadata(file.read_bytes()).calibration


def _score(file: Path, split: Split) -> dict[str, Any]:
    from nasfpn_lite.converters.metadata import read_metadata
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector

    metadata = read_metadata(file.read_bytes())
    summary = evaluate(TFLiteDetector(file), split).summary
    logger.info("AP %.3f  %s", summary["AP"] or 0.0, file.name)
    return {"file": str(file), "recipe": metadata.recipe, "form": metadata.form, **summary}


def _find(files: Sequence[Path], recipe: str) -> Path:
    return next((file for file in files if recipe in file.name), files[0])


def _draw_examples(file: Path, split: Split, output: Path) -> list[dict[str, str]]:
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector

    detector = TFLiteDetector(file)
    records = [record for record in split.images if len(record.boxes_yxyx)][:EXAMPLES]
    examples = []
    for number, record in enumerate(records, 1):
        image = read_record(record)
        pictures = {
            "truth": draw_ground_truth(image, record, split.categories),
            "detections": draw_detections(image, detector.detect(image), split.categories),
        }
        names = {key: f"{EXAMPLES_FOLDER}/{number}_{key}.jpg" for key in pictures}
        for key, picture in pictures.items():
            save_image(picture, output / names[key])
        examples.append({**names, "caption": record.path.name})
    return examples


def _list_options(options: DemoOptions) -> list[object]:
    """Returns the options of `demo` that differ from its defaults."""
    own_epochs = find_recipe(options.preset).epochs
    given = [
        ("--data", options.data, None),
        ("-o", options.output, None),
        ("--variant", options.variant, DEMO_VARIANT),
        ("--size", options.size, DEMO_SIZE),
        ("--preset", options.preset, DEMO_PRESET),
        ("--epochs", options.recipe.epochs, own_epochs),
        ("--seed", options.seed, 0),
    ]
    return [word for option, value, default in given if value != default for word in (option, value)]


def _list_commands(options: DemoOptions, data: Path, split: str, files: Sequence[Path]) -> list[dict[str, str]]:
    def command(*words: object) -> str:
        return shlex.join(["nasfpn-lite", *map(str, words)])

    evaluations = [command("eval", file, "--data", data, "--split", split) for file in files]
    return [
        {"figure": "Everything on this page", "command": command("demo", *_list_options(options))},
        {"figure": "Accuracy of each file", "command": "\n".join(evaluations)},
        {
            "figure": "Latency of all files, side by side",
            "command": command("bench", *files, "--threads", options.bench.threads, "--rounds", options.bench.rounds),
        },
        {"figure": "This page from the run folder", "command": command("report", options.output)},
    ]
