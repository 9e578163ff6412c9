"""What `import rnnlab` offers: functions that make runs, here, and those that open runs and act on them."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rnnlab.config.load import check_document
from rnnlab.config.reading import apply_overrides, document_of_data, read_document
from rnnlab.core.named_files import home_expanded
from rnnlab.inspection.diagnoses import diagnose
from rnnlab.inspection.evaluate import evaluate
from rnnlab.inspection.export import export
from rnnlab.inspection.predict import predict
from rnnlab.runs.columns import table
from rnnlab.runs.find import open_run, runs_root
from rnnlab.runs.run import Run
from rnnlab.training.events import Event, Finished
from rnnlab.training.resume import resume as _resume
from rnnlab.training.train import train as _train

__all__ = ["Run", "diagnose", "evaluate", "export", "open_run", "predict", "resume", "table", "train"]


def train(
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Train what a config describes and return the run.

    Args:
        config: Path of a YAML file, the name of a shipped config, or the same as a mapping.
        overrides: Changes, as after `--set`: `["training.steps=500"]`.
        runs: The folder for the run folder; left out, `RNNLAB_RUNS` or `runs` here.
        watch: Called with every event; it may raise to stop the training.

    Raises:
        ConfigError: All that is wrong with the config; nothing was created.
        DivergedError: The loss was not finite.
        EnvironmentFault: A system error: space, permission, memory, a missing package.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> run = train(config, ["cell.units=3"], runs=tempfile.mkdtemp())
        >>> run.state, run.summary.steps, run.weights("last")["layers.0.U"].shape
        ('completed', 2, (3, 3))
    """
    file = None if isinstance(config, Mapping) else home_expanded(config)
    document = document_of_data(config) if isinstance(config, Mapping) else read_document(home_expanded(config))
    default_name = file.stem if file else "run"
    experiment = check_document(apply_overrides(document, overrides), default_name=default_name)
    beside = file.absolute().parent if file else None
    root = runs_root(Path(runs) if runs is not None else None)
    return _followed(_train(experiment, runs=root, config=document.raw, argv=["rnnlab.train"], beside=beside), watch)


def resume(
    name: str | Path,
    overrides: Sequence[str] = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Resume a run that was interrupted or killed, with the results of an uninterrupted one; a complete one stays.

    Args:
        name: The run's path, any unique part of its name, or `latest`.
        overrides: A new budget, `["training.steps=5000"]`, or another backend, `["backend=keras"]`.
        runs: The folder of the run folder; left out, `RNNLAB_RUNS` or `runs` here.
        watch: Called with every event; it may raise to stop the training.

    Raises:
        VerificationError: The stored state is damaged.
        RunLockedError: A live process trains it.
        DivergedError, EnvironmentFault: As from `train`.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> run = train(config, runs=tempfile.mkdtemp())
        >>> resume(run.path, ["training.steps=3"]).summary.steps
        3
    """
    return _followed(_resume(open_run(name, runs=runs).folder, overrides=overrides, argv=["rnnlab.resume"]), watch)


def _followed(events: Generator[Event, None, None], watch: Callable[[Event], None] | None) -> Run:
    with closing(events):
        for event in events:
            if watch is not None:
                watch(event)
            if isinstance(event, Finished):
                folder = event.run
    return Run(folder)
