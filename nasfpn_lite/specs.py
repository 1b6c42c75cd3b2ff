"""What a detector is, as frozen and checked data. No Keras here."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from nasfpn_lite.errors import UserError
from nasfpn_lite.genotype import Genotype
from nasfpn_lite.levels import LARGEST_STRIDE_MULTIPLE

BackboneName = Literal["mobilenet_v2", "resnet10", "resnet50", "resnet101", "amoebanet_d"]
NeckKind = Literal["nasfpn", "fpn", "ssdlite"]
ResizeRule = Literal["stretch", "pad"]


class SpecError(UserError):
    """A spec that describes no detector."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise SpecError(message)


@dataclass(frozen=True)
class BackboneSpec:
    """The network that turns an image into C3, C4 and C5.

    Attributes:
        name: "mobilenet_v2", "resnet10", "resnet50", "resnet101" or "amoebanet_d".
        top_channels: MobileNetV2 only: channels of a last 1x1 convolution on C5; None for none.
            The mobile detectors of the paper's code base use 256, SSDLite 1280.
        expanded_c4: MobileNetV2 only: take C4 from the 576-channel expansion of block 13, as SSDLite does.
        symmetric_padding: Pad strided convolutions on all sides; AmoebaNet-D never does. The ImageNet weights inside
            the package and Keras's ResNets need True, Keras's and Google's MobileNetV2 False. It costs nothing:
            XNNPACK folds the padding into the convolution (benchmarks/results/padding.md).
    """

    name: BackboneName
    top_channels: int | None = None
    expanded_c4: bool = False
    symmetric_padding: bool = True

    def __post_init__(self) -> None:
        names = BackboneName.__args__  # type: ignore[attr-defined]
        _check(self.name in names, f"backbone must be one of {names}, got {self.name!r}")


@dataclass(frozen=True)
class NeckSpec:
    """The pyramid between backbone and head.

    Attributes:
        kind: "nasfpn" (needs a genotype), "fpn", or "ssdlite" (SSDLite's extra feature layers, no pyramid).
        width: Channels of every pyramid feature; without meaning for "ssdlite".
        repeats: How often the pyramid is stacked; SSDLite's layers are not.
        separable: Depthwise-separable 3x3 convolutions instead of full ones.
    """

    kind: NeckKind
    min_level: int
    max_level: int
    width: int = 0
    repeats: int = 1
    separable: bool = True
    genotype: Genotype | None = None

    def __post_init__(self) -> None:
        kinds = NeckKind.__args__  # type: ignore[attr-defined]
        _check(self.kind in kinds, f"neck kind must be one of {kinds}, got {self.kind!r}")
        _check(
            3 <= self.min_level <= 5 and self.min_level <= self.max_level,
            f"a neck starts at P3, P4 or P5 and ends no finer, got P{self.min_level}..P{self.max_level}",
        )
        _check(self.repeats >= 1, f"neck repeats must be at least 1, got {self.repeats}")
        if self.kind == "ssdlite":
            _check(self.repeats == 1, f"SSDLite's extra layers cannot be stacked, got repeats={self.repeats}")
            return
        _check(self.width > 0 and self.width % 8 == 0, f"neck width must be a positive multiple of 8, got {self.width}")
        _check((self.genotype is not None) == (self.kind == "nasfpn"), "a genotype goes with kind 'nasfpn' alone")
        if self.genotype is not None:
            levels = (self.genotype.min_level, self.genotype.max_level)
            _check(
                levels == (self.min_level, self.max_level),
                f"the genotype spans P{levels[0]}..P{levels[1]}, the neck P{self.min_level}..P{self.max_level}",
            )

    @property
    def levels(self) -> tuple[int, ...]:
        """All levels that the head sees, finest first."""
        return tuple(range(self.min_level, self.max_level + 1))


@dataclass(frozen=True)
class HeadSpec:
    """RetinaNet's class and box towers and their predictors.

    Attributes:
        depth: 3x3 convolutions in each of the two towers.
        separable: Depthwise-separable convolutions, predictors included.
        shared_towers: One set of tower convolutions for all levels, with batch norm per level; else towers per level.
        shared_predictors: One class and one box predictor for all levels.
    """

    depth: int
    separable: bool
    shared_towers: bool
    shared_predictors: bool


@dataclass(frozen=True)
class AnchorSpec:
    """Anchor boxes: one of size scale * 2**level * 2**octave for each octave and aspect ratio.

    Attributes:
        scale: Anchor side over stride, for octave 0 and aspect ratio 1.
        octaves: Exponents of 2.
        aspect_ratios: height / width.
        lowest_octaves: Octaves at the finest level, where they differ (SSDLite has fewer there).
    """

    scale: float = 3.0
    octaves: tuple[float, ...] = (0.0, 1 / 3, 2 / 3)
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    lowest_octaves: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("octaves", "aspect_ratios", "lowest_octaves"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, tuple(float(v) for v in value))
        _check(self.scale > 0 and min(self.aspect_ratios) > 0, "anchor scale and aspect ratios must be positive")

    def octaves_at(self, level: int, min_level: int) -> tuple[float, ...]:
        """Returns the octaves used at a level."""
        return self.lowest_octaves if level == min_level and self.lowest_octaves else self.octaves

    def per_location(self, level: int, min_level: int) -> int:
        """Returns how many anchors stand at each location of a level."""
        return len(self.octaves_at(level, min_level)) * len(self.aspect_ratios)


@dataclass(frozen=True)
class DetectorSpec:
    """A whole detector. Change one with `dataclasses.replace`; it travels as JSON with every run and file.

    Attributes:
        image_size: (height, width) in pixels, each a multiple of 64.
        num_classes: Classes of the head, without background.
        activation: "relu6" or "relu".
        resize: "stretch" to image_size, or "pad": keep the aspect ratio and fill up at the bottom and right.
        exits: Pyramids of a stacked neck, counted from 1, whose features the head was trained to read as well as the
            last one's, which ends the list; () for the last alone. The weights are those of the network without.
    """

    backbone: BackboneSpec
    neck: NeckSpec
    head: HeadSpec
    image_size: tuple[int, int]
    num_classes: int
    anchors: AnchorSpec = field(default_factory=AnchorSpec)
    activation: Literal["relu6", "relu"] = "relu6"
    resize: ResizeRule = "stretch"
    exits: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", tuple(int(side) for side in self.image_size))
        object.__setattr__(self, "exits", tuple(self.exits))
        _check(
            len(self.image_size) == 2 and all(s > 0 and s % LARGEST_STRIDE_MULTIPLE == 0 for s in self.image_size),
            f"image size must be (height, width), each a positive multiple of {LARGEST_STRIDE_MULTIPLE}, "
            f"got {self.image_size}",
        )
        if self.neck.kind != "ssdlite":
            multiple = 2**self.neck.max_level
            _check(
                all(s % multiple == 0 for s in self.image_size),
                f"a pyramid up to P{self.neck.max_level} needs image sides that are multiples of {multiple}, "
                f"got {self.image_size}",
            )
        _check(self.num_classes >= 1, f"num_classes must be at least 1, got {self.num_classes}")
        _check(self.activation in ("relu6", "relu"), f"activation must be relu6 or relu, got {self.activation!r}")
        _check(self.resize in ("stretch", "pad"), f"resize must be stretch or pad, got {self.resize!r}")
        if self.exits:
            self._check_exits()

    def _check_exits(self) -> None:
        repeats = self.neck.repeats
        _check(
            repeats > 1,
            f"exits come after pyramids that are stacked, and this detector has one pyramid; got exits {self.exits}: "
            "take none, or a variant that repeats it, such as nasfpnlite_3x48",
        )
        ascending = all(0 < a < b for a, b in zip(self.exits, self.exits[1:], strict=False))
        _check(
            len(self.exits) > 1 and ascending and self.exits[-1] == repeats,
            f"exits are two or more pyramids of the neck's {repeats}, ascending, the last one {repeats}, "
            f"got {self.exits}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes and JSON can hold."""
        data = asdict(self)
        if not self.exits:
            del data["exits"]  # so that programs from before it read all other detectors
        return data

    def to_json(self) -> str:
        """Returns the spec as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "DetectorSpec":
        """Rebuilds a spec from `to_dict`'s data.

        Raises:
            SpecError: A field is missing or unknown; the message names it.
        """
        try:
            values = dict(data)
            neck = dict(values.pop("neck"))
            genotype = neck.pop("genotype", None)
            return cls(
                backbone=BackboneSpec(**values.pop("backbone")),
                neck=NeckSpec(**neck, genotype=Genotype.from_dict(genotype) if genotype else None),
                head=HeadSpec(**values.pop("head")),
                anchors=AnchorSpec(**values.pop("anchors")),
                **values,
            )
        except (KeyError, TypeError) as error:
            raise SpecError(f"this is no detector spec of this version: {type(error).__name__}: {error}") from error
