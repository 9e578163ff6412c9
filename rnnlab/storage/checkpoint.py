"""Checkpoints: all that a training has to remember at one step, in one file with a checksum.

    step-0000001200-0003.safetensors    all there is after 1,200 steps, written by the third attempt

A checkpoint is a file of `weights`, so its SHA-256 covers every array and every counter. An older or a damaged one is
deleted only when two newer ones have been read back and are what was to be written.

To delete cannot be fenced (see `lock`). So an attempt deletes only what itself or an earlier attempt wrote: a process
that was overtaken and wakes has no name of a file that its successor wrote.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.errors import VerificationError
from rnnlab.core.system_errors import reported
from rnnlab.storage import disk
from rnnlab.storage.description import CheckpointDescription
from rnnlab.storage.files import always
from rnnlab.storage.jsonfile import Json, fitting
from rnnlab.storage.weights import load_arrays, save_arrays

Array = NDArray[Any]
Part = Mapping[str, Array | Json]

KEPT = 2  # the newest, and one to fall back to
_NAME = re.compile(r"step-(\d{10,})-(\d{4,})\.safetensors")


@final
@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a step.

    Attributes:
        id: The run's.
        attempt: Which process of the run wrote it, from 1.
        step: Steps done.
        metrics_bytes: Length of the metrics that belong to it; what follows them was measured later.
        about: What the weights are of, as stored beside them.
        state: The state of each part of the training by its name: arrays of any shape, and plain data.
    """

    id: str
    attempt: int
    step: int
    metrics_bytes: int
    about: Mapping[str, Json]
    state: Mapping[str, Part]


class _File(NamedTuple):
    step: int
    attempt: int
    path: Path


@final
class Checkpoints:
    """The checkpoints of one run; of two of the same step, that of the later attempt counts.

    Args:
        folder: Their folder; it need not exist.
        guard: See `files.write_atomic`.
    """

    def __init__(self, folder: Path, *, guard: Callable[[], None] = always) -> None:
        self._folder, self._guard = folder, guard
        self._good: dict[int, Path] = {}  # known to be whole, by step

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints there are, good or bad, newest first.

        Raises:
            EnvironmentFault: The folder cannot be read.
        """
        return sorted({file.step for file in self._files()}, reverse=True)

    def path(self, step: int) -> Path:
        """Return the file of a step, that of the first attempt where there is none."""
        found = [file for file in self._files() if file.step == step]
        return max(found).path if found else self._path(step, 1)

    def load(self, step: int, *, most_bytes: int | None = None, keep: bool = True) -> Checkpoint:
        """Return a checkpoint, verified.

        Args:
            step: Its step.
            most_bytes: Of its arrays; left out, any size will do.
            keep: Whether to return its arrays; otherwise it takes little memory, whatever its size.

        Raises:
            VerificationError: It is missing, no plain file, damaged, too large, or not the one in its name.
            EnvironmentFault: A file cannot be read.
        """
        path = self.path(step)
        checkpoint = _load(path, most_bytes=most_bytes, keep=keep)
        if path != self._path(checkpoint.step, checkpoint.attempt):
            found = f"is of step {checkpoint.step:,}, attempt {checkpoint.attempt}"
            raise VerificationError(f"{found}, expected those in its name", where=str(path))
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, read it back, and only then delete all but the newest two that are known to be good.

        Raises:
            ValueError: A number in it is not finite.
            EnvironmentFault: A system error, or the disk did not give back what was written; the older ones are kept.
        """
        path = self._path(checkpoint.step, checkpoint.attempt)
        arrays, plain = _parted(checkpoint.state)
        facts = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
        save_arrays(path, arrays, {**facts, "kind": "checkpoint", "state": plain}, read_back=True, guard=self._guard)
        self._good[checkpoint.step] = path
        self._prune(checkpoint.attempt)

    def trust(self, step: int) -> None:
        """Count the checkpoint of this step as one that is known to be good."""
        self._good[step] = self.path(step)

    def _prune(self, attempt: int) -> None:
        """Delete what this attempt or an earlier one wrote, except the newest good ones, if there are enough."""
        if len(self._good) < KEPT:
            return
        self._good = dict(sorted(self._good.items())[-KEPT:])
        for file in self._files():
            if file.attempt <= attempt and file.path not in self._good.values():
                self._guard()
                with suppress(OSError):  # one too many does no harm
                    disk.unlink(file.path)

    def _path(self, step: int, attempt: int) -> Path:
        return self._folder / f"step-{step:010d}-{attempt:04d}.safetensors"

    def _files(self) -> list[_File]:
        with reported("look at", self._folder):
            try:
                paths = list(self._folder.iterdir())
            except FileNotFoundError:
                return []
        named = [(match, path) for path in paths if (match := _NAME.fullmatch(path.name))]
        return [_File(int(match[1]), int(match[2]), path) for match, path in named]


def _load(path: Path, *, most_bytes: int | None, keep: bool) -> Checkpoint:
    arrays, description = load_arrays(path, most_bytes=most_bytes, keep=keep)
    if description.get("kind") != "checkpoint":
        raise VerificationError("contains weights, expected a checkpoint", where=str(path))
    with fitting(path, "a checkpoint"):
        CheckpointDescription.model_validate(description)
    state = _joined(arrays, description.pop("state"))
    del description["kind"]
    return Checkpoint(**description, state=state)


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
        state.setdefault(part, {})[name] = array
    return dict(state)
