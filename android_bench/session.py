"""A session: files measured against each other on one phone, from the first look at it to the verdict."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.android_bench.conditions import Conditions, read_conditions
from nasfpn_lite.android_bench.cooling import Fitness, Pace
from nasfpn_lite.android_bench.doubts import HOT_C, find_notes
from nasfpn_lite.android_bench.figures import split_rounds, summarize
from nasfpn_lite.android_bench.journal import FOLDER, START, Journal
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.origin import now_utc, read_commit, read_versions
from nasfpn_lite.android_bench.records import SCHEMA, VERSION, Coverage, HowMeasured, Origin, Phone, SessionResult
from nasfpn_lite.android_bench.rounds import Hands, Measured, Plan, measure_rounds
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.topology import read_topology
from nasfpn_lite.android_bench.turn_watch import find_gaps

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner
    from nasfpn_lite.android_bench.turns import Bench

GPU_NOTE = "the GPU may compute in 16-bit floats, as benchmark_model lets it; its clock is not watched, only the heat"


def say_nothing(text: str) -> None:
    """Takes a line of progress and drops it."""


@dataclass(frozen=True)
class Control:
    """What surrounds a session.

    Attributes:
        journal: Its journal; None for a session that cannot be resumed.
        restart: Drop a journal that is there.
        progress: Takes a line for each step.
    """

    journal: Path | None = None
    restart: bool = False
    progress: Callable[[str], None] = say_nothing
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Start:
    """A phone as it is found.

    Attributes:
        cores: Numbers of those that will run.
    """

    phone: Phone
    cores: tuple[int, ...]
    before: Conditions


def measure(
    device: "Device",
    files: Sequence[ModelFile],
    runner: "Runner",
    options: SessionOptions,
    *,
    control: Control | None = None,
) -> SessionResult:
    """Measures files against each other on a phone; goes on with the session of the journal, if there is one.

    Raises:
        JournalError: The journal is of another session.
        SessionError: A file cannot be run.
        AdbError: The phone went away; the journal keeps what was done.
    """
    from nasfpn_lite.android_bench.turns import Bench

    control = control or Control()
    device.check_ready()
    start = look_at_phone(device, options)
    plan = Plan(tuple(file.name for file in files), options.rounds, options.repeats, to_fitness(options, start.cores))
    with ExitStack() as stack:
        path = control.journal or Path(stack.enter_context(tempfile.TemporaryDirectory()), "journal.jsonl")
        runner_sha256 = runner.hash_files()
        identity = describe_session(start.phone, files, (runner.name, runner_sha256), options)
        journal = stack.enter_context(Journal(path, identity, restart=control.restart))
        journal.append(kind=START, at=now_utc())
        bench = stack.enter_context(Bench(device, files, runner, options, start.phone.mask))
        # A phone that was lost kept the session's folder.
        for folder in _list_entries(journal, FOLDER, "folder"):
            bench.remove_left(folder)
        measured = measure_rounds(
            plan, _make_hands(device, bench, journal, control, start.cores), journal, first=start.before
        )
        started, *resumed = _list_entries(journal, START, "at")
    versions = read_versions(device.adb.read_version(), runner_sha256)
    origin = Origin(versions, read_commit(), started, now_utc(), len(resumed))
    return to_result(files, start, how_measured(runner.name, options), measured, origin)


def _list_entries(journal: Journal, kind: str, name: str) -> list[str]:
    return [str(entry[name]) for entry in journal.entries if entry.get("kind") == kind]


def _make_hands(device: "Device", bench: "Bench", journal: Journal, control: Control, cores: Sequence[int]) -> Hands:
    def warm_up() -> tuple[Coverage | None, ...]:
        journal.append(kind=FOLDER, folder=bench.open())
        return bench.warm_up()

    return Hands(
        read=lambda: read_conditions(device, watched=cores),
        take_turn=bench.take,
        warm_up=warm_up,
        pace=control.pace,
        say=control.progress,
    )


def look_at_phone(device: "Device", options: SessionOptions) -> Start:
    """Reads what the phone is, and chooses its cores.

    Raises:
        TopologyError: It has no such cores.
    """
    topology = read_topology(device)
    cores = topology.select(options.cores, options.threads)
    before = read_conditions(device, watched=cores)
    oddities = topology.find_oddities(before.model, cores if options.cores == "big" else ())
    limit_c = options.cool_below_c
    warm = (f"rounds began below {limit_c:g} °C, not {HOT_C:g} °C",) if limit_c > HOT_C else ()
    gpu = (GPU_NOTE,) if options.gpu else ()
    phone = Phone(
        serial=device.serial,
        model=before.model,
        fingerprint=before.fingerprint,
        abi=before.abi,
        sdk=before.sdk,
        simulated=before.simulated,
        clusters=topology.clusters,
        cores=options.cores,
        mask=topology.mask(options.cores, options.threads),
        notes=(*oddities, *warm, *gpu, *find_notes(before)),
    )
    return Start(phone, cores, before)


def to_fitness(options: SessionOptions, cores: Sequence[int]) -> Fitness:
    """Returns what the options ask of a phone."""
    # While the GPU works, a core that waits for it lowers its clock.
    ignored = ("slow_clock",) if options.gpu else ()
    return Fitness(cores, (*options.accepted, *ignored), options.cool_below_c, options.patience_s)


def how_measured(runner: str, options: SessionOptions) -> HowMeasured:
    """Returns the options as they stand beside the figures; `Phone` has the cores."""
    asked = {name: value for name, value in asdict(options).items() if name != "cores"}
    return HowMeasured(runner=runner, **asked)


def describe_session(
    phone: Phone, files: Sequence[ModelFile], runner: tuple[str, str], options: SessionOptions
) -> dict[str, Any]:
    """Returns what makes two sessions the same, for the journal; `runner` is its name and the hash of its files."""
    return {
        "serial": phone.serial,
        "fingerprint": phone.fingerprint,
        "mask": phone.mask,
        "runner": runner,
        "files": [[file.name, file.sha256] for file in files],  # the order of the turns too
        "options": asdict(options),
    }


def to_result(
    files: Sequence[ModelFile], start: Start, how: HowMeasured, measured: Measured, origin: Origin
) -> SessionResult:
    """Puts the record together, with the verdict."""
    figures = tuple(
        summarize(
            file,
            split_rounds(measured.rounds, index),
            runner=how.runner,
            reasons=measured.reasons,
            coverage=measured.coverages[index],
            accepted=how.accepted,
        )
        for index, file in enumerate(files)
    )
    gaps = find_gaps([turn.watch for item in measured.rounds for turn in item.turns])
    return SessionResult(
        schema=SCHEMA,
        version=VERSION,
        origin=origin,
        phone=replace(start.phone, notes=(*start.phone.notes, *gaps)),
        how=how,
        verdict="not trustworthy" if measured.reasons else "trustworthy",
        reasons=measured.reasons,
        files=figures,
        rounds=measured.rounds,
        discarded=measured.discarded,
        before=measured.rounds[0].before if measured.rounds else start.before,
        after=measured.last or start.before,
    )
