"""Resuming a run: from its newest good checkpoint to the results it would have had without the interruption."""

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path

from rnnlab.config.experiment import WITHOUT_EFFECT, Experiment
from rnnlab.core.errors import DivergedError, UsageError, VerificationError
from rnnlab.runs.run import Run
from rnnlab.runs.unchanged import require_config_as_given, require_own, require_same_data, verified_experiment
from rnnlab.storage import RunFolder, Status, provenance, repository
from rnnlab.storage.checkpoint import Checkpoint
from rnnlab.storage.jsonfile import flatten
from rnnlab.training.blocks import Training, answering
from rnnlab.training.events import Finished
from rnnlab.training.resources import checkpoint_bytes
from rnnlab.training.stopping import Stop
from rnnlab.training.store import Store, beginning
from rnnlab.training.train import begin, new_trainer, train_to_end
from rnnlab.training.trainer import Trainer
from rnnlab.training.waiting import Notify, silently, waiting

# What may be changed on resuming: the budget, and the backend, which gives the same numbers within rounding; also where
# the files of the task are.
CHANGEABLE = ("training.steps", "training.max_seconds", "backend", "engine")


@answering
def resume(
    run: RunFolder,
    *,
    overrides: Sequence[str] = (),
    argv: Sequence[str],
    stop: Stop | None = None,
    force_unlock: bool = False,
    notify: Notify = silently,
) -> Training:
    """Resume a run that was interrupted, killed, or stopped at its budget; a complete run is left as it is.

    Args:
        run: The run; its own config is what is trained.
        overrides: A new budget, `training.steps=5000`, `training.max_seconds=600`, or another backend, `backend=keras`,
            `engine=jax`, which resumes with the same weights and optimiser slots, or where the data are now,
            `task.csv=PATH`; nothing else can be changed.
        argv: The command line, for the provenance.
        stop: Through it the training can be asked to stop.
        force_unlock: Take the lock from its holder, even if that process seems alive.
        notify: Shows the user a sentence, where the process has to wait.

    Raises:
        UsageError: An override changes something else, or gives fewer steps than are done.
        VerificationError: The config, the metrics or all checkpoints are damaged, or the task's file has changed.
        RunLockedError: A live process trains it.
        DivergedError, StoppedError, EnvironmentFault: As from `train`.
    """
    with run.locked(force=force_unlock, pause=waiting(run.path, stop, notify)) as held:
        yield from _resume(held, _with_changes(held, overrides), argv, stop)


def training_into(
    path: Path,
    experiment: Experiment,
    *,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None = None,
    stop: Stop | None = None,
    force_unlock: bool = False,
    notify: Notify = silently,
    describe: repository.Describe | None = None,
    probed: bool = False,
) -> Training:
    """Train an experiment in the folder `path`, however much of it is done: begin it, resume it, or find it complete.

    Args:
        path: The run's folder, made if missing.
        experiment: What to train.
        config: The config's bytes as given, stored with the run.
        argv: The command line, for the provenance.
        beside: The config's folder: a git repository around it is recorded.
        stop: Through it the training can be asked to stop.
        force_unlock: Take the lock from its holder, even if that process seems alive.
        notify: Shows the user a sentence, where the process has to wait.
        describe: Describes that repository, where doing so for each run would take too long.
        probed: Whether it is known that the folder around takes files.

    Raises:
        UsageError: The folder is the run of another config, or not a run.
        RunLockedError, VerificationError, DivergedError, StoppedError, EnvironmentFault: As from `resume`.
    """
    is_run, around = RunFolder(path).is_run(), path.absolute().parent
    trainer = None if is_run else new_trainer(experiment, folder=around, probed=probed)
    with RunFolder.ensure(path).locked(force=force_unlock, pause=waiting(path, stop, notify)) as run:
        if not run.has_begun():
            _require_empty(run)
            trainer = trainer or new_trainer(experiment, folder=path)
            store = begin(run, trainer, config=config, argv=argv, beside=beside, describe=describe)
            yield from train_to_end(trainer, store, stop=stop)
        else:
            _require_same(run, verified_experiment(run), experiment)
            yield from _resume(run, experiment, argv, stop)


train_into = answering(training_into)


def _with_changes(run: RunFolder, overrides: Sequence[str]) -> Experiment:
    """Return what a run trains, with what may be changed on resuming.

    Raises:
        UsageError: An override changes something else.
    """
    experiment = verified_experiment(run)
    files = [(f"task.{key}", f"task.{key}.path") for key in experiment.task.files]
    allowed = (*CHANGEABLE, *(key for both in files for key in both))
    for override in overrides:
        if override.partition("=")[0] not in allowed:
            listed = ", ".join((*CHANGEABLE, *(path for _, path in files)))
            raise UsageError(
                f"a run is resumed with its own config; only {listed} can be changed",
                where=f"--set {override}",
                hint="to train with other values, start a new run: `rnnlab train CONFIG --set …`",
            )
    changed = _made_longer(experiment, Run(run).experiment(overrides), run.read_status()) if overrides else experiment
    for key, file in changed.task.files.items():
        if file.sha256 != experiment.task.files[key].sha256:
            where = f"--set task.{key}={file.path}"
            raise UsageError("has another content than the file that the run was trained on", where=where)
    return changed


def _made_longer(before: Experiment, now: Experiment, status: Status) -> Experiment:
    """Return an experiment with a larger budget so that training it from its start gives what resuming gives.

    Raises:
        UsageError: Under the schedule, which stays as it was, more steps would change nothing.
    """
    steps, training = before.training.steps, now.training
    if training.steps > steps and now.recipe().schedule.factor(training.steps - 1) == 0:
        problem = f"under schedule {training.schedule.type} of {steps:,} steps, the learning rate of more steps is 0"
        hint = "start a new run with this number of steps, or with a training.schedule that does not end at 0"
        raise UsageError(problem, where=f"--set training.steps={training.steps}", hint=hint)
    is_due = training.streams is None and steps % training.evaluate_every == 0
    if training.steps > steps == status.step and not is_due:
        update = {"evaluate_at": sorted({*training.evaluate_at, steps})}  # where the training was evaluated at its end
        return now.model_copy(update={"training": training.model_copy(update=update)})
    return now


def _resume(run: RunFolder, experiment: Experiment, argv: Sequence[str], stop: Stop | None) -> Training:
    status = run.read_status()
    if status.state == "diverged":
        hint = "resuming would only repeat it: lower the learning rate or set training.clip_norm, in a new run"
        raise DivergedError(status.message, where=str(run.path), hint=hint)
    if status.state == "completed":
        summary, steps = Run(run).summary, Run(run).config["training.steps"]
        is_longer = steps == summary.steps < experiment.training.steps  # not one that ended with a stream
        if summary.stopped != "budget" or not is_longer:
            yield Finished(RunFolder(run.path), summary, already=True)
            return
    trainer = new_trainer(experiment, folder=run.path, used=run.size())
    require_same_data(Run(run), trainer.task)
    checkpoint, notes = _restore(run, trainer, status)
    step = trainer.place.step
    status = status.again(attempt=run.attempt, step=step, saved=checkpoint.step if checkpoint else None)
    with beginning(run, status):
        run.write_status(status)  # first: a process that was overtaken finds it (see `lock`)
        notes += _note_attempt(run, trainer, status=status, argv=argv)
        run.cut_metrics(checkpoint.metrics_bytes if checkpoint else 0)  # what was measured later is measured again
        note = f"resumed at step {step}, attempt {run.attempt}"
        store = Store(run, status=status, trainer=trainer, resumed_from=checkpoint, note=note)
    yield from train_to_end(trainer, store, stop=stop, notes=notes)


def _note_attempt(run: RunFolder, trainer: Trainer, *, status: Status, argv: Sequence[str]) -> list[str]:
    """Add this process to the provenance; return what has changed since the run began."""
    now = trainer.process(argv, attempt=run.attempt)
    before = run.read_provenance(status.id)
    notes = provenance.changed_versions(before, now) + provenance.changed_backend(before, now)
    try:
        require_config_as_given(run)
    except VerificationError as fault:  # what is trained is in resolved.yaml, which is whole
        notes.append(f"config.yaml {fault.problem}")
    run.write_provenance(before.model_copy(update={"attempts": [*before.attempts, now]}))
    run.write_resolved(trainer.experiment.resolved(run.path), status.id)
    return notes


def _restore(run: RunFolder, trainer: Trainer, status: Status) -> tuple[Checkpoint | None, list[str]]:
    """Restore the newest good checkpoint, and return it with what was lost; None if no checkpoint was written yet.

    Raises:
        VerificationError: There are checkpoints, or were, and none is good: training must not begin again unasked.
    """
    checkpoints, most_bytes = run.checkpoints(), checkpoint_bytes(trainer.experiment)
    bad: dict[int, str] = {}
    for step in checkpoints.steps():
        try:
            checkpoint = checkpoints.load(step, most_bytes=most_bytes)
            require_own(checkpoint, status, trainer.about)
            run.check_metrics(checkpoint.metrics_bytes, status.id)
            trainer.restore(checkpoint.state)
        except VerificationError as fault:
            bad[step] = f"{fault.where.rpartition('/')[2] or checkpoints.path(step).name} {fault.problem}"
            continue
        if step > (steps := trainer.options.steps):
            problem = f"training.steps={steps} is fewer than the {step:,} steps done"
            raise UsageError(problem, hint="give a greater number, or leave the option out")
        return checkpoint, _losses(bad, step, reached=max(status.step, *bad, step))
    if not bad and status.saved is None:
        return None, ["no checkpoint was written yet: training begins at step 0"]
    problem = f"there is no checkpoint, though the run got to step {status.step:,}"
    if bad:  # damaged metrics are the same reason for each
        problem = f"no checkpoint can be used: {'; '.join(dict.fromkeys(bad.values()))}"
    hint = "bring a copy back, or start a new run from resolved.yaml"
    raise VerificationError(problem, where=str(run.path / "checkpoints"), hint=hint)


def _losses(bad: Mapping[int, str], step: int, *, reached: int) -> list[str]:
    if not bad:
        return []
    lost = f"{reached - step:,} step{'s' * (reached - step != 1)} will be trained again"
    return [*bad.values(), f"resuming from the checkpoint of step {step:,}: {lost}"]


def _require_empty(run: RunFolder) -> None:
    if strangers := run.strangers():
        shown = ", ".join(strangers[:3]) + ("…" if len(strangers) > 3 else "")
        problem = f"is not a run, and not empty: it contains {shown}"
        raise UsageError(problem, where=str(run.path), hint="name a folder that does not exist yet")


def _require_same(run: RunFolder, stored: Experiment, asked: Experiment) -> None:
    """Pass if both give the same numbers; how often a training is saved may differ."""
    if (stored.name, stored.sha256()) == (asked.name, asked.sha256()):
        return
    before, now = dict(flatten(stored.resolved())), dict(flatten(asked.resolved()))
    without_effect = ("logging.", *(f"training.{key}" for key in WITHOUT_EFFECT))
    keys = [key for key in before | now if before.get(key) != now.get(key) and not key.startswith(without_effect)]
    shown = ", ".join(f"{key}: {dumps(before.get(key))} there, {dumps(now.get(key))} here" for key in keys[:5])
    raise UsageError(
        f"is the run of another config: {shown}{'…' if len(keys) > 5 else ''}",
        where=str(run.path),
        hint=f"name another folder; or resume with the run's own config: `rnnlab train --resume {run.path}`",
    )
