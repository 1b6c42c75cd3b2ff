"""Figures on stdout: JSON for machines, plain aligned columns for people."""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Cell = str | int | float | None


@contextmanager
def native_output_on_stderr() -> Iterator[None]:
    """Sends to stderr, in a with block, what native libraries print on stdout, which belongs to results."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def print_json(data: Any) -> None:
    """Prints one JSON document, keys in the order given; NaN and infinities, which JSON lacks, become null."""
    print(json.dumps(to_plain(data), indent=1, ensure_ascii=False, allow_nan=False))


def to_plain(value: Any) -> Any:
    """Turns records, paths, tuples and NumPy values into what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, without importing NumPy
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Prints aligned columns: text to the left, numbers to the right, None as "-"."""
    print(format_table(headers, rows))


def format_table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Returns what `print_table` prints. Floats get three decimals; format them yourself for more or fewer."""
    wrong = [row for row in rows if len(row) != len(headers)]
    if wrong:
        raise ValueError(f"a row needs {len(headers)} cells, one per header, got {wrong[0]}")
    lines = [list(headers), *([_to_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    numeric = [_is_numeric([row[column] for row in rows]) for column in range(len(headers))]
    rule = ["-" * width for width in widths]
    return "\n".join(_join(line, widths, numeric) for line in [lines[0], rule, *lines[1:]])


def _to_text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _is_numeric(cells: Sequence[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(not isinstance(cell, str) for cell in present)


def _join(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(line, widths, numeric, strict=True)
    )
    return "  ".join(padded).rstrip()
