"""Write report.html of a run folder again, from what it holds; with --android, add AP against latency on phones.

The latencies come from what `android bench` wrote. AP comes from results.json of the run, from the certificates inside
the measured files, and from --ap: what `eval --json` or `android eval --json` printed. Without RUN, the page lies
beside the JSON of `android bench`. Prints the path of the page.
"""

import argparse
from pathlib import Path

from nasfpn_lite.errors import UserError

PAGE_FILE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "run_folder",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="a run folder, as `demo` or `train` leaves it; may be left out with --android",
    )
    parser.add_argument(
        "--android", type=Path, nargs="+", default=[], metavar="PATH", help="JSON of `android bench`, or its folder"
    )
    parser.add_argument(
        "--ap",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="where AP is recorded: JSON of `eval` or `android eval`, results.json, a certificate",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the report and prints its path."""
    from nasfpn_lite.benchmarks.report import write_report

    if not args.android:
        if args.run_folder is None or args.ap:
            raise UserError("expected a RUN folder, or --android with what `android bench` wrote (--ap goes with it)")
        print(write_report(args.run_folder))
        return 0
    from nasfpn_lite.android_bench.ap_latency import TITLE

    body = _render_phones(args)
    print(_write_page(args, body) if args.run_folder is None else write_report(args.run_folder, {TITLE: body}))
    return 0


def _render_phones(args: argparse.Namespace) -> str:
    from nasfpn_lite.android_bench.ap_claims import RESULTS_FILE, read_claims
    from nasfpn_lite.android_bench.ap_latency import read_sessions, render_ap_latency

    # A run that was only trained has no figures of files yet.
    of_run = [args.run_folder] if args.run_folder and (args.run_folder / RESULTS_FILE).is_file() else []
    return render_ap_latency(read_sessions(args.android), read_claims([*args.ap, *of_run]))


def _write_page(args: argparse.Namespace, body: str) -> Path:
    """Writes a page beside the sessions."""
    from nasfpn_lite.android_bench.ap_latency import TITLE
    from nasfpn_lite.benchmarks.report_page import fill_page
    from nasfpn_lite.files import write_text_atomically

    first: Path = args.android[0]
    path = (first if first.is_dir() else first.parent) / PAGE_FILE
    write_text_atomically(path, fill_page(title=TITLE, subtitle="", body=body))
    return path
