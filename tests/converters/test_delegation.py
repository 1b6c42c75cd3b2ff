"""What an interpreter hands to XNNPACK, against which tensors it keeps in memory."""

from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.delegation import measure_delegation
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.interpreter import make_interpreter
from tests.hand_made_tflite import HandMade, options


def measure(content):
    graph = view_graphs(schema.ModelT.InitFromPackedBuf(content, 0))[0]
    interpreter = make_interpreter(content)
    return measure_delegation(interpreter, graph), interpreter


def make_chain() -> tuple[bytes, list[int]]:
    """ABS, EXP | GATHER | NEG, COS, ABS: XNNPACK has no GATHER."""
    made = HandMade()
    tensors = [made.tensor((4, 6))]
    for name in ("ABS", "EXP", "GATHER", "NEG", "COS", "ABS"):
        tensors.append(made.tensor((4, 6)))
        if name == "GATHER":
            made.op(name, [tensors[-2], made.fixed([3, 2, 1, 0])], tensors[-1:], options("Gather"))
        else:
            made.op(name, tensors[-2:-1], tensors[-1:])
    return made.to_bytes(tensors[:1], tensors[-1:]), tensors


def test_a_graph_in_two_parts():
    content, _ = make_chain()
    found, _ = measure(content)
    assert found.positions == {0, 1, 3, 4, 5}
    assert found.parts == 2


def test_only_tensors_at_the_borders_are_in_memory():
    """The interpreter's memory bears witness: what XNNPACK keeps to itself has no place in it."""
    content, tensors = make_chain()
    _, interpreter = measure(content)
    readable = []
    for tensor in tensors:
        try:
            interpreter.get_tensor(tensor)
        except ValueError:
            continue
        readable.append(tensors.index(tensor))
    assert readable == [0, 2, 3, 6]


def test_an_operator_that_nobody_reads_is_left_outside():
    made = HandMade()
    source, kept, lost = (made.tensor((4, 6)) for _ in range(3))
    made.op("ABS", [source], [kept])
    made.op("EXP", [source], [lost])
    found, _ = measure(made.to_bytes([source], [kept]))
    assert found.positions == {0}


def test_nothing_is_delegated():
    made = HandMade()
    source, result = made.tensor((4, 6)), made.tensor((8, 6))
    made.op("TILE", [source, made.fixed([2, 1])], [result])
    found, _ = measure(made.to_bytes([source], [result]))
    assert (found.positions, found.parts) == (frozenset(), 0)
