"""The things on the demo's table: leaf, mug, key, coin and cookie, drawn, lit from one side and cut out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_FINE_BELOW_PX = 90  # smaller things are painted at twice their size and reduced
_SHIFT = 4  # OpenCV's fixed-point coordinates: 1/16 pixel

Colour = tuple[float, float, float]

_LEAVES = ((0.30, 0.52, 0.20), (0.42, 0.60, 0.24), (0.20, 0.44, 0.26), (0.78, 0.50, 0.16), (0.70, 0.30, 0.16))
_GLAZES = (
    *((0.93, 0.91, 0.87), (0.24, 0.40, 0.58), (0.78, 0.36, 0.30)),
    *((0.92, 0.74, 0.38), (0.42, 0.58, 0.52), (0.26, 0.27, 0.30)),
)
_DRINKS = ((0.23, 0.13, 0.08), (0.60, 0.42, 0.28), (0.62, 0.28, 0.10), (0.44, 0.50, 0.20))
_KEY_METALS = ((0.80, 0.64, 0.30), (0.66, 0.67, 0.70), (0.62, 0.44, 0.26), (0.46, 0.44, 0.42))
_COIN_METALS = ((0.86, 0.70, 0.34), (0.74, 0.75, 0.77), (0.72, 0.45, 0.30))
_DOUGHS = ((0.80, 0.58, 0.34), (0.70, 0.46, 0.25), (0.86, 0.68, 0.44))
_ICINGS = ((0.97, 0.95, 0.92), (0.95, 0.72, 0.76), (0.70, 0.84, 0.90), (0.78, 0.87, 0.70))
_SPRINKLES = ((0.86, 0.30, 0.34), (0.98, 0.78, 0.28), (0.36, 0.62, 0.48), (0.36, 0.50, 0.76))


@dataclass(frozen=True)
class Sprite:
    """One thing, cut out.

    Attributes:
        rgb: (h, w, 3) float32, 0..1.
        alpha: (h, w) float32, 0..1.
        height_px: How far it stands above the table; lengthens its shadow.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    height_px: float


class Canvas:
    """A square that is painted in coordinates of -1..1 about its centre, turned by an angle.

    Attributes:
        light: Unit vector (y, x) that points to where the light comes from.
    """

    def __init__(self, size_px: float, angle: float, light: tuple[float, float]) -> None:
        self._scale = 2 if size_px < _FINE_BELOW_PX else 1
        self.side = max(8, round(size_px * self._scale * 1.15))
        self.radius = size_px * self._scale / 2
        self._turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.light = light
        self.rgb = np.zeros((self.side, self.side, 3), np.float32)
        self.alpha = np.zeros((self.side, self.side), np.float32)

    def mask(self, *outlines: np.ndarray) -> np.ndarray:
        """Fills outlines, each (n, 2) as (x, y), even-odd: an outline inside another is a hole."""
        pixels = [self._to_pixels(outline) for outline in outlines]
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, pixels, 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def line(self, outline: np.ndarray, width: float) -> np.ndarray:
        """Draws an open line of a width in units of the canvas."""
        mask = np.zeros((self.side, self.side), np.uint8)
        thickness = max(1, round(width * self.radius))
        cv2.polylines(mask, [self._to_pixels(outline)], False, 255, thickness, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def paint(self, mask: np.ndarray, colour: Colour | np.ndarray, *, bevel: float = 0.0, depth: float = 0.08) -> None:
        """Puts a colour on a mask; `bevel` rounds its edges over `depth` as light would show it."""
        left, top, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
        here = slice(top, top + height), slice(left, left + width)
        paint = np.broadcast_to(np.asarray(colour, np.float32), self.rgb.shape)[here]
        if bevel:
            paint = paint * (1 + np.float32(bevel) * self.slope(mask, depth)[here])[..., None]
        self.rgb[here] += mask[here][..., None] * (paint - self.rgb[here])
        np.maximum(self.alpha[here], mask[here], out=self.alpha[here])

    def slope(self, mask: np.ndarray, depth: float) -> np.ndarray:
        """Returns how far each pixel of a raised mask faces the light, about -1..1."""
        sigma = max(0.8, depth * self.radius)
        height = cv2.GaussianBlur(mask, (0, 0), sigma)
        across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=1, scale=self.light[1])
        down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=1, scale=self.light[0])
        return np.asarray((across + down) * np.float32(sigma * -1.25))

    def polar(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns each pixel's distance from the centre and its angle from the light's direction."""
        axis = (np.arange(self.side, dtype=np.float32) - self.side / 2 + 0.5) / self.radius
        y, x = axis[:, None], axis[None, :]
        return np.hypot(y, x), np.arctan2(y, x) - np.arctan2(self.light[0], self.light[1])

    def cut_out(self, height_px: float) -> Sprite:
        """Reduces the canvas to the photo's pixels."""
        side = max(4, self.side // self._scale)
        alpha = cv2.resize(self.alpha, (side, side), interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(self.rgb * self.alpha[..., None], (side, side), interpolation=cv2.INTER_AREA)
        return Sprite(np.clip(rgb / np.maximum(alpha, 1e-3)[..., None], 0, 1), alpha, height_px)

    def _to_pixels(self, outline: np.ndarray) -> np.ndarray:
        pixels = outline @ self._turn.T * self.radius + self.side / 2 - 0.5
        return np.round(pixels * 2**_SHIFT).astype(np.int32)


def circle(radius: float, centre: np.ndarray | tuple[float, float] = (0, 0), *, points: int = 48) -> np.ndarray:
    """Makes an outline (points, 2)."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius + centre


def _jitter(random: np.random.Generator, colours: Sequence[Colour], amount: float = 0.05) -> np.ndarray:
    colour = np.array(colours[int(random.integers(len(colours)))])
    return np.clip(colour * random.uniform(1 - amount, 1 + amount) + random.uniform(-amount, amount, 3) / 2, 0, 1)


def draw_leaf(random: np.random.Generator, size_px: float, angle: float, light: tuple[float, float]) -> Sprite:
    """Draws an ovate leaf with midrib and veins, green or turning."""
    canvas = Canvas(size_px, angle, light)
    width, bend = random.uniform(0.36, 0.5), random.uniform(-0.1, 0.1)
    along = np.linspace(0, 1, 40)
    half = width * np.sin(np.pi * along**0.75) ** 0.9 * (1 + 0.035 * np.sin(along * random.uniform(50, 70)))
    spine = np.stack([-0.7 + 1.65 * along, bend * np.sin(np.pi * along)], axis=1)
    upper, lower = spine + np.stack([0 * half, half], 1), spine - np.stack([0 * half, half], 1)
    colour = _jitter(random, _LEAVES)
    stem = np.array([(-1.0, -bend), (-0.85, -0.02), (-0.7, 0)])
    canvas.paint(canvas.line(stem, 0.06), colour * 0.75)
    canvas.paint(canvas.mask(np.concatenate([upper, lower[::-1]])), colour, bevel=0.5, depth=0.12)
    canvas.paint(canvas.mask(np.concatenate([upper, spine[::-1]])) * 0.16, np.array([1.0, 1.0, 0.8]))
    vein = np.clip(colour * 1.35 + 0.06, 0, 1)
    canvas.paint(canvas.line(spine, 0.04) * 0.8, vein)
    for start in np.linspace(0.16, 0.78, 6):
        root = int(start * 39)
        reach = min(root + 7, 39)
        for side in (upper, lower):
            tip = spine[root] + (side[reach] - spine[root]) * 0.86
            canvas.paint(canvas.line(np.stack([spine[root], tip]), 0.02) * 0.6, vein)
    return canvas.cut_out(size_px * 0.02 + 1)


def draw_mug(random: np.random.Generator, size_px: float, angle: float, light: tuple[float, float]) -> Sprite:
    """Draws a mug seen from above: handle, rim, inner wall and what is in it."""
    canvas = Canvas(size_px, angle, light)
    glaze, drink = _jitter(random, _GLAZES), _jitter(random, _DRINKS)
    centre = (-0.22, 0.0)
    handle = np.array([(0.40, -0.20), (0.86, -0.17), (0.98, 0.0), (0.86, 0.17), (0.40, 0.20)])
    hole = np.array([(0.48, -0.08), (0.78, -0.07), (0.84, 0.0), (0.78, 0.07), (0.48, 0.08)])
    canvas.paint(canvas.mask(handle, hole), glaze * 0.9, bevel=0.6, depth=0.06)
    canvas.paint(canvas.mask(circle(0.76, centre)), glaze, bevel=0.45, depth=0.06)
    inner = canvas.mask(circle(0.66, centre))
    # The inner wall is a hollow: it is dark where a bevel would be light.
    canvas.paint(inner, glaze * 0.72, bevel=-0.7, depth=0.14)
    surface = canvas.mask(circle(0.58, centre))
    canvas.paint(surface, drink * (1 + 0.25 * canvas.slope(surface, 0.3))[..., None], bevel=-0.35, depth=0.1)
    if random.random() < 0.6:
        froth = np.clip(drink * 1.5 + 0.1, 0, 1)
        for radius in (0.46, 0.3, 0.15):
            spin = random.uniform(0, 6)
            arc = circle(radius, centre)[int(spin * 8) % 20 :][:26]
            canvas.paint(canvas.line(arc, 0.035) * 0.35, froth)
    glint = np.array(centre) + _unrotate(light, angle) * 0.42
    gleam = cv2.GaussianBlur(canvas.mask(circle(0.1, glint)), (0, 0), 0.04 * canvas.radius)
    canvas.paint(gleam * 0.55, (1.0, 1.0, 0.97))
    return canvas.cut_out(size_px * 0.10)


def _unrotate(light: tuple[float, float], angle: float) -> np.ndarray:
    y, x = light
    return np.array([x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)])


def draw_key(random: np.random.Generator, size_px: float, angle: float, light: tuple[float, float]) -> Sprite:
    """Draws a door key: a bow with a hole, a shaft with a collar and a cut bit."""
    canvas = Canvas(size_px, angle, light)
    metal = _jitter(random, _KEY_METALS)
    shaft = 0.075
    bow = circle(0.40, (-0.58, 0)) * np.array([1.0, random.uniform(0.85, 1.1)])
    hole = circle(random.uniform(0.16, 0.25), (-0.58, 0))
    teeth = [(0.98, shaft), (0.98, -shaft), (-0.3, -shaft), (-0.3, shaft), (0.40, shaft)]
    for start in (0.44, 0.60, 0.76):
        drop = random.uniform(0.18, 0.36)
        teeth += [(start, shaft), (start, drop), (start + 0.11, drop), (start + 0.11, shaft)]
    canvas.paint(np.maximum(canvas.mask(bow, hole), canvas.mask(np.array(teeth))), metal, bevel=0.9, depth=0.05)
    collar = np.array([(-0.24, -0.13), (-0.14, -0.13), (-0.14, 0.13), (-0.24, 0.13)])
    canvas.paint(canvas.mask(collar), metal, bevel=0.8, depth=0.04)
    groove = np.array([(-0.05, 0.0), (0.9, 0.0)])
    canvas.paint(canvas.line(groove, 0.03) * 0.5, metal * 0.6)
    return canvas.cut_out(size_px * 0.02 + 1)


def draw_coin(random: np.random.Generator, size_px: float, angle: float, light: tuple[float, float]) -> Sprite:
    """Draws a coin with rim, beads and a raised figure, with the sheen of struck metal."""
    canvas = Canvas(size_px, angle, light)
    metal = _jitter(random, _COIN_METALS)
    radius, turn = canvas.polar()
    sheen = 1 + 0.16 * np.cos(2 * turn) + 0.10 * np.cos(turn)
    canvas.paint(canvas.mask(circle(0.97)), metal[None, None] * sheen[..., None], bevel=0.8, depth=0.05)
    canvas.paint(canvas.mask(circle(0.80)), metal[None, None] * 0.88 * sheen[..., None], bevel=-0.6, depth=0.04)
    corners = int(random.integers(5, 9))
    turns = np.arange(2 * corners) * np.pi / corners
    figure = np.stack([np.cos(turns), np.sin(turns)], 1) * np.where(np.arange(2 * corners) % 2, 0.24, 0.52)[:, None]
    canvas.paint(canvas.mask(figure), metal[None, None] * 1.02 * sheen[..., None], bevel=1.0, depth=0.05)
    for bead in circle(0.69, points=24):
        canvas.paint(canvas.mask(circle(0.03, bead, points=8)) * 0.5, metal * 0.62)
    canvas.rgb += (0.12 * np.exp(-(((radius - 0.5) / 0.3) ** 2)) * np.maximum(np.cos(turn), 0) ** 8)[..., None]
    return canvas.cut_out(size_px * 0.03 + 1)


def draw_cookie(random: np.random.Generator, size_px: float, angle: float, light: tuple[float, float]) -> Sprite:
    """Draws a star-shaped biscuit with icing and sprinkles."""
    canvas = Canvas(size_px, angle, light)
    dough, icing = _jitter(random, _DOUGHS), _jitter(random, _ICINGS, 0.03)
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    radius = 0.74 + 0.22 * np.cos(5 * turn) + 0.04 * np.cos(10 * turn)
    star = np.stack([np.cos(turn), np.sin(turn)], 1) * radius[:, None]
    canvas.paint(canvas.mask(star), dough, bevel=0.7, depth=0.09)
    canvas.paint(canvas.mask(star * 0.76), icing, bevel=0.35, depth=0.05)
    for _ in range(int(random.integers(9, 16))):
        spot = random.uniform(-0.42, 0.42, 2)
        lean = random.uniform(0, np.pi)
        half = np.array([np.cos(lean), np.sin(lean)]) * 0.055
        colour = _SPRINKLES[random.integers(len(_SPRINKLES))]
        canvas.paint(canvas.line(np.stack([spot - half, spot + half]), 0.05), colour)
    return canvas.cut_out(size_px * 0.03 + 1)


@dataclass(frozen=True)
class Kind:
    """A class of the demo set: how it is drawn, and how long its longest side is, in pixels of the photo."""

    name: str
    draw: Callable[[np.random.Generator, float, float, tuple[float, float]], Sprite]
    size_px: tuple[float, float]


KINDS = (
    Kind("leaf", draw_leaf, (70, 150)),
    Kind("mug", draw_mug, (96, 160)),
    Kind("key", draw_key, (76, 150)),
    Kind("coin", draw_coin, (40, 72)),
    Kind("cookie", draw_cookie, (60, 116)),
)
