"""What the network shall answer for one image: a label and a coded box for each anchor. NumPy only."""

import numpy as np

from nasfpn_lite.boxes import area, encode

BACKGROUND = -1
IGNORED = -2
POSITIVE_IOU = 0.5


def assign_targets(
    boxes_yxyx: np.ndarray,
    classes: np.ndarray,
    anchors: np.ndarray,
    ignored_yxyx: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Matches the boxes of one image to anchors.

    1. An anchor belongs to the box with which it has the highest IoU (the first of equals) if that is >= 0.5.
    2. Each box takes the anchor with which it has its highest IoU (the first of equals), whatever that IoU is above 0
       and whoever has the anchor by rule 1. Where several boxes take the same anchor, the one with the higher IoU has
       it (the first of equals); the others keep what rule 1 gave them.
    3. Of the other anchors, those that lie with at least half of their area in an ignored box are ignored (COCO's
       measure for crowds), the rest is background.

    Args:
        boxes_yxyx: (M, 4) pixels of the network's input, sides > 0; M may be 0.
        classes: (M,) 0..K-1.
        anchors: (N, 4) of `make_anchors`; they are not clipped at the image.
        ignored_yxyx: (C, 4) regions that are neither object nor background, such as crowds.

    Returns:
        labels: (N,) int32: the class, BACKGROUND (-1) or IGNORED (-2).
        box_targets: (N, 5) float32: `boxes.encode`'s (ty, tx, th, tw) and 1.0 for positives, else zeros.

    Raises:
        ValueError: A box is not finite or has a side that is not positive.

    Source: tensorflow/tpu, official/retinanet. Differs: anchors are matched unclipped.
    """
    boxes = np.asarray(boxes_yxyx, np.float32).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    usable = np.isfinite(boxes).all(axis=1) & (sides > 0).all(axis=1)
    if not usable.all():
        raise ValueError(f"boxes must be finite with positive sides, got {boxes[~usable][0].tolist()}")
    matches = _match(boxes, anchors)
    positive = matches >= 0
    labels = np.full(len(anchors), BACKGROUND, np.int32)
    if ignored_yxyx is not None and len(ignored_yxyx):
        labels[_covered(anchors, np.asarray(ignored_yxyx, np.float32))] = IGNORED
    box_targets = np.zeros((len(anchors), 5), np.float32)
    if positive.any():
        matched = matches[positive]
        labels[positive] = np.asarray(classes, np.int32)[matched]
        box_targets[positive, :4] = encode(boxes[matched], anchors[positive])
        box_targets[positive, 4] = 1.0
    return labels, box_targets


def _match(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the box number for each anchor, (N,) int32; -1 for none."""
    # One box at a time: rows of N float32 stay in the cache, the (M, N) matrices of boxes.iou do not.
    corners = np.ascontiguousarray(anchors.T, dtype=np.float32)
    anchor_area = area(anchors).astype(np.float32, copy=False)
    matches = np.full(len(anchors), -1, np.int32)
    # A box must beat this; just below the bound, so that an IoU of exactly 0.5 does.
    best_iou = np.full(len(anchors), np.nextafter(np.float32(POSITIVE_IOU), np.float32(0)), np.float32)
    forced: dict[int, tuple[float, int]] = {}
    for number, (box, box_area) in enumerate(zip(boxes, area(boxes), strict=True)):
        iou = _overlap(box, corners)
        union = anchor_area + box_area
        union -= iou
        iou /= union
        better = iou > best_iou
        best_iou[better] = iou[better]
        matches[better] = number
        anchor = int(iou.argmax())
        taken_iou = forced[anchor][0] if anchor in forced else 0.0
        if iou[anchor] > taken_iou:
            forced[anchor] = (float(iou[anchor]), number)
    for anchor, (_, number) in forced.items():
        matches[anchor] = number
    return matches


def _overlap(box: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Returns the area that a box shares with each of (4, N) corners, (N,) float32."""
    height = np.minimum(corners[2], box[2])
    height -= np.maximum(corners[0], box[0])
    width = np.minimum(corners[3], box[3])
    width -= np.maximum(corners[1], box[1])
    np.maximum(height, 0, out=height)
    np.maximum(width, 0, out=width)
    height *= width
    return height


def _covered(anchors: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Says which anchors lie with at least half of their area in one of the regions, (N,) bool."""
    corners = np.ascontiguousarray(anchors.T, dtype=np.float32)
    half = area(anchors) / 2
    return np.logical_or.reduce([_overlap(region, corners) >= half for region in regions])
