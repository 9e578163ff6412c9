"""A run as a Python object, and the calls that make one: what `import rnnlab` offers."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any, Literal, final

from numpy.typing import NDArray

from rnnlab.backends.base import AbstractModel
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.overrides import apply_overrides
from rnnlab.config.reading import document_of_data, read_document
from rnnlab.core.text import visible
from rnnlab.inspection.diagnose import Diagnosis
from rnnlab.inspection.diagnose import diagnose as _diagnose
from rnnlab.inspection.evaluate import Evaluation
from rnnlab.inspection.evaluate import evaluate as _evaluate
from rnnlab.inspection.export import Export, Format
from rnnlab.inspection.export import export as _export
from rnnlab.runs import find_run, runs_root
from rnnlab.runs.stored import experiment_of, load_weights
from rnnlab.storage import RunFolder
from rnnlab.training.events import Event, Finished
from rnnlab.training.resume import resume as _resume
from rnnlab.training.train import train as _train

Which = Literal["best", "last"]


@final
class Run:
    """A trained (or failed, or running) experiment on disk.

    Everything is read from the run folder when asked for; a damaged file raises `VerificationError`.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, state={self.state!r})"

    def _repr_html_(self) -> str:
        """Show the run in a notebook; text from its files is text and no markup."""
        rows: dict[str, Any] = {"run": str(self.path), "state": self.state}
        if self.folder.has_result(self.folder.read_status()):
            summary = self.summary
            rows |= {
                key: summary.get(key) for key in ("task", "cell", "steps", "loss", "baseline", "solved", "seconds")
            }
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(key)}</th><td>{escape(visible(str(value)))}</td></tr>"
            for key, value in rows.items()
            if value is not None
        )
        return f"<table>{cells}</table>"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def state(self) -> str:
        """`running`, `completed`, `interrupted`, `failed`, `diverged`, or `stale`: running, but its process is gone."""
        status = self.folder.read_status()
        return "stale" if self.folder.is_stale(status) else status.state

    @property
    def summary(self) -> dict[str, Any]:
        """The result in figures: `loss`, `baseline`, `solved`, `solved_at`, `metrics`, `best`, `seconds` and more."""
        return self.folder.read_summary()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One record an evaluation: `step`, `sequences`, `seconds`, `train/loss`, `validation/loss` and the like."""
        return self.folder.read_metrics().records

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """One record for each evaluation made after training."""
        return self.folder.read_evaluations().records

    @property
    def experiment(self) -> Experiment:
        """What was trained, complete."""
        return experiment_of(self.folder)

    def weights(self, which: Which = "best") -> dict[str, NDArray[Any]]:
        """Return the parameters by full name: `layers.0.W` (I, H), `layers.0.U` (H, H), … `head.b` (O,)."""
        experiment = self.experiment
        return load_weights(self.folder, experiment.network(experiment.build_task()), which)[0]

    def model(self, which: Which = "best") -> AbstractModel:
        """Return the trained network, ready to predict: `run.model().predict(inputs, states=True)`."""
        experiment = self.experiment
        network = experiment.network(experiment.build_task())
        backend = experiment.build_backend()
        built: AbstractModel = backend.build(network, parameters=self.weights(which))
        return built

    def evaluate(
        self, overrides: Sequence[str] = (), *, weights: Which = "best", sequences: int | None = None
    ) -> Evaluation:
        """Score the run again, e.g. `run.evaluate(["shape.timesteps=400"])`; see `rnnlab.inspection.evaluate`."""
        return _evaluate(self.folder, overrides=overrides, weights=weights, sequences=sequences)

    def diagnose(
        self,
        names: Collection[str] | None = None,
        *,
        weights: Which = "best",
        timesteps: int | None = None,
        sequences: int = 64,
    ) -> Diagnosis:
        """Diagnose the network, e.g. `run.diagnose()["gradient"]`; see `rnnlab.inspection.diagnose.diagnose`."""
        return _diagnose(self.folder, names, weights=weights, timesteps=timesteps, sequences=sequences)

    def export(
        self, format: Format, *, weights: Which = "best", out: str | Path | None = None, force: bool = False
    ) -> Export:
        """Write the network for other programs, e.g. `run.export("onnx").path`; see `rnnlab.inspection.export`."""
        return _export(self.folder, format, weights=weights, out=Path(out) if out is not None else None, force=force)


def train(
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Train what a config describes and return the run.

    Args:
        config: Path of a YAML file, or the same as a mapping.
        overrides: Changes, as after `--set`: `["training.steps=500"]`.
        runs: The folder for the run folder; left out, `RNNLAB_RUNS` or `runs` here.
        watch: Called with every event; it may raise to stop the training.

    Raises:
        ConfigError: All that is wrong with the config; nothing was created.
        DivergedError: The loss was not finite.
        EnvironmentFault: The machine says no.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> run = train(config, ["cell.units=3"], runs=tempfile.mkdtemp())
        >>> run.state, run.summary["steps"], run.weights("last")["layers.0.U"].shape
        ('completed', 2, (3, 3))
    """
    document = document_of_data(config) if isinstance(config, Mapping) else read_document(Path(config))
    default_name = "run" if isinstance(config, Mapping) else Path(config).stem
    experiment = check_document(apply_overrides(document, overrides), default_name=default_name)
    beside = None if isinstance(config, Mapping) else Path(config).absolute().parent
    root = runs_root(Path(runs) if runs is not None else None)
    return _followed(_train(experiment, runs=root, config=document.raw, argv=["rnnlab.train"], beside=beside), watch)


def resume(
    name: str | Path,
    overrides: Sequence[str] = (),
    *,
    runs: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Go on with a run that was interrupted or killed, to the numbers it would have had; a complete one stays as it is.

    Args:
        name: The run's path, any unique part of its name, or `latest`.
        overrides: A new budget, `["training.steps=5000"]`, or another backend, `["backend=keras"]`.
        runs: The folder of the run folder; left out, `RNNLAB_RUNS` or `runs` here.
        watch: Called with every event; it may raise to stop the training.

    Raises:
        VerificationError: What it would go on from is damaged.
        RunLockedError: A live process trains it.
        DivergedError, EnvironmentFault: As from `train`.

    Example:
        >>> import tempfile
        >>> config = {"task": "parity", "shape": {"timesteps": 2}, "training": {"steps": 2, "batch_size": 4}}
        >>> run = train(config, runs=tempfile.mkdtemp())
        >>> resume(run.path, ["training.steps=3"]).summary["steps"]
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


def open_run(name: str | Path, *, runs: str | Path | None = None) -> Run:
    """Return a run by its path, any unique part of its name, or `latest`.

    Raises:
        RunNotFoundError: No run, or several, fit.
    """
    return Run(find_run(runs_root(Path(runs) if runs is not None else None), str(name)))
