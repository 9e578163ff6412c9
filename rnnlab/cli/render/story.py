"""A stored run in words and tables: what it is, how it ended, what it scored, where it comes from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnlab.cli.render.output import plain_table
from rnnlab.cli.render.result import figure
from rnnlab.core.text import visible
from rnnlab.storage.jsonfile import look_up

if TYPE_CHECKING:
    from rich.table import Table

    from rnnlab.storage import Status

Parts = Mapping[str, Any]
Facts = list[tuple[str, str]]


def story(status: "Status", parts: Parts, *, stale: bool) -> Facts:
    """Return what was trained, the state, how it ended, and the rule that decides what solved means."""
    config, summary = parts["config"] or {}, parts["summary"] or {}
    return [
        ("trained", _trained(config, summary)),
        ("state", _state(status, look_up(config, "training.steps"), stale=stale)),
        ("result", _result(summary)),
        ("rule", str(summary.get("solved_rule") or "")),
    ]


def _trained(config: Parts, summary: Parts) -> str:
    layers, timesteps = look_up(config, "cell.layers"), look_up(config, "shape.timesteps")
    steps = "…".join(map(str, timesteps if isinstance(timesteps, list) else [timesteps]))
    parts = [f"{look_up(config, 'cell.type')} cell", f"{look_up(config, 'cell.units')} units"]
    parts += [f"{layers} layers"] if layers != 1 else []
    parts += [f"{_count(summary, 'parameters')} parameters"] if summary else []
    engine = f"{config.get('backend')} {config.get('precision')}, seed {config.get('seed')}"
    return f"{', '.join(parts)}, on {look_up(config, 'task.type')} (T={steps}); {engine}" if config else ""


def _state(status: "Status", budget: Any, *, stale: bool) -> str:
    of = f" of {budget:,}" if isinstance(budget, int) else ""
    where = f"process {status.pid} on {status.host}"
    if stale:
        return f"stale: it says running, but {where} is gone; saved at step {status.step:,}{of}"
    if status.state == "running":
        return f"running: {where}; saved at step {status.step:,}{of}"
    code = "" if not status.exit_code else f", exit code {status.exit_code}"
    message = f": {status.message}" if status.message else ""
    return f"{status.state} at step {status.step:,}{of}{code}{message}"


def _result(summary: Parts) -> str:
    if not summary:
        return ""
    rate = f"{_count(summary, 'steps')} steps in {figure(_number(summary.get('seconds')))} s"
    speed = f"{rate}, {figure(_number(summary.get('steps_per_second')))} a second"
    at = summary.get("solved_at")
    if not isinstance(at, dict):
        return f"not solved{_WHY.get(str(summary.get('stopped')), '')} ({speed})"
    when = f"at step {_count(at, 'step')}, after {_count(at, 'sequences')} sequences and {at.get('seconds')} s"
    return f"solved {when} ({speed})"


_WHY = {
    "budget": ": the budget is spent",
    "plateau": ": the validation loss stalled",
}


def scores(parts: Parts) -> "Table | None":
    """Return the final and the best of every metric; of a run under way, the newest."""
    final, best, steps = _standing(parts)
    if not final:
        return None
    newest = "newest" if parts["summary"] is None else "final"
    table = _tight("validation", newest, "best", numbers=(newest, "best"))
    for name, value in final.items():
        table.add_row(visible(name), figure(_number(value)), figure(_number(best.get(name))))
    table.add_row("of step", *(f"{step:,}" if isinstance(step, int) else "—" for step in steps))
    return table


def reference_table(parts: Parts) -> "Table | None":
    """Return the reference predictors of the task and this run, the highest loss first."""
    scores = _reference_scores(parts["config"] or {})
    baseline, best = _number(look_up(parts["summary"], "baseline")), _number(_standing(parts)[1].get("loss"))
    if not scores and baseline is not None:
        scores = [("baseline", baseline)]
    if best is not None:
        scores = sorted([*scores, ("▶ this run, at its best", best)], key=lambda score: -score[1])
    if not scores:
        return None
    table = _tight("reference predictor", "loss", numbers=("loss",))
    for name, loss in scores:
        table.add_row(visible(name), figure(loss))
    return table


def _standing(parts: Parts) -> tuple[Parts, Parts, tuple[Any, Any]]:
    """Return the final metrics, the best ones, and the steps of both; of a run without summary, from its record."""
    summary = parts["summary"]
    if summary is not None:
        final, best = (look_up(summary, key) for key in ("metrics", "best.metrics"))
        steps = (look_up(summary, "steps"), look_up(summary, "best.step"))
        return (final if isinstance(final, dict) else {}, best if isinstance(best, dict) else {}, steps)
    records = [record for record in parts["metrics"] or [] if _number(record.get("validation/loss")) is not None]
    if not records:
        return {}, {}, (None, None)
    chosen = records[-1], min(records, key=lambda record: float(record["validation/loss"]))
    final, best = (
        {key.removeprefix("validation/"): record[key] for key in record if key.startswith("validation/")}
        for record in chosen
    )
    return final, best, (chosen[0]["step"], chosen[1]["step"])


def _reference_scores(config: Parts) -> list[tuple[str, float]]:
    """Return the task's reference scores at the run's lengths; nothing where the task or its file is missing."""
    from pydantic import ValidationError

    from rnnlab.core.errors import RnnlabError
    from rnnlab.tasks import task_class
    from rnnlab.tasks.base import reference_scores

    options, timesteps = config.get("task"), look_up(config, "shape.timesteps")
    lengths = (timesteps, timesteps) if isinstance(timesteps, int) else timesteps
    if not isinstance(options, dict) or [type(length) for length in lengths or ()] != [int, int]:
        return []
    exact = (lengths[0], lengths[1])
    try:
        kind = task_class(str(options.get("type")))
        task = kind(kind.Options.model_validate(options)).part("validation")
    except (RnnlabError, ValidationError):
        return []
    if task.timesteps_fault(exact):
        return []
    return reference_scores(task, exact)


def evaluations(records: Sequence[Parts]) -> "Table | None":
    """Return the evaluations made after training, a row each."""
    if not records:
        return None
    metrics = [name for name in dict.fromkeys(key for record in records for key in record) if name not in _ABOUT]
    numbers = ("step", "T", "sequences", "baseline", *metrics)
    table = _tight("evaluated", "step", "T", "sequences", *metrics, "baseline", "solved", numbers=numbers)
    for record in records:
        ends = dict.fromkeys(str(record.get(end, "—")) for end in ("shortest", "longest"))
        cells = [str(record.get("weights", "—")), _count(record, "step"), "…".join(ends), _count(record, "sequences")]
        cells += [figure(_number(record.get(name))) for name in (*metrics, "baseline")]
        table.add_row(*map(visible, cells), "yes" if record.get("solved") else "no")
    return table


# What a line of evaluations.jsonl says about itself; all else is a metric.
_ABOUT = (
    "step", "weights", "task", "shortest", "longest", "sequences", "seed", "baseline", "solved", "seconds", "nonfinite",
)  # fmt: skip


def origin(provenance: Parts) -> Facts:
    """Return when, where, by which code and command."""
    from shlex import join

    if not provenance:
        return []
    git, blas, argv = (provenance.get(key) for key in ("git", "blas", "argv"))
    libraries = [
        f"{look_up(one, 'internal_api')} ×{look_up(one, 'num_threads')}"
        for one in (blas if isinstance(blas, list) else [])
    ]
    cores = f"{look_up(provenance, 'cpu.model')}, {look_up(provenance, 'cpu.logical_cores')} cores"
    versions = provenance.get("versions")
    return [
        ("started", f"{provenance.get('started')} on {provenance.get('host')} ({'; '.join([cores, *libraries])})"),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else ""),
        ("git", _repository(git) if isinstance(git, dict) else "no repository around the config"),
        ("command", join(map(str, argv)) if isinstance(argv, list) else ""),
        *_backends(provenance),
    ]


def _backends(provenance: Parts) -> Facts:
    """Tell what computed the run, where that changed on the way."""
    from rnnlab.storage.provenance import backends

    found = backends(provenance)
    told = "; ".join(f"{name} from step {step:,} on" for step, name in found)
    return [("backends", told)] if len(found) > 1 else []


def _repository(git: Parts) -> str:
    changes = " with uncommitted changes (the diff is in provenance.json)" if git.get("dirty") else ""
    return f"commit {str(git.get('commit'))[:12]}{changes}"


def _tight(*headers: str, numbers: tuple[str, ...]) -> "Table":
    table = plain_table(*headers, numbers=numbers)
    table.padding = (0, 1, 0, 0)
    return table


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(data: Parts, key: str) -> str:
    value = data.get(key)
    return f"{value:,}" if isinstance(value, int) else "—"
