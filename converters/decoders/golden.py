"""Golden vectors: raw outputs made up for one contract, and what a decoder must find in them."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from nasfpn_lite import boxes
from nasfpn_lite.converters.contract import Contract, TensorContract
from nasfpn_lite.data.records import Detections
from nasfpn_lite.postprocess import PostprocessSpec, postprocess

SCHEMA_VERSION = 1
BOX_TOLERANCE_PX = 1e-3
SCORE_TOLERANCE = 1e-5
_INPUT_TOLERANCE = 1e-6  # of float inputs; stored integers must be equal
_PLACES, _PER_PLACE = 12, 4  # anchors that see something, in groups of neighbours that overlap
_STEPS_OF_FLOAT, _LOWEST_FLOAT, _HIGHEST_FLOAT = 0.1, -8.0, 4.0  # logits of float outputs

_Outputs = dict[str, dict[str, Any]]


def make_golden(contract: Contract) -> dict[str, Any]:
    """Makes inputs and outputs of all languages' decoders as plain data, the same ones for the same contract.

    Returns:
        {"schema_version", "input": {"values": stored value of each pixel value 0..255}, "outputs": name -> {"dtype",
        "shape", "fill", "at", "values"}, "cases": [{"name", "thresholds", "expected"}]}. A tensor is all `fill` but
        for `values` at the flat indices `at`; `expand_tensor` builds it. Expected boxes are in pixels of the
        network's input.
    """
    outputs, cases = _make_raw(contract) if contract.decoded_as == "raw" else _make_detect(contract)
    return {
        "schema_version": SCHEMA_VERSION,
        "input": {"values": contract.input.values().tolist()},
        "outputs": outputs,
        "cases": cases,
    }


def expand_tensor(entry: dict[str, Any]) -> np.ndarray:
    """Returns a golden tensor as the interpreter would."""
    values = np.full(int(np.prod(entry["shape"])), entry["fill"], entry["dtype"])
    values[entry["at"]] = entry["values"]
    return values.reshape(entry["shape"])


def describe(detections: Detections, contract: Contract) -> dict[str, Any]:
    """Returns detections as the plain data of golden vectors, labels included."""
    labels = [contract.labels[index] for index in detections.classes]
    return {
        "boxes_yxyx": detections.boxes_yxyx.tolist(),
        "scores": detections.scores.tolist(),
        "classes": detections.classes.tolist(),
        "ids": [label.id for label in labels],
        "names": [label.name for label in labels],
    }


def check_answers(golden: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """Compares what a decoder made of golden vectors with what it should have made.

    Args:
        answers: {"input": 256 values, "cases": [{"boxes_yxyx", "scores", "classes", "ids", "names"}]}.

    Returns:
        One line per difference; none for a decoder that conforms.
    """
    wrong = []
    if _differ(golden["input"]["values"], answers["input"], _INPUT_TOLERANCE):
        wrong.append("input: pixel values become other stored values")
    for case, answer in zip(golden["cases"], answers["cases"], strict=True):
        wrong += [f"{case['name']}: {line}" for line in compare_detections(case["expected"], answer)]
    return wrong


def compare_detections(expected: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Returns one line per difference of two `describe` results."""
    wrong = [
        f"{name}: expected {expected[name][:5]}..., got {answer[name][:5]}..."
        for name in ("classes", "ids", "names")
        if list(expected[name]) != list(answer[name])
    ]
    if _differ(expected["boxes_yxyx"], answer["boxes_yxyx"], BOX_TOLERANCE_PX):
        wrong.append(f"boxes differ by more than {BOX_TOLERANCE_PX} px, or in number or order")
    if _differ(expected["scores"], answer["scores"], SCORE_TOLERANCE):
        wrong.append(f"scores differ by more than {SCORE_TOLERANCE}, or in number")
    return wrong


def _differ(expected: Any, answer: Any, tolerance: float) -> bool:
    first, second = np.asarray(expected, np.float64), np.asarray(answer, np.float64)
    return first.shape != second.shape or not np.allclose(first, second, rtol=0.0, atol=tolerance)


def _make_raw(contract: Contract) -> tuple[_Outputs, list[dict[str, Any]]]:
    """One set of outputs, decoded with the contract's thresholds and with some of which each limit shows."""
    logits, score = _draw_logits(contract)
    outputs = {"box_encodings": _draw_encodings(contract), "class_logits": logits}
    loose = PostprocessSpec(score, pre_nms_top=5000, nms_iou=0.6, max_detections=100)
    cases = {
        "contract": contract.thresholds,
        "loose": loose,
        "few candidates": replace(loose, pre_nms_top=9, nms_iou=0.9),
        "few detections": replace(loose, max_detections=7, nms_iou=0.3),
    }
    real = {name: contract.output(name).to_tensor().dequantize(expand_tensor(outputs[name]))[0] for name in outputs}
    anchors = contract.anchors.to_array()
    return outputs, [
        {
            "name": name,
            "thresholds": asdict(thresholds),
            "expected": describe(
                postprocess(real["box_encodings"], real["class_logits"], anchors, thresholds, contract.image_size),
                contract,
            ),
        }
        for name, thresholds in cases.items()
    ]


def _draw_anchors(contract: Contract) -> np.ndarray:
    """Numbers of the anchors that see something; the first stands in a corner, so that its box is cut."""
    starts = np.linspace(0, contract.anchors.count - _PER_PLACE, _PLACES).astype(int)
    return (starts[:, None] + np.arange(_PER_PLACE)).reshape(-1)


def _draw_encodings(contract: Contract) -> dict[str, Any]:
    """Random codes; one box lies outside of the image, and one reaches into it only as far as its code may say."""
    rows = _draw_anchors(contract)
    codes = np.random.default_rng(0).normal(0.0, 0.3, (len(rows), 4)).astype(np.float32)
    codes[1, :2] = -20.0
    codes[_PER_PLACE] = (-30.0, -30.0, 20.0, 20.0)
    at = rows[:, None] * 4 + np.arange(4)
    return _sparse(contract.output("box_encodings"), 0.0, at, codes)


def _draw_logits(contract: Contract) -> tuple[dict[str, Any], float]:
    """Random logits of the upper half of what the tensor can hold, many of them equal, and a score amidst them."""
    output, rows, classes = contract.output("class_logits"), _draw_anchors(contract), len(contract.labels)
    step, lowest, highest = _STEPS_OF_FLOAT, _LOWEST_FLOAT, _HIGHEST_FLOAT
    if output.scale != 0.0:
        limits, step = np.iinfo(np.dtype(output.dtype)), output.scale
        lowest, highest = ((end - output.zero_point) * step for end in (limits.min, limits.max))
    count = round((highest - lowest) / step)
    columns = min(classes, 3)
    drawn = np.random.default_rng(1).integers(count // 2, count + 1, (len(rows), columns))
    drawn[[1, _PER_PLACE]] = count  # the boxes that `_draw_encodings` places with care are the best
    at = rows[:, None] * classes + np.arange(columns) * (classes // columns)
    middle = lowest + step * (count * 3 // 4 + 0.5)
    real = (lowest + step * drawn).astype(np.float32)
    return _sparse(output, lowest, at, real), float(1 / (1 + np.exp(-middle)))


def _make_detect(contract: Contract) -> tuple[_Outputs, list[dict[str, Any]]]:
    """Six detections: the second reaches beyond the image, the third lies outside, the last is tiny."""
    corners = [
        *((0.125, 0.25, 0.5, 0.75), (-0.25, -0.125, 0.375, 1.5), (1.25, 0.25, 1.5, 0.5)),
        *((0.0, 0.0, 1.0, 1.0), (0.3, 0.1, 0.7, 0.2), (0.5, 0.5, 0.51, 0.52)),
    ][: contract.output("boxes").shape[1]]
    found = len(corners)
    values = {
        "boxes": np.array(corners, np.float32),
        "classes": (np.arange(found) % len(contract.labels)).astype(np.float32),
        "scores": np.linspace(0.95, 0.4, found, dtype=np.float32),
        "count": np.array([found], np.float32),
    }
    outputs = {
        name: _sparse(contract.output(name), 0.0, np.arange(array.size), array) for name, array in values.items()
    }
    height, width = contract.image_size
    pixels = boxes.clip(values["boxes"] * np.array([height, width, height, width], np.float32), contract.image_size)
    seen = boxes.area(pixels) > 0
    expected = Detections(pixels[seen], values["scores"][seen], values["classes"][seen].astype(np.int32))
    return outputs, [{"name": "detect", "thresholds": None, "expected": describe(expected, contract)}]


def _sparse(output: TensorContract, fill: float, at: np.ndarray, real: np.ndarray) -> dict[str, Any]:
    tensor = output.to_tensor()
    return {
        "dtype": output.dtype,
        "shape": list(output.shape),
        "fill": tensor.quantize(np.array(fill, np.float32)).item(),
        "at": at.reshape(-1).tolist(),
        "values": tensor.quantize(real).reshape(-1).tolist(),
    }
