"""Points of the paper's Fig. 9b against its Table 1."""

from nasfpn_lite.android_bench.published import FIGURE_9B, SOURCE

TABLE_1_MS = {
    "SSDLite MobileNetV2": 200,
    "SSDLite MnasNet": 190,
    "SSDLite MnasNet-92": 227,
    "FPNLite @64": 192,
    "FPNLite @128": 264,
    "NAS-FPNLite 3@48": 210,
    "NAS-FPNLite 7@64": 285,
}


def test_latencies_are_those_of_table_1():
    found = {point.name: point.latency_ms for point in FIGURE_9B}
    assert {name: found[name] for name in TABLE_1_MS} == TABLE_1_MS
    assert len(FIGURE_9B) == 11


def test_ap_is_a_share():
    assert all(0.22 <= point.ap <= 0.263 for point in FIGURE_9B)
    assert "Fig. 9b" in SOURCE
