"""Latency of .tflite files on Android phones, over adb: what is attached, whether it is fit, how fast the files run.

nasfpn-lite android VERB --help tells the options of a verb.
"""

import argparse
import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

VERBS = {
    "devices": ("nasfpn_lite.android_bench.cli_android_devices", "list the phones that are attached"),
    "doctor": ("nasfpn_lite.android_bench.cli_android_doctor", "say what stands against measuring, before any run"),
    "bench": ("nasfpn_lite.android_bench.cli_android_bench", "measure .tflite files on all phones at once"),
    "compare": ("nasfpn_lite.android_bench.cli_android_compare", "say which of two files is faster, if that is shown"),
    "eval": ("nasfpn_lite.android_bench.cli_android_eval", "COCO AP of a .tflite file that runs on the phone"),
    "profile": (
        "nasfpn_lite.android_bench.cli_android_profile",
        "where the time of a .tflite file goes, layer by layer",
    ),
    "predict": (
        "nasfpn_lite.android_bench.cli_android_predict",
        "latency of a .tflite file without the phone, from profiles of others",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verbs, each with its options."""
    verbs = parser.add_subparsers(dest="android_verb", required=True, metavar="|".join(VERBS))
    for name, (module_name, text) in VERBS.items():
        module = importlib.import_module(module_name)
        verb = verbs.add_parser(name, help=text, description=module.__doc__)
        # As after every other verb; without a default of its own, which would undo a -v before the verb.
        verb.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say more on stderr")
        module.add_arguments(verb)


def run(args: argparse.Namespace) -> int:
    """Runs the chosen verb."""
    module = importlib.import_module(VERBS[args.android_verb][0])
    with end_as_ctrl_c_does():
        code: int = module.run(args)
    return code


@contextmanager
def end_as_ctrl_c_does() -> Iterator[None]:
    """Lets a signal that would end this process raise KeyboardInterrupt: nothing then stays on a phone.

    A signal that is ignored, as by nohup, stays ignored; other threads than the main one have no signals.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    deadly = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in deadly:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in deadly:
            signal.signal(number, signal.SIG_DFL)
