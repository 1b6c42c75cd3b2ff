"""What pages and tables say of a phone, of how it was measured and of its figures."""

from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.records import FileFigures, HowMeasured, Phone, Verdict

SIMULATED = "simulated"
SIMULATED_NOTE = "This is a simulated phone: its figures show that the harness works, and nothing about any phone."


def name_phone(phone: Phone) -> str:
    """Returns a phone's name for people; a simulated one is called so."""
    return f"{phone.model or 'unknown phone'} ({phone.serial}{', ' + SIMULATED if phone.simulated else ''})"


def describe_how(phone: Phone, how: HowMeasured) -> str:
    """Says in a line how the figures came about."""
    threads = "1 thread" if how.threads == 1 else f"{how.threads} threads"
    xnnpack = {True: "XNNPACK on", False: "XNNPACK off", None: "XNNPACK as the runner has it"}[how.xnnpack]
    delegates = f"GPU, the rest with {xnnpack}" if how.gpu else xnnpack
    return f"{how.runner}, {threads} on cores {phone.cores} (mask {phone.mask}), {delegates}, {how.runs} runs a turn"


def label_runner(phone: Phone, runner: str) -> str:
    """Returns what stands beside a figure: its runner, and whether the phone is simulated."""
    return f"{runner}, {SIMULATED}" if phone.simulated else runner


def describe_accepted(how: HowMeasured) -> list[str]:
    """Says which doubts the user put aside; nothing if none."""
    if not how.accepted:
        return []
    return [f"Figures are given in spite of these doubts, if they came up: {', '.join(how.accepted)}"]


def describe_verdict(verdict: Verdict, how: HowMeasured) -> str:
    """Returns a verdict for people: one that the user bought with doubts names them."""
    if verdict != "trustworthy" or not how.accepted:
        return verdict
    return f"trustworthy but for what was accepted: {', '.join(how.accepted)}"


def describe_trust(verdict: Verdict, how: HowMeasured) -> list[str]:
    """Says for what the figures are not to be trusted all the same; nothing where nothing was accepted, or none are."""
    text = describe_verdict(verdict, how)
    return [] if text == verdict else [f"figures are {text}"]


def list_conditions(state: Conditions) -> list[tuple[str, str]]:
    """Returns names and texts of what a phone said of itself."""
    temperatures = ", ".join(f"{item.name} {item.value_c:g}" for item in state.temperatures or ())
    governors = ", ".join(dict.fromkeys(clock.governor or "unknown" for clock in state.clocks))
    allowed = ", ".join(dict.fromkeys(number(clock.allowed_khz, "{:g}", 1e-3) for clock in state.clocks))
    return [
        ("thermal status", number(state.thermal_status, "{:g}")),
        ("temperatures, °C", temperatures or "–"),
        ("governors", governors or "–"),
        ("allowed MHz", allowed or "–"),
        ("battery, %", number(state.battery_percent, "{:g}")),
        ("battery, °C", number(state.battery_c, "{:g}")),
        ("charging", _yes_no(state.battery_charging)),
        ("battery saver", _yes_no(state.battery_saver)),
        ("screen on", _yes_no(state.screen_on)),
        ("load average", number(state.load_average, "{:g}")),
    ]


def format_ms(value_ms: float) -> str:
    """Returns two decimals, or for less than a millisecond three digits."""
    return f"{value_ms:.2f}" if value_ms >= 1 else f"{value_ms:#.3g}"


def format_memory(file: FileFigures) -> str:
    """Returns the peak of the runner's memory in MB; "+" and its growth where the peak was not told."""
    if file.peak_memory_bytes is not None:
        return f"{file.peak_memory_bytes / 1e6:.1f}"
    return "–" if file.memory_growth_bytes is None else f"+{file.memory_growth_bytes / 1e6:.1f}"


def _yes_no(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


def number(value: float | None, form: str, factor: float = 1.0) -> str:
    """Returns a dash where there is none."""
    return "–" if value is None else form.format(value * factor)


def to_words(time_utc: str) -> str:
    """Returns a time as records have it for people: "2026-01-31 12:00:00 UTC"."""
    return time_utc.replace("T", " ").replace("Z", " UTC")
