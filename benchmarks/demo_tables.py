"""The demo's table tops: wood, linen, stone, painted board, some with a cloth, a sheet of paper or a pencil on them."""

import cv2
import numpy as np

Light = tuple[float, float]


def make_table(random: np.random.Generator, size: tuple[int, int], light: Light) -> np.ndarray:
    """Makes a table top of (height, width) pixels: (h, w, 3) float32 RGB, 0..1."""
    makers = (_make_wood, _make_linen, _make_stone, _make_board)
    image = makers[random.integers(len(makers))](random, size)
    if random.random() < 0.35:
        _lay_sheet(random, image, light)
    if random.random() < 0.25:
        _lay_pencil(random, image, light)
    return image


def _noise(random: np.random.Generator, size: tuple[int, int], *, cell: tuple[int, int]) -> np.ndarray:
    """Smooth noise of unit variance whose features are about `cell` (height, width) pixels large."""
    coarse = random.standard_normal((size[0] // cell[0] + 3, size[1] // cell[1] + 3), np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def _pick(random: np.random.Generator, colours: list[tuple[float, float, float]]) -> np.ndarray:
    return np.array(colours[random.integers(len(colours))], np.float32) * np.float32(random.uniform(0.92, 1.06))


def _make_wood(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    colour = _pick(random, [(0.66, 0.47, 0.30), (0.50, 0.34, 0.22), (0.78, 0.64, 0.46), (0.36, 0.26, 0.20)])
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    plank_px = int(random.integers(54, 96))
    plank = ((rows + random.integers(plank_px)) // plank_px).astype(int)
    tone = random.normal(0, 0.05, 16).astype(np.float32)[plank % 16]
    # Each plank gets its own figure: the same rings, shifted along the grain.
    rings = _noise(random, size, cell=(26, 150)) * 2.2
    shifts = random.uniform(0, 40, 16).astype(np.float32)[plank % 16]
    figure = np.sin((rows + shifts) * 0.35 + rings * 2.5)
    fibre = _noise(random, size, cell=(1, 34))
    value = 1 + tone + 0.045 * figure + 0.035 * fibre
    edge = np.abs(np.diff(plank, axis=0, prepend=plank[:1])) > 0
    value = value * np.where(edge, 0.62, 1.0)
    return (value[..., None] * colour).astype(np.float32)


def _make_linen(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    colour = _pick(random, [(0.84, 0.80, 0.72), (0.62, 0.68, 0.70), (0.76, 0.66, 0.60), (0.46, 0.52, 0.58)])
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    columns = np.arange(size[1], dtype=np.float32)[None, :]
    weave = 0.03 * (np.sin(rows * 2.1) * np.sin(columns * 2.1))
    threads = 0.022 * _noise(random, size, cell=(1, 14)) + 0.022 * _noise(random, size, cell=(14, 1))
    folds = 0.045 * _noise(random, size, cell=(70, 110))
    return ((1 + weave + threads + folds)[..., None] * colour).astype(np.float32)


def _make_stone(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    colour = _pick(random, [(0.34, 0.36, 0.39), (0.88, 0.87, 0.85), (0.58, 0.57, 0.55)])
    cloud = _noise(random, size, cell=(60, 60)) + 0.5 * _noise(random, size, cell=(22, 22))
    veins = np.exp(-((cloud + 0.3 * _noise(random, size, cell=(8, 8))) ** 2) * 60)
    speckle = 0.02 * _noise(random, size, cell=(2, 2))
    value = 1 + 0.05 * cloud + speckle - 0.10 * veins * (1 if colour[0] > 0.5 else -1)
    return (value[..., None] * colour).astype(np.float32)


def _make_board(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    colour = _pick(
        random, [(0.55, 0.67, 0.66), (0.82, 0.72, 0.66), (0.40, 0.48, 0.56), (0.80, 0.78, 0.66), (0.68, 0.60, 0.66)]
    )
    brush = 0.018 * _noise(random, size, cell=(2, 60)) + 0.02 * _noise(random, size, cell=(50, 90))
    return ((1 + brush)[..., None] * colour).astype(np.float32)


def _blend(image: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> None:
    left, top, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
    here = slice(top, top + height), slice(left, left + width)
    image[here] += mask[here][..., None] * (np.broadcast_to(colour, image.shape)[here] - image[here])


def _fill(size: tuple[int, int], corners: np.ndarray) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _cast(image: np.ndarray, mask: np.ndarray, light: Light, height_px: float) -> None:
    shift = np.array([[1, 0, -light[1] * height_px], [0, 1, -light[0] * height_px]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(mask, shift, mask.shape[::-1]), (0, 0), 1 + height_px * 0.6)
    image *= (1 - 0.4 * shadow)[..., None]


def _rectangle(random: np.random.Generator, size: tuple[int, int], sides: tuple[float, float]) -> np.ndarray:
    turn = random.uniform(0, np.pi)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    centre = np.array([random.uniform(0, size[1]), random.uniform(0, size[0])])
    a, b = along * sides[0] / 2, across * sides[1] / 2
    return np.stack([centre - a - b, centre + a - b, centre + a + b, centre - a + b])


def _lay_sheet(random: np.random.Generator, image: np.ndarray, light: Light) -> None:
    """Lays a sheet of paper or a striped cloth on the table."""
    size = image.shape[:2]
    corners = _rectangle(random, size, (random.uniform(150, 260), random.uniform(110, 180)))
    mask = _fill(size, corners)
    _cast(image, mask, light, 1.5)
    colour = _pick(random, [(0.93, 0.92, 0.88), (0.86, 0.80, 0.70), (0.74, 0.80, 0.82)])
    _blend(image, mask, colour * (1 + 0.015 * _noise(random, size, cell=(30, 30)))[..., None])
    stripe = _pick(random, [(0.50, 0.60, 0.70), (0.76, 0.50, 0.46), (0.56, 0.64, 0.52)])
    gap = random.uniform(0.08, 0.16)
    for place in np.arange(gap, 1, gap):
        ends = corners[0] + (corners[3] - corners[0]) * place, corners[1] + (corners[2] - corners[1]) * place
        thin = (corners[3] - corners[0]) * 0.006
        _blend(image, _fill(size, np.stack([ends[0], ends[1], ends[1] + thin, ends[0] + thin])) * 0.45, stripe)


def _lay_pencil(random: np.random.Generator, image: np.ndarray, light: Light) -> None:
    """Lays a pencil on the table; nothing in the set is called that."""
    size = image.shape[:2]
    corners = _rectangle(random, size, (random.uniform(110, 170), random.uniform(7, 9)))
    start, end = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
    tip = end + (end - start) * 0.13
    outline = np.stack([corners[0], corners[1], tip, corners[2], corners[3]])
    _cast(image, _fill(size, outline), light, 3)
    _blend(image, _fill(size, outline), np.array([0.87, 0.70, 0.48], np.float32))
    colour = _pick(random, [(0.86, 0.62, 0.20), (0.30, 0.45, 0.40), (0.62, 0.24, 0.22), (0.22, 0.24, 0.30)])
    _blend(image, _fill(size, corners), colour)
    third = (corners[3] - corners[0]) / 3
    facet = np.stack([corners[0], corners[1], corners[1] + third, corners[0] + third])
    _blend(image, _fill(size, facet) * 0.35, np.ones(3, np.float32))
    lead = end + (tip - end) * 0.7
    side = third * 0.5
    _blend(image, _fill(size, np.stack([lead - side, tip, lead + side])), np.array([0.2, 0.2, 0.22], np.float32))
