"""A sweep as a script sees it: its runs and its status."""

from pathlib import Path
from typing import final

from rnnlab.core.table import Cell, Table, table
from rnnlab.figures.notebook import as_html
from rnnlab.runs.run import Run
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.status import SweepStatus, sweep_status

_MOST_ROWS = 60


@final
class Sweep:
    """A sweep on disk; each attribute is read when it is asked for.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.absolute().name

    @property
    def status(self) -> SweepStatus:
        """The state of each trial, the best one, why some failed: `sweep.status.counts`, `.best`, `.failures`."""
        return sweep_status(self.folder)

    @property
    def runs(self) -> list[Run]:
        """The runs that exist, in the order of the plan."""
        folders = (self.folder.run(trial) for trial in self.folder.read_plan().trials)
        return [Run(folder) for folder in folders if folder.is_run()]

    @property
    def best(self) -> Run | None:
        """The run of the best trial by the metric of the sweep; one that solved its task comes before all others."""
        best = self.status.best
        return Run(self.folder.run(best.trial)) if best else None

    def __repr__(self) -> str:
        try:
            return f"<Sweep {self.name!r}: {self.status.in_words}>"
        except Exception:  # nothing may be raised while an error or a list is shown
            return f"<Sweep {self.name!r}: cannot be read>"

    def _repr_html_(self) -> str:
        try:
            status = self.status
            left_out = len(status.trials) - _MOST_ROWS
            more = f"{left_out:,} more trials are not shown." if left_out > 0 else None
            return as_html(f"Sweep {self.name}: {status.in_words}", _table(status), more)
        except Exception:
            return as_html(repr(self))


def _table(status: SweepStatus) -> Table:
    keys = list(dict.fromkeys(key for one in status.trials for key in one.trial.values))
    shown = status.trials[:_MOST_ROWS]
    rows: list[list[Cell]] = [
        [
            one.trial.name,
            *(str(one.trial.values.get(key, "")) for key in keys),
            *(one.state, one.step, one.result, one.solved),
        ]
        for one in shown
    ]
    columns = ["trial", *keys, "state", "step", status.plan.options.metric.name, "solved"]
    return table(columns, rows, text=[*keys, "state"])
