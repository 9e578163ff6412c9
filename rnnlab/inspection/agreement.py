"""What the files of a run must agree on: each figure of its summary follows from the other files, and is recomputed."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rnnlab.config.experiment import Experiment
from rnnlab.runs.run import Record
from rnnlab.storage import Status
from rnnlab.storage.summary import LOSS, Summary, best_record, mean_speed, validation_scores
from rnnlab.tasks.base import AbstractTask, NoRule, Threshold
from rnnlab.training.progress import Best
from rnnlab.training.stopping import EXIT_CODES

_ROUNDED = 0.0006  # seconds, and steps per second: both are stored with three digits
_OF_METRICS = {"state", "stopped", "sequences", "solved", "solved_at", "loss", "metrics", "best"}


def has_ended_in_order(status: Status) -> bool:
    """Return whether the process ended the run by itself, so that it wrote everything there is to write."""
    return status.exit_code is not None and status.exit_code == EXIT_CODES.get(status.state)


def status_fault(status: Status) -> str:
    """Return what the fields of a status contradict each other in; nothing where they agree."""
    expected = {"running": status.exit_code is None, "failed": status.exit_code not in {None, 0}}
    is_interrupted = status.state == "interrupted" and status.exit_code not in {None, 0}
    if not expected.get(status.state, is_interrupted or has_ended_in_order(status)):
        return f"is of state {status.state} with exit code {status.exit_code}"
    if status.saved is not None and status.saved > status.step:
        return f"is of step {status.step:,}, with a checkpoint of step {status.saved:,}"
    return ""


def summary_faults(
    summary: Summary, *, status: Status, experiment: Experiment, task: AbstractTask | None, records: Sequence[Record]
) -> Iterator[str]:
    """Yield what a summary shows otherwise than the files that it follows from; a task may lack its data."""
    batch_size = experiment.training.batch_size
    expected: dict[str, object] = {
        "run": status.run,
        "name": experiment.name,
        "state": status.state,
        "stopped": _reason(summary, status, experiment, records) if status.state == "completed" else status.state,
        "task": experiment.task_name,
        "timesteps": list(experiment.timesteps),
        "backend": experiment.backend,
        "cell": experiment.cell_name,
        "seed": experiment.seed,
        "steps": status.step,
        "sequences": status.step * batch_size,
        "solved": None if summary.solved_rule == str(NoRule()) else summary.solved_at is not None,
        "solved_rule": str(task.rule(experiment.timesteps)) if task else summary.solved_rule,
        **_scores(records, has_diverged=status.state == "diverged"),
    }
    if experiment.is_complete:
        expected["parameters"] = experiment.network().parameter_count
    shown = summary.model_dump()
    if status.state == "failed":  # its last evaluation need not be in the record
        expected = {key: value for key, value in expected.items() if key not in _OF_METRICS}
    for key, value in expected.items():
        if shown[key] != value:
            yield f"{key} is {shown[key]}, the other files give {value}"
    baseline = task.baseline(experiment.timesteps) if task else None
    if baseline is not None and (
        summary.baseline is None or not math.isclose(summary.baseline, baseline, rel_tol=1e-6)
    ):
        yield f"baseline is {summary.baseline}, the task's is {baseline}"
    if status.state != "failed":
        yield from _time_faults(summary, records)
        yield from _solved_faults(summary, experiment, task, records)


def _scores(records: Sequence[Record], *, has_diverged: bool) -> dict[str, object]:
    scored = [one for one in records if LOSS in one]
    metrics = validation_scores(scored[-1]) if scored else {}
    if has_diverged:
        metrics = dict.fromkeys(metrics)
    best = best_record(records)
    of_best = {"step": best["step"], "metrics": validation_scores(best)} if best else {"step": 0, "metrics": {}}
    return {"loss": metrics.get("loss"), "metrics": metrics, "best": of_best}


def _reason(summary: Summary, status: Status, experiment: Experiment, records: Sequence[Record]) -> str:
    """Return why a training was completed."""
    if summary.solved_at and experiment.training.stop_when_solved:
        return "solved"
    best = Best(experiment.training.stop_on_plateau)
    for record in records:
        if record.get(LOSS) is not None:
            best.take(float(record[LOSS]))
    budget, unit = experiment.training.budget
    done = status.step if unit == "step" else records[-1].get("streams") if records else None
    is_over = done == budget or status.step == experiment.training.steps
    at_end = "budget" if is_over else f"nothing at step {status.step:,}"
    return "plateau" if best.is_plateau() else at_end


def _time_faults(summary: Summary, records: Sequence[Record]) -> Iterator[str]:
    measured, seconds = records[-1]["seconds"] if records else 0.0, summary.seconds
    if seconds is None or seconds < measured - _ROUNDED:
        yield f"seconds is {seconds}, the last record is of second {measured}"
        return
    if summary.steps_per_second is None and seconds < _ROUNDED:  # as with a clock that stands still
        return
    speeds = [mean_speed(summary.steps, max(seconds + by, 1e-9)) or 0.0 for by in (_ROUNDED, -_ROUNDED)]
    if not speeds[0] - _ROUNDED <= (summary.steps_per_second or 0.0) <= speeds[1] + _ROUNDED:
        yield f"steps_per_second is {summary.steps_per_second}, steps and seconds give {speeds[0]}"


def _solved_faults(
    summary: Summary, experiment: Experiment, task: AbstractTask | None, records: Sequence[Record]
) -> Iterator[str]:
    solved, steps = summary.solved_at, summary.steps
    rule = task.rule(experiment.timesteps) if task else None
    if isinstance(rule, Threshold):  # a rule over the training stream cannot be applied again
        met = [one for one in records if one["step"] and rule.is_met(_numbers(one))]
        step = met[0]["step"] if met else None
        if (solved.step if solved else None) != step:
            yield f"solved_at is {solved.step if solved else None}, the other files give {step}"
            return
    if solved is None:
        return
    if solved.sequences != solved.step * experiment.training.batch_size or solved.step > steps:
        yield f"solved_at is of {solved.sequences:,} sequences at step {solved.step:,} of {steps:,}"
    before, after = _around(solved.step, records)
    if not before - _ROUNDED <= solved.seconds <= after + _ROUNDED:
        yield f"solved_at is of second {solved.seconds}, the records around it are of {before} and {after}"


def _numbers(record: Record) -> Mapping[str, float]:
    return {name: math.nan if value is None else value for name, value in validation_scores(record).items()}


def _around(step: int, records: Sequence[Record]) -> tuple[float, float]:
    """Return the seconds of the last record before a step and of the first after or at it."""
    before = [one["seconds"] for one in records if one["step"] < step]
    after = [one["seconds"] for one in records if one["step"] >= step]
    return before[-1] if before else 0.0, after[0] if after else math.inf
