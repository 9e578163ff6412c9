"""Sweeps that are run for a test: made in a line, watched, and judged by all that their runs come to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.events import Event, Over, TrialEnded
from rnnlab.sweeps.planning import plan_sweep
from rnnlab.sweeps.running import run_sweep
from tests.training.resuming import account

QUICK = """\
task: parity
shape: {timesteps: 4}
cell: {units: 4}
training: {steps: 2, batch_size: 4}
evaluation: {sequences: 8}
"""
# About a second of work, saved a few times.
SLOW = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training:
  {steps: 3000, batch_size: 4, evaluate_every: 1500, stop_when_solved: false, checkpoint: {every_seconds: 0.2}}
evaluation: {sequences: 20}
"""
ENDLESS = SLOW.replace("steps: 3000", "steps: 1000000000")

Told = list[tuple[str, str]]


def make(place: Path, config: str, seeds: int = 3, name: str = "s") -> SweepFolder:
    path = place / f"{name}.yaml"
    path.write_text(f"{config}sweep: {{seeds: {seeds}}}\n")
    planned = plan_sweep(path)
    return SweepFolder.create(place / "runs" / name, planned.plan, config=planned.config, configs=planned.configs)


def run(sweep: SweepFolder, on: Callable[[Event], Any] = lambda _: None, *, workers: int = 2, **more: Any) -> Told:
    """Run a sweep to its end; return how each trial ended, in order, and after that where it stands."""
    told: Told = []
    for event in events(sweep, workers=workers, **more):
        on(event)
        if isinstance(event, TrialEnded):
            told.append((event.trial.name, event.state))
    return sorted(told)


def events(sweep: SweepFolder, **more: Any) -> Iterator[Event]:
    yield from run_sweep(sweep, **more)


def states(over: Event) -> list[str]:
    assert isinstance(over, Over)
    return [one.state for one in over.standings]


def accounts(sweep: SweepFolder) -> list[dict[str, Any]]:
    return [account(sweep.run(trial)) for trial in sweep.read_plan().trials]
