"""Lets every fault happen on simulated phones, and writes a table of what the user sees.

    python -m tests.phone_trials.try_faults -o faults.md [--only TEXT]

Exit code 1 if one is not as it must be: another exit code, a message without its advice, a traceback, or something left
on a phone. Needs root and Debian's packages, as the tests with phones do.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from nasfpn_lite.android_bench.runners import find_own_runner
from nasfpn_lite.files import write_text_atomically
from tests.android_bench.phone.phone_rootfs import Rootfs, build_rootfs
from tests.android_bench.phone.phone_server import AdbServer
from tests.phone_trials.fault_trial import REPOSITORY, Seen, Trial
from tests.phone_trials.faults import Fault, list_faults

LONGEST_TEXT = 700
PHONE_IS_GONE = {
    "device lost mid-run",
    "two devices, one of them lost mid-run",
}  # what stays there is removed when the session goes on


def main() -> int:
    """Tries the faults and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("faults.md"), help="(default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="faults with this in their names")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts this may ignore it, and so would the command
    rootfs = build_rootfs("x86_64")
    find_own_runner("x86_64")  # built before the first clock starts
    rows, wrong = [], 0
    for fault in list_faults():
        if args.only not in fault.name:
            continue
        seen = try_fault(fault, rootfs)
        problems = find_problems(fault, seen)
        wrong += bool(problems)
        rows.append(to_row(fault, seen, problems))
        print(f"{fault.name}: exit code {seen.exit_code}, {seen.seconds:.1f} s {'; '.join(problems)}", flush=True)
    head = "| fault | exit code | what the user sees |\n| --- | --- | --- |\n"
    write_text_atomically(args.output, head + "\n".join(rows) + "\n")
    return 1 if wrong else 0


def try_fault(fault: Fault, rootfs: Rootfs) -> Seen:
    """Lets a fault happen to phones and an adb server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "adb").mkdir()
        server = AdbServer(Path(folder, "adb"))
        try:
            with Trial(rootfs, server, Path(folder)) as trial:
                return fault.happen(trial)
        finally:
            server.stop()


def find_problems(fault: Fault, seen: Seen) -> list[str]:
    """Says what is not as it must be."""
    text = "\n".join(seen.lines)
    problems = []
    if seen.exit_code != fault.exit_code:
        problems.append(f"WRONG: expected exit code {fault.exit_code}")
    if fault.said not in text:
        problems.append(f"WRONG: expected {fault.said!r} in what is said")
    if "Traceback" in text:
        problems.append("WRONG: a traceback")
    if seen.left and fault.name not in PHONE_IS_GONE:
        problems.append(f"WRONG: left on the phone: {', '.join(seen.left)}")
    return problems


def to_row(fault: Fault, seen: Seen, problems: list[str]) -> str:
    """Returns a line of the table."""
    text = "\n".join(seen.lines).replace(f"{REPOSITORY}/", "")
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT // 2] + " … " + text[-LONGEST_TEXT // 2 :]
    cells = [f"**{fault.name}**", str(seen.exit_code), "<br>".join(_to_code(line) for line in text.splitlines())]
    return f"| {' | '.join([cells[0], cells[1], '<br>'.join([cells[2], *problems])])} |"


def _to_code(line: str) -> str:
    """Returns a line as it stands, for a cell of a table."""
    return "`" + " ".join(line.replace("`", "'").replace("|", "\\|").split()) + "`"


if __name__ == "__main__":
    sys.exit(main())
