"""Latency of .tflite files on Android phones, over adb: what is attached, whether it is fit, how fast the files run.

nasfpn-lite android VERB --help tells the options of a verb.
"""

import argparse
import importlib

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
    code: int = importlib.import_module(VERBS[args.android_verb][0]).run(args)
    return code
