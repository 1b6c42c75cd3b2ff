"""Ends of a benchmark tool with exit code 0 that are no measurement: what its log says then, and what to do."""

import re
from collections.abc import Iterable

from nasfpn_lite.errors import UserError


class LogError(UserError):
    """A log that holds no measurement, or not the one that was asked for."""


_TRAPS = (
    (
        re.compile(r"^Unconsumed cmdline flags: (.+)$"),
        "the benchmark tool did not know these flags and ignored them: {}. This build lacks what they ask for (a build "
        "without XNNPACK does not know --use_xnnpack): leave them out, or take another build",
    ),
    (
        re.compile(r"^(Run w/o invoking kernels: \[1\])"),
        "the benchmark tool loaded the model but ran nothing ({}): leave out --dry_run",
    ),
    (
        re.compile(r"^Though (.+) delegate is explicitly applied, the model graph will not be executed"),
        "the {} delegate was asked for and took no part of the model, so that the plain kernels ran: find out why it "
        "refuses the model, or measure without it",
    ),
    (
        re.compile(r"^(\w+ (?:acceleration|delegate) (?:is unsupported|is not supported|isn't supported) .*platform)"),
        "the CPU ran the model without the delegate that was asked for ({}): leave its flag out",
    ),
    (
        re.compile(r"^(Could not create .+ delegate)"),
        "the model ran without the delegate that was asked for ({}): see the log for its missing library, or leave its "
        "flag out",
    ),
    (
        re.compile(r"^(Restored original execution plan after delegate application failure)"),
        "a delegate failed and the plain kernels ran the model ({}): measure without it, or mend the model",
    ),
)


def refuse_traps(lines: Iterable[str]) -> None:
    """Checks the lines of a log, without their levels, for what the tool says when it did not do what it was asked.

    Raises:
        LogError: It ran nothing, ignored flags, or ran without the delegate.
    """
    for line in lines:
        for pattern, message in _TRAPS:
            match = pattern.match(line)
            if match:
                raise LogError(message.format(match.group(1)))
