"""A journal outlasts kills, and belongs to one session."""

import json
import multiprocessing

import pytest

from nasfpn_lite.android_bench.journal import Journal, JournalError, count_rounds, find_finished, mark_finished

IDENTITY = {"serial": "A", "files": [["a.tflite", "00ff"]], "options": {"accepted": ("spread",)}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "a.journal.jsonl"


def test_entries_are_there_again(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="turn", value=1.5)
        journal.append(kind="turn", value=None)
    with Journal(path, IDENTITY) as journal:
        assert journal.entries == [{"kind": "turn", "value": 1.5}, {"kind": "turn", "value": None}]
        journal.append(kind="end")
    assert [json.loads(line).get("kind") for line in path.read_text().splitlines()] == [None, "turn", "turn", "end"]


def test_each_entry_is_on_disk_before_append_returns(path, monkeypatch):
    synced = []
    with Journal(path, IDENTITY) as journal:
        monkeypatch.setattr("os.fsync", lambda handle: synced.append(path.read_text().count("\n")))
        journal.append(kind="turn")
    assert synced == [2]


def test_a_line_that_a_kill_cut_off_is_dropped(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="turn", file=0)
    with path.open("a") as file:
        file.write('{"kind": "tu')
    with Journal(path, IDENTITY) as journal:
        assert journal.entries == [{"kind": "turn", "file": 0}]
        journal.append(kind="turn", file=1)
    with Journal(path, IDENTITY) as journal:
        assert [entry["file"] for entry in journal.entries] == [0, 1]


def test_a_kill_in_the_first_line_begins_anew(path):
    path.parent.mkdir()
    path.write_text('{"format": "nasf')
    with Journal(path, IDENTITY) as journal:
        assert journal.entries == []
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"files": [["a.tflite", "0000"]]}, "files"),
        ({"options": {"accepted": ()}}, "options"),
        ({"serial": "B"}, "serial"),
        ({"more": 1}, "more"),
    ],
)
def test_another_session_is_refused(path, change, named):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="turn")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=rf"its {named} is .* --restart"):
        Journal(path, {**IDENTITY, **change})
    assert path.read_bytes() == before


def test_only_the_options_that_differ_are_shown(path):
    with Journal(path, {"options": {"runs": 50, "cores": "big"}}) as journal:
        journal.append(kind="turn")
    with pytest.raises(JournalError, match=r'its options is {"cores": "big"}, here it is {"cores": "all"}; '):
        Journal(path, {"options": {"runs": 50, "cores": "all"}})


def test_a_session_that_failed_before_its_first_turn_stands_in_nobodys_way(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="start", at="2026-01-31T12:00:00Z")
        journal.append(kind="folder", folder="/data/local/tmp/nasfpn-lite-0")
    for identity in (IDENTITY, {**IDENTITY, "serial": "B"}):
        with Journal(path, identity) as journal:  # what may still lie on the phone is not forgotten
            assert journal.entries == [{"kind": "folder", "folder": "/data/local/tmp/nasfpn-lite-0"}]


def test_a_restart_forgets_all_but_the_folders_on_the_phone(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="folder", folder="/data/local/tmp/nasfpn-lite-0")
        journal.append(kind="turn")
    with path.open("a") as file:
        file.write("damaged\n")
    with Journal(path, {"serial": "B"}, restart=True) as journal:
        assert journal.entries == [{"kind": "folder", "folder": "/data/local/tmp/nasfpn-lite-0"}]
    assert [json.loads(line) for line in path.read_text().splitlines()][0]["serial"] == "B"


def test_damage_in_the_middle_is_named(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="turn")
    path.write_text(path.read_text().replace('"turn"', "turn") + '{"kind": "end"}\n')
    with pytest.raises(JournalError, match="damaged in line 2"):
        Journal(path, IDENTITY)


def test_nan_is_no_json(path):
    with Journal(path, IDENTITY) as journal, pytest.raises(ValueError, match="JSON"):
        journal.append(value=float("nan"))


def _try_to_open(path, answers, restart):
    try:
        Journal(path, IDENTITY, restart=restart).close()
        answers.put("opened")
    except JournalError as error:
        answers.put(str(error))


@pytest.mark.parametrize("restart", [False, True])
def test_a_second_session_waits(path, restart):
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="turn")
        process = context.Process(target=_try_to_open, args=(path, answers, restart))
        process.start()
        process.join()
        assert "is in use by another session" in answers.get()
        assert path.read_text().count("\n") == 2


def test_a_finished_session_stands_until_another_one_begins(path):
    with Journal(path, IDENTITY) as journal:
        journal.append(kind="folder", folder="/data/local/tmp/x")
        journal.append(kind="turn")
    result = path.parent / "result.json"
    assert find_finished(path) is None
    mark_finished(path, result.name)
    assert find_finished(path) is None  # its file is gone
    result.touch()
    assert find_finished(path) == result
    with Journal(path, IDENTITY) as journal:
        assert [entry["kind"] for entry in journal.entries] == ["folder", "turn", "result"]
    with Journal(path, {**IDENTITY, "serial": "B"}) as journal:  # no error: nothing is lost
        assert [entry["kind"] for entry in journal.entries] == ["folder"]
    assert find_finished(path) is None


def test_a_session_without_a_journal_is_not_marked(path):
    mark_finished(path, "result.json")
    assert not path.exists()
    assert (find_finished(path), count_rounds(path)) == (None, 0)


def test_rounds_of_a_damaged_journal(path):
    path.parent.mkdir()
    path.write_text('{"kind": "end"}\n{"kind": "turn"}\n[1]\n{"kind": "en\n{"a": 1, "kind": "end"}\n')
    assert count_rounds(path) == 2
