"""Level arithmetic: the only place that knows how large a feature map is."""

from collections.abc import Sequence

LARGEST_STRIDE_MULTIPLE = 64  # every image side is a multiple, so that P3..P6 nest without remainder


def size_at(length: int, level: int) -> int:
    """Returns the length of a feature map side at a level: ceil(length / 2**level), as SAME padding gives."""
    return -(-length // 2**level)


def shape_at(image_size: Sequence[int], level: int) -> tuple[int, int]:
    """Returns (height, width) of the feature map of a level for an image of (height, width) pixels."""
    return size_at(image_size[0], level), size_at(image_size[1], level)


def level_name(prefix: str, level: int) -> str:
    """Returns the name of a feature map: "C4" for the backbone's, "P4" for the pyramid's."""
    return f"{prefix}{level}"
