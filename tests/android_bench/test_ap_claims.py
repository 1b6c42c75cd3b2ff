"""AP out of records: of the same file by its hash, else of a file of the same name, else not at all."""

import hashlib
import json
import os

import pytest

from nasfpn_lite.android_bench.ap_claims import Claim, ClaimError, find_ap, read_certified, read_claims
from tests.fake_measured_phone import make_result

FILE = make_result([10.0] * 6).files[0]  # a.tflite, of hash 000...


def claim(ap=0.25, *, name="x/a.tflite", sha256=None, serial=None, source="s.json"):
    return Claim(name, sha256, serial, ap, "coco val", source)


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def test_eval(tmp_path):
    path = write(
        tmp_path / "e.json", {"model": "m/a.tflite", "data": "d/bccd", "split": "test", "images": 72, "AP": 0.5}
    )
    assert read_claims([path]) == (Claim("m/a.tflite", None, None, 0.5, "bccd test (72 images)", "e.json"),)


def test_eval_may_name_the_hash(tmp_path):
    (found,) = read_claims([write(tmp_path / "e.json", {"model": "a.tflite", "AP": 0.5, "sha256": "77"})])
    assert found.sha256 == "77"


def test_android_eval_tells_of_phone_and_host(tmp_path):
    phone = {"serial": "A", "phone": {"AP": 0.5, "images": 9}, "host": {"AP": 0.51, "images": 9}}
    data = {"model": "a.tflite", "data": "bccd", "split": "test", "phones": [phone, {"serial": "B", "error": "lost"}]}
    found = read_claims([write(tmp_path / "e.json", data)])
    assert [(item.serial, item.ap) for item in found] == [("A", 0.5), (None, 0.51)]
    assert find_ap(FILE, "A", found).ap == 0.5
    assert find_ap(FILE, "B", found).ap == 0.51


def test_results_of_a_run(tmp_path):
    files = [{"file": "out/a.tflite", "AP": 0.5}, {"file": "out/b.tflite"}]
    write(tmp_path / "results.json", {"data": {"name": "demo", "images": {"test": 60}}, "files": files})
    (found,) = read_claims([tmp_path])
    assert (found.name, found.ap, found.photos) == ("out/a.tflite", 0.5, "demo test (60 images)")


@pytest.mark.parametrize("newer", [False, True])
def test_the_hash_of_the_file_proves_it_unless_it_was_made_after_the_record(tmp_path, newer):
    (tmp_path / "a.tflite").write_bytes(b"model")
    record = write(tmp_path / "e.json", {"model": "elsewhere/a.tflite", "AP": 0.5})
    os.utime(tmp_path / "a.tflite", (2e9, 2e9) if newer else (1e9, 1e9))
    (found,) = read_claims([record])
    assert found.sha256 == (None if newer else hashlib.sha256(b"model").hexdigest())


def test_a_hash_decides():
    assert find_ap(FILE, "A", [claim(sha256=FILE.sha256, name="other")]).where == "s.json (same SHA-256)"
    assert find_ap(FILE, "A", [claim(sha256="1" * 64)]) is None
    assert find_ap(FILE, "A", [claim(0.3), claim(0.4, sha256=FILE.sha256)]).ap == 0.4


def test_a_name_must_be_the_only_one():
    assert find_ap(FILE, "A", [claim()]).where == "s.json (same name)"
    assert find_ap(FILE, "A", [claim()], namesakes=2) is None
    assert find_ap(FILE, "A", [claim(name="ba.tflite")]) is None


def test_a_phone_s_own_ap_is_no_other_phone_s():
    assert find_ap(FILE, "A", [claim(serial="B")]) is None
    assert find_ap(FILE, "A", [claim(serial="A")]).where == "s.json (evaluated on the phone, same name)"


def test_two_records_that_disagree():
    assert find_ap(FILE, "A", [claim(0.25), claim(0.25)]).ap == 0.25
    with pytest.raises(ClaimError, match=r"0\.2500 on coco val in s\.json; 0\.2600 on coco val in t\.json"):
        find_ap(FILE, "A", [claim(0.25), claim(0.26, source="t.json")])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"model": "a", "AP": 25}', '{"model": "a", "AP": true}', '{"AP": 0.5}', '{"files": []}']
)
def test_what_says_no_ap(tmp_path, text):
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(ClaimError, match=r"(no AP in .*e\.json|e\.json is no JSON).*; expected what `eval --json`"):
        read_claims([tmp_path / "e.json"])


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ClaimError, match=r"cannot read .*results\.json: No such file or directory; expected what"):
        read_claims([tmp_path])


def test_a_tflite_without_certificate(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"....TFL3")
    assert read_certified(tmp_path / "a.tflite") is None
    assert read_certified(tmp_path / "none.tflite") is None
    for name in ("a.tflite", "a.tflite.certificate.json"):
        with pytest.raises(ClaimError, match="with a certificate inside"):
            read_claims([tmp_path / name])


def test_a_certificate_speaks_of_its_file_alone(tmp_path, monkeypatch):
    from nasfpn_lite.converters import certificate as module

    certificate = {
        "file": {"sha256_without_certificate": "right"},
        "data": {"name": "bccd", "split": "test", "images": 72},
        "ap": {"ap": {"candidate": 24.5}},
    }
    monkeypatch.setattr(module, "read_certificate", lambda content: certificate)
    monkeypatch.setattr(module, "hash_file", lambda content: content.decode())
    (tmp_path / "a.tflite").write_bytes(b"right")
    found = read_certified(tmp_path / "a.tflite")
    assert (found.ap, found.photos, found.sha256) == (
        0.245,
        "bccd test (72 images)",
        hashlib.sha256(b"right").hexdigest(),
    )
    (tmp_path / "a.tflite").write_bytes(b"wrong")
    assert read_certified(tmp_path / "a.tflite") is None
