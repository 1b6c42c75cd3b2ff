"""What the pages of this room are put together from: notes, tables, short names of files."""

import re
from collections.abc import Sequence
from html import escape
from os.path import commonprefix
from pathlib import PurePath

_LONGEST_LABEL = 22  # characters that a chart has room for
_LONGEST_FIGURE = 30  # characters; longer cells of a table may take several lines
_FIGURE = re.compile(r"–|[+-]?\d.*")


def paragraphs(texts: Sequence[str]) -> str:
    """Returns notes, without the empty ones."""
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts if text)


def warnings(texts: Sequence[str]) -> str:
    """Returns notes that nobody may overlook."""
    return "".join(f'<p class="note warning">{escape(text)}</p>' for text in texts if text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of plain texts; the first of each row names it. Columns of figures end, others begin together."""
    of_words = [not all(map(_is_figure, column)) for column in zip(*rows, strict=True)] or [False] * len(head)
    titles = "".join(
        f'<th scope="col"{_class("words" if words else "")}>{escape(text)}</th>'
        for text, words in zip(head, of_words, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{_break(row[0])}</th>{"".join(map(_cell, row[1:], of_words[1:]))}</tr>' for row in rows
    )
    return f'<div class="wide"><table class="texts"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_figure(text: str) -> bool:
    return len(text) <= _LONGEST_FIGURE and _FIGURE.fullmatch(text) is not None


def _cell(text: str, words: bool) -> str:
    return f"<td{_class('text' if len(text) > _LONGEST_FIGURE else 'words' if words else '')}>{escape(text)}</td>"


def _break(text: str) -> str:
    """Lets a long name of a file break after its parts."""
    return escape(text).replace("_", "_<wbr>").replace("/", "/<wbr>")


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def base_names(names: Sequence[str]) -> list[str]:
    """Returns names of files without their folders, where that tells them apart."""
    bare = [PurePath(name).name for name in names]
    return bare if len(set(bare)) == len(set(names)) else list(names)


def shorten(names: Sequence[str], longest: int = _LONGEST_LABEL) -> list[str]:
    """Returns short names of files: without folder, ".tflite" and the words that all of them begin with."""
    stems = [PurePath(name).name.removesuffix(".tflite") for name in names]
    shared = commonprefix(stems)
    start = shared.rfind("_") + 1 if len(set(stems)) > 1 else 0
    return [_cut(stem[start:], longest) for stem in stems]


def _cut(text: str, longest: int) -> str:
    """Takes a long text's middle out: its ends tell files apart."""
    head = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:head]}…{text[head + 1 - longest :]}"
