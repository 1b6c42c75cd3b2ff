"""Inputs there and outputs back, on a simulated phone with the real runner."""

import numpy as np
import pytest

from nasfpn_lite.android_bench import phone_model
from nasfpn_lite.android_bench.adb import AdbError, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.phone_model import PhoneModel
from nasfpn_lite.android_bench.raw_outputs import RawOutputError
from nasfpn_lite.android_bench.runners import make_runner
from nasfpn_lite.converters.interpreter import make_interpreter
from tests.hand_made_tflite import HandMade
from tests.own_runner import build_own_runner


@pytest.fixture(scope="module")
def runner():
    return make_runner("nasfpn_runner", build_own_runner("x86_64") / "nasfpn_runner", "x86_64")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """(1, 4) float32 -> the same without what is negative."""
    path = tmp_path_factory.mktemp("model") / "a model $(x).tflite"
    path.write_bytes(make_relu((1, 4)))
    return path


def make_relu(shape):
    made = HandMade()
    source, positive = made.tensor(shape), made.tensor(shape)
    made.op("RELU", [source], [positive])
    return made.to_bytes([source], [positive])


def encode(*values):
    return np.array([values], np.float32).tobytes()


def left_on(phone):
    return [path.name for path in (phone.data / "local/tmp").iterdir()]


@pytest.mark.parametrize("xnnpack", [True, False])
def test_outputs_in_the_order_of_the_inputs(device, phone, runner, model, xnnpack):
    inputs = [encode(number, -number, 0.5, -0.5) for number in range(1, 12)]  # beyond 9: names sort as text
    (name,) = (item["name"] for item in make_interpreter(model).get_output_details())
    with PhoneModel(device, runner, model, threads=2, xnnpack=xnnpack) as there:
        outputs = there.run(inputs)
        again = there.run(inputs[:1])  # nothing of the first run is in the second
        (folder,) = (phone.data / "local/tmp").iterdir()
        assert not {"inputs", "outputs"} & {path.name for path in folder.iterdir()}
    assert [item[name] for item in outputs] == [encode(number, 0, 0.5, 0) for number in range(1, 12)]
    assert again == outputs[:1]
    assert left_on(phone) == []


def test_the_runners_own_words(device, phone, runner, model):
    with PhoneModel(device, runner, model) as there, pytest.raises(AdbError, match="expected 16 bytes of input"):
        there.run([b"123"])
    assert left_on(phone) == []


def test_no_model(device, phone, runner, tmp_path):
    (tmp_path / "m.tflite").write_text("something else")
    with PhoneModel(device, runner, tmp_path / "m.tflite") as there:
        with pytest.raises(AdbError, match="expected a .tflite file"):
            there.run([b""])
    with pytest.raises(AdbError, match="expected a file in"), PhoneModel(device, runner, tmp_path / "none") as there:
        pass
    assert left_on(phone) == []


def test_a_full_phone(start_phone, adb, runner, tmp_path):
    phone = start_phone(disk_bytes=24 * 2**20)
    (tmp_path / "m.tflite").write_bytes(make_relu((1, 2**20)))
    (data,) = [np.zeros((1, 2**20), np.float32).tobytes()]
    with PhoneModel(Device(adb, phone.serial), runner, tmp_path / "m.tflite") as there:
        assert len(there.run([data])) == 1
        with pytest.raises(AdbError, match="free some space on the phone"):
            there.run([data] * 6)
        assert len(there.run([data])) == 1  # what was half pushed is gone


def test_a_lost_phone(start_phone, adb, runner, model):
    phone = start_phone()
    with PhoneModel(Device(adb, phone.serial), runner, model) as there:
        phone.unplug()
        with pytest.raises(DeviceLostError, match="went away"):
            there.run([encode(1, 2, 3, 4)])
        phone.plug_in()
    assert left_on(phone) == []


def test_ctrl_c_leaves_nothing(device, phone, runner, model, monkeypatch):
    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(phone_model, "read_raw_outputs", interrupt)
    with pytest.raises(KeyboardInterrupt), PhoneModel(device, runner, model) as there:
        there.run([encode(1, 2, 3, 4)])
    assert left_on(phone) == []


def test_outputs_of_fewer_runs(device, runner, model, monkeypatch):
    whole = phone_model.read_raw_outputs
    monkeypatch.setattr(
        phone_model,
        "read_raw_outputs",
        lambda folder: type(outputs := whole(folder))(outputs.inputs[1:], outputs.tensors),
    )
    with PhoneModel(device, runner, model) as there, pytest.raises(RawOutputError, match="outputs of 2 inputs.* of 1"):
        there.run([encode(1, 2, 3, 4)] * 2)
