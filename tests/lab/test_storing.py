"""What a training has on the disk while it still runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.lab import storing
from rnnlab.lab.events import Evaluated
from rnnlab.lab.train import train
from rnnlab.runs import RunFolder


@pytest.mark.parametrize(("interval", "stored"), [(0.0, [0, 2, 4]), (60.0, [0, 0, 0])])
def test_weights_are_written_now_and_then(
    experiment: Callable[..., Experiment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interval: float,
    stored: list[int],
) -> None:
    """The status tells the step of the weights, so that a killed training is known for what it left."""
    monkeypatch.setattr(storing, "_SAVE_SECONDS", interval)
    found = []
    events = train(experiment("training.steps=6"), runs=tmp_path, config=b"", argv=[])
    folder: RunFolder = next(events).run
    for event in events:
        if isinstance(event, Evaluated) and event.step < 6 and (folder.path / "weights" / "last.safetensors").exists():
            found.append(folder.load_weights("last")[1]["step"])
            assert folder.read_status().step == found[-1]
    assert found == stored
    assert folder.load_weights("last")[1]["step"] == 6
