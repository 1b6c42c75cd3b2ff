"""The page of `scaling`: its figures as Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasfpn_lite.benchmarks.record import read_machine
from nasfpn_lite.benchmarks.scaling_plan import CARD_BYTES, COCO_IMAGES, GIGABYTE, Load, Plan
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.runs import collect_versions

if TYPE_CHECKING:
    from nasfpn_lite.benchmarks.scaling import Result

_PACKAGES = ("nasfpn-lite", "python", "keras", "jax", "tensorflow", "numpy", "grain")


def render_page(scaling: Sequence["Result"], loads: Sequence[Load], plans: Sequence[Plan], command: str) -> str:
    """Returns the whole page."""
    machine, versions = read_machine(), collect_versions()
    one = scaling[0].setup
    cards = ", ".join(f"{card / GIGABYTE:.0f} GB" for card in CARD_BYTES)
    return "\n".join(
        [
            "# Training on several devices, and what COCO would take",
            "",
            f"`{command}`: noise in memory as input, the recipe of `paper`. {machine.cpu}, {machine.cores} cores; "
            + ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)
            + f"; load average before the page was written {machine.load_average}.",
            "",
            f"## One device, two devices, two processes: {one.variant}, batch {one.batch} in all",
            "",
            "Devices and processes share the same cores here, so two can hardly be faster than one: this tells what "
            "sharing a batch costs, not what a second machine brings. Medians of rounds in turns, 95 % interval; the "
            "memory is of the process that needs most, Python and libraries included.",
            "",
            "| setup | images/s | of one device | peak memory per process |",
            "|---|---|---|---|",
            *(_scaling_row(result, scaling) for result in scaling),
            "",
            "## Memory and speed by network and batch, one device, JAX, float32",
            "",
            "| network | batch | images/s | peak memory |",
            "|---|---|---|---|",
            *(f"| {x.variant} | {x.batch} | {x.images_per_s:.2f} | {_gigabytes(x.memory_bytes)} |" for x in loads),
            "",
            f"## COCO's {_thousands(COCO_IMAGES)} images on paper, on one such device",
            "",
            "Nobody would train these here: hours are epochs times images by images per second, and n devices "
            "take an n-th of them at best. A speed in brackets is computed, from FLOPs and the speed of the largest "
            "network that was measured; if that is a small one, which computes fewer FLOPs per second, the hours come "
            "out too high. Memory is the line through the two batches above. Parts: the smallest "
            f"`--accumulate` with which a step fits into a card of {cards}.",
            "",
            "| preset | network | batch | steps | images/s | hours | memory of the whole batch | parts |",
            "|---|---|---|---|---|---|---|---|",
            *(_plan_row(entry) for entry in plans),
            "",
        ]
    )


def _scaling_row(result: "Result", scaling: Sequence["Result"]) -> str:
    setup, speed = result.setup, result.images_per_s
    base = next(r for r in scaling if r.setup.backend == setup.backend and r.setup.devices * r.setup.processes == 1)
    name = {"jax": "JAX", "tensorflow": "TensorFlow"}[setup.backend]
    team = (
        f"{setup.processes} processes" if setup.processes > 1 else f"{setup.devices} device{'s'[: setup.devices - 1]}"
    )
    precision = "" if setup.precision == "float32" else f", {setup.precision}"
    ratio = speed.median / base.images_per_s.median
    figures = f"{speed.median:.2f} ({speed.low:.2f} to {speed.high:.2f}) | {ratio:.2f}"
    return f"| {name}, {team}{precision} | {figures} | {_gigabytes(result.memory_bytes)} |"


def _plan_row(entry: Plan) -> str:
    network, batch = entry.network, PRESETS[entry.preset].batch_size
    speed = f"{network.images_per_s:.3g}" if network.measured else f"({network.images_per_s:.2g})"
    parts = " / ".join("–" if count is None else str(count) for count in entry.parts)
    hours = _thousands(entry.hours)
    memory = "–" if entry.memory_bytes is None else _gigabytes(entry.memory_bytes)
    return (
        f"| `{entry.preset}` | {network.variant} | {batch} | {entry.steps} | {speed} | {hours} | {memory} | {parts} |"
    )


def _gigabytes(size: float) -> str:
    return f"{size / GIGABYTE:.2f} GB"


def _thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")
