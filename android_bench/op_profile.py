"""Times of single operators, from the tables that benchmark tools print or write as CSV.

The columns differ from version to version, and so does what divides them: they are found by the header's names.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nasfpn_lite.android_bench.log_traps import LogError

Kind = Literal["operator", "partition", "delegated"]

_RUNS_TITLE = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_ONE_RUN_TITLE = "Profiling Info for One Run with the Delegate:"  # our own runner's
_TITLES = ("", "Profiling Info for Benchmark Initialization:", _RUNS_TITLE, _ONE_RUN_TITLE)
_SUBGRAPH_TITLE = re.compile(r"^Subgraph \(index: \d+.*:$")
_MAIN_GRAPH_TITLE = re.compile(r"^(?:Primary graph.*|Delegate internal):$")
_TABLE_TITLE = re.compile(r"^=+ (.+?) =+$")
_LEVEL = re.compile(r"^(?:VERBOSE|INFO|WARN|WARNING|ERROR): ")
_COUNT = re.compile(r"^count=(\d+)\b")
_COLUMN = re.compile(r"\[([^\]]+)\]")
_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_INDEX = re.compile(r"^(.*):(\d+)$")
_DELEGATE_KERNEL = re.compile(r"^(?:DELEGATE|\w*Delegate(?:V\d+)?)$")


@dataclass(frozen=True)
class OperatorTime:
    """One row of a profile.

    Attributes:
        kind: "operator": outside every delegate. "delegated": inside one. "partition": a delegate's whole kernel, which
            an older tool gives instead of what is inside.
        node_type: Name of the operator, or of the delegate's kernel for it.
        name: Of its output tensors, as the model has them; "" where the tool gives none: LiteRT, and inside delegates.
        index: Of the node in the model's main graph, or of the operator in its delegate; None in the oldest tools.
        average_ms: Of one call.
        calls_per_run: Above 1 where a delegate took several parts of the model and the tool adds up their rows.
        share: Of the time of a whole run, 0 to 1.
    """

    kind: Kind
    node_type: str
    name: str
    index: int | None
    first_ms: float
    average_ms: float
    calls_per_run: int
    share: float

    @property
    def run_ms(self) -> float:
        """Returns the time in one run of the model."""
        return self.average_ms * self.calls_per_run


def parse_profile(text: str, *, runs: int | None = None) -> tuple[OperatorTime, ...]:
    """Reads the operators of the regular runs in run order from a log or a CSV file.

    Args:
        text: May hold the rest of the log too.
        runs: How many runs the profile covers; found in the log if not given. Newer tools give calls over all runs.

    Raises:
        LogError: There is no such table, or a row is cut.
    """
    lines = _split_lines(text)
    sections = _split_sections(lines)
    rows = _read_rows(sections[_RUNS_TITLE] or sections[""])
    if not rows:
        raise LogError(
            "expected the table of operators in run order, got none: ask for it with --enable_op_profiling=true, and "
            "see that the log is whole"
        )
    return _per_run(rows, runs if runs is not None else _find_runs(lines))


def parse_one_run(text: str) -> tuple[OperatorTime, ...]:
    """Reads the operators of the one run that our own runner profiles after a measurement where a delegate took a part.

    It shows what ran where; its times are of a single run. Empty if there is none in the log.

    Raises:
        LogError: A row is cut.
    """
    return _per_run(_read_rows(_split_sections(_split_lines(text))[_ONE_RUN_TITLE]), 1)


def total_ms(operators: Iterable[OperatorTime], kind: Kind | None = None) -> float:
    """Adds up the time of one run, of one kind of rows or of all."""
    return sum(row.run_ms for row in operators if kind is None or row.kind == kind)


def _split_lines(text: str) -> list[str]:
    return [_LEVEL.sub("", line.strip()) for line in text.splitlines()]


def _split_sections(lines: Sequence[str]) -> dict[str, list[str]]:
    """Returns the lines below each title, and under "" those above the first."""
    sections: dict[str, list[str]] = {title: [] for title in _TITLES}
    title = ""
    for line in lines:
        if line in sections and line:
            title = line
        else:
            sections[title].append(line)
    return sections


def _read_rows(section: Sequence[str]) -> list[OperatorTime]:
    """Reads all tables in run order, but those of subgraphs: they run inside operators of the main graph."""
    tables: list[list[str]] = []
    is_main, in_table = True, False
    for line in section:
        title = _TABLE_TITLE.match(line)
        if title:
            in_table = is_main and title.group(1) == "Run Order"
            if in_table:
                tables.append([])
        elif not line:
            in_table = False
        elif in_table:
            tables[-1].append(line)
        elif _SUBGRAPH_TITLE.match(line) or _MAIN_GRAPH_TITLE.match(line):
            is_main = not _SUBGRAPH_TITLE.match(line)
    return [row for table in tables for row in _read_table(table)]


def _read_table(table: Sequence[str]) -> list[OperatorTime]:
    if not table:
        return []
    header, *lines = table
    is_csv = not header.startswith("[")
    names = header.split(",") if is_csv else _COLUMN.findall(header)
    columns = [name.strip().lower().replace("_", " ") for name in names]
    missing = {"node type", "first", "avg ms", "%", "times called", "name"} - set(columns)
    if missing or columns[0] != "node type" or columns[-1] != "name":
        raise LogError(f"expected columns from node type to name in a profile, got {header!r}: this tool is not known")
    pattern = _row_pattern(columns, separator=r",\s*" if is_csv else r"\s+")
    return [_read_row(line, columns, pattern) for line in lines]


def _row_pattern(columns: Sequence[str], separator: str) -> re.Pattern[str]:
    # Types and names hold blanks, commas and digits; only the percent signs tell where the numbers stand.
    numbers = [rf"({_NUMBER})%" if "%" in name else rf"({_NUMBER})" for name in columns[1:-1]]
    return re.compile(rf"^(\S.*?){separator}{separator.join(numbers)}{separator}(\S.*)$")


def _read_row(line: str, columns: Sequence[str], pattern: re.Pattern[str]) -> OperatorTime:
    match = pattern.match(line)
    if match is None:
        raise LogError(f"expected a row with {', '.join(columns)}, got {line!r}: the profile is cut; run it again")
    cells = dict(zip(columns, match.groups(), strict=True))
    node_type, name = cells["node type"].strip(), cells["name"]
    found = _INDEX.match(name)
    tensors = found.group(1) if found else name
    is_unnamed = tensors in ("[Builtin]", "[Delegate]") or tensors.startswith("Delegate/")
    return OperatorTime(
        kind=_find_kind(node_type, name),
        node_type=node_type.removeprefix("Delegate/"),
        name="" if is_unnamed else tensors.removeprefix("[").removesuffix("]"),
        index=int(found.group(2)) if found else None,
        first_ms=float(cells["first"]),
        average_ms=float(cells["avg ms"]),
        calls_per_run=int(cells["times called"]),
        share=float(cells["%"]) / 100,
    )


def _find_kind(node_type: str, name: str) -> Kind:
    if node_type.startswith("Delegate/") or name.startswith(("Delegate/", "[Delegate]")):
        return "delegated"
    return "partition" if _DELEGATE_KERNEL.match(node_type) else "operator"


def _find_runs(lines: Sequence[str]) -> int | None:
    """Returns the runs of the last phase in the log; None in a CSV file."""
    counts = [int(match.group(1)) for match in map(_COUNT.match, lines) if match]
    return counts[-1] if counts else None


def _per_run(rows: Sequence[OperatorTime], runs: int | None) -> tuple[OperatorTime, ...]:
    # LiteRT counts calls over all runs, older tools in one. Every operator runs in every run, so that counts which are
    # all multiples of the runs are over all; the oldest round an average down, even to 0.
    divisor = runs if runs and all(row.calls_per_run % runs == 0 for row in rows) else 1
    return tuple(replace(row, calls_per_run=max(1, row.calls_per_run // divisor)) for row in rows)
