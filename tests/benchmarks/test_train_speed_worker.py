"""What a turn of a training and of a plain loop covers; the training itself is faked."""

import itertools
from types import SimpleNamespace

import keras
import pytest

from nasfpn_lite.benchmarks import train_speed_worker
from nasfpn_lite.benchmarks.train_speed import SETTLING_STEPS, STEPS_PER_TURN, Side
from nasfpn_lite.benchmarks.train_speed_worker import serve_batches, serve_training, take_model, time_batches, to_job
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.variants import get_spec

SPEC = get_spec("fpnlite_64", size="128x192", num_classes=3)
SIDE = Side("/data", SPEC.to_dict(), PRESETS["finetune"].to_dict(), pretrained=True, whole=True)


class Clock:
    """Stands in for `time`; everything a step does takes a second of it."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def process_time(self):
        return 2 * self.now


class FakeChannel:
    def __init__(self, turns: int) -> None:
        self.turns, self.said = turns, []

    def say(self, answer):
        self.said.append(answer)

    def wait(self):
        self.turns -= 1
        return self.turns >= 0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(train_speed_worker, "time", clock)
    monkeypatch.setattr(train_speed_worker, "_describe", lambda job: {"params": 1})
    return clock


def fake_train(clock: Clock, steps: int, rounds: int):
    """Returns a `train` of rounds whose steps take a second each and whose checkpoints take ten."""

    def train(job, folder, *, callbacks):
        every = keras.callbacks.CallbackList(callbacks, model=SimpleNamespace(name="the model"))
        every.on_train_begin()
        for epoch in range(rounds):
            every.on_epoch_begin(epoch)
            for step in range(steps):
                clock.now += 1.0
                every.on_train_batch_end(step, {"loss": 1.0})
            clock.now += 10.0
            every.on_epoch_end(epoch, {})

    return train


def test_a_turn_of_a_training_is_its_round_after_the_first_steps_with_its_checkpoint(monkeypatch, tmp_path, clock):
    monkeypatch.setattr(train_speed_worker, "train", fake_train(clock, steps=27, rounds=9))
    channel = FakeChannel(turns=2)
    serve_training(to_job(SIDE), tmp_path, channel)
    seconds = 27.0 - SETTLING_STEPS + 10.0
    answer = {"seconds": seconds, "cpu_seconds": 2 * seconds, "steps": 27 - SETTLING_STEPS}
    assert channel.said == [{"params": 1}, answer, answer]


def test_a_training_that_ends_before_the_turns_is_an_error(monkeypatch, tmp_path, clock):
    monkeypatch.setattr(train_speed_worker, "train", fake_train(clock, steps=27, rounds=1))
    with pytest.raises(RuntimeError, match="after 120 epochs"):
        serve_training(to_job(SIDE), tmp_path, FakeChannel(turns=2))


def test_the_plain_loop_takes_the_model_of_a_training_before_its_first_step(monkeypatch, tmp_path, clock):
    monkeypatch.setattr(train_speed_worker, "train", fake_train(clock, steps=27, rounds=9))
    assert take_model(to_job(SIDE), tmp_path).name == "the model"
    assert clock.now == 0.0


def test_a_turn_of_the_plain_loop(monkeypatch, tmp_path, clock):
    seen = []

    def train_on_batch(images, targets):
        clock.now += 1.0
        seen.append((images, targets))

    def iterate():
        for number in itertools.count():
            clock.now += 0.5
            yield f"images {number}", f"targets {number}"

    monkeypatch.setattr(train_speed_worker, "take_model", lambda *_: SimpleNamespace(train_on_batch=train_on_batch))
    monkeypatch.setattr(train_speed_worker, "load_split", lambda *_, seed: None)
    monkeypatch.setattr(train_speed_worker, "make_training_data", lambda *_, **__: SimpleNamespace(iterate=iterate))
    channel = FakeChannel(turns=1)
    serve_batches(to_job(SIDE), tmp_path, channel)
    counted = STEPS_PER_TURN - SETTLING_STEPS
    answer = {"seconds": float(counted), "cpu_seconds": 2.0 * counted, "steps": counted}
    assert channel.said == [{"params": 1, "batch_ms": 500.0}, answer]
    assert len(seen) == STEPS_PER_TURN
    assert seen[3:6] == [("images 3", "targets 3"), ("images 0", "targets 0"), ("images 1", "targets 1")]


def test_the_median_batch_counts_as_a_batchs_time(clock):
    def iterate():
        for number in itertools.count():
            clock.now += 100.0 if number == 0 else 2.0
            yield number

    assert time_batches(SimpleNamespace(iterate=iterate)) == ([0, 1, 2, 3], 2.0)


@pytest.mark.parametrize(("pretrained", "weights"), [(True, "imagenet"), (False, None)])
def test_a_job_is_the_sides_without_validations(pretrained, weights):
    job = to_job(Side(**{**vars(SIDE), "pretrained": pretrained}))
    assert (job.spec, job.backbone_weights, job.recipe.validations) == (SPEC, weights, 0)
    assert job.recipe.batch_size == PRESETS["finetune"].batch_size
