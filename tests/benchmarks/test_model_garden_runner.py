"""The loop that runs with Model Garden; TensorFlow and Model Garden are stand-ins here."""

import math
import sys
from types import SimpleNamespace

from nasfpn_lite.benchmarks import model_garden_runner
from nasfpn_lite.benchmarks.model_garden_runner import count_flops, make_config, multiply_adds, serve

JOB = {
    **{"size": [128, 192], "classes": 3, "batch_size": 2, "steps": 5, "settling_steps": 2},
    **{"levels": [3, 6], "filters": 64, "head_convs": 2},
}


class Shape(tuple):
    def num_elements(self):
        return math.prod(self)


def operation(name: str, kind: str, shape: tuple[int, ...], kernel: tuple[int, ...], source=None) -> SimpleNamespace:
    nothing = SimpleNamespace(name="const", type="Const", inputs=[], outputs=[])
    inputs = [SimpleNamespace(op=source or nothing), SimpleNamespace(op=nothing, shape=Shape(kernel))]
    return SimpleNamespace(name=name, type=kind, inputs=inputs, outputs=[SimpleNamespace(shape=Shape(shape))])


DEPTHWISE = operation("a", "DepthwiseConv2dNative", (1, 4, 6, 8), (3, 3, 8, 1))
POINTWISE = operation("b", "Conv2D", (1, 4, 6, 16), (1, 1, 8, 16), source=DEPTHWISE)
ADDITION = operation("c", "AddV2", (1, 4, 6, 16), (16,), source=POINTWISE)
UNUSED = operation("d", "Conv2D", (1, 4, 6, 1280), (1, 1, 16, 1280), source=POINTWISE)


def test_multiply_adds_of_convolutions_alone():
    assert [multiply_adds(op) for op in (DEPTHWISE, POINTWISE, ADDITION)] == [4 * 6 * 9 * 8, 4 * 6 * 8 * 16, 0]


def test_flops_are_of_what_the_outputs_depend_on(monkeypatch):
    operations = {op.name: op for op in (DEPTHWISE, POINTWISE, ADDITION, UNUSED)}
    operations["const"] = DEPTHWISE.inputs[0].op
    graph = SimpleNamespace(outputs=[SimpleNamespace(op=ADDITION)], get_operation_by_name=operations.get)
    traced = SimpleNamespace(get_concrete_function=lambda image: SimpleNamespace(graph=graph))
    tensorflow = SimpleNamespace(function=lambda f: traced, TensorSpec=lambda *_: None, float32=None)
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    assert count_flops(None, [32, 48]) == 2 * (4 * 6 * 9 * 8 + 4 * 6 * 8 * 16)


def test_the_experiment_is_model_gardens_at_the_jobs_size(monkeypatch):
    changes = []
    config = SimpleNamespace(override=changes.append)
    factory = SimpleNamespace(get_exp_config={"retinanet_mobile_coco": config}.__getitem__)
    monkeypatch.setitem(sys.modules, "official.vision.configs.retinanet", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "official.core.exp_factory", factory)
    assert make_config(JOB) is config
    model = changes[0]["task"]["model"]
    assert (model["input_size"], model["num_classes"], model["min_level"], model["max_level"]) == (
        [128, 192, 3],
        3,
        3,
        6,
    )
    assert (model["decoder"]["fpn"]["num_filters"], model["head"]["num_filters"], model["head"]["num_convs"]) == (
        64,
        64,
        2,
    )
    assert changes[0]["runtime"] == {"mixed_precision_dtype": "float32"}


def test_a_turn_leaves_the_first_steps_out(monkeypatch):
    clock, trained = [0.0], []

    class Trainer:
        def __init__(self, config, task, model, optimizer, *, evaluate, train_dataset):
            assert (model, optimizer, evaluate, train_dataset) == ("the model", "sgd", False, "the batch, repeated")

        def train(self, steps):
            trained.append(steps)
            clock[0] += steps

    task = SimpleNamespace(build_model=lambda: "the model", create_optimizer=lambda optimizer, runtime: optimizer)
    dataset = SimpleNamespace(from_tensors=lambda batch: SimpleNamespace(repeat=lambda: f"{batch}, repeated"))
    trainer = SimpleNamespace(optimizer_config="sgd")
    fakes = {
        "tensorflow": SimpleNamespace(constant=int, data=SimpleNamespace(Dataset=dataset)),
        "official.vision.tasks.retinanet": SimpleNamespace(RetinaNetTask=lambda config: task),
        "official.core.base_trainer": SimpleNamespace(Trainer=Trainer),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    config = SimpleNamespace(task=None, trainer=trainer, runtime=None)
    monkeypatch.setattr(model_garden_runner, "make_config", lambda job: config)
    monkeypatch.setattr(model_garden_runner, "make_batch", lambda job: "the batch")
    monkeypatch.setattr(model_garden_runner, "describe", lambda model, job: {"params": 1})
    monkeypatch.setattr(
        model_garden_runner, "time", SimpleNamespace(perf_counter=lambda: clock[0], process_time=lambda: 2 * clock[0])
    )
    assert list(serve(JOB, ["turn\n"] * 2)) == [{"params": 1}, *[{"seconds": 3.0, "cpu_seconds": 6.0, "steps": 3}] * 2]
    assert trained == [2, 3, 2, 3]


def test_it_imports_nothing_of_this_package(repository):
    assert "nasfpn_lite" not in (repository / "benchmarks" / "model_garden_runner.py").read_text(encoding="utf-8")
