"""Checkpoints: all that a training has to remember at one step, in one file with a checksum.

    step-0000001200.safetensors            all there is after 1,200 steps
    step-0000001200.safetensors.corrupt    was found damaged when the run was resumed, and is kept for inspection

A checkpoint is a file of `weights`, so its SHA-256 covers every array and every counter. An older one is deleted only
when the newer has been read back and is what was to be written, and never one of the newest two.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.errors import VerificationError
from rnnlab.storage import disk
from rnnlab.storage.files import always, sync_folder
from rnnlab.storage.jsonfile import Json
from rnnlab.storage.system_errors import reported
from rnnlab.storage.weights import load_arrays, save_arrays

Array = NDArray[Any]
Part = Mapping[str, Array | Json]

KEPT = 2  # the newest, and one to fall back to
_NAME = re.compile(r"step-(\d{10})\.safetensors")


@final
@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a step.

    Attributes:
        run: The run's id.
        attempt: Which process of the run wrote it, from 1.
        step: Steps done.
        metrics_bytes: Length of the metrics that belong to it; what follows them was measured later.
        about: What the weights are of, as stored beside them.
        state: The state of each part of the training by its name: arrays of any shape, and plain data.
    """

    run: str
    attempt: int
    step: int
    metrics_bytes: int
    about: Mapping[str, Json]
    state: Mapping[str, Part]


@final
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Their folder; it need not exist.
        guard: See `files.write_atomic`.
    """

    def __init__(self, folder: Path, *, guard: Callable[[], None] = always) -> None:
        self._folder, self._guard = folder, guard
        self._good: list[Path] = []  # known to be whole, oldest first

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints there are, good or bad, newest first.

        Raises:
            EnvironmentFault: The folder cannot be read.
        """
        return sorted((int(match[1]) for match in map(_NAME.fullmatch, self._names()) if match), reverse=True)

    def set_aside_before(self) -> bool:
        """Return whether a damaged checkpoint was set aside before."""
        return any(name.endswith(".corrupt") for name in self._names())

    def path(self, step: int) -> Path:
        """Return the file of a step."""
        return self._folder / f"step-{step:010d}.safetensors"

    def load(self, step: int) -> Checkpoint:
        """Return a checkpoint, verified.

        Raises:
            VerificationError: It is missing, no plain file, damaged, or of another step than in its name.
            EnvironmentFault: A file cannot be read.
        """
        path = self.path(step)
        checkpoint = _load(path)
        if checkpoint.step != step:
            raise VerificationError(
                f"is of step {checkpoint.step:,}, expected {step:,} as in its name", where=str(path)
            )
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, read it back, and only then delete what is older than the newest two.

        Raises:
            ValueError: A number in it is not finite.
            EnvironmentFault: A system error, or the disk did not give back what was written; the older ones are kept.
        """
        path = self.path(checkpoint.step)
        arrays, plain = _parted(checkpoint.state)
        facts = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
        save_arrays(path, arrays, {**facts, "kind": "checkpoint", "state": plain}, read_back=True, guard=self._guard)
        self.trust(checkpoint.step)
        self._prune()

    def trust(self, step: int) -> None:
        """Count the checkpoint of this step as one that is known to be good."""
        path = self.path(step)
        self._good = sorted({*self._good, path})

    def set_aside(self, step: int) -> None:
        """Give a damaged checkpoint a name under which it is never looked at again.

        Raises:
            EnvironmentFault: A system error.
        """
        path = self.path(step)
        with reported("rename", path):
            disk.rename(path, path.with_name(f"{path.name}.corrupt"))
            sync_folder(self._folder)

    def _prune(self) -> None:
        """Delete what is older than the newest checkpoints that are known to be good, if there are enough of those."""
        if len(self._good) < KEPT:
            return
        self._good = self._good[-KEPT:]
        for step in self.steps():
            if (path := self.path(step)) < self._good[0]:
                with suppress(OSError):  # one too many does no harm
                    disk.unlink(path)

    def _names(self) -> list[str]:
        with reported("look at", self._folder):
            try:
                return sorted(entry.name for entry in self._folder.iterdir())
            except FileNotFoundError:
                return []


def _load(path: Path) -> Checkpoint:
    arrays, description = load_arrays(path)
    if description.pop("kind", None) != "checkpoint":
        raise VerificationError("contains weights, expected a checkpoint", where=str(path))
    try:
        return Checkpoint(**{**description, "state": _joined(arrays, description["state"])})
    except (TypeError, KeyError, AttributeError) as fault:
        raise VerificationError("is a checkpoint that this rnnlab cannot read", where=str(path)) from fault


def _parted(state: Mapping[str, Part]) -> tuple[dict[str, Array], dict[str, dict[str, Json]]]:
    """Return the arrays by `part/name`, and the rest as it is."""
    arrays: dict[str, Array] = {}
    plain: dict[str, dict[str, Json]] = {}
    for part, values in state.items():
        plain[part] = {}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                arrays[f"{part}/{name}"] = value
            else:
                plain[part][name] = value
    return arrays, plain


def _joined(arrays: Mapping[str, Array], plain: Mapping[str, Mapping[str, Json]]) -> dict[str, Part]:
    state: dict[str, dict[str, Array | Json]] = {part: dict(values) for part, values in plain.items()}
    for full_name, array in arrays.items():
        part, _, name = full_name.partition("/")
        state[part][name] = array
    return dict(state)
