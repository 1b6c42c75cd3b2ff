"""The named detectors, in one table. Change one with `dataclasses.replace`, or by `get_spec`'s options."""

import dataclasses
import json
from pathlib import Path

from nasfpn_lite.genotype import GENOTYPES, NASFPN_7, NASFPNLITE_15, Genotype, GenotypeError
from nasfpn_lite.specs import AnchorSpec, BackboneName, BackboneSpec, DetectorSpec, HeadSpec, NeckSpec, SpecError

COCO_CLASSES = 91  # the paper counts its parameters and FLOPs with 91 class slots

_MOBILE = BackboneSpec("mobilenet_v2", top_channels=256)
_RETINA_HEAD = HeadSpec(depth=4, separable=False, shared_towers=True, shared_predictors=True)


def _nasfpnlite(repeats: int, width: int) -> DetectorSpec:
    return DetectorSpec(
        backbone=_MOBILE,
        neck=NeckSpec("nasfpn", 3, 6, width=width, repeats=repeats, genotype=NASFPNLITE_15),
        head=HeadSpec(depth=3, separable=True, shared_towers=False, shared_predictors=True),
        image_size=(320, 320),
        num_classes=COCO_CLASSES,
    )


def _fpnlite(width: int) -> DetectorSpec:
    return DetectorSpec(
        backbone=_MOBILE,
        neck=NeckSpec("fpn", 3, 6, width=width),
        head=HeadSpec(depth=2, separable=True, shared_towers=True, shared_predictors=True),
        image_size=(320, 320),
        num_classes=COCO_CLASSES,
    )


def _retinanet(backbone: BackboneName, neck: NeckSpec, side: int = 640) -> DetectorSpec:
    return DetectorSpec(
        backbone=BackboneSpec(backbone),
        neck=neck,
        head=_RETINA_HEAD,
        image_size=(side, side),
        num_classes=COCO_CLASSES,
        anchors=AnchorSpec(scale=4.0),
        activation="relu",
        resize="pad",
    )


def _fpn(width: int, repeats: int = 1) -> NeckSpec:
    return NeckSpec("fpn", 3, 7, width=width, repeats=repeats, separable=False)


def _nasfpn(repeats: int, width: int) -> NeckSpec:
    return NeckSpec("nasfpn", 3, 7, width=width, repeats=repeats, separable=False, genotype=NASFPN_7)


_STACKS: dict[str, tuple[BackboneName, tuple[tuple[int, int], ...]]] = {  # name: backbone, (repeats, width) of figure 8
    "r50": ("resnet50", ((3, 128), (5, 128), (3, 256), (5, 256), (7, 256), (3, 384), (5, 384), (7, 384))),
    "mobilenetv2": ("mobilenet_v2", ((3, 256), (5, 256), (7, 256))),
    "r101": ("resnet101", ((3, 256), (5, 256), (7, 256))),
    "amoebanetd": ("amoebanet_d", ((3, 256), (5, 256), (7, 256))),
}


VARIANTS: dict[str, DetectorSpec] = {
    **{f"nasfpnlite_{r}x{w}": _nasfpnlite(r, w) for w in (48, 64) for r in (3, 5, 7)},
    "fpnlite_64": _fpnlite(64),
    "fpnlite_128": _fpnlite(128),
    "ssdlite": DetectorSpec(
        backbone=BackboneSpec("mobilenet_v2", top_channels=1280, expanded_c4=True),
        neck=NeckSpec("ssdlite", 4, 9),
        head=HeadSpec(depth=0, separable=True, shared_towers=False, shared_predictors=False),
        image_size=(320, 320),
        num_classes=COCO_CLASSES,
        anchors=AnchorSpec(octaves=(0.0, 0.5), lowest_octaves=(0.0,)),
    ),
    "fpn_r50_256": _retinanet("resnet50", _fpn(256)),
    **{f"fpn_r50_{r}x256": _retinanet("resnet50", _fpn(256, r)) for r in (3, 5, 7)},
    "fpn_r101_256": _retinanet("resnet101", _fpn(256)),
    "fpn_amoebanetd_256": _retinanet("amoebanet_d", _fpn(256), 1280),
    **{
        f"nasfpn_{name}_{r}x{w}": _retinanet(backbone, _nasfpn(r, w))
        for name, (backbone, stacks) in _STACKS.items()
        for r, w in stacks
    },
    **{f"nasfpn_amoebanetd_{r}x384": _retinanet("amoebanet_d", _nasfpn(r, 384), 1280) for r in (5, 7)},
}


def parse_size(text: str) -> tuple[int, int]:
    """Reads "320" or "320x384" (height x width) into (height, width) pixels."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise SpecError(f"a size is S or HxW in pixels, for example 320 or 320x384, got {text!r}")
    return int(parts[0]), int(parts[-1])


def read_genotype(path: Path) -> Genotype:
    """Reads a genotype from a JSON file, or takes one of `GENOTYPES` by its name."""
    if str(path) in GENOTYPES:
        return GENOTYPES[str(path)]
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GenotypeError(
            f"cannot read a genotype from {path}: {error}; give a JSON file or one of {', '.join(GENOTYPES)}"
        ) from error
    return Genotype.from_dict(data)


def get_spec(
    variant: str, *, size: str | None = None, num_classes: int | None = None, genotype: Path | None = None
) -> DetectorSpec:
    """Looks a variant up and applies what every command can change.

    Raises:
        SpecError: The name is unknown, or an option does not fit the variant.
    """
    if variant not in VARIANTS:
        raise SpecError(f"unknown variant {variant!r}; there are {', '.join(VARIANTS)}")
    spec = VARIANTS[variant]
    if size is not None:
        spec = dataclasses.replace(spec, image_size=parse_size(size))
    if num_classes is not None:
        spec = dataclasses.replace(spec, num_classes=num_classes)
    if genotype is not None:
        if spec.neck.kind != "nasfpn":
            raise SpecError(f"--genotype goes with a NAS-FPN variant, got {variant}")
        graph = read_genotype(genotype)
        neck = dataclasses.replace(spec.neck, genotype=graph, min_level=graph.min_level, max_level=graph.max_level)
        spec = dataclasses.replace(spec, neck=neck)
    return spec
