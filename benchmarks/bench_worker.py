"""One process that holds one .tflite file and runs it when told: a JSON request a line in, a JSON answer a line out."""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasfpn_lite.benchmarks.memory import peak_memory_bytes
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.benchmarks.end_to_end import EndToEnd


class Worker:
    """Holds a network and measures it.

    Attributes:
        description: What the parent wants to know at the start.
    """

    def __init__(self, path: Path, *, threads: int, image: Path | None) -> None:
        self._path, self._threads, self._image = path, threads, image
        memory_before = peak_memory_bytes()
        start = time.perf_counter()
        self._interpreter = make_interpreter(path, threads=threads)
        self._interpreter.allocate_tensors()
        init_ms = (time.perf_counter() - start) * 1e3
        self._memory_before = memory_before
        self._inputs = self._interpreter.get_input_details()
        self._chain = find_chain(self._interpreter)
        self._end_to_end: EndToEnd | None = None
        first = self._inputs[0]
        self.description = {
            "init_ms": init_ms,
            "input_shape": [int(side) for side in first["shape"]],
            "input_dtype": np.dtype(first["dtype"]).name,
            "exits": len(self._chain.exits) if self._chain else 0,
        }
        self._fill_inputs()

    def run(self, *, seconds: float, least: int) -> list[float]:
        """Runs the network once untimed, since other files have used the caches, then for about `seconds`, in ms."""
        return _time_calls(self._chain or self._interpreter.invoke, seconds=seconds, least=least)

    def exits(self, *, seconds: float, least: int) -> list[list[float]]:
        """Runs all exits of a file of several; returns for each exit when it had ended, in ms from the run's start."""
        if self._chain is None:
            return []
        self._chain.ended_ms.clear()
        _time_calls(self._chain, seconds=seconds, least=least)
        runs = self._chain.ended_ms[1:]  # the first is not timed
        return [list(ended) for ended in zip(*runs, strict=True)]

    def memory(self) -> dict[str, int]:
        """Returns the peak so far and how much of it came with the model."""
        peak = peak_memory_bytes()
        return {"peak_memory_bytes": peak, "model_memory_bytes": peak - self._memory_before}

    def end_to_end(self, *, seconds: float, least: int) -> dict[str, Any]:
        """Times one photo from file to boxes, in ms; no times without a photo or where the input is no image."""
        if self._end_to_end is None and self._image is not None:
            from nasfpn_lite.benchmarks.end_to_end import find_end_to_end  # OpenCV would count as the model's memory

            self._end_to_end = find_end_to_end(self._path, self._interpreter, image=self._image, threads=self._threads)
        if self._end_to_end is None:
            return {"steps": [], "times_ms": []}
        times_ms = _time_calls(self._end_to_end.call, seconds=seconds, least=least)
        return {"steps": list(self._end_to_end.steps), "times_ms": times_ms}

    def _fill_inputs(self) -> None:
        random = np.random.default_rng(0)
        for detail in self._inputs:
            self._interpreter.set_tensor(detail["index"], make_random_input(random, detail))


class Chain:
    """The signatures exit_1, exit_2, ... in turn, each on the features of the one before."""

    def __init__(self, interpreter: Any, names: Sequence[str]) -> None:
        self.exits = [interpreter.get_signature_runner(name) for name in names]
        random = np.random.default_rng(0)
        self._given = {name: make_random_input(random, x) for name, x in self.exits[0].get_input_details().items()}
        self._takes = [list(runner.get_input_details()) for runner in self.exits[1:]]
        self.ended_ms: list[list[float]] = []

    def __call__(self) -> None:
        start, ended, given = time.perf_counter(), [], self._given
        for runner, takes in zip(self.exits, [*self._takes, []], strict=True):
            found = runner(**given)
            given = {name: found[name] for name in takes}
            ended.append((time.perf_counter() - start) * 1e3)
        self.ended_ms.append(ended)


def find_chain(interpreter: Any) -> Chain | None:
    """Returns what runs all exits of a file of several; None for any other file."""
    there = set(interpreter.get_signature_list())
    names = list(itertools.takewhile(there.__contains__, (f"exit_{n}" for n in itertools.count(1))))
    return Chain(interpreter, names) if names else None


def make_random_input(random: np.random.Generator, detail: Any) -> np.ndarray:
    """Makes an array of an input's shape and dtype: floats in -1..1, eight-bit integers over their whole range."""
    shape, dtype = tuple(int(side) for side in detail["shape"]), np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return random.uniform(-1, 1, shape).astype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(dtype)
    if dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return np.ones(shape, dtype)  # wider integers are sizes or indices: 1 is the safest


def _time_calls(call: Callable[[], Any], *, seconds: float, least: int) -> list[float]:
    call()
    times_ms: list[float] = []
    end = time.perf_counter() + seconds
    while len(times_ms) < least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - start) * 1e3)
    return times_ms


def _serve(worker: Worker, requests: Any, answer: Callable[[dict[str, Any]], None]) -> None:
    for line in requests:
        request = json.loads(line)
        verb = request.pop("verb")
        if verb == "run":
            answer({"times_ms": worker.run(**request)})
        elif verb == "exits":
            answer({"exits_ms": worker.exits(**request)})
        elif verb == "memory":
            answer(dict(worker.memory()))
        elif verb == "end_to_end":
            answer(worker.end_to_end(**request))
        else:
            raise ValueError(f"unknown verb {verb!r}; there are run, exits, memory, end_to_end")


def main(argv: list[str] | None = None) -> int:
    """Serves one file until its standard input ends."""
    parser = argparse.ArgumentParser(description="Hold one .tflite file and run it on request (used by bench).")
    parser.add_argument("file", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--image", type=Path)
    args = parser.parse_args(argv)
    # Native libraries may print to standard output, which is the answers' pipe: give them standard error instead.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(data: dict[str, Any]) -> None:
        answers.write(json.dumps(data) + "\n")
        answers.flush()

    try:
        worker = Worker(args.file, threads=args.threads, image=args.image)
        answer(worker.description)
        _serve(worker, sys.stdin, answer)
    except (UserError, RuntimeError, ValueError) as error:  # what the interpreter raises for a file it cannot run
        answer({"error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
