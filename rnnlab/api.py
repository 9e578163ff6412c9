"""What `import rnnlab` offers: functions that make runs and compare them, here, and those that act on one run."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from rnnlab.comparison import Comparison
from rnnlab.comparison import compare as _compare
from rnnlab.config.document import Document
from rnnlab.config.load import check_document
from rnnlab.config.overrides import Overrides, override_texts
from rnnlab.config.reading import apply_overrides, document_of_data, read_document
from rnnlab.config.shipped import config_path
from rnnlab.core.arguments import got, require_count
from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.threads import allotted_cpus
from rnnlab.inspection.diagnoses import diagnose
from rnnlab.inspection.evaluate import evaluate
from rnnlab.inspection.export import export
from rnnlab.inspection.predict import predict
from rnnlab.runs.columns import table
from rnnlab.runs.find import open_run, runs_root
from rnnlab.runs.run import Run
from rnnlab.sweeps.events import Event as SweepEvent
from rnnlab.sweeps.expand import check_sweep_document
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.named import runs_named
from rnnlab.sweeps.runner import run_sweep
from rnnlab.sweeps.search import import_optuna
from rnnlab.sweeps.sweep import Sweep
from rnnlab.training.events import Event, Finished
from rnnlab.training.resume import resume as _resume
from rnnlab.training.train import train as _train

__all__ = [
    "Comparison", "Run", "Sweep", "compare", "diagnose", "evaluate", "export", "open_run", "predict", "resume", "sweep",
    "table", "train",
]  # fmt: skip

Config = str | Path | Mapping[str, Any]
Named = Run | Sweep | str | Path


def train(
    config: Config,
    overrides: Overrides = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Train what a config describes and return the run.

    Args:
        config: Path of a YAML file, the name of a shipped config, or the same as a mapping.
        overrides: Changes: `{"training.steps": 500, "cell": {"units": 3}}`, or as after `--set`,
            `["training.steps=500", "cell.units=3"]`.
        runs: The folder for the run folder; left out, `RNNLAB_RUNS` or `runs` here.
        watch: Called with every event; it may raise to stop the training.

    Raises:
        ConfigError: All that is wrong with the config; nothing was created.
        DivergedError: The loss was not finite.
        EnvironmentFault: A system error: space, permission, memory, a missing package.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> run = train(config, {"cell.units": 3}, runs=tempfile.mkdtemp())
        >>> run.state, run.summary.steps, run.weights("last")["layers.0.U"].shape
        ('completed', 2, (3, 3))
    """
    document, file = _document(config, overrides)
    experiment = check_document(document, default_name=file.stem if file else "run")
    beside = file.absolute().parent if file else None
    events = _train(experiment, runs=_root(runs), config=document.raw, argv=["rnnlab.train"], beside=beside)
    return _followed(events, watch)


def resume(
    name: Run | str | Path,
    overrides: Overrides = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Resume a run that was interrupted or killed, with the results of an uninterrupted one; a complete one stays.

    Args:
        name: The run, its path, any unique part of its name, or `latest`.
        overrides: A new budget, `{"training.steps": 5000}`, or another backend, `{"backend": "keras"}`.
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
        >>> resume(run, {"training.steps": 3}).summary.steps
        3
    """
    folder = open_run(name, runs=runs).folder
    return _followed(_resume(folder, overrides=override_texts(overrides), argv=["rnnlab.resume"]), watch)


def sweep(
    config: Config,
    overrides: Overrides = (),
    *,
    runs: str | Path | None = None,
    into: str | Path | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    fail_fast: bool = False,
    watch: Callable[[SweepEvent], None] | None = None,
) -> Sweep:
    """Train all trials of a config with a `sweep:` section, or those that are missing, interrupted or failed.

    A trial that fails or diverges raises nothing: `sweep.status.failures` has it, with the reason.

    Args:
        config: Path of a YAML file, the name of a shipped config, or the same as a mapping.
        overrides: As of `train`.
        runs: The folder for the sweep's folder; left out, `RNNLAB_RUNS` or `runs` here.
        into: The sweep's own folder; left out, the config's name below `runs`.
        workers: How many processes; left out, one per available processor.
        timeout: Seconds after which a trial is saved and counts as failed.
        fail_fast: Stop when the first trial fails.
        watch: Called with every event; it may raise to stop all trials at once.

    Raises:
        ConfigError: All that is wrong with the sweep or any of its trials; nothing was created.
        UsageError: The folder has a sweep with other trials, or `workers` is not 1 or more.
        EnvironmentFault: A system error, or a missing package.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> done = sweep({**config, "name": "seeds", "sweep": {"seeds": 2}}, runs=tempfile.mkdtemp(), workers=1)
        >>> done, [run.summary.seed for run in done.runs]
        (<Sweep 'seeds': 2 completed, of 2 trials>, [0, 1])
    """
    if workers is not None:
        require_count("workers", workers)
    document, file = _document(config, overrides)
    checked = check_sweep_document(document, default_name=file.stem if file else "sweep")
    if checked.plan.is_search:
        import_optuna()
    folder = SweepFolder.create(home_expanded(into) if into else _root(runs) / checked.plan.name, checked)
    events = run_sweep(folder, workers=workers or allotted_cpus(), timeout=timeout, fail_fast=fail_fast)
    with closing(events):
        for event in events:
            if watch is not None:
                watch(event)
    return Sweep(folder)


def compare(
    *names: Named | Iterable[Named],
    metric: str | None = None,
    by: str | None = None,
    over: str | None = None,
    baseline: str | None = None,
    runs: str | Path | None = None,
) -> Comparison:
    """Compare runs: `print` shows the tables and the conclusion, and a notebook the curves too.

    Args:
        names: Runs and sweeps, their paths, or parts of their names; lists of them too.
        metric: What to order by, such as `error_rate` or `train/loss`; the validation loss when left out.
        by: The config key whose values are the columns of a table of groups; with `over`, or neither.
        over: The key whose values are its rows.
        baseline: The group that all others are compared with, by its heading or a part of it.
        runs: The folder of the runs; left out, `RNNLAB_RUNS` or `runs` here.

    Raises:
        RunNotFoundError: A name means no run, or several.
        UsageError: There are fewer than two runs, or something else; none recorded the metric, or the groups make no
            such table.
        VerificationError: No run can be read.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> folder = tempfile.mkdtemp()
        >>> found = compare(*(train(config, {"cell.type": name}, runs=folder) for name in ("simple", "carry")))
        >>> found, dict(found.differences["cell.type"]) == {run.name: run.config["cell.type"] for run in found.results}
        (<Comparison of 2 runs by validation/loss>, True)
    """
    texts = []
    for one in chain.from_iterable(
        given if isinstance(given, Iterable) and not isinstance(given, str) else [given] for given in names
    ):
        if not isinstance(one, Run | Sweep | str | Path):
            raise UsageError(f"got {got(one)}, expected runs and sweeps, their paths or parts of their names")
        texts.append(str(one.path if isinstance(one, Run | Sweep) else one))
    return _compare(runs_named(_root(runs), texts), metric, by=by, over=over, baseline=baseline)


def _document(config: Config, overrides: Overrides) -> tuple[Document, Path | None]:
    """Return a config with overrides, and the file that it is from."""
    if isinstance(config, Mapping):
        return apply_overrides(document_of_data(config), override_texts(overrides)), None
    if not isinstance(config, str | Path):
        expected = "the path of a YAML file, the name of a shipped config, or a mapping"
        raise UsageError(f"got {got(config)}, expected {expected}", where="config")
    file = config_path(config)
    return read_document(file, override_texts(overrides)), file


def _root(runs: str | Path | None) -> Path:
    return runs_root(Path(runs) if runs is not None else None)


def _followed(events: Generator[Event, None, None], watch: Callable[[Event], None] | None) -> Run:
    with closing(events):
        for event in events:
            if watch is not None:
                watch(event)
            if isinstance(event, Finished):
                folder = event.run
    return Run(folder)
