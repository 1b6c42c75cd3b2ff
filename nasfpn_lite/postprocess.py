"""From the network's raw outputs to detections, in NumPy: what every evaluated run or file shares.

Thresholds work on logits; only the survivors are decoded and pass a sigmoid.
"""

from dataclasses import dataclass

import numpy as np

from nasfpn_lite import boxes
from nasfpn_lite.data.records import Detections
from nasfpn_lite.errors import UserError

_NMS_BLOCK = 256


@dataclass(frozen=True)
class PostprocessSpec:
    """Which of the network's answers count as detections.

    Attributes:
        score_threshold: Lowest score that counts, 0..1.
        pre_nms_top: How many (anchor, class) pairs of an image enter the suppression, best first.
        nms_iou: Of two boxes of one class that overlap by more than this, the better stays.
        max_detections: Detections of an image, all classes together.

    Source: Ghiasi et al. 2019, arXiv:1904.07392, and its code (tensorflow/tpu, official/detection): these defaults.
    """

    score_threshold: float = 0.05
    pre_nms_top: int = 5000
    nms_iou: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise UserError(f"{name} must lie in 0..1, got {value}")
        for name in ("pre_nms_top", "max_detections"):
            value = getattr(self, name)
            if value < 1:
                raise UserError(f"{name} must be at least 1, got {value}")


def postprocess(
    box_encodings: np.ndarray,
    class_logits: np.ndarray,
    anchors: np.ndarray,
    thresholds: PostprocessSpec,
    image_size: tuple[int, int],
) -> Detections:
    """Finds the detections of one image.

    Args:
        box_encodings: (N, 4) float, as `boxes.encode` codes them.
        class_logits: (N, K) float, before the sigmoid.
        anchors: (N, 4) boxes_yxyx in pixels of the network's input.
        image_size: (height, width) of the network's input; boxes are cut there, and dropped where nothing is left.

    Returns:
        Detections in pixels of the network's input, best first; equal scores in the order of (anchor, class).
    """
    num_classes = class_logits.shape[-1]
    pairs, logits = _best_pairs(class_logits, _to_logit(thresholds.score_threshold), thresholds.pre_nms_top)
    rows, classes = np.divmod(pairs, num_classes)
    decoded = boxes.clip(boxes.decode(box_encodings[rows], anchors[rows]), image_size)
    visible = boxes.area(decoded) > 0
    decoded, logits, classes = decoded[visible], logits[visible], classes[visible]
    kept = suppress(decoded, classes, thresholds.nms_iou, thresholds.max_detections)
    return Detections(
        boxes_yxyx=decoded[kept].astype(np.float32),
        scores=_sigmoid(logits[kept]).astype(np.float32),
        classes=classes[kept].astype(np.int32),
    )


def suppress(boxes_yxyx: np.ndarray, classes: np.ndarray, nms_iou: float, max_detections: int) -> np.ndarray:
    """Returns the indices that greedy non-maximum suppression within each class keeps; (n, 4), (n,), best first."""
    # Block by block, because the best few hundred usually fill max_detections and the rest need no overlaps at all.
    kept = np.zeros(0, dtype=np.int64)
    for start in range(0, len(boxes_yxyx), _NMS_BLOCK):
        block = np.arange(start, min(start + _NMS_BLOCK, len(boxes_yxyx)))
        block = block[~_conflicts(boxes_yxyx, classes, kept, block, nms_iou).any(axis=0)]
        conflicts = _conflicts(boxes_yxyx, classes, block, block, nms_iou)
        stays = np.ones(len(block), dtype=bool)
        for row in range(len(block)):
            if stays[row]:
                stays[row + 1 :] &= ~conflicts[row, row + 1 :]
        kept = np.concatenate([kept, block[stays]])
        if len(kept) >= max_detections:
            break
    return kept[:max_detections]


def _conflicts(
    boxes_yxyx: np.ndarray, classes: np.ndarray, better: np.ndarray, worse: np.ndarray, nms_iou: float
) -> np.ndarray:
    """Says which of the boxes `better` (rows) would suppress which of `worse` (columns)."""
    same_class = classes[better][:, None] == classes[worse][None, :]
    return same_class & (boxes.iou(boxes_yxyx[better], boxes_yxyx[worse]) > nms_iou)


def to_original(detections: Detections, scale: tuple[float, float], original_size: tuple[int, int]) -> Detections:
    """Brings detections from the network's pixels to those of the original image.

    Args:
        scale: (scale_y, scale_x) of `preprocess.fit_image`.
        original_size: (height, width) of the original; boxes are cut there, and dropped where only padding is left.
    """
    factor = np.array([scale[0], scale[1], scale[0], scale[1]], dtype=np.float32)
    original = boxes.clip(detections.boxes_yxyx / factor, original_size)
    inside = boxes.area(original) > 0
    return Detections(original[inside], detections.scores[inside], detections.classes[inside])


def _best_pairs(class_logits: np.ndarray, lowest: float, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns flat (anchor, class) indices and logits of the best pairs, best first, ties in index order."""
    flat = np.ascontiguousarray(class_logits).reshape(-1)
    pairs = np.flatnonzero(flat >= np.asarray(lowest, dtype=flat.dtype))
    logits = flat[pairs]
    if len(pairs) > top:
        # Ties at the cut go by index as well, which argpartition alone does not promise.
        cut = np.partition(logits, len(logits) - top)[len(logits) - top]
        above = np.flatnonzero(logits > cut)
        chosen = np.concatenate([above, np.flatnonzero(logits == cut)[: top - len(above)]])
        pairs, logits = pairs[chosen], logits[chosen]
    order = np.lexsort((pairs, -logits))
    return pairs[order], logits[order]


def _to_logit(probability: float) -> float:
    if probability in (0.0, 1.0):
        return -np.inf if probability == 0.0 else np.inf
    return float(np.log(probability / (1.0 - probability)))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
