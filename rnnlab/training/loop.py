"""The training loop: evaluate, save and train until there is a reason to end, and store how it ended."""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from shlex import quote
from typing import Any

from rnnlab.core.errors import DivergedError, RnnlabError, RunLockedError, StoppedError
from rnnlab.training.events import Event, Finished, Started
from rnnlab.training.stopping import Deadline, Halt, Reason, Stop, state_of
from rnnlab.training.store import Store, in_short
from rnnlab.training.trainer import Trainer


def train_to_end(
    trainer: Trainer, store: Store, *, stop: Stop, deadline: Deadline, notes: Sequence[str] = ()
) -> Generator[Event, None, None]:
    """Train until there is a reason to end, and store how it ended; raises what `train` raises.

    Args:
        trainer: The training, at any step.
        store: What it is stored in.
        stop: Through it the training can be asked to stop.
        deadline: The time budget.
        notes: What was unusual until now.
    """
    run, message = store.run, ""
    try:
        with trainer.backend.running():
            step, count = trainer.place.step, trainer.parameter_count
            yield Started(run, trainer.experiment, trainer.task, count, step=step, notes=tuple(notes))
            stopped = yield from _steps(trainer, store, stop=stop, deadline=deadline)
        if stopped in {"diverged", "interrupted"}:
            message = trainer.divergence() if stopped == "diverged" else f"stopped by {stop.reason}"
        summary = _close(trainer, store, stopped, message=message)
    except (KeyboardInterrupt, GeneratorExit) as error:
        if stop.reason:  # the second request to stop: at once
            store.fail(error)
        else:
            _close(trainer, store, "interrupted")
        raise
    except RunLockedError:
        store.abandon()
        raise
    except Exception as error:
        _fail(trainer, store, error)
        raise
    if stopped == "diverged":
        raise DivergedError(message, where=str(run.path), hint=_advice(trainer))
    if stopped == "interrupted":
        problem = f"{message} at step {trainer.place.step:,}, and the state is saved"
        raise StoppedError(
            problem, where=str(run.path), hint=f"`rnnlab train --resume {quote(str(run.path))}` resumes it"
        )
    yield Finished(run, summary)


def _steps(trainer: Trainer, store: Store, *, stop: Stop, deadline: Deadline) -> Generator[Event, None, Reason]:
    """Evaluate, save and train, step after step; return why that ended."""

    def should_stop() -> bool:
        if not stop.reason and deadline.is_near(saving=store.save_seconds):
            stop.ask(f"training.max_seconds={deadline.max_seconds:g}")
        return bool(stop.reason)

    def halt_if_asked() -> None:
        if should_stop():
            raise Halt

    while True:
        if trainer.is_evaluation_due():
            try:
                yield trainer.evaluate(between=halt_if_asked, record=store.record)
            except Halt:
                return "interrupted"
        if reason := trainer.reason_to_end():
            return reason
        if store.is_due(trainer.place.step):
            _save(trainer, store)
        if should_stop():
            return "interrupted"
        yield trainer.train_step()


def _save(trainer: Trainer, store: Store) -> None:
    trainer.keep()
    store.save(trainer.state())


def _close(trainer: Trainer, store: Store, stopped: Reason, *, message: str = "") -> dict[str, Any]:
    """Store everything, and return the summary."""
    if trainer.is_whole and not trainer.bad:
        _save(trainer, store)
    else:
        if stopped != "failed":  # an error may have left the weights half updated
            trainer.keep_if_finite()
        store.save(None)
    summary = _summarize(trainer, stopped, run=store.run.name)
    store.close(stopped, summary=summary, message=message)
    return summary


def _fail(trainer: Trainer, store: Store, error: Exception) -> None:
    """Store what can be stored after an error; nothing, and raise that, if the run is another process's by now.

    A process that takes a run over removes unfinished files: the error may come from the loss of one of ours.
    """
    try:
        store.require_lock()
    except RunLockedError:
        store.abandon()
        raise
    except (RnnlabError, MemoryError):  # the state of the folder is unknown
        pass
    with suppress(Exception):  # a full disk is full again; the first error is the one to report
        _close(trainer, store, "failed", message=in_short(error))
    store.fail(error)


def _advice(trainer: Trainer) -> str:
    """Return where the last finite weights are, and what to try."""
    return (
        f"weights/last.safetensors there has the last finite weights, of step {trainer.good[0]}; "
        "lower training.optimizer.learning_rate or set training.clip_norm"
    )


def _summarize(trainer: Trainer, stopped: Reason, *, run: str) -> dict[str, Any]:
    """Return the result of a training in figures; a number that is not finite is null."""
    experiment, place, best = trainer.experiment, trainer.place, trainer.best
    seconds = trainer.seconds()
    # Once the loss is not finite, the metrics of the last evaluation are no longer those of this network.
    metrics = dict.fromkeys(place.metrics, math.nan) if trainer.bad else place.metrics
    return {
        "run": run,
        "name": experiment.name,
        "state": state_of(stopped),
        "stopped": stopped,
        "task": trainer.task.name,
        "timesteps": list(experiment.timesteps),
        "backend": experiment.backend,
        "cell": experiment.cell.type,
        "seed": experiment.seed,
        "parameters": trainer.parameter_count,
        "steps": place.step,
        "sequences": place.step * experiment.training.batch_size,
        "seconds": round(seconds, 3),
        "steps_per_second": round(place.step / seconds, 3),
        "baseline": trainer.task.baseline(experiment.timesteps),
        "solved": place.solved_at is not None,
        "solved_rule": str(trainer.task.solved),
        "solved_at": place.solved_at,
        "loss": _finite(metrics).get("loss"),
        "metrics": _finite(metrics),
        "best": {"step": best.step, "metrics": _finite(best.metrics)},
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
