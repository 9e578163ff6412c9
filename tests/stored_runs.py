"""Run folders made by hand, and the program called as from a shell, for the tests of the commands that read runs."""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from rnnlab.cli.main import main
from rnnlab.storage import RunFolder, Status
from rnnlab.storage.holder import Holder
from rnnlab.storage.jsonfile import write_json
from rnnlab.storage.provenance import Provenance

START = datetime(2026, 11, 22, 10, 25, 31, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "name": "any", "seed": 7, "precision": "float32", "backend": "numpy",
    "cell": {"type": "carry", "units": 16, "layers": 1},
    "shape": {"timesteps": 50, "input_features": 2, "output_features": 1, "return_sequences": False},
    "task": {"type": "adding@urnn"},
    "training": {"steps": 3000, "batch_size": 32, "optimizer": {"type": "adam", "learning_rate": 0.003}},
}  # fmt: skip
SUMMARY: dict[str, Any] = {
    "id": "0" * 16, "attempt": 1, "run": "any", "name": "any", "state": "completed", "stopped": "budget",
    "task": "adding@urnn",
    "timesteps": [50, 50], "backend": "numpy", "cell": "carry", "seed": 7, "parameters": 1489, "steps": 3000,
    "sequences": 96000, "seconds": 8.0, "steps_per_second": 375.0, "baseline": 1 / 6, "solved": False,
    "solved_rule": "validation loss at most 0.005", "solved_at": None, "loss": 0.125,
    "metrics": {"loss": 0.125, "error_rate": 0.75},
    "best": {"step": 2000, "metrics": {"loss": 0.0625, "error_rate": 0.5}},
}  # fmt: skip
PROVENANCE: dict[str, Any] = {
    "id": "0" * 16,
    "started": "2026-11-22T10:25:31Z", "argv": ["rnnlab", "train", "x y.yaml"], "seed": 7, "config_sha256": "0" * 64,
    "versions": {"python": "3.11.7", "rnnlab": "0.1.0"}, "host": "here", "platform": "any", "machine": "any",
    "cpu": {"model": "Abacus", "logical_cores": 2, "affinity": None},
    "blas": [{"internal_api": "openblas", "num_threads": 1}], "threads": {}, "slurm": {},
    "git": {"commit": "0123456789abcdef", "dirty": True, "diff": "", "diff_complete": True},
    "attempt": 1, "step": 0, "backend": {"name": "numpy"}, "config_yaml_sha256": "0" * 64, "task": {},
}  # fmt: skip


def provenance(**changes: Any) -> Provenance:
    """Return a provenance with these fields changed."""
    return Provenance.model_validate_json(json.dumps(PROVENANCE | changes))


def store(
    root: Path,
    name: str,
    *,
    state: str = "completed",
    config: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
    **status: Any,
) -> RunFolder:
    """Store a run of 3,000 steps; what is given in `config` and `summary` replaces what they hold."""
    folder = RunFolder(root / f"20261122T102531Z-{name}")
    folder.path.mkdir(parents=True)
    started = Status.start(folder.name, now=START).changed(now=START, id="0" * 16)
    step = {"step": 3000, "exit_code": 0} if state == "completed" else {"step": 1000}
    folder.write_status(started.changed(now=START, state=state, **step | status))
    folder.write_config(b"task: adding\n")
    folder.write_resolved(CONFIG | (config or {}), started.id)
    folder.write_provenance(provenance())
    with folder.metrics_writer(started.id) as writer:
        for at, loss, error in ((0, 1.0, 1.0), (1000, 0.1875, 0.875), (2000, 0.0625, 0.5), (3000, 0.125, 0.75)):
            if at <= folder.read_status().step:
                scores = {"validation/loss": loss, "validation/error_rate": error}
                writer.write({"step": at, "sequences": 32 * at, "seconds": at / 375, **scores})
    if state == "running":
        hold(folder)
    else:
        status_of = folder.read_status()
        of_state = {"state": status_of.state, "steps": status_of.step}
        write_json(folder.path / "summary.json", SUMMARY | of_state | (summary or {}))
    return folder


def hold(folder: RunFolder, **holder: Any) -> Path:
    """Lock a run as a process on another machine would, which updated the lock just now."""
    other = Holder.here().model_copy(update={"host": "elsewhere", "machine": "another boot", "pid": 12} | holder)
    path = folder.path / "lock-0001.json"
    write_json(path, other.model_dump(mode="json"))
    return path


class Answer(NamedTuple):
    """What a command says and returns."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout without the blanks that fill up table rows."""
        return [line.rstrip() for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """What stdout holds, which has to be one JSON value."""
        return json.loads(self.out)


def rnnlab(*arguments: str | Path, columns: int = 80) -> Answer:
    """Call the program as from a shell of this many columns."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    with (
        mock.patch.object(sys, "argv", ["rnnlab", *map(str, arguments)]),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns), "NO_COLOR": "1"}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
    return Answer(code or 0, out.getvalue(), err.getvalue())
