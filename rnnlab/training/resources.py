"""Memory and disk space: how much a training will need, and whether there is enough, before anything is made."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.backends.numpy.chunks import chunk_steps, count_shards, reach, should_recompute, tape_bytes
from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.system_errors import ELSEWHERE, reported
from rnnlab.equations.traces import traces_of
from rnnlab.storage.checkpoint import KEPT
from rnnlab.storage.files import nearest_folder, probe
from rnnlab.tasks.base import Streak
from rnnlab.training.validation import batch_sizes

_FLOAT64 = 8
# Address space beside the arrays: OpenBLAS takes 32 MiB at the first product of matrices, and if it cannot have them it
# ends the process, with the exit code of a bug; threads and child processes need some too.
_BESIDE = 1 << 26  # bytes
_WIDTHS = 2  # of what a chunk needs beside its tape while the gradient goes back through it
_RECORD = 250  # bytes of a line in the metrics, and about as much again in the log
_OTHER = 1 << 16  # bytes of config, provenance, status and summary


def require_memory(experiment: Experiment) -> None:
    """Pass if there is the memory that training this needs, or if either is unknown.

    Raises:
        EnvironmentFault: There is not; the message has how much is needed and how much is available.
    """
    needed, available = memory_needed(experiment), memory_available()
    if needed is not None and available is not None and needed > available:
        raise EnvironmentFault(
            f"training needs about {in_words(needed)} of memory, and {in_words(available)} are available",
            hint="lower cell.units, cell.layers, training.batch_size or shape.timesteps, or set training.bptt_steps",
        )


def memory_needed(experiment: Experiment) -> int | None:
    """Return about how many bytes the arrays of a training on NumPy take at their peak; None for another backend.

        P·D·(5 + shards + slots)        parameters, gradients, scratch, and the initial, newest good and best copies
        P·D·(3 + 2·slots)               a checkpoint: parameters and slots copied, and the file's bytes with the best
                                        (or, if more, P·D + 3·8·largest: the largest is drawn in float64)
        + the batch, and what is kept of it for going back: `rnnlab.backends.numpy.chunks.tape_bytes`

    P parameters, D bytes per number. Training and validation batches are not there at once: the larger counts.
    """
    if experiment.backend != NumpyBackend.name:
        return None
    network, longest = experiment.network(), experiment.timesteps[1]
    size = experiment.training.batch_size
    scored = batch_sizes(experiment.evaluation.sequences, numbers_each=longest * network.input_features)[0]
    learning = _kept(experiment, network, size, longest)
    scoring = tape_bytes(network, batch_size=scored, timesteps=min(longest, chunk_steps(network, scored)))
    learning, scoring = learning + _batch(network, size, longest), scoring + _batch(network, scored, longest)
    return _parameters(experiment, network) + max(learning, scoring)


def require_space(experiment: Experiment, folder: Path, *, used: int = 0, probed: bool = False) -> None:
    """Pass if `folder`, or the nearest one around it that exists, takes files and has space for a run.

    Args:
        experiment: What is to be trained.
        folder: Where.
        used: Bytes that the run takes already.
        probed: Whether it is known that the folder takes files.

    Raises:
        EnvironmentFault: It has not; the message has how much is needed and how much is free.
    """
    existing = nearest_folder(folder)
    with reported("look at", existing):
        space = shutil.disk_usage(existing)
    needed, free = space_needed(experiment) - used, space.free
    if space.total and needed > free:  # no total: a file system that does not report its space
        more = " more" if used else ""
        raise EnvironmentFault(
            f"the run needs about {in_words(needed)}{more} of disk space, and {in_words(free)} are free",
            where=str(existing),
            hint=f"free some space, or {ELSEWHERE}",
        )
    if not probed:
        probe(existing)


def space_needed(experiment: Experiment) -> int:
    """Return about how many bytes a run takes at its peak.

        P·D·[(kept + 1)·(2 + slots) + 3] + 2·records     parameters, slots and best in each checkpoint; three weights

    P parameters, D bytes per number; of checkpoints, and of weights, one more than is kept exists while it is replaced.
    """
    once, slots = _once_and_slots(experiment, experiment.network())
    records = 2 + experiment.training.budget[0] // experiment.training.evaluate_every
    # A long budget is seldom spent: for records no more is asked than a day of them could take.
    checkpoints = (KEPT + 1) * (once * (2 + slots) + _along(experiment))
    return checkpoints + 3 * once + 2 * _RECORD * min(records, 100_000) + _OTHER


def checkpoint_bytes(experiment: Experiment) -> int:
    """Return how many bytes the arrays of a checkpoint have at most: P·D·(2 + slots), and the newest losses."""
    once, slots = _once_and_slots(experiment, experiment.network())
    asked = experiment.training.success
    # A file may not be there; what is learnt from one has no rule of its own over training sequences.
    rule = asked.rule() if asked else None if experiment.task.files else experiment.build_task().solved
    window = max(rule.sequences if isinstance(rule, Streak) else 0, experiment.training.batch_size)
    return once * (2 + slots) + window * (1 + _FLOAT64) + _along(experiment) + _OTHER


def memory_available() -> int | None:
    """Return the bytes that this process may still take, or None where the system does not report them."""
    limits = [*_meminfo(), *_cgroup(), *_address_space()]
    return min(limits) if limits else None


def in_words(size: int) -> str:
    """Return a number of bytes in words.

    Example:
        >>> in_words(3 * 2**30), in_words(1500), in_words(10**19)
        ('3 GiB', '1.46 KiB', '8.67 EiB')
    """
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    power = min((max(size, 1).bit_length() - 1) // 10, len(units) - 1)
    return f"{size / 1024**power:.3g} {units[power]}"


def _parameters(experiment: Experiment, network: Network) -> int:
    once, slots = _once_and_slots(experiment, network)
    largest = max(parameter.size for parameter in network.parameters().values())
    shards = count_shards(network, experiment.numpy.shards, batch_size=experiment.training.batch_size)
    return max((8 + shards + 3 * slots) * once, once + 3 * _FLOAT64 * largest)


def _once_and_slots(experiment: Experiment, network: Network) -> tuple[int, int]:
    """Return the bytes of all parameters, and how many numbers the optimiser keeps for each."""
    once = network.parameter_count * network.dtype.itemsize
    return once, len(experiment.recipe().optimizer.slot_names())


def _along(experiment: Experiment) -> int:
    """Return the bytes of the states and traces that are carried on along a stream."""
    training, network = experiment.training, experiment.network()
    if training.update == "sequence":
        return 0
    numbers = sum(network.cell.state_sizes().values())
    if training.bptt_steps is None:
        numbers += traces_of(network.cell, network.input_features).size
    return numbers * network.dtype.itemsize


def _batch(network: Network, batch_size: int, timesteps: int) -> int:
    """Return the bytes of a batch as drawn, its copy in the network's precision, the outputs and their gradient."""
    inputs = timesteps * network.input_features * (_FLOAT64 + network.dtype.itemsize)
    outputs = (timesteps if network.return_sequences else 1) * network.output_features
    return batch_size * (inputs + outputs * (_FLOAT64 + 3 * network.dtype.itemsize) + timesteps)


def _kept(experiment: Experiment, network: Network, batch_size: int, timesteps: int) -> int:
    cut, shortest = experiment.training.bptt_steps, experiment.timesteps[0]
    window = reach(timesteps, shortest, window=cut, every_step=network.return_sequences)
    again = should_recompute(network, experiment.training.recompute, batch_size=batch_size, timesteps=window)
    chunk = min(window, chunk_steps(network, batch_size))
    beside = tape_bytes(network, batch_size=batch_size, timesteps=chunk)
    return tape_bytes(network, batch_size=batch_size, timesteps=window, recompute=again) + _WIDTHS * beside


def _meminfo() -> Iterable[int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        yield from (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except OSError:  # not Linux
        with suppress(AttributeError, OSError, ValueError):
            yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cgroup() -> Iterable[int]:
    """Yield what each control group around this process leaves; a batch job that takes more is killed."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    inner = Path("/sys/fs/cgroup", own.lstrip("/"))
    for group in (inner, *inner.parents[: len(inner.parts) - 3]):
        with suppress(OSError, ValueError):  # none here, or "max"
            yield max(0, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))


def _address_space() -> Iterable[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, used = resource.getrlimit(resource.RLIMIT_AS)[0], 0
    with suppress(OSError):
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    if limit != resource.RLIM_INFINITY:
        yield max(0, limit - used - _BESIDE)
