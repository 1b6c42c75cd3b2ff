"""Files of sessions: written only if they can be read, refused with the path of what is wrong."""

import json
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.record_files import (
    check_record,
    list_records,
    read_folder,
    read_record,
    to_file_stem,
    write_record,
)
from nasfpn_lite.android_bench.records import SCHEMA
from tests.fake_measured_phone import make_result

BASE = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3]
RESULT = make_result(BASE, [8.0] * 6, arithmetics=["float", "int8"])


@pytest.mark.parametrize("result", [RESULT, make_result(BASE, reasons=["it throttled"])])
def test_round_trip(tmp_path, result):
    path = tmp_path / "new" / "a.json"
    write_record(path, result)
    assert read_record(path) == result


@pytest.fixture
def data(tmp_path):
    write_record(tmp_path / "a.json", RESULT)
    return json.loads((tmp_path / "a.json").read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=[]), r"schema: expected nasfpn-lite/android-bench or .*, got \[\]"),
        (lambda d: d.update(schema="other"), "schema: expected nasfpn-lite/android-bench or .*, got 'other'"),
        (lambda d: d.update(version=2), "version: expected 1, got 2; use the release that wrote it"),
        (lambda d: d["files"][1].update(latency_ms_p50="fast"), r"files\[1\].latency_ms_p50: expected a number"),
        (lambda d: d["files"][1].update(latency_ms_p50=-1.0), r"files\[1\].latency_ms_p50: expected more than 0"),
        (lambda d: d["files"][0].update(latency_ms_p50=None), r"files\[0\].latency_ms_p50: expected a figure just"),
        (lambda d: d["files"][0].update(verdict="fine"), r"files\[0\].verdict: expected 'trustworthy' or"),
        (lambda d: d["rounds"][3]["turns"].pop(), r"rounds\[3\].turns: expected one for each of 2 files, got 1"),
        (lambda d: d["rounds"][2]["turns"][0].update(runs=0), r"rounds\[2\].turns\[0\].runs: expected more than 0"),
        (
            lambda d: d["rounds"][2]["turns"][0].update(latency_ms_min=99.0),
            r"rounds\[2\].turns\[0\].latency_ms_min: expected at",
        ),
        (lambda d: d["rounds"][0]["before"].pop("load_average"), r"rounds\[0\].before.load_average: is missing"),
        (lambda d: d.update(reasons=["hot"]), "reasons: expected reasons just where it is not trustworthy"),
        (lambda d: d["phone"]["clusters"][0].update(cores="03"), r"phone.clusters\[0\].cores: expected a list"),
        (lambda d: d.update(note="x"), "note: is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(data, change, message):
    assert check_record(data) == RESULT
    change(data)
    with pytest.raises(RecordError, match=f"^{message}"):
        check_record(data)


def test_a_list_is_no_record():
    with pytest.raises(RecordError, match="schema: expected"):
        check_record([])


def test_the_file_is_named(tmp_path, data):
    path = tmp_path / "b.json"
    del data["how"]["threads"]
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=r"b.json: how.threads: is missing"):
        read_record(path)
    path.write_text("{")
    with pytest.raises(RecordError, match="b.json: is no JSON"):
        read_record(path)


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(RecordError, match="phone.sdk: expected a whole number"):
        write_record(path, replace(RESULT, phone=replace(RESULT.phone, sdk="29")))
    assert not path.exists()


def test_records_of_a_folder(tmp_path, caplog):
    write_record(tmp_path / "b.json", RESULT)
    for name, text in (
        ("a", '{"schema": "other"}'),
        ("c", "["),
        ("d", '{"schema": []}'),
        ("e", f'{{"schema": "{SCHEMA}"}}'),
    ):
        (tmp_path / f"{name}.json").write_text(text)
    assert [path.name for path in list_records(tmp_path, [SCHEMA])] == ["b.json", "c.json", "e.json"]
    assert list_records(tmp_path / "none", [SCHEMA]) == []
    assert read_folder(tmp_path, [SCHEMA], read_record) == [RESULT]
    assert [message.split(": ")[1].rpartition("/")[2] for message in caplog.messages] == ["c.json", "e.json"]


@pytest.mark.parametrize("serial", ["HT6980200123", "emulator-5554"])
def test_plain_serials_name_their_files(serial):
    assert to_file_stem(serial) == serial


@pytest.mark.parametrize(
    "serial", ["../../etc/x", "a b", "127.0.0.1:5555", ".hidden", "..", "a/b", "x" * 300, "é", "a\0b"]
)
def test_other_serials_give_safe_names(serial):
    stem = to_file_stem(serial)
    assert not stem.startswith(".")
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert len(stem) <= 69


def test_different_serials_give_different_names():
    serials = ["127.0.0.1:5555", "127.0.0.1_5555", "127.0.0.1/5555"]
    assert len({to_file_stem(serial) for serial in serials}) == 3
