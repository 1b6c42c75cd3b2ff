"""Files of one signature each as one file."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import pack_model, parse_model
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.join import join_files
from tests.tiny_tflite import HEIGHT, WIDTH, make_tiny_part


def run(content: bytes, signature: str) -> np.ndarray:
    image = np.linspace(-1, 1, HEIGHT * WIDTH * 3, dtype=np.float32).reshape(1, HEIGHT, WIDTH, 3)
    return make_interpreter(content).get_signature_runner(signature)(image=image)["scores"]


def test_each_signature_computes_what_its_file_did() -> None:
    first, second = make_tiny_part(), make_tiny_part(bias=3.0)
    joined = join_files({"a": first, "b": second})
    np.testing.assert_array_equal(run(joined, "a"), run(first, "serving_default"))
    np.testing.assert_array_equal(run(joined, "b"), run(second, "serving_default"))
    assert np.abs(run(joined, "a") - run(joined, "b")).min() > 0.1


def test_what_is_equal_is_stored_once() -> None:
    model = parse_model(join_files({"a": make_tiny_part(), "b": make_tiny_part(bias=3.0)}))
    assert len(model.buffers) == 1 + 5 + 1  # none; six weights, two of them equal; another bias
    assert len(model.operatorCodes) == 3
    assert [(s.signatureKey, s.subgraphIndex) for s in model.signatureDefs] == [(b"a", 0), (b"b", 1)]
    sizes = [
        len(join_files(parts)) for parts in ({"a": make_tiny_part()}, {"a": make_tiny_part(), "b": make_tiny_part()})
    ]
    assert sizes[1] - sizes[0] < 700  # operators and the signature, no tensors


def test_metadata_of_the_first_stay() -> None:
    model = parse_model(make_tiny_part())
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = np.frombuffer(b"ours", np.uint8)
    model.buffers.append(buffer)
    entry.name, entry.buffer = b"note", len(model.buffers) - 1
    model.metadata = [entry]
    joined = parse_model(join_files({"a": pack_model(model), "b": make_tiny_part(bias=1.0)}))
    assert bytes(joined.buffers[joined.metadata[0].buffer].data) == b"ours"


def test_files_of_several_signatures_are_refused() -> None:
    with pytest.raises(ValueError, match="one subgraph and one signature to make b of"):
        join_files({"a": make_tiny_part(), "b": join_files({"a": make_tiny_part(), "b": make_tiny_part()})})
