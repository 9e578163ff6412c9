"""A run on the terminal: the result of a training; what was trained, how it ended, its scores, its origin."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import join
from typing import Any, final

from rich.text import Text

from rnnlab.cli.render.curves import draw, line
from rnnlab.cli.render.output import console, show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.code_files import without_path
from rnnlab.core.errors import RnnlabError
from rnnlab.core.figure import Axis, Level, Panel
from rnnlab.core.own_classes import is_known
from rnnlab.core.table import Table, table
from rnnlab.runs.run import Record, Run
from rnnlab.storage.fields import storable
from rnnlab.storage.metrics import NOT_SCORES
from rnnlab.storage.provenance import Provenance, backends
from rnnlab.storage.repository import Git
from rnnlab.storage.summary import LOSS, Scores, Summary, best_record, validation_scores
from rnnlab.tasks.base import NoRule, reference_scores

Facts = list[tuple[str, str]]


def show_result(run: Run) -> None:
    """Print the result of a training that is done."""
    summary = run.summary
    best = summary.best.metrics if summary.best else {}
    rows = [
        (name, value, best.get(name), summary.baseline if name == "loss" else None)
        for name, value in summary.metrics.items()
    ]
    rule = f"; success rule: {summary.solved_rule}" if summary.solved is False else ""
    show(f"{_conclusion(summary)}{rule}", "")
    show_table(table(["", "final", "best", "baseline"], rows))
    show("", *loss_picture(run.records, summary.baseline), f"run  {run.path}")


def show_summary(run: Run) -> None:
    """Print a run's summary as one JSON document."""
    show_json("train", {**run.stored_summary.model_dump(), "run": run.name, "path": run.path})


def _conclusion(summary: Summary) -> str:
    steps = f"{summary.steps:,} step{'s' * (summary.steps != 1)} in {summary.seconds or 0:.1f} s"
    if at := summary.solved_at:
        return f"SOLVED at step {at.step:,}, after {at.sequences:,} sequences and {at.seconds:.1f} s ({steps})"
    result = "no success rule" if summary.solved_rule == str(NoRule()) else "not solved"
    return f"{result}{_STOPPED.get(summary.stopped, '')} ({steps})"


_STOPPED = {"budget": ": all training steps are done", "plateau": ": the validation loss no longer improved"}


def loss_picture(records: Sequence[Record], baseline: float | None) -> list[Text]:
    """Return the validation loss over the whole training, drawn beside the baseline; nothing where none is known."""
    lines = [line("validation loss", ((one["step"], one[LOSS]) for one in records if LOSS in one))]
    levels = [] if baseline is None else [Level(baseline, "baseline")]
    panel = Panel(Axis("step"), Axis("validation loss", log=True), lines, levels)
    return draw(panel, width=min(console().width, 80), height=8)


@final
@dataclass(frozen=True, slots=True)
class Parts:
    """What can be read of a run; what cannot is empty, as is the summary of one that has not ended."""

    run: Run
    summary: Summary | None = None
    provenance: Provenance | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Record] = ()
    evaluations: Sequence[Record] = ()


def outline(parts: Parts) -> Facts:
    """Return what was trained, the state, the result, and the rule that decides what solved means."""
    parameters = parts.summary.parameters if parts.summary else None
    return [
        ("trained", trained(parts.config, parameters) if parts.config else ""),
        ("state", _state(parts.run, parts.config)),
        ("result", _conclusion(parts.summary) if parts.summary else ""),
        ("rule", parts.summary.solved_rule if parts.summary else ""),
    ]


def trained(config: Mapping[str, Any], parameters: int | None) -> str:
    """Return what is trained by a config, by dotted key, in one line."""
    layers, timesteps = config.get("cell.layers"), config.get("shape.timesteps")
    length = "…".join(dict.fromkeys(map(str, timesteps if isinstance(timesteps, list) else [timesteps])))
    parts = [f"{without_path(config.get('cell.type'))} cell", f"{config.get('cell.units')} units"]
    parts += [f"{layers} layers"] if layers != 1 else []
    parts += [f"{parameters:,} parameters"] if parameters is not None else []
    engine = f"{config.get('backend')} {config.get('precision')}, seed {config.get('seed')}"
    return f"{', '.join(parts)}, on {without_path(config.get('task.type'))} (T={length}); {engine}"


def _state(run: Run, config: Mapping[str, Any]) -> str:
    steps, streams = config.get("training.steps"), config.get("training.streams")
    status, of = run.status, f" of {steps:,}" if isinstance(steps, int) and streams is None else ""
    process = f"process {status.pid} on {status.host}"
    if run.state == "stale":
        return f"stale: {process} is not running any more; saved at step {status.step:,}{of}"
    if run.state == "running":
        return f"running: {process}; saved at step {status.step:,}{of}"
    code = "" if not status.exit_code else f", exit code {status.exit_code}"
    message = f": {status.message}" if status.message else ""
    return f"{status.state} at step {status.step:,}{of}{code}{message}"


def scores(parts: Parts) -> Iterator[Table]:
    """Yield the final and the best value of every metric; of a run that has not ended, the newest."""
    final, best, steps = _scores(parts)
    if final:
        rows: list[tuple[str, float | None, float | None]] = [
            (name, value, best.get(name)) for name, value in final.items()
        ]
        heads = ["validation", "final" if parts.summary else "newest", "best"]
        yield table(heads, [*rows, ("of step", *steps)])


def reference_table(parts: Parts) -> Iterator[Table]:
    """Yield the reference predictors of the task and this run, the highest loss first."""
    found: list[tuple[str, float]] = []
    try:
        experiment = parts.run.experiment()
        if is_known(experiment.task):  # else in a file of code, which is not imported for this
            found = reference_scores(experiment.build_task().part("validation"), experiment.timesteps)
    except RnnlabError:  # e.g. the file of the task is gone
        pass
    if not found and parts.summary and parts.summary.baseline is not None:
        found = [("baseline", parts.summary.baseline)]
    best = _scores(parts)[1].get("loss")
    if best is not None:
        found = sorted([*found, ("▶ this run, at its best", best)], key=lambda score: -score[1])
    if found:
        yield table(["reference predictor", "loss"], found)


def _scores(parts: Parts) -> tuple[Scores, Scores, tuple[int | None, int | None]]:
    """Return the final metrics, the best ones, and the steps of both; without a summary, from the record."""
    if summary := parts.summary:
        best = summary.best
        return summary.metrics, best.metrics if best else {}, (summary.steps, best.step if best else None)
    final = next((one for one in reversed(parts.metrics) if one.get(LOSS) is not None), None)
    lowest = best_record(parts.metrics)
    if final is None or lowest is None:
        return {}, {}, (None, None)
    return validation_scores(final), validation_scores(lowest), (final["step"], lowest["step"])


def evaluation_table(records: Sequence[Record]) -> Iterator[Table]:
    """Yield the evaluations made after training, a row each."""
    metrics = [name for name in dict.fromkeys(key for record in records for key in record) if name not in NOT_SCORES]
    rows = []
    for record in records:
        length = "…".join(dict.fromkeys(str(record.get(end, "—")) for end in ("shortest", "longest")))
        cells = [record.get(name) for name in ("sequences", *metrics, "baseline")]
        about = [record.get(name) for name in ("weights", "step", "stream")]
        rows.append([*about, length, *cells, record.get("solved")])
    if rows:
        heads = ["evaluated", "step", "on", "T", "sequences", *metrics, "baseline", "solved"]
        yield table(heads, rows, text=["solved"])


def origin(provenance: Provenance | None) -> Facts:
    """Return when, where, by which code and command."""
    if provenance is None:
        return []
    cpu, versions = provenance.cpu, provenance.versions
    machine = [f"{cpu.model}, {cpu.logical_cores} cores"]
    machine += [f"{one.internal_api} ×{one.num_threads}" for one in provenance.blas]
    computed = backends(provenance)
    return [
        ("started", f"{provenance.started:%Y-%m-%dT%H:%M:%SZ} on {provenance.host} ({'; '.join(machine)})"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("git", _commit(provenance.git) if provenance.git else "the config is not in a repository"),
        ("command", storable(join(provenance.argv))),
        ("backends", "; ".join(f"{name} from step {step:,}" for step, name in computed) if computed[1:] else ""),
    ]


def _commit(git: Git) -> str:
    changes = " with uncommitted changes (the diff is in provenance.json)" if git.dirty else ""
    return f"commit {git.commit[:12]}{changes}"
