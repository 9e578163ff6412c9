"""Training: one experiment to one run folder, as a generator of events."""

from collections.abc import Generator, Sequence
from pathlib import Path

from rnnlab.config.experiment import Experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.storage import Lock, RunFolder, Status, provenance
from rnnlab.training.events import Event
from rnnlab.training.loop import train_to_end
from rnnlab.training.resources import require_memory, require_space
from rnnlab.training.stopping import Deadline, Stop
from rnnlab.training.store import Store, write_failure
from rnnlab.training.tensorboard import require_tensorboard
from rnnlab.training.trainer import Trainer


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
    deadline = Deadline(experiment.training.max_seconds)
    trainer = new_trainer(experiment, folder=runs)
    run = RunFolder.create(runs, experiment.name)
    lock = run.lock()
    try:
        store = begin(run, lock, trainer, config=config, argv=argv, beside=beside)
        yield from train_to_end(trainer, store, stop=stop or Stop(), deadline=deadline)
    finally:
        lock.release()


def new_trainer(experiment: Experiment, *, folder: Path, used: int = 0) -> Trainer:
    """Return the trainer of an experiment, if there is the memory for it and in `folder` the space.

    Args:
        experiment: What to train.
        folder: Where the run is to be stored.
        used: Bytes that it takes already.

    Raises:
        EnvironmentFault: There is not, or a package is missing; nothing was made.
    """
    require_memory(experiment)
    require_space(experiment, folder, used=used)
    if experiment.logging.tensorboard:
        require_tensorboard()
    return Trainer(experiment)


def begin(
    run: RunFolder,
    lock: Lock,
    trainer: Trainer,
    *,
    config: bytes,
    argv: Sequence[str],
    beside: Path | None,
    describe: provenance.Describe | None = None,
) -> Store:
    """Write what is known before the first step: the config, the provenance, and last the status.

    Args:
        run: The folder.
        lock: The lock on it.
        trainer: What is trained.
        config: The config's bytes as given.
        argv: The command line.
        beside: The config's folder: a git repository around it is recorded.
        describe: Describes that repository.
    """
    status, experiment = Status.start(run.name).changed(attempt=lock.attempt), trainer.experiment
    try:
        run.write_config(config)
        run.write_resolved(dump_yaml(experiment.resolved()))
        with trainer.backend.running():  # so that the provenance has the number of threads that training has
            about = provenance.collect(
                argv=argv,
                seed=experiment.seed,
                config=config,
                config_sha256=experiment.sha256(),
                extra=trainer.facts(),
                folder=beside,
                describe=describe,
            )
        run.write_provenance(about)
        run.cut_metrics(0)
        return Store(run, lock, status=status, trainer=trainer)
    except BaseException as error:
        write_failure(run, status, error, step=0)
        raise
