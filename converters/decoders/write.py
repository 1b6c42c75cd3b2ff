"""Writes a contract's decoders: a fixed body per language and form, and constants of this one file."""

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np

from nasfpn_lite.converters.contract import Contract, TensorContract
from nasfpn_lite.converters.decoders.golden import make_golden
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically

ORDER = ("ymin", "xmin", "ymax", "xmax")
CONTRACT_FILE, GOLDEN_FILE = "contract.json", "golden.json"
PYTHON_FILE, CPP_FILE, KOTLIN_FILE = "decoder.py", "decoder.hpp", "Decoder.kt"
FILES = (CONTRACT_FILE, GOLDEN_FILE, PYTHON_FILE, CPP_FILE, KOTLIN_FILE)
_CPP_TYPES = {"float32": "float", "int8": "std::int8_t", "uint8": "std::uint8_t", "int16": "std::int16_t"}
_KOTLIN_READ = {
    "float32": "buffer.getFloat(4 * i)",
    "int8": "buffer.get(i).toInt()",
    "uint8": "(buffer.get(i).toInt() and 255)",
    "int16": "buffer.getShort(2 * i).toInt()",
}
_KOTLIN_PUT = {"float32": "putFloat({})", "int8": "put({}.toByte())", "uint8": "put({}.toByte())"}
_KOTLIN_PUT["int16"] = "putShort({}.toShort())"
_WIDTH = 100


def write_decoders(contract: Contract, folder: Path) -> list[Path]:
    """Writes decoder.py, decoder.hpp and Decoder.kt, contract.json, and golden.json to test a decoder with.

    Returns:
        The files, each of which was written whole.

    Raises:
        UserError: The contract has a box order or a type that the decoders do not know.
    """
    texts = {
        CONTRACT_FILE: json.dumps(contract.to_dict(), indent=1, ensure_ascii=False) + "\n",
        GOLDEN_FILE: json.dumps(make_golden(contract), ensure_ascii=False) + "\n",
        **make_sources(contract),
    }
    for name, text in texts.items():
        write_text_atomically(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def make_sources(contract: Contract) -> dict[str, str]:
    """Returns the decoders' source texts by file name."""
    unknown = {tensor.dtype for tensor in (contract.input.tensor, *contract.outputs)} - set(_CPP_TYPES)
    if contract.boxes.order != ORDER or unknown:
        raise UserError(
            f"expected boxes as {ORDER} and tensors of {tuple(_CPP_TYPES)}, "
            f"got {contract.boxes.order} and {tuple(unknown)}; convert again"
        )
    return {
        PYTHON_FILE: _assemble("python", contract.decoded_as, _python(contract)),
        CPP_FILE: _assemble("cpp", contract.decoded_as, _cpp(contract)),
        KOTLIN_FILE: _assemble("kotlin", contract.decoded_as, _kotlin(contract)),
    }


def _assemble(language: str, form: str, constants: Iterable[str]) -> str:
    body, part = (
        (files("nasfpn_lite.converters.decoders") / name).read_text(encoding="utf-8")
        for name in (f"{language}.txt", f"{language}_{form}.txt")
    )
    # The constants last: a label may hold anything, even a marker.
    return body.replace("{{form}}", part.rstrip()).replace("{{constants}}", "\n".join(constants))


def _python(contract: Contract) -> list[str]:
    t = contract.thresholds
    outputs = {o.name: (o.dtype, o.shape, o.scale, o.zero_point) for o in contract.outputs}
    labels = tuple((label.id, label.name) for label in contract.labels)
    lines = [
        f"IMAGE_SIZE = {contract.image_size}  # height, width; {contract.input.color}",
        f"RESIZE, PAD_VALUE = {contract.input.resize!r}, {contract.input.pad_value}",
        f"INPUT_NAME = {contract.input.tensor.name!r}",
        "# The stored value of each pixel value.",
        f"INPUT_VALUES = np.array([\n{_wrap(_values(contract))}\n], {contract.input.tensor.dtype!r})",
        "# name -> dtype, shape, scale (0.0: stored values are real ones), zero point",
        "OUTPUTS = {",
        *(f"    {name!r}: {fields!r}," for name, fields in outputs.items()),
        "}",
        f"LABELS = (  # id, name\n{_wrap(map(repr, labels))}\n)",
    ]
    if contract.decoded_as == "raw":
        levels = (f"    ({a.stride}, {a.rows}, {a.columns}, {a.sizes!r})," for a in contract.anchors.levels)
        lines += [
            f"SCORE_THRESHOLD, PRE_NMS_TOP, NMS_IOU = {t.score_threshold}, {t.pre_nms_top}, {t.nms_iou}",
            f"MAX_DETECTIONS = {t.max_detections}",
            f"MAX_LOG_RATIO = {contract.boxes.max_log_ratio!r}",
            "ANCHOR_LEVELS = (  # stride, rows, columns, ((height, width), ...)",
            *levels,
            ")",
            f"ANCHORS_SHA256 = {contract.anchors.sha256!r}",
        ]
    return lines


def _cpp(contract: Contract) -> list[str]:
    height, width = contract.image_size
    t, given = contract.thresholds, contract.input
    literals = (_float(v) for v in _values(contract)) if given.tensor.dtype == "float32" else _values(contract)
    labels = (f"{{{label.id}, {_cpp_text(label.name)}}}" for label in contract.labels)
    lines = [
        f"inline constexpr int kImageHeight = {height}, kImageWidth = {width};  // {given.color}",
        f"inline constexpr bool kPads = {str(given.resize == 'pad').lower()};",
        f"inline constexpr std::uint8_t kPadValue = {given.pad_value};",
        f"inline constexpr char kInputName[] = {_cpp_text(given.tensor.name)};",
        f"using InputValue = {_CPP_TYPES[given.tensor.dtype]};",
        "// The stored value of each pixel value.",
        f"inline constexpr InputValue kInputValues[256] = {{\n{_wrap(literals)}\n}};",
        f"inline constexpr std::size_t kClasses = {len(contract.labels)};",
        f"inline constexpr Label kLabels[kClasses] = {{\n{_wrap(labels)}\n}};",
        "// The file's outputs, without the batch; to be found by these names.",
        "struct Outputs {",
        *(f"  const {_CPP_TYPES[o.dtype]}* {o.name};  // {o.shape}" for o in contract.outputs),
        "};",
        *(_cpp_reader(output) for output in contract.outputs),
    ]
    if contract.decoded_as == "detect":
        return [*lines, f"inline constexpr std::size_t kMostDetections = {contract.outputs[0].shape[1]};"]
    levels = (
        f"      {{{a.stride}, {a.rows}, {a.columns}, {{{', '.join(f'{{{h!r}, {w!r}}}' for h, w in a.sizes)}}}}},"
        for a in contract.anchors.levels
    )
    return [
        *lines,
        f"inline constexpr double kScoreThreshold = {t.score_threshold!r}, kNmsIou = {t.nms_iou!r};",
        f"inline constexpr std::size_t kPreNmsTop = {t.pre_nms_top}, kMaxDetections = {t.max_detections};",
        f"inline constexpr float kMaxLogRatio = static_cast<float>({contract.boxes.max_log_ratio!r});",
        f"inline constexpr std::size_t kAnchorCount = {contract.anchors.count};",
        "inline const std::vector<AnchorLevel>& anchor_levels() {",
        "  static const std::vector<AnchorLevel> levels = {",
        *levels,
        "  };",
        "  return levels;",
        "}",
    ]


def _cpp_reader(output: TensorContract) -> str:
    kind, value = _CPP_TYPES[output.dtype], "values[i]"
    if output.scale != 0.0:
        value = f"(static_cast<float>(values[i]) - {_float(output.zero_point)}) * {_float(output.scale)}"
    return f"inline float read_{output.name}(const {kind}* values, std::size_t i) {{ return {value}; }}"


def _kotlin(contract: Contract) -> list[str]:
    height, width = contract.image_size
    t, given = contract.thresholds, contract.input
    is_float = given.tensor.dtype == "float32"
    literals = (_float(v) for v in _values(contract)) if is_float else _values(contract)
    labels = (f"Label({label.id}L, {_kotlin_text(label.name)})" for label in contract.labels)
    sizes = (f'    "{o.name}" to {np.dtype(o.dtype).itemsize * int(np.prod(o.shape))},' for o in contract.outputs)
    lines = [
        f"const val IMAGE_HEIGHT = {height}",
        f"const val IMAGE_WIDTH = {width} // {given.color}",
        f"const val PADS = {str(given.resize == 'pad').lower()}",
        f"const val PAD_VALUE = {given.pad_value}",
        f"const val INPUT_NAME = {_kotlin_text(given.tensor.name)}",
        "/** The stored value of each pixel value. */",
        f"val INPUT_VALUES = {'float' if is_float else 'int'}ArrayOf(\n{_wrap(literals)}\n)",
        f"val LABELS = listOf(\n{_wrap(labels)}\n)",
        "val OUTPUT_BYTES = mapOf(",
        *sizes,
        ")",
        f"private fun putInput(input: ByteBuffer, pixel: Int) = input.{_put(given.tensor.dtype)}",
        *(_kotlin_reader(output) for output in contract.outputs),
    ]
    if contract.decoded_as == "detect":
        return lines
    levels = (
        f"    AnchorLevel({a.stride}, {a.rows}, {a.columns}, {', '.join(f'{h!r}, {w!r}' for h, w in a.sizes)}),"
        for a in contract.anchors.levels
    )
    return [
        *lines,
        f"const val SCORE_THRESHOLD = {t.score_threshold!r}",
        f"const val PRE_NMS_TOP = {t.pre_nms_top}",
        f"const val NMS_IOU = {t.nms_iou!r}",
        f"const val MAX_DETECTIONS = {t.max_detections}",
        f"const val MAX_LOG_RATIO = {_float(contract.boxes.max_log_ratio)}",
        f"const val ANCHOR_COUNT = {contract.anchors.count}",
        "val ANCHOR_LEVELS = listOf( // stride, rows, columns, then height, width of each",
        *levels,
        ")",
    ]


def _put(dtype: str) -> str:
    return _KOTLIN_PUT[dtype].format("INPUT_VALUES[pixel]")


def _kotlin_reader(output: TensorContract) -> str:
    name = "".join(word.capitalize() for word in output.name.split("_"))
    value = _KOTLIN_READ[output.dtype]
    if output.scale != 0.0:
        value = f"({value} - {output.zero_point}) * {_float(output.scale)}"
    elif output.dtype != "float32":
        value = f"{value}.toFloat()"
    return f"private fun read{name}(buffer: ByteBuffer, i: Int): Float = {value}"


def _values(contract: Contract) -> list[str]:
    return [str(value.item()) for value in contract.input.values()]


def _float(value: float | str) -> str:
    """Returns a float32 literal of C++ and Kotlin."""
    return f"{float(np.float32(value))!r}f"


def _cpp_text(text: str) -> str:
    # Three octal digits: a hexadecimal escape would swallow the digits behind it.
    return '"' + "".join(f"\\{ord(c):03o}" if c < " " or c in '"\\\x7f' else c for c in text) + '"'


def _kotlin_text(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c in '"\\$\x7f' else c for c in text) + '"'


def _wrap(items: Iterable[str]) -> str:
    """Joins items with commas to lines of moderate length."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > _WIDTH:
            lines.append("")
        lines[-1] += f"{item}, " if lines[-1] else f"    {item}, "
    return "\n".join(line.rstrip() for line in lines)
