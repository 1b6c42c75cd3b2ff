"""RetinaNet's heads: a class and a box tower for every level, and the two outputs."""

from typing import Any

from nasfpn_lite.blocks import Blocks, Conv3x3
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.specs import DetectorSpec


def build_head(blocks: Blocks, pyramid: dict[int, Any], spec: DetectorSpec) -> dict[str, Any]:
    """Builds towers and predictors.

    Args:
        pyramid: {level: (b, h, w, channels)} for every level of the neck.

    Returns:
        {"box_encodings": (b, N, 4), "class_logits": (b, N, num_classes)}, N as in `make_anchors`; logits, no sigmoid.

    Source: Lin et al. 2017; tensorflow/tpu official/retinanet. Deliberate differences: the convolutions of the
    NAS-FPNLite towers belong to one level each. The parameter counts of the paper's Table 1 fit that best, and a
    convolution with one batch norm can be folded and quantization-aware-trained, a shared one cannot.
    """
    boxes = _Branch(blocks, spec, "box", 4).apply(pyramid, BOX_OUTPUT)
    classes = _Branch(blocks, spec, "class", spec.num_classes).apply(pyramid, CLASS_OUTPUT)
    return {BOX_OUTPUT: boxes, CLASS_OUTPUT: classes}


class _Branch:
    """The class or the box half of the head; layers shared between levels are made once."""

    def __init__(self, blocks: Blocks, spec: DetectorSpec, branch: str, values: int) -> None:
        self.blocks, self.spec, self.branch, self.values = blocks, spec, branch, values
        self.made: dict[str, Conv3x3] = {}

    def apply(self, pyramid: dict[int, Any], output: str) -> Any:
        """Returns (b, N, values) under the name `output`, in float32 also where the network computes in less."""
        layers = self.blocks.keras.layers
        flat = []
        for level in self.spec.neck.levels:
            x = self.predictor(level)(self.tower(level, pyramid[level]))
            flat.append(layers.Reshape((-1, self.values), name=f"head_{self.branch}_P{level}_flat")(x))
        return layers.Concatenate(axis=1, dtype="float32", name=output)(flat)

    def tower(self, level: int, x: Any) -> Any:
        for depth in range(1, self.spec.head.depth + 1):
            name = f"head_{self.branch}{depth}"
            x = self.tower_conv(level, x.shape[-1], name)(x)
            x = self.blocks.act(self.blocks.batch_norm(x, f"{name}_P{level}_bn"), f"{name}_P{level}_act")
        return x

    def tower_conv(self, level: int, width: int, name: str) -> Conv3x3:
        key = name if self.spec.head.shared_towers else f"{name}_P{level}"
        if key not in self.made:
            self.made[key] = self.blocks.conv3x3(width, separable=self.spec.head.separable, name=key)
        return self.made[key]

    def predictor(self, level: int) -> Conv3x3:
        name = f"head_{self.branch}_predictor"
        key = name if self.spec.head.shared_predictors else f"{name}_P{level}"
        if key not in self.made:
            anchors = self.spec.anchors.per_location(level, self.spec.neck.min_level)
            self.made[key] = self.blocks.predictor(
                anchors * self.values,
                separable=self.spec.head.separable,
                is_class=self.branch == "class",
                name=key,
            )
        return self.made[key]
