"""What a training has on the disk while it still runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.storage import RunFolder
from rnnlab.training.events import Stepped
from rnnlab.training.train import train


@pytest.mark.parametrize(
    ("often", "stored"),
    [
        ("{every_seconds: 0}", [0, 1, 2, 3, 4]),
        ("{every_seconds: 60}", [0, 0, 0, 0, 0]),
        ("{every_steps: 2, every_seconds: null}", [0, 0, 2, 2, 4]),
        ("{every_seconds: null}", [0, 0, 0, 0, 0]),
    ],
)
def test_the_state_is_written_now_and_then(
    experiment: Callable[..., Experiment], tmp_path: Path, often: str, stored: list[int]
) -> None:
    """The status tells the step of the weights and of the checkpoint, so that what a kill has cost is known."""
    found = []
    events = train(experiment(f"training.checkpoint={often}"), runs=tmp_path, config=b"", argv=[])
    folder: RunFolder = next(events).run
    for event in events:
        if isinstance(event, Stepped):
            found.append(folder.load_weights("last")[1]["step"])
            assert folder.read_status().step == folder.checkpoints().steps()[0] == found[-1]
    assert found == stored
    assert folder.load_weights("last")[1]["step"] == folder.checkpoints().steps()[0] == 5
