"""Trainings that are stopped, killed and resumed, and all that a run comes to; shared by the tests that do so."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import StoppedError
from rnnlab.storage import RunFolder
from rnnlab.storage.holder import is_lock
from rnnlab.storage.jsonfile import read_json, write_json
from rnnlab.training.events import Evaluated, Event, Stepped
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop

Make = Callable[..., Experiment]


TIMED = {"seconds", "steps_per_second", "solved_at"}


@contextmanager
def single_updates() -> Iterator[None]:
    """Make blocks of one update, so that a training can be stopped at any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnlab.training.blocks.BLOCK_SECONDS", 0.0)
        yield


def to_the_end(events: Iterable[Event]) -> list[Event]:
    return list(events)


def until(events: Iterable[Event], step: int, stop: Stop) -> None:
    """Ask to stop once `step` steps are done."""

    def watched() -> None:
        for event in events:
            if isinstance(event, Stepped | Evaluated) and event.step >= step:
                stop.ask("a test")

    with single_updates(), pytest.raises(StoppedError):
        watched()


def begin(experiment: Experiment, folder: Path, *, stop_at: int | None = None) -> RunFolder:
    """Train into `folder`, to the end or up to a step."""
    stop = Stop()
    events = train_into(folder, experiment, config=b"", argv=["x"], stop=stop)
    if stop_at is None:
        to_the_end(events)
    else:
        until(events, stop_at, stop)
    return RunFolder(folder)


def account(run: RunFolder) -> dict[str, Any]:
    """All results of a run, bit by bit, without what a clock decides."""
    summary, at = run.read_summary().model_dump(), run.read_summary().solved_at
    newest = run.checkpoints().load(run.checkpoints().steps()[0])
    return {
        "records": [{k: v for k, v in record.items() if k != "seconds"} for record in run.read_metrics().records],
        "summary": {k: v for k, v in summary.items() if k not in TIMED | {"run", "id", "attempt"}},
        "solved": at and (at.step, at.sequences),
        "best": bits(run.load_weights("best")[0]),
        "last": bits(run.load_weights("last")[0]),
        "state": {part: bits(values) for part, values in newest.state.items()},
    }


def bits(values: Any) -> dict[str, Any]:
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
        if name not in TIMED
    }


def resumed(run: RunFolder, **more: Any) -> RunFolder:
    to_the_end(resume(run, argv=[], **more))
    return run


def killed(experiment: Experiment, folder: Path, step: int) -> RunFolder:
    """Leave a run as kill -9 after `step` steps would, its lock held by a process that is gone."""
    events = train_into(folder, experiment, config=b"", argv=[])
    with single_updates():
        for event in events:
            if isinstance(event, Stepped) and event.step == step:
                break
    run = RunFolder(folder)
    left = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    events.close()
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for path, data in left.items():
        path.write_bytes(data)
        if is_lock(path.name):
            write_json(path, read_json(path) | {"process_started": "0"})
    return run


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")
