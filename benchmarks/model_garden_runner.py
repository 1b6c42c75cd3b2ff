"""Trains TF Model Garden's RetinaNet in turns; `train_speed` starts this file with a Python that has its package.

    python model_garden_runner.py JOB

JOB is JSON: size [height, width], classes, batch_size, steps and settling_steps (of a turn; the latter do not count),
levels [lowest, highest], filters, head_convs. See `turns` for standard input and output. Nothing of this package is
imported: it is not installed there.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

ANCHOR_SIZE, NUM_SCALES, ASPECT_RATIOS = 3.0, 3, [0.5, 1.0, 2.0]
BOXES_PER_IMAGE = 5


def main(argv: list[str]) -> int:
    """Serves turns until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to stderr
    for answer in serve(json.loads(argv[0]), sys.stdin):
        print(json.dumps(answer), file=out, flush=True)
    return 0


def serve(job: dict[str, Any], turns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yields what there is to say, first the description, then each turn's time."""
    tensorflow = importlib.import_module("tensorflow")
    config = make_config(job)
    task = importlib.import_module("official.vision.tasks.retinanet").RetinaNetTask(config.task)
    model = task.build_model()
    trainer = importlib.import_module("official.core.base_trainer").Trainer(
        config,
        task,
        model,
        task.create_optimizer(config.trainer.optimizer_config, config.runtime),
        evaluate=False,
        train_dataset=tensorflow.data.Dataset.from_tensors(make_batch(job)).repeat(),
    )
    yield describe(model, job)
    settling, counted = job["settling_steps"], job["steps"] - job["settling_steps"]
    for _ in turns:
        trainer.train(tensorflow.constant(settling))
        started, cpu_started = time.perf_counter(), time.process_time()
        trainer.train(tensorflow.constant(counted))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        yield {"seconds": seconds, "cpu_seconds": cpu_seconds, "steps": counted}


def make_config(job: dict[str, Any]) -> Any:
    """Returns Model Garden's own experiment for MobileNetV2 at the job's size.

    Source: official/vision/configs/experiments/retinanet/coco_mobilenetv2_tpu.yaml. Differs: float32, and no
    synchronized batch norms, which on one device only cost the fused kernel.
    """
    importlib.import_module("official.vision.configs.retinanet")
    config = importlib.import_module("official.core.exp_factory").get_exp_config("retinanet_mobile_coco")
    low, high = job["levels"]
    model = {
        "num_classes": job["classes"],
        "input_size": [*job["size"], 3],
        "min_level": low,
        "max_level": high,
        "anchor": {"anchor_size": ANCHOR_SIZE, "num_scales": NUM_SCALES, "aspect_ratios": ASPECT_RATIOS},
        "backbone": {"type": "mobilenet", "mobilenet": {"model_id": "MobileNetV2", "filter_size_scale": 1.0}},
        "decoder": {
            "type": "fpn",
            "fpn": {"num_filters": job["filters"], "use_separable_conv": True, "use_keras_layer": True},
        },
        "head": {"num_convs": job["head_convs"], "num_filters": job["filters"], "use_separable_conv": True},
        "norm_activation": {"activation": "relu6", "norm_epsilon": 0.001, "norm_momentum": 0.99, "use_sync_bn": False},
    }
    config.override(
        {
            "runtime": {"mixed_precision_dtype": "float32"},
            "task": {"model": model, "losses": {"l2_weight_decay": 3e-5}},
        }
    )
    return config


def make_batch(job: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Makes one batch: noise, and targets by Model Garden's own labeler for boxes at random places."""
    numpy = importlib.import_module("numpy")
    tensorflow = importlib.import_module("tensorflow")
    anchor = importlib.import_module("official.vision.ops.anchor")
    random, (height, width) = numpy.random.default_rng(0), job["size"]
    low, high = job["levels"]
    anchors = anchor.build_anchor_generator(low, high, NUM_SCALES, ASPECT_RATIOS, ANCHOR_SIZE)((height, width))
    labels = []
    for _ in range(job["batch_size"]):
        corners = random.uniform(0, 0.7, (BOXES_PER_IMAGE, 2)) * (height, width)
        sides = random.uniform(0.1, 0.3, (BOXES_PER_IMAGE, 2)) * (height, width)
        boxes = numpy.concatenate([corners, corners + sides], axis=1).astype("float32")
        classes = random.integers(0, job["classes"], (BOXES_PER_IMAGE, 1)).astype("int32")
        found = anchor.AnchorLabeler().label_anchors(anchors, tensorflow.constant(boxes), tensorflow.constant(classes))
        names = ("cls_targets", "box_targets", "attribute_targets", "cls_weights", "box_weights")
        labels.append({k: v for k, v in zip(names, found, strict=True) if k != "attribute_targets"})
    stacked = tensorflow.nest.map_structure(lambda *parts: tensorflow.stack(parts), *labels)
    images = random.uniform(-1, 1, (job["batch_size"], height, width, 3)).astype("float32")
    return tensorflow.constant(images), stacked


def describe(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Returns trainable parameters, FLOPs of one image counted as `cost.count_cost` does, and versions."""
    packages = ("tf-models-official", "tensorflow", "tf-keras")
    return {
        "params": sum(int(variable.shape.num_elements()) for variable in model.trainable_variables),
        "flops": count_flops(model, job["size"]),
        "batch_size": job["batch_size"],
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def count_flops(model: Any, size: list[int]) -> int:
    """Counts 2 x multiply-adds of the convolutions that the outputs depend on."""
    tensorflow = importlib.import_module("tensorflow")
    image = tensorflow.TensorSpec((1, *size, 3), tensorflow.float32)

    @tensorflow.function
    def predict(x: Any) -> Any:
        raw = model.head(model.decoder(model.backbone(x, training=False), training=False), training=False)
        return tensorflow.nest.flatten(raw)

    graph = predict.get_concrete_function(image).graph
    waiting, seen = [tensor.op for tensor in graph.outputs], set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    operations = [graph.get_operation_by_name(name) for name in seen]
    return 2 * sum(map(multiply_adds, operations))


def multiply_adds(operation: Any) -> int:
    """Counts one operation of a graph for one image; 0 for all but convolutions."""
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return 0
    _, height, width, _ = operation.outputs[0].shape
    return int(height) * int(width) * int(operation.inputs[1].shape.num_elements())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
