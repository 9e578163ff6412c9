"""Run folders with known content, made without training."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from rnnlab.storage import RunFolder, Status
from rnnlab.storage.jsonfile import write_json
from tests.stored_runs import provenance

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

CONFIG: dict[str, Any] = {
    "name": "carry",
    "seed": 0,
    "precision": "float32",
    "backend": "numpy",
    "cell": {"type": "carry", "units": 4, "forget_bias": 1.0},
    "shape": {"timesteps": 20, "input_features": 2, "output_features": 1, "return_sequences": False},
    "task": {"type": "adding@urnn"},
    "training": {"steps": 200, "batch_size": 10, "optimizer": {"type": "adam", "learning_rate": 0.01}},
    "evaluation": {"sequences": 100},
}
SOLVED: dict[str, Any] = {
    "stopped": "solved",
    "parameters": 133,
    "steps": 200,
    "sequences": 2000,
    "seconds": 4.0,
    "steps_per_second": 50.0,
    "baseline": 0.16,
    "solved": True,
    "solved_at": {"step": 200, "sequences": 2000, "seconds": 3.5},
    "solved_rule": "any",
    "task": "adding@urnn",
    "timesteps": [20, 20],
    "backend": "numpy",
    "cell": "carry",
    "seed": 0,
}
UNSOLVED = {**SOLVED, "stopped": "budget", "solved": False, "solved_at": None}


def make_run(
    root: Path,
    name: str = "20260101T000000Z-carry-aaaaaa",
    *,
    losses: Sequence[float] = (0.8, 0.04, 0.08),
    summary: Mapping[str, Any] | None = SOLVED,
    facts: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RunFolder:
    """Make a run that evaluated at steps 0, 100, 200, …; `config` holds dotted keys to set, or None to delete."""
    run = RunFolder(root / name)
    run.path.mkdir(parents=True)
    state = {"state": "completed", "step": (summary or {}).get("steps", 0), **fields}
    status = Status.start(name, now=MOMENT).changed(now=MOMENT, **state)
    run.write_status(status)
    run.write_resolved(changed({"name": run.label, **(config or {})}), status.id)
    if facts is not None:
        run.write_provenance(provenance(id=status.id, task=dict(facts)))
    with run.metrics_writer(status.id) as writer:
        for number, loss in enumerate(losses):
            record = {"step": 100 * number, "sequences": 1000 * number, "seconds": 2.0 * number}
            writer.write({**record, "validation/loss": loss, "validation/error_rate": loss / 2})
    if summary is not None:
        final = {"loss": losses[-1], "error_rate": losses[-1] / 2} if losses else {}
        final = {name: value if isfinite(value) else None for name, value in final.items()}
        of_run = {
            "id": status.id,
            "attempt": 1,
            "run": name,
            "name": run.label,
            "state": state["state"],
            "loss": final.get("loss"),
            "metrics": final,
        }
        write_json(run.path / "summary.json", {**of_run, "best": None, **summary})
    return run


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the values at these dotted keys replaced, or left out where they are None."""
    config = {key: _copied(value) for key, value in CONFIG.items()}
    for key, value in changes.items():
        *path, last = key.split(".")
        block = config
        for part in path:
            block = block.setdefault(part, {})
        if value is None:
            block.pop(last, None)
        else:
            block[last] = value
    return config


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value
