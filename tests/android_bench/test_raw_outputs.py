import json

import pytest

from nasfpn_lite.android_bench.raw_outputs import RawOutputError, RawTensor, read_raw_outputs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0_a_b.raw").write_bytes(bytes(range(8)))
    (tmp_path / "1_n.raw").write_bytes(b"xy")
    outputs = [
        {"name": "a/b", "file": "0_a_b.raw", "dtype": "int16", "shape": [1, 2], "size_bytes": 4},
        {"name": "n", "file": "1_n.raw", "dtype": "uint8", "shape": [1], "size_bytes": 1},
    ]
    (tmp_path / "outputs.json").write_text(json.dumps({"inputs": ["1.raw", "2.raw"], "outputs": outputs}))
    return tmp_path


def test_read(folder):
    outputs = read_raw_outputs(folder)
    assert outputs.inputs == ("1.raw", "2.raw")
    assert outputs.tensors["a/b"] == RawTensor("a/b", folder / "0_a_b.raw", "int16", (1, 2), 4)
    assert [outputs.tensors["a/b"].read(run) for run in (0, 1)] == [b"\0\1\2\3", b"\4\5\6\7"]
    assert outputs.tensors["n"].read(1) == b"y"


def test_file_that_is_cut(folder):
    (folder / "1_n.raw").write_bytes(b"x")
    with pytest.raises(RawOutputError, match=r"expected 2 x 1 bytes in .*1_n\.raw, got 1"):
        read_raw_outputs(folder)


def test_file_that_is_missing(folder):
    (folder / "1_n.raw").unlink()
    with pytest.raises(RawOutputError, match="got 0"):
        read_raw_outputs(folder)


@pytest.mark.parametrize("text", ["", "{}", '{"inputs": [], "outputs": [{}]}', '{"inputs": 3, "outputs": []}'])
def test_index_that_is_not_whole(folder, text):
    (folder / "outputs.json").write_text(text)
    with pytest.raises(RawOutputError, match="got none that is whole"):
        read_raw_outputs(folder)


def test_index_that_is_missing(folder):
    (folder / "outputs.json").unlink()
    with pytest.raises(RawOutputError, match="got none that is whole"):
        read_raw_outputs(folder)


def test_index_leads_not_out_of_its_folder(folder):
    index = json.loads((folder / "outputs.json").read_text())
    index["outputs"][1]["file"] = "../1_n.raw"
    (folder / "outputs.json").write_text(json.dumps(index))
    assert read_raw_outputs(folder).tensors["n"].path == folder / "1_n.raw"
