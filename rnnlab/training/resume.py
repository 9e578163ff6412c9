"""Going on with a run: from its newest good checkpoint to the numbers it would have had without the interruption."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any

from rnnlab.config.experiment import WITHOUT_EFFECT, Experiment
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import DivergedError, UsageError, VerificationError
from rnnlab.runs.stored import experiment_of, require_same_data
from rnnlab.runs.summary import own_summary
from rnnlab.storage import Lock, RunFolder, Status, provenance
from rnnlab.storage.checkpoint import Checkpoint
from rnnlab.training.events import Event, Finished
from rnnlab.training.session import Session
from rnnlab.training.stopping import Stop
from rnnlab.training.train import conduct, prepare

# What may be changed on resuming: the budget, and what computes, which gives the same numbers within rounding.
CHANGEABLE = ("training.steps", "training.max_seconds", "backend", "engine")


def resume(
    run: RunFolder,
    *,
    overrides: Sequence[str] = (),
    argv: Sequence[str],
    stop: Stop | None = None,
    force_unlock: bool = False,
) -> Generator[Event, None, None]:
    """Go on with a run that was interrupted, killed, or stopped at its budget; one that is complete stays as it is.

    Args:
        run: The run; its own config is what is trained.
        overrides: A new budget, `training.steps=5000`, `training.max_seconds=600`, or another backend, `backend=keras`,
            `engine=jax`, that goes on with the same weights and optimiser slots; nothing else can be changed.
        argv: The command line, for the provenance.
        stop: Through it somebody may ask the training to stop.
        force_unlock: Take the run from its holder, even if that seems alive.

    Raises:
        UsageError: An override is of something else, or asks for fewer steps than are done.
        VerificationError: The config, the metrics or all checkpoints are damaged, or the task's file has changed.
        RunLockedError: A live process trains it.
        DivergedError, StoppedError, EnvironmentFault: As from `train`.
    """
    for override in overrides:
        _require_changeable(override)
    lock = run.lock(force=force_unlock)
    try:
        stored = stored_experiment(run)
        yield from _go_on(run, lock, stored if not overrides else experiment_of(run, overrides), argv, stop)
    finally:
        lock.release()


def train_into(
    path: Path,
    experiment: Experiment,
    *,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None = None,
    stop: Stop | None = None,
    force_unlock: bool = False,
    describe: provenance.Describe | None = None,
) -> Generator[Event, None, None]:
    """Train an experiment in the folder `path`, whatever was done of it by now: begin, go on, or find it complete.

    Args:
        path: The run's folder, made if missing.
        experiment: What to train.
        config: The config's bytes as given, stored with the run.
        argv: The command line, for the provenance.
        beside: The config's folder: a git repository around it is recorded.
        stop: Through it somebody may ask the training to stop.
        force_unlock: Take the run from its holder, even if that seems alive.
        describe: Who describes that repository, where asking anew for each run would take too long.

    Raises:
        UsageError: The folder holds the run of another config, or something else than a run.
        RunLockedError, VerificationError, DivergedError, StoppedError, EnvironmentFault: As from `resume`.
    """
    session = None if RunFolder(path).is_run() else prepare(experiment, stop, folder=path.absolute().parent)
    run = RunFolder.ensure(path)
    lock = run.lock(force=force_unlock)
    try:
        if not run.has_begun():
            _require_empty(run)
            session = session or prepare(experiment, stop, folder=path)
            store = session.open(run, lock)
            with session.backend.running():
                told: dict[str, Any] = {"config": config, "argv": argv, "beside": beside, "describe": describe}
                store.begin(experiment, facts=session.facts(), **told)
            yield from conduct(session)
        else:
            _require_same(run, stored_experiment(run), experiment)
            yield from _go_on(run, lock, experiment, argv, stop)
    finally:
        lock.release()


def stored_experiment(run: RunFolder) -> Experiment:
    """Return what a run trains, as it was when the run began.

    Raises:
        VerificationError: Its config is missing, damaged, or not the one that the provenance tells of.
    """
    experiment = experiment_of(run)
    if experiment.sha256() not in provenance.known_configs(run.read_provenance()):
        raise VerificationError(
            "was changed since the run began: provenance.json tells of another config",
            where=str(run.path / "resolved.yaml"),
            hint="bring the old file back; to train with other values, start a new run",
        )
    return experiment


def require_config_as_given(run: RunFolder) -> None:
    """Pass if `config.yaml` holds what the run was started with; nothing is trained from it.

    Raises:
        VerificationError: It does not, or is missing.
    """
    data, told = run.read_config(), {}
    with suppress(VerificationError):  # of a damaged provenance its own reader tells
        told = run.read_provenance()
    if not provenance.is_as_given(told, data):
        raise VerificationError(
            "was changed since the run began; what is trained is in resolved.yaml",
            where=str(run.path / "config.yaml"),
        )


def _go_on(
    run: RunFolder, lock: Lock, experiment: Experiment, argv: Sequence[str], stop: Stop | None
) -> Generator[Event, None, None]:
    status = run.read_status()
    if status.state == "diverged":
        hint = "resuming would only repeat it: lower the learning rate or set training.clip_norm, in a new run"
        raise DivergedError(status.message, where=str(run.path), hint=hint)
    if status.state == "completed" and not _is_longer(run, experiment):
        yield Finished(run, own_summary(run, status), already=True)
        return
    session = prepare(experiment, stop, folder=run.path, taken=run.size())
    require_same_data(run, session.task)
    store = session.open(run, lock)
    checkpoint, notes = _restored(run, session, status)
    again = provenance.collect_again(
        argv=argv, attempt=lock.attempt, step=session.place.step, config_sha256=experiment.sha256()
    )
    again["backend"] = session.facts()["backend"]
    told = run.read_provenance()
    notes += provenance.changed_versions(told, again) + provenance.changed_backend(told, again)
    try:
        require_config_as_given(run)
    except VerificationError as fault:  # what is trained is in resolved.yaml, which is whole
        notes.append(f"config.yaml {fault.problem}")
    run.write_provenance({**told, "attempts": [*told.get("attempts", []), again]})
    run.write_resolved(dump_yaml(experiment.resolved()))
    store.take_up(status, checkpoint)
    yield from conduct(session, notes=notes)


def _restored(run: RunFolder, session: Session, status: Status) -> tuple[Checkpoint | None, list[str]]:
    """Bring the session to the newest checkpoint that is good, and tell what was lost; to the start if there was none.

    Raises:
        VerificationError: There are checkpoints, or were, and none is good: nobody asked to begin again.
    """
    checkpoints = run.checkpoints()
    bad: dict[int, str] = {}
    for step in checkpoints.steps():
        try:
            checkpoint = checkpoints.load(step)
            require_own(checkpoint, status, session.description)
            run.check_metrics(checkpoint.metrics_bytes)
            session.restore(checkpoint.state)
        except VerificationError as fault:
            bad[step] = f"{fault.where.rpartition('/')[2] or checkpoints.path(step).name} {fault.problem}"
            continue
        if step > session.experiment.training.steps:
            _refuse_fewer(step, session.experiment)
        for one in bad:
            checkpoints.set_aside(one)
        return checkpoint, _losses(bad, step, reached=max(status.step, *bad, step))
    where = str(run.path / "checkpoints")
    if bad:
        reasons = "; ".join(dict.fromkeys(bad.values()))  # damaged metrics are the same reason for each
        raise VerificationError(f"no checkpoint can be used: {reasons}", where=where, hint=_AFRESH)
    if status.step or checkpoints.set_aside_before():
        problem = f"there is no checkpoint, though the run got to step {status.step:,}"
        raise VerificationError(problem, where=where, hint=_AFRESH)
    return None, ["no checkpoint was written yet: training begins at step 0"]


_AFRESH = "bring a copy back, or start a new run from resolved.yaml"


def _losses(bad: Mapping[int, str], step: int, *, reached: int) -> list[str]:
    if not bad:
        return []
    lost = f"{reached - step:,} step{'s' * (reached - step != 1)} will be trained again"
    return [*bad.values(), f"going on from the checkpoint of step {step:,}: {lost}"]


def require_own(checkpoint: Checkpoint, status: Status, description: Mapping[str, Any] | None) -> None:
    """Pass if a checkpoint is of this run and, where that is known, of this network and task.

    Raises:
        VerificationError: It is not.
    """
    if checkpoint.run != status.id:
        raise VerificationError("is of another run")
    if description is not None and checkpoint.about != description:
        raise VerificationError("is of another network or task")


def _require_changeable(override: str) -> None:
    key = override.partition("=")[0]
    if key not in CHANGEABLE:
        raise UsageError(
            f"a run is resumed with its own config; only {', '.join(CHANGEABLE)} can be changed",
            where=f"--set {override}",
            hint="to train with other values, start a new run: `rnnlab train CONFIG --set …`",
        )


def _refuse_fewer(step: int, experiment: Experiment) -> None:
    steps = experiment.training.steps
    raise UsageError(f"training.steps={steps} is fewer than the {step:,} steps done", hint="ask for more, or for none")


def _is_longer(run: RunFolder, experiment: Experiment) -> bool:
    summary = own_summary(run, run.read_status())
    return bool(summary["stopped"] == "budget" and experiment.training.steps > summary["steps"])


def _require_empty(run: RunFolder) -> None:
    if strangers := run.strangers():
        shown = ", ".join(strangers[:3]) + ("…" if len(strangers) > 3 else "")
        problem = f"is not a run, and not empty: it holds {shown}"
        raise UsageError(problem, where=str(run.path), hint="name a folder that does not exist yet")


def _require_same(run: RunFolder, stored: Experiment, asked: Experiment) -> None:
    """Pass if both give the same numbers; how often a training is saved may differ."""
    same = {key: getattr(asked.training, key) for key in WITHOUT_EFFECT}
    if replace(stored, training=stored.training.model_copy(update=same), logging=asked.logging) == asked:
        return
    before, now = _flat(stored.resolved()), _flat(asked.resolved())
    keys = [key for key in before | now if before.get(key) != now.get(key)]
    shown = ", ".join(f"{key}: {dumps(before.get(key))} there, {dumps(now.get(key))} here" for key in keys[:5])
    raise UsageError(
        f"holds the run of another config: {shown}{'…' if len(keys) > 5 else ''}",
        where=str(run.path),
        hint="name another folder; or go on with the run's own config: `rnnlab train --resume DIR`",
    )


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    skipped = {"logging", *(f"training.{key}" for key in WITHOUT_EFFECT)}
    return {key: value for key, value in flat.items() if not any(key == s or key.startswith(f"{s}.") for s in skipped)}
