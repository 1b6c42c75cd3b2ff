"""Programs that take turns: one measures while the others wait, so that whatever a machine does beside meets them all.

A program prints a line of JSON when it is ready. Each line on its standard input asks for a turn; it answers with
{"seconds", "cpu_seconds", "steps"}. Where its input ends, so does it.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError

_SHOWN_LINES = 6
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Program:
    """How to start a program.

    Attributes:
        name: For messages and tables.
        environment: Added to this process's.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Turns:
    """What programs said and measured.

    Attributes:
        ready: Of each program, what it said at its start.
        seconds, cpu_seconds: One row a round, one column a program: time and processor time per step.
    """

    ready: tuple[dict[str, Any], ...]
    seconds: tuple[tuple[float, ...], ...]
    cpu_seconds: tuple[tuple[float, ...], ...]


class Player:
    """A running program that waits for its turns; a context manager that ends it."""

    def __init__(self, program: Program, log: Path) -> None:
        self._name, self._log = program.name, log
        environment = {**os.environ, **program.environment}
        try:
            with log.open("wb") as errors:
                self._process = subprocess.Popen(
                    program.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    text=True,
                )
        except OSError as error:
            raise UserError(f"cannot start {program.command[0]} for {program.name}: {error.strerror}") from error

    def listen(self) -> dict[str, Any]:
        """Waits for the program's next line.

        Raises:
            UserError: It ended instead; with the end of what it said on stderr.
        """
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        said = [text for text in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if text.strip()]
        raise UserError(f"{self._name} failed; the end of what it said:\n" + "\n".join(said[-_SHOWN_LINES:]))

    def play(self) -> tuple[float, float]:
        """Gives the program a turn and returns its seconds and processor seconds per step."""
        stdin = self._process.stdin
        if stdin:
            try:
                print("turn", file=stdin, flush=True)
            except BrokenPipeError:
                pass  # it ended; listening tells why
        answer = self.listen()
        return answer["seconds"] / answer["steps"], answer["cpu_seconds"] / answer["steps"]

    def __enter__(self) -> "Player":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._process.communicate(timeout=_PATIENCE_S)  # closes its input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def take_turns(programs: Sequence[Program], rounds: int) -> Turns:
    """Starts programs one after another and lets them measure in turns; a first turn of each does not count.

    Raises:
        UserError: A program cannot be started, or fails.
    """
    with tempfile.TemporaryDirectory(prefix="nasfpn-lite-turns-") as folder, ExitStack() as stack:
        players, ready = [], []
        for number, program in enumerate(programs):
            players.append(stack.enter_context(Player(program, Path(folder) / f"{number}.txt")))
            ready.append(players[-1].listen())
            players[-1].play()
        table = [[player.play() for player in players] for _ in range(rounds)]
    seconds, cpu_seconds = (tuple(tuple(cell[kind] for cell in row) for row in table) for kind in (0, 1))
    return Turns(tuple(ready), seconds, cpu_seconds)
