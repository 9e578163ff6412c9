"""Sweeps that are run for a test: made in a line, watched, and judged by all that their runs come to."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rnnlab.config.blocks import SweepOptions
from rnnlab.sweeps import Plan, SweepFolder, Trial
from rnnlab.sweeps.events import Event, SweepEnded, TrialEnded
from rnnlab.sweeps.expand import check_sweep
from rnnlab.sweeps.runner import run_sweep
from tests.training.resuming import account

QUICK = """\
task: parity
shape: {timesteps: 4}
cell: {units: 4}
training: {steps: 2, batch_size: 4}
evaluation: {sequences: 8}
"""
# About half a second of work, saved a few times.
SLOW = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training:
  {steps: 4000, batch_size: 4, evaluate_every: 800, stop_when_solved: false, checkpoint: {every_seconds: 0.1}}
evaluation: {sequences: 20}
"""
ENDLESS = SLOW.replace("steps: 4000", "steps: 1000000000")

Ends = list[tuple[str, str]]
Undisturbed = Callable[..., list[dict[str, Any]]]


def trial(number: int, name: str = "", values: Mapping[str, Any] | None = None) -> Trial:
    values = dict(values or {"seed": number - 1})
    return Trial(number=number, name=name or f"{number:04d}-seed{number - 1}", values=values, sha256=f"{number:064x}")


def plan(trials: Sequence[Trial], config: bytes = b"task: parity\n") -> Plan:
    return Plan(
        name="tiny",
        options=SweepOptions(seeds=max(1, len(trials))),
        config_sha256=sha256(config).hexdigest(),
        trials=tuple(trials),
    )


def make(place: Path, config: str, seeds: int = 3, name: str = "s") -> SweepFolder:
    return make_sweep(place, f"{config}sweep: {{seeds: {seeds}}}\n", name)


def make_sweep(place: Path, config: str, name: str = "s") -> SweepFolder:
    (place / f"{name}.yaml").write_text(config)
    return SweepFolder.create(place / "runs" / name, check_sweep(place / f"{name}.yaml"))


def run(sweep: SweepFolder, on: Callable[[Event], Any] = lambda _: None, *, workers: int = 2, **more: Any) -> Ends:
    """Run a sweep to its end; return the names of the trials with the state in which each ended."""
    ends: Ends = []
    for event in run_sweep(sweep, workers=workers, **more):
        on(event)
        if isinstance(event, TrialEnded):
            ends.append((event.status.trial.name, event.status.state))
    return sorted(ends)


def states(event: Event) -> list[str]:
    assert isinstance(event, SweepEnded)
    return [one.state for one in event.status.trials]


def accounts(sweep: SweepFolder) -> list[dict[str, Any]]:
    return [account(sweep.run(trial)) for trial in sweep.read_plan().trials]
