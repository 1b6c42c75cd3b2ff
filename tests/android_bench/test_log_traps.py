import pytest

from nasfpn_lite.android_bench.log_traps import LogError, refuse_traps


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Unconsumed cmdline flags: --use_gpu=true", r"ignored them: --use_gpu=true\. This build lacks"),
        ("Run w/o invoking kernels: [1]", "leave out --dry_run"),
        (
            "Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate.",
            "the NNAPI delegate was asked for and took no part",
        ),
        (
            "GPU acceleration is unsupported on this platform.",
            r"the CPU ran .* \(GPU acceleration is unsupported on this platform\)",
        ),
        ("NNAPI acceleration is unsupported on this platform.", "NNAPI acceleration is unsupported"),
        ("Hexagon delegate isn't supported on the platform!", "Hexagon delegate isn't supported"),
        ("Could not create Hexagon delegate: platform may not support delegate", "Could not create Hexagon delegate"),
        ("Restored original execution plan after delegate application failure.", "a delegate failed"),
    ],
)
def test_trap(line, message):
    with pytest.raises(LogError, match=message):
        refuse_traps(["STARTING!", line, "count=1 curr=5"])


@pytest.mark.parametrize(
    "line",
    [
        "Duplicate flags: num_threads",
        "Run w/o invoking kernels: [0]",
        "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.",
        "Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 delegate",
        "Following operations are not supported by GPU delegate:",
        "GPU delegate created.",
        "Created TensorFlow Lite XNNPACK delegate for CPU.",
        "",
    ],
)
def test_no_trap(line):
    refuse_traps([line])
