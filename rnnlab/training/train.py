"""Training: one experiment to one run folder, as a generator of events."""

from collections.abc import Generator, Sequence
from pathlib import Path
from shlex import quote

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import DivergedError, RnnlabError, RunLockedError, StoppedError
from rnnlab.storage import RunFolder
from rnnlab.training.events import Event, Finished, Started
from rnnlab.training.memory import require_memory
from rnnlab.training.session import Session
from rnnlab.training.space import require_space
from rnnlab.training.stopping import Stop


def train(
    experiment: Experiment,
    *,
    runs: Path,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None = None,
    stop: Stop | None = None,
) -> Generator[Event, None, None]:
    """Train an experiment in a new run folder.

    Everything that can be wrong with the experiment shows before the folder is made. However the training ends, the
    folder then holds its metrics, the best and the last weights, what to resume from, and a true status. Close the
    generator to interrupt.

    Args:
        experiment: What to train.
        runs: The folder that holds run folders.
        config: The config's bytes as given, stored with the run.
        argv: The command line, for the provenance.
        beside: The config's folder: a git repository around it is recorded.
        stop: Through it somebody may ask the training to stop.

    Raises:
        DivergedError: The loss or the gradient was not finite.
        StoppedError: Somebody asked, or `training.max_seconds` are over; the state is saved.
        RunLockedError: Another process has taken the run over.
        EnvironmentFault: The engine is missing, the memory or the disk would not suffice, or the disk refuses.
    """
    session = prepare(experiment, stop, folder=runs)
    run = RunFolder.create(runs, experiment.name)
    lock = run.lock()
    try:
        store = session.open(run, lock)
        with session.backend.running():  # entered by now, so that the provenance tells the threads that training has
            store.begin(experiment, config=config, argv=argv, facts=session.facts(), beside=beside)
        yield from conduct(session)
    finally:
        lock.release()


def prepare(experiment: Experiment, stop: Stop | None, *, folder: Path, taken: int = 0) -> Session:
    """Return the training of an experiment, once the machine has the memory for it and `folder` the space.

    Args:
        experiment: What to train.
        stop: Through it somebody may ask the training to stop.
        folder: Where the run is to be kept.
        taken: Bytes that it has already.

    Raises:
        EnvironmentFault: It has not, or the engine is missing; nothing was made.
    """
    require_memory(experiment)
    require_space(experiment, folder, taken=taken)
    return Session(experiment, stop or Stop())


def conduct(session: Session, *, notes: Sequence[str] = ()) -> Generator[Event, None, None]:
    """Train to the end, whichever it is, and leave a true account of it; `train` tells what is raised.

    Args:
        session: The training, its store opened.
        notes: What was out of the ordinary on the way here.
    """
    run = session.store.run
    try:
        with session.backend.running():
            step = session.place.step
            yield Started(run, session.experiment, session.task, session.parameters, step=step, notes=tuple(notes))
            stopped = yield from session.steps()
        message = {"diverged": session.divergence(), "interrupted": f"stopped by {session.stop.reason}"}
        summary = session.close(stopped, message=message.get(stopped, ""))
    except (KeyboardInterrupt, GeneratorExit) as error:
        _leave(session, error)
        raise
    except RunLockedError:
        session.store.abandon()
        raise
    except Exception as error:
        _fail(session, error)
        raise
    if stopped == "diverged":
        raise DivergedError(session.divergence(), where=str(run.path), hint=_advice(session))
    if stopped == "interrupted":
        problem = f"stopped by {session.stop.reason} at step {session.place.step:,}, and the state is saved"
        raise StoppedError(problem, where=str(run.path), hint=f"`rnnlab train --resume {quote(str(run.path))}` goes on")
    yield Finished(run, summary)


def _fail(session: Session, error: Exception) -> None:
    """Store what can be stored after an error; nothing, and say so, if the run is another's by now.

    Whoever takes a run over clears away unfinished files: what failed may have been the loss of one of ours.
    """
    try:
        session.store.require_lock()
    except RunLockedError:
        session.store.abandon()
        raise
    except (RnnlabError, MemoryError):  # what the folder holds cannot be told
        pass
    session.fail(error)


def _leave(session: Session, error: BaseException) -> None:
    """End at once if that is the second wish to stop, else store everything first."""
    if session.stop.reason:
        session.store.fail(error, step=session.place.step)
    else:
        session.close("interrupted")


def _advice(session: Session) -> str:
    """Return where the last finite weights are, and what to try."""
    return (
        f"weights/last.safetensors there holds the last finite weights, of step {session.store.good_step}; "
        "lower training.optimizer.learning_rate or set training.clip_norm"
    )
