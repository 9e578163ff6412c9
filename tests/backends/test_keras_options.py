"""Options of the Keras backend, and that one config and seed give bit-identical weights."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.keras import KerasBackend, KerasOptions, Way, way
from rnnlab.core.errors import UsageError
from tests.networks import batch, network, parameters, training


@pytest.mark.parametrize(
    ("options", "engine", "expected"),
    [
        ({}, "tensorflow", Way("derived", xla=True)),
        ({}, "jax", Way("derived", xla=True)),
        ({}, "torch", Way("derived", xla=False)),
        ({"xla": False}, "tensorflow", Way("derived", xla=False)),
        ({"xla": False}, "jax", Way("derived", xla=True)),
        ({"path": "derived", "xla": True}, "torch", Way("derived", xla=False)),
        ({"path": "loop"}, "tensorflow", Way("loop", xla=False)),
        ({"path": "loop"}, "jax", Way("loop", xla=True)),
        ({"path": "unrolled", "xla": True}, "tensorflow", Way("unrolled", xla=True)),
        ({"path": "unrolled"}, "torch", Way("unrolled", xla=False)),
    ],
)
def test_the_way(options: dict[str, Any], engine: str, expected: Way) -> None:
    assert way(KerasOptions(**options), engine=engine) == expected


@pytest.mark.parametrize(
    ("batch_size", "width", "parts"),
    [(64, 32, 2), (32, 32, 2), (30, 32, 1), (33, 512, 1), (1, 65_536, 1), (2, 512, 2), (2, 511, 1), (4096, 1, 2)],
)
def test_the_parts_of_a_batch(batch_size: int, width: int, parts: int) -> None:
    from rnnlab.backends.keras.engines.tensorflow import shards

    rows = [np.arange(batch_size)[part].tolist() for part in shards(batch_size, width=width)]
    assert [len(part) for part in rows] == [batch_size // parts] * parts
    assert np.concatenate(rows).tolist() == list(range(batch_size))


@pytest.mark.parametrize(
    ("engine", "lanes", "units", "batch_size", "expected"),
    [
        ("jax", None, 4, 1, 8),  # of 138 parameters
        ("jax", None, 4, 3, 8),
        ("jax", None, 4, 4, 1),
        ("jax", None, 16, 1, 1),
        ("jax", 32, 16, 64, 32),
        ("jax", 1, 4, 1, 1),
        ("torch", None, 4, 1, 1),
    ],
)
def test_how_many_networks_a_program_trains(
    engine: str, lanes: int | None, units: int, batch_size: int, expected: int
) -> None:
    backend = KerasBackend(engine=engine, options=KerasOptions(lanes=lanes))
    assert backend.population(network("carry", units=units), training(), batch_size=batch_size) == expected


def test_lanes_are_of_jax() -> None:
    backend, net = KerasBackend(engine="torch", options=KerasOptions(lanes=8)), network(precision="float32")
    with pytest.raises(UsageError, match=r"keras\.lanes is 8 on engine torch, which trains networks one by one"):
        backend.build(net, parameters=parameters(net))


BATCH_SIZE, UNITS = 64, 32
ROOT = Path(__file__).parents[2]


def digest(engine: str) -> str:
    """Train a new model for some steps, and return the SHA-256 of all that they have changed."""
    net = network("carry", precision="float32", units=UNITS)
    data = batch(net, batch_size=BATCH_SIZE, timesteps=6, ragged=True)
    model = KerasBackend(engine=engine).build(net, parameters=parameters(net), training=training("adam"))
    for _ in range(5):
        model.train_step(data)
    return hashlib.sha256(b"".join(array.tobytes() for array in model.state_dict().values())).hexdigest()


def test_another_model_and_another_process_give_the_same_bits(engine: str) -> None:
    """The batch is one that TensorFlow computes in two parts side by side; the other process has one thread."""
    from rnnlab.backends.keras.engines.tensorflow import shards

    assert len(shards(BATCH_SIZE, width=UNITS)) == 2
    program = f"from tests.backends.test_keras_options import digest; print(digest({engine!r}))"
    child = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SLURM_CPUS_PER_TASK": "1"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert digest(engine) == digest(engine) == child.stdout.strip()
