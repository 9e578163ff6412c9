"""The same config and seed give the same weights, to the bit, in every process and on any number of threads."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from rnnlab.backends.keras import KerasBackend
from tests.networks import batch, network, parameters, training

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
    program = f"from tests.backends.test_keras_repeatability import digest; print(digest({engine!r}))"
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
