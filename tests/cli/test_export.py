"""`rnnlab export`: its output, and its exit codes when it cannot write."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnlab.storage import RunFolder
from tests.cli.program import TINY, child, rnnlab


@pytest.fixture
def run(here: Path) -> RunFolder:
    """A run of 2 inputs, 4 units, 1 output."""
    (here / "x.yaml").write_text(TINY)
    assert rnnlab("train", "x.yaml", "--quiet").code == 0
    (path,) = Path("runs").iterdir()
    return RunFolder(path)


def test_what_was_written_is_shown(run: RunFolder) -> None:
    result = rnnlab("export", "latest", "--format", "npz")
    path = Path(f"{run.name}-best.npz")
    assert (result.code, result.stderr) == (0, "")
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        f"{path}: best weights (step 20), {path.stat().st_size:,} bytes",
        "inputs   (B, T, 2) float32",
        "outputs  (B, 1) float32, raw",
        f"import numpy; arrays = numpy.load('{path}')  # arrays['head.W']",
    ]
    with np.load(path) as arrays:
        assert arrays["layers.0.U"].shape == (4, 4)


def test_as_json(run: RunFolder) -> None:
    Path("a b.npz").write_bytes(b"mine")
    result = rnnlab("export", "x", "--format", "npz", "--weights", "last", "--out", "a b.npz", "--json", "--force")
    assert (result.code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "format": "rnnlab-export/1", "run": run.name, "path": str(run.path), "weights": "last", "steps": 20,
        "file": "a b.npz", "file_format": "npz",
        "bytes": Path("a b.npz").stat().st_size,
        "inputs": {"shape": [None, None, 2], "dtype": "float32"}, "outputs": {"shape": [None, 1], "dtype": "float32"},
        "load": "import numpy; arrays = numpy.load('a b.npz')  # arrays['head.W']",
        "in_units": False, "scaling": None,
    }  # fmt: skip


def test_a_keras_file_in_a_process_of_its_own(run: RunFolder) -> None:
    result = child("export", run.path, "--format", "keras", "--out", "x.keras")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "import keras; model = keras.models.load_model('x.keras')"
