import os
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rnnlab.core.errors import VerificationError
from rnnlab.storage import RunFolder, Status
from rnnlab.storage.jsonfile import read_json, write_json

NOW = datetime(2026, 11, 22, 10, 25, 31, tzinfo=UTC)


def test_status_on_disk(tmp_path: Path) -> None:
    status = Status.start("demo", now=NOW).changed(state="failed", step=3, exit_code=5, message="x", now=NOW)
    RunFolder(tmp_path).write_status(status)
    assert read_json(tmp_path / "status.json") == {
        "format": "rnnlab-run/1", "run": "demo", "id": status.id, "attempt": 1, "state": "failed",
        "step": 3, "saved": None, "started": "2026-11-22T10:25:31Z",
        "updated": "2026-11-22T10:25:31Z", "pid": os.getpid(), "host": platform.node(), "exit_code": 5, "message": "x",
    }  # fmt: skip
    assert RunFolder(tmp_path).read_status() == status


def test_changed_stamps_the_time_and_checks() -> None:
    status = Status.start("demo", now=NOW)
    assert status.changed(step=1, now=NOW + timedelta(hours=-1)).updated == NOW + timedelta(hours=-1)
    assert status.changed(step=1).updated > NOW - timedelta(days=9999)
    for change in ({"state": "done"}, {"step": -1}, {"stpe": 1}):
        with pytest.raises(ValidationError):
            status.changed(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "rnnlab-run/2"}, "is written in the format 'rnnlab-run/2', this rnnlab reads 'rnnlab-run/1'"),
        ({"step": "3"}, "is not a run's status: step: Input should be a valid integer"),
        ({"state": "done", "pid": None}, "is not a run's status: state: Input should be 'running', 'completed', "
         "'interrupted', 'failed' or 'diverged'; pid: Input should be a valid integer"),
        ({"a\x1b": 1}, r"is not a run's status: a\x1b: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_a_status_that_does_not_fit(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    value = {**Status.start("demo", now=NOW).model_dump(mode="json"), **change}
    write_json(tmp_path / "status.json", value)
    with pytest.raises(VerificationError) as caught:
        RunFolder(tmp_path).read_status()
    assert caught.value.problem == problem
