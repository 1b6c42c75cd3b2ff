"""The command `nasfpn-lite VERB`: a table of verbs; only the chosen verb's module is imported.

A verb module has `add_arguments(parser)` and `run(args) -> int`; what is heavy it imports inside `run`.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence

from nasfpn_lite import __version__
from nasfpn_lite.errors import UserError

PROGRAM = "nasfpn-lite"
EXIT_USER_ERROR = 2
EXIT_OVER_BUDGET = 3  # a file lost more AP than allowed, and was not kept
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("nasfpn_lite.benchmarks.cli_demo", "train, convert, score and time a small detector; writes a report"),
    "data": ("nasfpn_lite.cli.data", "check a folder of labelled photos, or import one from VOC or YOLO"),
    "train": ("nasfpn_lite.cli.train", "train a detector on a COCO folder"),
    "eval": ("nasfpn_lite.converters.cli_eval", "COCO AP of a run or a .tflite file"),
    "predict": ("nasfpn_lite.converters.cli_predict", "draw what a run or a .tflite file finds in photos"),
    "convert": ("nasfpn_lite.converters.cli_convert", "make .tflite files of a run or a variant"),
    "quantize": ("nasfpn_lite.converters.cli_quantize", "quantization-aware training of a run, and its .tflite files"),
    "doctor": ("nasfpn_lite.converters.cli_doctor", "what quantization would do to each layer, before any training"),
    "inspect": ("nasfpn_lite.converters.cli_inspect", "what a .tflite file really computes with: int8, float, XNNPACK"),
    "contract": ("nasfpn_lite.converters.cli_contract", "what an app must know of a .tflite file; makes its decoders"),
    "parity": ("nasfpn_lite.converters.cli_parity", "how far a .tflite is from its run, layer by layer"),
    "bench": ("nasfpn_lite.benchmarks.cli_bench", "latency and memory of .tflite files on this machine"),
    "android": ("nasfpn_lite.android_bench.cli_android", "latency of .tflite files on phones, over adb"),
    "cost": ("nasfpn_lite.cli.cost", "parameters and FLOPs of a variant"),
    "report": ("nasfpn_lite.android_bench.cli_report", "write the report of a run again, with its latency on phones"),
}

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    split = next((i for i, text in enumerate(arguments) if not text.startswith("-")), len(arguments))
    top = _top_parser().parse_args(arguments[: split + 1])
    args = verb_parser(top.verb, verbose=top.verbose).parse_args(arguments[split + 1 :])
    _set_up_logging(args.verbose)
    if not args.verbose:
        _quiet_native_code()
    return _run(importlib.import_module(VERBS[top.verb][0]).run, args)


def verb_parser(verb: str, *, verbose: bool = False) -> argparse.ArgumentParser:
    """Returns the parser of what follows a verb; imports the verb's module and no other."""
    module = importlib.import_module(VERBS[verb][0])
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {verb}", description=module.__doc__ or VERBS[verb][1])
    _add_verbose(parser, default=verbose)
    module.add_arguments(parser)
    return parser


def _run(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    try:
        code = run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        logger.debug("where it came from:", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except ModuleNotFoundError as error:
        if (error.name or PROGRAM).partition(".")[0] == "nasfpn_lite":
            raise
        logger.debug("where it came from:", exc_info=True)
        remedy = f'install it with: pip install "{PROGRAM}[all]"'
        print(f"error: this command needs the Python package {error.name!r}; {remedy}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; without this the interpreter complains once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if error.filename is None:
            raise
        logger.debug("where it came from:", exc_info=True)
        print(f"error: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_USER_ERROR


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    table = "\n".join(f"  {verb:{width}}  {text}" for verb, (_, text) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [-h] [--version] [-v] VERB ...",
        description="From a folder of photos to a detector that runs on a phone.",
        epilog=f"verbs:\n{table}\n\n{PROGRAM} VERB --help tells the options of a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_verbose(parser, default=False)
    parser.add_argument("verb", metavar="VERB", choices=list(VERBS), help="what to do, see below")
    return parser


def _add_verbose(parser: argparse.ArgumentParser, *, default: bool) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", default=default, help="say more on stderr")


def _quiet_native_code() -> None:
    """Keeps most of TensorFlow's native lines off stderr; a few that it writes while it is imported heed nothing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _set_up_logging(verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s" if verbose else "%(message)s",
        force=True,
    )
    logging.getLogger("nasfpn_lite").setLevel(logging.DEBUG if verbose else logging.INFO)
