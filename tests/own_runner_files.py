"""Models and raw inputs for the project's own runner, and what the Python interpreter makes of them."""

from nasfpn_lite.converters.interpreter import make_interpreter
from tests.hand_made_tflite import HandMade
from tests.own_runner import build_own_runner, start
from tests.tiny_tflite import make_tiny_tflite

FAST = ("--num_runs=5", "--min_secs=0", "--warmup_min_secs=0")
SHAPE = (1, 6, 8, 3)


def start_here():
    """Returns a function that runs the program on this computer with flags."""
    folder = build_own_runner("x86_64")
    return lambda *flags: start(folder, "x86_64", *flags)


def write_tiny(folder):
    """Writes a model of one input of SHAPE, under a hostile name."""
    path = folder / "tiny model $(x).tflite"
    path.write_bytes(make_tiny_tflite())
    return path


def write_mixed(folder):
    """Writes a model of two inputs of two types; one operator that XNNPACK takes and one that it does not."""
    made = HandMade()
    image, counts = made.tensor((1, 2, 3)), made.tensor((2, 2), "int32")
    positive, doubled = made.tensor((1, 2, 3)), made.tensor((2, 2), "int32")
    made.op("RELU", [image], [positive])
    made.op("FLOOR_MOD", [counts, made.fixed([[3, 4], [5, 6]])], [doubled])
    path = folder / "mixed.tflite"
    path.write_bytes(made.to_bytes([image, counts], [positive, doubled]))
    return path


def run_in_python(model, *arrays):
    interpreter = make_interpreter(model)
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def write_inputs(folder, *inputs):
    folder.mkdir()
    for name, arrays in inputs:
        (folder / name).write_bytes(b"".join(array.tobytes() for array in arrays))


def run_folder(run, tiny, tmp_path):
    return run(f"--graph={tiny}", f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}")
