"""Finds the class names of a YOLO dataset, without a YAML library: only the entry `names` is read, and checked."""

import re
from pathlib import Path

from nasfpn_lite.data.labelled import read_lines
from nasfpn_lite.data.problems import DatasetError

_LIST_FILES = ("classes.txt", "obj.names", "classes.names")
_KEY = r"""(?:(["']?)(\d+)\1\s*:\s+)"""
_SCALAR = r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]{}"'][^,\[\]{}]*?)"""
_FLOW_ITEM = re.compile(rf"\s*{_KEY}?{_SCALAR}\s*(?:,|$)")
_BLOCK_ITEM = re.compile(rf"{_KEY}(.*)$")


def read_class_names(source: Path) -> tuple[str, ...]:
    """Reads class names, in order, from `data.yaml` (or another .yaml with `names:`), `classes.txt` or `obj.names`.

    Raises:
        DatasetError: There is none, or it is no UTF-8 text or not understood; the message names file and line.
    """
    yaml_files = sorted([*source.glob("*.yaml"), *source.glob("*.yml")], key=lambda path: (path.stem != "data", path))
    for path in yaml_files:
        lines = read_lines(path)
        start = next((index for index, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
        if start is not None:
            return _check_names(_parse_names(lines, start, path), path)
    for folder in (source, source / "labels", source / "images"):
        for name in _LIST_FILES:
            path = folder / name
            if path.is_file():
                return _check_names([line.strip() for line in read_lines(path) if line.strip()], path)
    raise DatasetError(
        f"{source}: expected the class names in data.yaml (an entry `names:`) or in classes.txt, one name a line"
    )


def _check_names(names: list[str], path: Path) -> tuple[str, ...]:
    if not names or not all(names):
        raise DatasetError(f"{path}: expected at least one class name and no empty one, got {names}")
    if len(set(names)) < len(names):
        raise DatasetError(f"{path}: a class name stands twice: {sorted({n for n in names if names.count(n) > 1})}")
    return tuple(names)


def _parse_names(lines: list[str], start: int, path: Path) -> list[str]:
    rest = _strip_comment(lines[start].split(":", 1)[1])
    if rest:
        return _parse_inline(rest, lines, start, path)
    keyed: dict[int, str] = {}
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        text = _strip_comment(line)
        if not text:
            continue
        if not line[0].isspace() and not text.startswith("- "):
            break
        if text.startswith("- "):
            keyed[len(keyed)] = _unquote(text[2:])
        elif match := _BLOCK_ITEM.match(text):
            keyed[int(match.group(2))] = _unquote(match.group(3))
        else:
            raise DatasetError(f"{path}, line {number}: expected `- name` or `0: name`, got {text!r}")
    return _in_order(keyed, path)


def _parse_inline(rest: str, lines: list[str], start: int, path: Path) -> list[str]:
    closing = {"[": "]", "{": "}"}.get(rest[0], "")
    end = start
    while closing and not rest.endswith(closing) and end + 1 < len(lines):
        end += 1
        rest = f"{rest} {_strip_comment(lines[end])}".strip()
    if not closing or not rest.endswith(closing):
        raise DatasetError(f"{path}, line {start + 1}: expected names as [a, b], as {{0: a, 1: b}} or one a line")
    inner, items, position = rest[1:-1].strip().removesuffix(","), [], 0
    while position < len(inner):
        match = _FLOW_ITEM.match(inner, position)
        if match is None or (match.group(2) is None) != (closing == "]"):
            raise DatasetError(f"{path}, line {start + 1}: cannot read the names at {inner[position:].strip()[:30]!r}")
        items.append(match)
        position = match.end()
    if closing == "]":
        return [_unquote(match.group(3)) for match in items]
    return _in_order({int(match.group(2)): _unquote(match.group(3)) for match in items}, path)


def _in_order(keyed: dict[int, str], path: Path) -> list[str]:
    if sorted(keyed) != list(range(len(keyed))):
        raise DatasetError(f"{path}: expected class numbers 0 to {len(keyed) - 1} without gaps, got {sorted(keyed)}")
    return [keyed[index] for index in range(len(keyed))]


def _strip_comment(line: str) -> str:
    # A # opens a comment only after a blank, and not inside quotes.
    quote = ""
    for index, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (index == 0 or line[index - 1] in " ,[{:'"):
            quote = char
        elif char == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index].strip()
    return line.strip()


def _unquote(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
