"""Many texts in one round trip."""

import pytest

from nasfpn_lite.android_bench.phone_files import parse_sections, read_many, to_int
from tests.fake_measured_phone import FakePhone


def test_one_script_reads_files_and_commands(tmp_path):
    phone = FakePhone(tmp_path, {"/sys/a1/x": "1", "/sys/a2/x": "two\nlines\n", "/sys/ab/x": "no number"}, {})
    phone.set_command("getprop ro.product.model", "Pixel 6")
    texts = read_many(phone, files=["/sys/a[0-9]*/x", "/sys/missing"], commands={"model": "getprop ro.product.model"})
    assert texts == {"model": "Pixel 6", "/sys/a1/x": "1", "/sys/a2/x": "two"}  # the first line without its newline too
    assert phone.scripts == 1


def test_what_cannot_be_read_has_no_entry(tmp_path):
    phone = FakePhone(tmp_path, {"/sys/empty": "\n"}, {})
    commands = {"nothing": "getprop ro.none", "unknown": "no_such_program", "after": "echo here"}
    assert read_many(phone, files=["/sys/empty"], commands=commands) == {"after": "here"}


def test_a_failing_command_does_not_stop_the_others(tmp_path):
    commands = {"first": "exit_with() { return 3; }; exit_with", "second": "echo yes; false"}
    assert read_many(FakePhone(tmp_path), commands=commands) == {"second": "yes"}


def test_carriage_returns_of_old_phones_are_dropped():
    assert parse_sections("\r\n@@nasfpn a\r\n1\r\n\r\n@@nasfpn b\r\n2\r\n") == {"a": "1", "b": "2"}


def test_text_before_the_first_mark_is_no_section():
    assert parse_sections("WARNING: linker\n@@nasfpn a\n@@other\n") == {"a": "@@other"}


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), (" 7\n", 7), ("-3", -3), ("1.5", None), ("", None), (None, None)]
)
def test_to_int(text, number):
    assert to_int(text) == number
