"""Frozen records to JSON and back: what does not fit is refused with the path of the wrong entry."""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from nasfpn_lite.errors import UserError

T = TypeVar("T")


class RecordError(UserError):
    """Data does not fit its record.

    Attributes:
        path: Of the wrong entry: "files[0].turns[2].latency_ms".
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the record'}: {problem}")
        self.path, self.problem = path, problem


def to_json_data(record: Any) -> dict[str, Any]:
    """Returns a record as dicts, lists and plain values."""
    data: dict[str, Any] = dataclasses.asdict(record)
    return data


def parse_record(kind: type[T], data: Any, path: str = "") -> T:
    """Builds a record of what JSON holds.

    Args:
        kind: A frozen dataclass of numbers, texts, tuples, dicts and other such dataclasses.
        path: Where `data` stands, for messages.

    Raises:
        RecordError: An entry is missing, unknown, or not what the record's annotations or its own checks ask for.
    """
    if not isinstance(data, dict):
        raise RecordError(path, f"expected an object, got {_show(data)}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            raise RecordError(_join(path, str(name)), f"is unknown; expected {', '.join(fields)}")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _parse(hints[name], data[name], _join(path, name))
        elif field.default is dataclasses.MISSING:
            raise RecordError(_join(path, name), "is missing")
    try:
        return kind(**values)
    except RecordError as error:
        raise RecordError(_join(path, error.path), error.problem) from error


def _parse(kind: Any, data: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return parse_record(typing.cast(type, kind), data, path)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _parse_optional(kind, data, path)
    if origin is not None:
        return _CONTAINERS[origin](kind, data, path)
    return _parse_plain(kind, data, path)


def _parse_optional(kind: Any, data: Any, path: str) -> Any:
    """Parses `X | None`, the one union that records use."""
    if data is None:
        return None
    return _parse(next(part for part in typing.get_args(kind) if part is not type(None)), data, path)


def _parse_tuple(kind: Any, data: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise RecordError(path, f"expected a list, got {_show(data)}")
    parts = typing.get_args(kind)
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(data)
    if len(parts) != len(data):
        raise RecordError(path, f"expected {len(parts)} entries, got {len(data)}")
    return tuple(_parse(part, item, f"{path}[{i}]") for i, (part, item) in enumerate(zip(parts, data, strict=True)))


def _parse_dict(kind: Any, data: Any, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise RecordError(path, f"expected an object, got {_show(data)}")
    return {str(key): _parse(typing.get_args(kind)[1], value, _join(path, str(key))) for key, value in data.items()}


def _parse_literal(kind: Any, data: Any, path: str) -> Any:
    choices = typing.get_args(kind)
    if data not in choices:
        raise RecordError(path, f"expected {' or '.join(map(repr, choices))}, got {_show(data)}")
    return data


_CONTAINERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    tuple: _parse_tuple,
    dict: _parse_dict,
    Literal: _parse_literal,
}
_PLAIN = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def _parse_plain(kind: Any, data: Any, path: str) -> Any:
    # To Python, True is a number too; and JSON writes 3.0 as 3 in some programs.
    fits = isinstance(data, (int, float) if kind is float else kind) and isinstance(data, bool) == (kind is bool)
    if not fits or (kind is float and not math.isfinite(data)):
        raise RecordError(path, f"expected {_PLAIN[kind]}, got {_show(data)}")
    return float(data) if kind is float else data


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part)


def _show(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
