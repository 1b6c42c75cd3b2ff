"""The paper's points of AP against latency on a Pixel 1: what others measured, never to be mixed with own figures."""

from dataclasses import dataclass

SOURCE = (
    "Published: Ghiasi, Lin, Le, NAS-FPN (CVPR 2019, arXiv 1904.07392), Fig. 9b: CPU of a Pixel 1, photos of 320 x 320 "
    "pixels, AP on COCO val2017 (of the SSDLite models the figure has what Table 1 gives for test-dev). Read off the "
    "figure, to about 0.001 of AP; latencies that are in Table 1 too are taken from there. Threads and cores are not "
    "told. Nothing of it was measured here."
)


@dataclass(frozen=True)
class PublishedPoint:
    """One point of Fig. 9b; AP of 0 to 1."""

    name: str
    latency_ms: float
    ap: float


FIGURE_9B = (
    PublishedPoint("NAS-FPNLite 3@48", 210, 0.242),
    PublishedPoint("NAS-FPNLite 5@48", 229, 0.251),
    PublishedPoint("NAS-FPNLite 7@48", 240, 0.252),
    PublishedPoint("NAS-FPNLite 3@64", 231, 0.253),
    PublishedPoint("NAS-FPNLite 5@64", 253, 0.2605),
    PublishedPoint("NAS-FPNLite 7@64", 285, 0.263),
    PublishedPoint("FPNLite @64", 192, 0.230),
    PublishedPoint("FPNLite @128", 264, 0.246),
    PublishedPoint("SSDLite MnasNet", 190, 0.223),
    PublishedPoint("SSDLite MobileNetV2", 200, 0.221),
    PublishedPoint("SSDLite MnasNet-92", 227, 0.229),
)
