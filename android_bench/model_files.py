"""The .tflite files of a session as they are known before any phone runs them."""

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.session_options import SessionError
from nasfpn_lite.errors import UserError

FLATBUFFER_IDENTIFIER = b"TFL3"  # at byte 4
ONE_KIND = 0.9  # of the multiply-adds, for a file to count as of one kind


@dataclass(frozen=True)
class ModelFile:
    """One file.

    Attributes:
        name: What the user called it.
        arithmetic: What most multiply-adds compute with, "int8", "float", "hybrid" ...; "mixed" if no kind does most;
            None if there are none, or nothing here can read them.
        multiply_adds: Of one run; None likewise.
    """

    path: Path
    name: str
    sha256: str
    size_bytes: int
    arithmetic: str | None
    multiply_adds: int | None


def read_model_files(paths: Sequence[Path]) -> tuple[ModelFile, ...]:
    """Reads what a session must know of its files.

    Raises:
        SessionError: There is none, one is missing, no .tflite or of several signatures, or one is named twice.
    """
    if not paths:
        raise SessionError("expected at least one .tflite file, got none")
    twice = sorted(str(path) for path, count in Counter(paths).items() if count > 1)
    if twice:
        raise SessionError(f"expected each file once, got twice: {', '.join(twice)}")
    return tuple(_read(Path(path)) for path in paths)


def _read(path: Path) -> ModelFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SessionError(f"expected a .tflite file in {path}, but cannot read it: {error.strerror}") from error
    if data[4:8] != FLATBUFFER_IDENTIFIER:
        raise SessionError(f"expected a .tflite file in {path}, but its bytes 4 to 8 are {data[4:8]!r}, not b'TFL3'")
    signatures = _find_signatures(data)
    if len(signatures) > 1:  # both runners would run the first subgraph and never say so
        raise SessionError(
            f"{path} holds several signatures ({', '.join(signatures)}), and a runner on the phone "
            "times the first alone; time all of them here with `nasfpn-lite bench`, or convert with `--form raw`"
        )
    return ModelFile(path, str(path), hashlib.sha256(data).hexdigest(), len(data), *find_work(path))


def _find_signatures(data: bytes) -> list[str]:
    from nasfpn_lite.converters.metadata import signature_names  # here, for it takes NumPy, too slow for --help

    try:
        return signature_names(data)
    except (struct.error, IndexError):
        return []  # whether a damaged file runs is for the phone to say


def find_work(path: Path) -> tuple[str | None, int | None]:
    """Returns what most of a file's multiply-adds compute with, and how many there are; see `ModelFile`.

    Nothing is known on a machine without ai-edge-litert, whose schema it takes, nor of a damaged file: whether that one
    runs is for the phone to say.
    """
    try:
        from nasfpn_lite.converters.graph_view import view_graphs
        from nasfpn_lite.converters.inspect_ops import read_model

        operators = view_graphs(read_model(path))[0].operators
    except UserError:
        return None, None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("ai_edge_litert", "flatbuffers", "numpy"):
            raise
        return None, None
    work: Counter[str] = Counter()
    for operator in operators:
        if operator.multiply_adds:
            work[operator.arithmetic()] += operator.multiply_adds
    if not work:
        return None, None
    kind, most = work.most_common(1)[0]
    return (kind if most >= ONE_KIND * work.total() else "mixed"), work.total()
