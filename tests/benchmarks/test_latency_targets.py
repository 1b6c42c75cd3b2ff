"""The comparison with the latency targets, on figures made up so that the ratios are known."""

from pathlib import Path

import pytest

from nasfpn_lite.benchmarks import latency_targets
from nasfpn_lite.benchmarks.latency_targets import CLASSIFIER, SSD_256, find_targets
from nasfpn_lite.benchmarks.record import BenchReport, BenchResult, Machine, PairRatio
from nasfpn_lite.errors import UserError

PEERS = Path("peers")
OURS = {
    f"{recipe}_{form}_{size}": Path(f"{recipe}_{form}_{size}.tflite")
    for size in (256, 320)
    for recipe, form in (("float32", "raw"), ("static_wi8_ai8", "raw"), ("static_wi8_ai8", "detect"))
}
LATENCY_MS = {
    "float32_raw_256": 8.0, "static_wi8_ai8_raw_256": 4.0, "static_wi8_ai8_detect_256": 4.2,
    "float32_raw_320": 10.0, "static_wi8_ai8_raw_320": 6.0, "static_wi8_ai8_detect_320": 6.9,
}  # fmt: skip


def _report(peers=(SSD_256, CLASSIFIER)) -> BenchReport:
    latency_ms = {str(OURS[key]): value for key, value in LATENCY_MS.items()}
    latency_ms |= {str(PEERS / name): value for name, value in ((SSD_256, 5.0), (CLASSIFIER, 2.0)) if name in peers}
    results = [
        BenchResult(
            file=file, size_bytes=1, threads=1, rounds=9, runs=9, latency_ms_p50=ms, latency_ms_ci=(ms, ms),
            latency_ms_p90=ms, latency_ms_min=ms, init_ms=1.0, peak_memory_bytes=2, model_memory_bytes=1,
            multiply_adds=900 if file == str(OURS["static_wi8_ai8_raw_320"]) else 300, gmadds_per_s=1.0,
            end_to_end_ms_p50=None, end_to_end_ms_ci=None, end_to_end_steps=(), input_shape=(1,), input_dtype="int8",
        )
        for file, ms in latency_ms.items()
    ]  # fmt: skip
    names = list(latency_ms)
    ratios = [
        PairRatio(a, b, latency_ms[a] / latency_ms[b], (0.9 * latency_ms[a] / latency_ms[b], 2.0))
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    return BenchReport(tuple(results), tuple(ratios), Machine("cpu", 2, "system", None, {}))


def test_targets_by_hand():
    targets = find_targets(_report(), OURS, PEERS)
    assert [round(target.measured, 4) for target in targets] == [0.8, 1.0, 2.0, 1.6667, 1.05, 1.15]
    assert [target.is_met for target in targets] == [True, True, True, False, True, False]


def test_an_interval_turns_round_with_its_ratio():
    # int8 raw stands before the classifier in the run: 6 / 2 = 3, interval 2.7 to 2; turned round and times 900 / 300.
    target = find_targets(_report(), OURS, PEERS)[1]
    assert target.interval == pytest.approx((3 / 2.0, 3 / 2.7))


@pytest.mark.parametrize("peer", [SSD_256, CLASSIFIER])
def test_a_missing_peer_is_named(peer):
    with pytest.raises(UserError, match=peer.partition(".")[0]):
        find_targets(_report(peers={SSD_256, CLASSIFIER} - {peer}), OURS, PEERS)


@pytest.mark.parametrize("peer", [SSD_256, CLASSIFIER])
def test_a_missing_peer_stops_it_before_anything_is_made(peer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(latency_targets, "convert_detectors", lambda folder: pytest.fail("it converts"))
    for name in {SSD_256, CLASSIFIER} - {peer}:
        (tmp_path / name).touch()
    assert latency_targets.main(["--peers", str(tmp_path)]) == 2
    assert f"expected the peer {peer} in {tmp_path}" in capsys.readouterr().err
