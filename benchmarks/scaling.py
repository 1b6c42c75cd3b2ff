"""How fast one and two devices or processes train, how much memory they need, and what that makes of COCO.

    python -m nasfpn_lite.benchmarks.scaling

Trains on noise that lies in memory, so reading photos is not in it. All setups of the first table stay loaded and take
turns. The figures go to benchmarks/results/scaling.md.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from nasfpn_lite.benchmarks.scaling_page import render_page
from nasfpn_lite.benchmarks.scaling_plan import Load, Network, compute_network, fit_network, plan
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.converters.processes import package_environment
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.variants import get_spec

RESULTS = Path("benchmarks", "results", "scaling.md")
STOP_TIMEOUT_S = 30
# {variant: batches}: the memory's line goes through them; small ones, since a computer without a GPU measures them too
LOADS = {"nasfpnlite_3x48": (8, 16), "nasfpnlite_7x64": (8, 16), "nasfpn_r50_7x256": (1, 2)}
# (preset, variant) as published; `finetune` as it is, on COCO
PLANS = (
    ("finetune", "nasfpnlite_3x48"),
    ("paper", "nasfpnlite_3x48"),
    ("paper", "nasfpnlite_7x64"),
    ("paper", "nasfpn_r50_7x256"),
    ("crop640", "nasfpn_r50_7x256"),
    ("paper_dropblock", "nasfpn_r50_7x384"),
    ("amoebanet_cosine", "nasfpn_amoebanetd_7x384"),
)
_WIDER = {"paper_dropblock": "1280"}  # sizes other than the variant's, as the preset's source has them

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What is measured.

    Attributes:
        batch: Images per update, of all devices and processes together.
        devices: Of each process; on a CPU, made by dividing it.
    """

    variant: str
    batch: int
    backend: str = "jax"
    devices: int = 1
    processes: int = 1
    precision: str = "float32"
    size: str | None = None


@dataclass(frozen=True)
class Result:
    """A setup's figures.

    Attributes:
        memory_bytes: Of the process that needed most; of the accelerator alone where there is one.
    """

    setup: Setup
    images_per_s: Estimate
    memory_bytes: int


class Crew:
    """The processes of one setup, loaded until the end of a with block."""

    def __init__(self, setup: Setup, steps: int) -> None:
        self.setup, self.steps = setup, steps
        self.memory_bytes = 0
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Crew":
        setup = self.setup
        team: dict[str, Any] = {"devices": setup.devices, "processes": setup.processes}
        environment = {**package_environment(), "KERAS_BACKEND": setup.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if setup.devices > 1:
            flag = f"--xla_force_host_platform_device_count={setup.devices}"
            environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        if setup.processes > 1:
            team["coordinator"] = _free_address()
        for index in range(setup.processes):
            options = {**dataclasses.asdict(setup), "steps": self.steps, "team": {**team, "process_id": index}}
            command = [sys.executable, "-m", "nasfpn_lite.benchmarks.scaling_worker", json.dumps(options)]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._processes.append(subprocess.Popen(command, env=environment, **pipes))
        return self

    def run(self) -> list[float]:
        """Trains the steps of one turn and returns the images per second of each.

        Raises:
            UserError: A process failed.
        """
        for process in self._processes:
            with contextlib.suppress(BrokenPipeError):  # its answer tells why
                print(file=process.stdin, flush=True)
        answers = [self._read(process) for process in self._processes]
        self.memory_bytes = max(answer["device_bytes"] or answer["process_bytes"] for answer in answers)
        return [self.setup.batch / seconds for seconds in answers[0]["step_seconds"]]

    def _read(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        line = process.stdout.readline() if process.stdout else ""
        answer = json.loads(line) if line else {"error": f"the process ended with code {process.wait()}"}
        if "error" in answer:
            raise UserError(f"{self.setup}: {answer['error']}")
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        for process in self._processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.stdout:
                process.stdout.close()


def measure(setups: Sequence[Setup], *, rounds: int, steps: int) -> list[Result]:
    """Measures setups in turns, A B C A B C; each is warmed up first. The estimate is over rounds, of their medians."""
    with contextlib.ExitStack() as stack:
        crews = [stack.enter_context(Crew(setup, steps)) for setup in setups]
        for crew in crews:
            logger.info("loading %s", crew.setup)
            crew.run()
        speeds = [[estimate_median(crew.run()).median for crew in crews] for _ in range(rounds)]
    columns = list(zip(*speeds, strict=True))
    return [Result(c.setup, estimate_median(s), c.memory_bytes) for c, s in zip(crews, columns, strict=True)]


def find_networks(loads: Sequence[Load]) -> dict[str, Network]:
    """Returns what is known of each variant of PLANS, by its name; by "NAME at SIZE" where the preset has another."""
    from nasfpn_lite.cost import count_cost_of

    measured: dict[str, list[Load]] = {}
    for load in loads:
        measured.setdefault(load.variant, []).append(load)
    networks = {variant: fit_network(found) for variant, found in measured.items()}
    flops = {variant: count_cost_of(get_spec(variant)).flops for variant in networks}
    like = max(networks.values(), key=lambda network: flops[network.variant])  # large ones compute most alike
    for preset, variant in PLANS:
        name = plan_name(preset, variant)
        if name not in networks:
            own = count_cost_of(get_spec(variant, size=_WIDER.get(preset))).flops
            networks[name] = compute_network(name, own, like, flops[like.variant])
    return networks


def plan_name(preset: str, variant: str) -> str:
    """Returns the variant, with the size where a preset's source has another than the variant."""
    return f"{variant} at {_WIDER[preset]}" if preset in _WIDER else variant


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="nasfpnlite_3x48", help="of the first table (default: %(default)s)")
    parser.add_argument("--batch-size", type=positive_int, default=8, help="of it too (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=positive_int, default=6, help="default: %(default)s; fewer than six give no interval"
    )
    parser.add_argument("--steps", type=positive_int, default=5, help="of each turn (default: %(default)s)")
    parser.add_argument("--networks", nargs="+", choices=LOADS, default=list(LOADS), help="of the second table")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="default: %(default)s")
    args = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    one = Setup(args.variant, args.batch_size)
    teams = [
        *(one, dataclasses.replace(one, devices=2), dataclasses.replace(one, processes=2)),
        *(dataclasses.replace(one, backend="tensorflow", devices=devices) for devices in (1, 2)),
        dataclasses.replace(one, precision="mixed_bfloat16"),
    ]
    try:
        scaling = measure(teams, rounds=args.rounds, steps=args.steps)
        alone = [Setup(variant, batch) for variant in args.networks for batch in LOADS[variant]]
        loads = [result for setup in alone for result in measure([setup], rounds=1, steps=args.steps)]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = [Load(r.setup.variant, r.setup.batch, r.images_per_s.median, r.memory_bytes) for r in loads]
    networks = find_networks(found)
    plans = [plan(preset, PRESETS[preset], networks[plan_name(preset, variant)]) for preset, variant in PLANS]
    command = shlex.join(["python", "-m", "nasfpn_lite.benchmarks.scaling", *(argv or sys.argv[1:])])
    page = render_page(scaling, found, plans, command)
    write_text_atomically(args.output, page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
