"""Disk space: how much a run will need, and whether its folder has it and takes files, known before it is made."""

import shutil
from contextlib import suppress
from pathlib import Path

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage.checkpoint import KEPT
from rnnlab.storage.faults import ELSEWHERE, reported
from rnnlab.storage.files import probe
from rnnlab.training.memory import in_words

_RECORD = 250  # bytes of a line in the metrics, and about as much again in the log
_OTHER = 1 << 16  # config, provenance, status, summary


def require_space(experiment: Experiment, folder: Path, *, taken: int = 0) -> None:
    """Pass if `folder`, or the nearest one around it that exists, takes files and has space for a run.

    Args:
        experiment: What is to be trained.
        folder: Where.
        taken: Bytes that the run has already.

    Raises:
        EnvironmentFault: It does not; the message says how much is needed and how much there is.
    """
    there = _nearest(folder)
    with reported("look at", there):
        free = shutil.disk_usage(there).free
    needed = space_needed(experiment) - taken
    if needed > free:
        more = " more" if taken else ""
        raise EnvironmentFault(
            f"the run needs about {in_words(needed)}{more} of disk space, and {in_words(free)} are free",
            where=str(there),
            hint=f"free some space, or {ELSEWHERE}",
        )
    probe(there)


def _nearest(folder: Path) -> Path:
    for path in (folder, *folder.absolute().parents):
        with suppress(OSError):  # a name that cannot be: whoever makes the folder will tell
            if path.is_dir():
                return path
    return folder


def space_needed(experiment: Experiment) -> int:
    """Return about how many bytes a run takes at its peak.

        P·D·[(kept + 1)·(2 + slots) + 3] + 2·records     parameters, slots and best in each checkpoint; three weights

    P parameters, D bytes a number; of checkpoints, and of weights, one more than is kept exists while it is replaced.
    """
    network = experiment.network(experiment.build_task())
    once = sum(parameter.size for parameter in network.parameters().values()) * network.dtype.itemsize
    slots = len(experiment.recipe().optimizer.slot_names())
    records = 2 + experiment.training.steps // experiment.training.evaluate_every
    # A long budget is seldom spent: for records no more is asked than a day of them could take.
    return once * ((KEPT + 1) * (2 + slots) + 3) + 2 * _RECORD * min(records, 100_000) + _OTHER
