"""What must be true after any fault: doctor reports it correctly, and the resumed run is bit-identical."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.inspection.doctor import examine
from rnnlab.storage import RunFolder
from rnnlab.training.events import Event, Finished, Started, Stepped
from rnnlab.training.resume import train_into
from tests.faults.seam import Killed
from tests.training.resuming import account

Account = dict[str, Any]


def begin(asked: Experiment, folder: Path) -> RunFolder:
    """Train, or resume, to the end."""
    for _ in train_into(folder, asked, config=b"", argv=["x"]):
        pass
    return RunFolder(folder)


@dataclass
class Witness:
    """What the outside saw of a training before it was broken off.

    Attributes:
        began: The step it began at.
        step: Steps done.
        finished: Whether it reported that it was done.
        error: What broke it off.
    """

    began: int = -1
    step: int = 0
    finished: bool = False
    error: BaseException | None = None

    def watch(self, events: Iterable[Event]) -> "Witness":
        """Follow a training to its end; only a refusal of the machine, or a kill, may break it off."""
        try:
            for event in events:
                if isinstance(event, Started):
                    self.began = self.step = event.step
                elif isinstance(event, Stepped):
                    self.step = event.step
                self.finished = isinstance(event, Finished)
        except (EnvironmentFault, MemoryError, Killed) as error:
            self.error = error
        return self


@dataclass(frozen=True)
class Trial:
    """One training, to be broken off and resumed.

    Attributes:
        asked: What is trained.
        whole: What it comes to.
        place: Where its folders go.
    """

    asked: Experiment
    whole: Account
    place: Path

    def run(self, folder: Path, **more: Any) -> Witness:
        """Train in `folder` as far as it gets. A process that was "killed" here lives on, so the lock is forced."""
        events = train_into(folder, self.asked, config=b"", argv=["x"], force_unlock=True, **more)
        return Witness().watch(events)

    def copy(self, template: Path, name: str) -> Path:
        return Path(shutil.copytree(template, self.place / name))

    def check(self, folder: Path, broken: Witness) -> None:
        """Pass if the examination is true, nothing that was saved is lost, and all ends as if nothing had happened."""
        state = self.examined(folder)
        assert state == "completed" or not broken.finished
        after = self.run(folder)
        assert after.finished, after.error
        assert after.began == -1 if state == "completed" else after.began >= self.saved(broken)
        assert account(RunFolder(folder)) == self.whole
        assert self.examined(folder) == "completed"
        assert not list(folder.rglob("*.tmp"))

    def examined(self, folder: Path) -> str:
        """Return the state of a run, which is healthy, or never came to begin; or `missing`."""
        if not (folder / "status.json").exists():
            return "missing"
        report = examine(RunFolder(folder))
        bad = [finding for finding in report.findings if finding.result == "bad"]
        if report.state == "failed" and not (folder / "checkpoints").exists():
            bad = [finding for finding in bad if not finding.detail.startswith(("is missing", "cannot be compared"))]
        assert not bad, bad
        return report.state

    def saved(self, broken: Witness) -> int:
        """Return the step that must have been saved: that of the newest checkpoint before the last step that was seen.

        The checkpoint of a step is written after its event was seen, and before the next one.
        """
        every = self.asked.training.checkpoint.every_steps
        assert every
        return max(broken.step - 1, 0) // every * every
