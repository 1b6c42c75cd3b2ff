import argparse
import dataclasses
import importlib

import pytest

from nasfpn_lite.cli.common import (
    add_json_argument,
    add_variant_arguments,
    seed_number,
    spec_from_args,
)
from nasfpn_lite.specs import SpecError
from nasfpn_lite.variants import VARIANTS


def parse(*line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_variant_arguments(parser)
    add_json_argument(parser)
    return parser.parse_args(line)


def test_a_name_alone_is_the_variant_as_it_stands():
    args = parse("nasfpnlite_3x48")
    assert spec_from_args(args) == VARIANTS["nasfpnlite_3x48"]
    assert args.json is False


def test_size_and_classes_change_the_variant():
    args = parse("fpnlite_64", "--size", "192x320", "--classes", "3", "--json")
    expected = dataclasses.replace(VARIANTS["fpnlite_64"], image_size=(192, 320), num_classes=3)
    assert spec_from_args(args) == expected
    assert args.json is True


def test_variant_can_be_named_by_another_argument():
    assert spec_from_args(parse("a/run"), variant="ssdlite") == VARIANTS["ssdlite"]


def test_unknown_variant_is_a_user_error():
    with pytest.raises(SpecError, match="nasfpnlite_3x48"):
        spec_from_args(parse("nasfpnlite_3x47"))


@pytest.mark.parametrize("text", ["0", "7", "4294967295"])
def test_seeds(text):
    assert seed_number(text) == int(text)


@pytest.mark.parametrize("text", ["-1", "4294967296", "x", "1.5", ""])
def test_seeds_that_a_generator_would_refuse(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"in 0\.\.4294967295"):
        seed_number(text)


@pytest.mark.parametrize(
    "module", ["nasfpn_lite.cli.train", "nasfpn_lite.converters.cli_eval", "nasfpn_lite.benchmarks.cli_demo"]
)
def test_every_seed_is_checked(module, capsys):
    parser = argparse.ArgumentParser()
    importlib.import_module(module).add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--seed=-1"])
    assert "argument --seed: expected a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_classes_must_be_a_positive_whole_number(number, capsys):
    with pytest.raises(SystemExit):
        parse("ssdlite", f"--classes={number}")
    assert "at least 1" in capsys.readouterr().err
