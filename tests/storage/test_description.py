"""Descriptions of stored arrays: each field, wrong in each way, with a checksum that is right."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.cells import CELLS
from rnnlab.core.errors import VerificationError
from rnnlab.storage import RunFolder, disk
from rnnlab.storage.weights import save_arrays
from tests.faults.wrong_values import edited
from tests.networks import network

ARRAYS = {"model/W": np.eye(2)}
WEIGHTS: dict[str, Any] = {"id": "ab" * 8, "step": 7, "network": network("carry").describe(), "task": "parity"}
CHECKPOINT: dict[str, Any] = {
    "kind": "checkpoint",
    "id": "ab" * 8,
    "attempt": 1,
    "step": 7,
    "metrics_bytes": 10,
    "about": {"network": network("carry").describe(), "task": "parity"},
    "state": {"model": {}, "place": {"step": 7, "metrics": {"loss": 1 / 3}, "solved_at": None}},
}


def is_within_bounds(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_within_bounds(one) for one in (*value, *value.values()))
    if isinstance(value, list):
        return all(map(is_within_bounds, value))
    return len(value) <= 1000 if isinstance(value, str) else value is None or abs(float(value)) < np.inf


@pytest.mark.parametrize("document", [WEIGHTS, CHECKPOINT], ids=["weights", "checkpoint"])
@pytest.mark.parametrize("each", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_any_field_with_any_value(
    tmp_path: Path, document: dict[str, Any], each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either an error that names the file, or values within bounds."""
    monkeypatch.setattr(disk, "fsync", lambda _: None)
    refused = 0
    run = RunFolder(tmp_path)
    weights, checkpoints = run.inner("weights", make=True) / "best.safetensors", run.checkpoints(make=True)
    for name, changed in islice(edited(document), 0, None, each):
        path = checkpoints.path(7) if document is CHECKPOINT else weights
        save_arrays(path, ARRAYS, changed)
        try:
            _ = checkpoints.load(7) if document is CHECKPOINT else run.load_weights("best")
            is_good = is_within_bounds(changed)
        except VerificationError as error:
            refused += 1
            is_good = error.where.startswith(str(path))
        assert is_good, name
    assert refused > 200 // each


def test_those_of_all_cells_pass(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for cell in CELLS.names():
        about = {**WEIGHTS, "network": network(cell).describe()}
        run.save_weights("last", ARRAYS, about)
        assert run.load_weights("last")[1] == about
