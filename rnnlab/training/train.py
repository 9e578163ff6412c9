"""Training: one experiment to one run folder, as a generator of events."""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import DivergedError, RunLockedError, StoppedError
from rnnlab.storage import RunFolder, Status, provenance, repository
from rnnlab.storage.summary import Best, SolvedAt, Summary, mean_speed
from rnnlab.tasks.base import NoRule
from rnnlab.training.blocks import Answer, Request, Training, answering
from rnnlab.training.events import Event, Finished, Started
from rnnlab.training.packages import missing_packages
from rnnlab.training.resources import require_memory, require_space
from rnnlab.training.stopping import Halt, Reason, Stop, state_of
from rnnlab.training.store import Store, beginning, in_short
from rnnlab.training.trainer import Trainer


@answering
def train(
    experiment: Experiment,
    *,
    runs: Path,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None = None,
    stop: Stop | None = None,
) -> Training:
    """Train an experiment in a new run folder.

    Everything that can be wrong with the experiment is found before the folder is made. However the training ends, the
    folder then has its metrics, the best and the last weights, what to resume from, and its true status. Close the
    generator to interrupt.

    Args:
        experiment: What to train.
        runs: The folder of run folders.
        config: The config's bytes as given, stored with the run.
        argv: The command line, for the provenance.
        beside: The config's folder: a git repository around it is recorded.
        stop: Through it the training can be asked to stop.

    Raises:
        DivergedError: The loss or the gradient was not finite.
        StoppedError: A stop was requested, or `training.max_seconds` are over; the state is saved.
        RunLockedError: Another process has taken the run over.
        EnvironmentFault: The engine is missing, there is too little memory or disk space, or a write failed.
    """
    trainer = new_trainer(experiment, folder=runs)
    with RunFolder.create(runs, experiment.name).locked() as run:
        store = begin(run, trainer, config=config, argv=argv, beside=beside)
        yield from train_to_end(trainer, store, stop=stop)


def new_trainer(experiment: Experiment, *, folder: Path, used: int = 0, probed: bool = False) -> Trainer:
    """Return the trainer of an experiment, if there is the memory for it and in `folder` the space.

    The run takes `used` bytes there already; `probed` says that the folder is known to take files.

    Raises:
        EnvironmentFault: There is not, or a package is missing; nothing was made.
    """
    require_memory(experiment)
    require_space(experiment, folder, used=used, probed=probed)
    for fault in missing_packages(experiment):
        raise fault
    return Trainer(experiment)


def begin(
    run: RunFolder,
    trainer: Trainer,
    *,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None,
    describe: repository.Describe | None = None,
) -> Store:
    """Write what is known before the first step: the config, the provenance, and last the status."""
    status, experiment = Status.start(run.name).changed(attempt=run.attempt), trainer.experiment
    with beginning(run, status):
        run.write_config(config)
        for block, file in experiment.code_files.items():
            run.write_config(file.source, f"{block}.py")
        run.write_resolved(experiment.resolved(run.path), status.id)
        with trainer.backend.running():  # so that the provenance has the number of threads that training has
            process = trainer.process(argv, attempt=run.attempt)
        about = provenance.Provenance(
            **dict(process),
            id=status.id,
            seed=experiment.seed,
            config_yaml_sha256=provenance.hash_of(config),
            git=(describe or repository.describe_repository)(beside or Path()),
            task=trainer.task.facts(),
        )
        run.write_provenance(about)
        store = Store(run, status=status, trainer=trainer)
        with store.closed_on_error():
            run.write_status(status)
        return store


def train_to_end(trainer: Trainer, store: Store, *, stop: Stop | None = None, notes: Sequence[str] = ()) -> Training:
    """Train until there is a reason to end, and store how it ended; raises what `train` raises.

    `notes` are what was unusual until now.
    """
    # The lock ends with the training, and readers of the events need none.
    run, message, stop = RunFolder(store.run.path), "", stop or Stop()
    try:
        with trainer.backend.running():
            step, count = trainer.place.step, trainer.parameter_count
            if not step:  # a resumed run was warned of it before
                notes = (*notes, *trainer.task.warnings(trainer.experiment.timesteps))
            yield Started(
                run, trainer.experiment, trainer.task, count, step=step, done=trainer.done, notes=tuple(notes)
            )
            stopped = yield from _steps(trainer, store, stop)
        if stopped in {"diverged", "interrupted"}:
            message = trainer.divergence() if stopped == "diverged" else f"stopped by {stop.reason}"
        summary = _close(trainer, store, stopped, message=message)
    except RunLockedError:
        raise
    except (KeyboardInterrupt, GeneratorExit) as error:
        if stop.reason:  # the second request to stop: at once
            store.fail(error)
        else:
            _close(trainer, store, "interrupted")
        raise
    except Exception as error:
        with suppress(Exception):  # a full disk is full again; the first error is the one to report
            _close(trainer, store, "failed", message=in_short(error))
        store.fail(error)
        raise
    finally:
        store.abandon()
    if stopped == "diverged":
        raise DivergedError(message, where=str(run.path), hint=_advice(trainer))
    if stopped == "interrupted":
        problem = f"{message} at step {trainer.place.step:,}, and the state is saved"
        raise StoppedError(
            problem, where=str(run.path), hint=f"`rnnlab train --resume {quote(str(run.path))}` resumes it"
        )
    yield Finished(run, summary)


def _steps(trainer: Trainer, store: Store, stop: Stop) -> Generator[Event | Request, Answer | None, Reason]:
    """Evaluate, save and train, block after block; return why that ended."""

    def should_stop() -> bool:
        store.look()
        if not stop.reason and trainer.deadline.is_near(saving=store.save_seconds):
            stop.ask(f"training.max_seconds={trainer.options.max_seconds:g}")
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
        yield (yield from trainer.train_block())


def _save(trainer: Trainer, store: Store, *, closing: bool = False) -> None:
    trainer.keep()
    store.save(trainer.state(), closing=closing)


def _close(trainer: Trainer, store: Store, stopped: Reason, *, message: str = "") -> Summary:
    """Store everything, and return the summary."""
    if trainer.is_whole and not trainer.bad:
        _save(trainer, store, closing=True)
    else:
        if stopped != "failed":  # an error may have left the weights half updated
            trainer.keep_if_finite()
        store.save(None, closing=True)
    summary = _summarize(trainer, stopped, store.status)
    store.close(stopped, summary=summary, message=message)
    return summary


def _advice(trainer: Trainer) -> str:
    """Return where the last finite weights are, and what to try."""
    return (
        f"weights/last.safetensors there has the last finite weights, of step {trainer.good[0]}; "
        "lower training.optimizer.learning_rate or set training.clip_norm"
    )


def _summarize(trainer: Trainer, stopped: Reason, status: Status) -> Summary:
    """Return the result of a training in figures."""
    experiment, place, best = trainer.experiment, trainer.place, trainer.best
    rule = trainer.task.rule(experiment.timesteps)
    seconds = trainer.seconds()
    # Once the loss is not finite, the metrics of the last evaluation are no longer those of this network.
    metrics = _finite(dict.fromkeys(place.metrics, math.nan) if trainer.bad else place.metrics)
    return Summary(
        id=status.id,
        attempt=status.attempt,
        run=status.run,
        name=experiment.name,
        state=state_of(stopped),
        stopped=stopped,
        task=experiment.task_name,
        timesteps=list(experiment.timesteps),
        backend=experiment.backend,
        cell=experiment.cell_name,
        seed=experiment.seed,
        parameters=trainer.parameter_count,
        steps=place.step,
        sequences=place.step * experiment.training.batch_size,
        seconds=round(seconds, 3),
        steps_per_second=mean_speed(place.step, seconds),
        baseline=trainer.task.baseline(experiment.timesteps),
        solved=None if isinstance(rule, NoRule) else place.solved_at is not None,
        solved_rule=str(rule),
        solved_at=None if place.solved_at is None else SolvedAt.model_validate(place.solved_at),
        loss=metrics.get("loss"),
        metrics=metrics,
        best=Best(step=best.step, metrics=_finite(best.metrics)),
    )


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
