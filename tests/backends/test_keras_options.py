"""The rules that choose how Keras computes: of config, engine and shape alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.keras.backend import KerasOptions, Plan, plan
from rnnlab.cells import CELLS


@pytest.mark.parametrize(
    ("options", "engine", "expected"),
    [
        ({}, "tensorflow", Plan("handwritten", xla=True)),
        ({}, "jax", Plan("handwritten", xla=True)),
        ({}, "torch", Plan("handwritten", xla=False)),
        ({"xla": False}, "tensorflow", Plan("handwritten", xla=False)),
        ({"xla": False}, "jax", Plan("handwritten", xla=True)),
        ({"path": "handwritten", "xla": True}, "torch", Plan("handwritten", xla=False)),
        ({"path": "loop"}, "tensorflow", Plan("loop", xla=False)),
        ({"path": "loop"}, "jax", Plan("loop", xla=True)),
        ({"path": "unrolled", "xla": True}, "tensorflow", Plan("unrolled", xla=True)),
        ({"path": "unrolled"}, "torch", Plan("unrolled", xla=False)),
    ],
)
@pytest.mark.parametrize("cell", CELLS.names())
def test_the_plan(cell: str, options: dict[str, Any], engine: str, expected: Plan) -> None:
    assert plan(KerasOptions(**options), SimpleNamespace(name=cell), engine=engine) == expected


def test_a_cell_without_a_handwritten_layer_takes_the_loop() -> None:
    assert plan(KerasOptions(), SimpleNamespace(name="gru"), engine="tensorflow") == Plan("loop", xla=False)


@pytest.mark.parametrize(
    ("batch_size", "width", "parts"),
    [(64, 32, 2), (32, 32, 2), (30, 32, 1), (33, 512, 1), (1, 65_536, 1), (2, 512, 2), (2, 511, 1), (4096, 1, 2)],
)
def test_the_parts_of_a_batch(batch_size: int, width: int, parts: int) -> None:
    from rnnlab.backends.keras.engines.tensorflow import shards

    rows = [np.arange(batch_size)[part].tolist() for part in shards(batch_size, width=width)]
    assert [len(part) for part in rows] == [batch_size // parts] * parts
    assert np.concatenate(rows).tolist() == list(range(batch_size))
