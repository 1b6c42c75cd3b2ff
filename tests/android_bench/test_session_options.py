"""Options of a session that make no sense are refused, and named."""

import pytest

from nasfpn_lite.android_bench.session_options import ACCEPTABLE, SessionError, SessionOptions


def test_defaults_are_the_published_definition():
    options = SessionOptions()
    assert (options.threads, options.cores, options.runs, options.warmup_runs, options.xnnpack) == (
        1,
        "big",
        50,
        1,
        True,
    )
    assert options.rounds >= 5
    assert options.turn_timeout_s == 420.0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rounds", 4, "--rounds of at least 5, got 4"),
        ("threads", 0, "--threads above 0, got 0"),
        ("runs", 0, "--runs above 0"),
        ("max_s", 0.0, "--max-seconds above 0"),
        ("warmup_runs", -1, "--warmup-runs of at least 0, got -1"),
        ("min_s", -0.1, "--min-seconds of at least 0, got -0.1"),
        ("patience_s", -90.0, "--wait-minutes of at least 0, got -1.5"),
        ("repeats", -1, "--repeats of at least 0"),
        ("min_coverage", 1.1, "--min-coverage of 0 .* to 1 .*, got 1.1"),
        ("min_coverage", -0.1, "--min-coverage of 0 "),
        ("min_s", float("nan"), "finite --min-seconds, got nan"),
        ("cool_below_c", float("nan"), "finite --cool-below"),
        ("cool_below_c", float("inf"), "finite --cool-below"),
        ("patience_s", float("inf"), "finite --wait-minutes, got inf"),
        ("min_s", 150.5, "--min-seconds of at most --max-seconds, 150, got 150.5"),
        ("accepted", ("spread", "all"), "--accept cannot take all: expected of throttled"),
    ],
)
def test_nonsense(name, value, message):
    with pytest.raises(SessionError, match=message):
        SessionOptions(**{name: value})


def test_bounds_that_are_allowed():
    SessionOptions(rounds=5, warmup_runs=0, min_s=0.0, patience_s=0.0, repeats=0, min_coverage=1.0, accepted=ACCEPTABLE)
    SessionOptions(min_s=150.0, max_s=150.0)
