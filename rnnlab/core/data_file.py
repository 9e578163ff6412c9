"""A file of the user's that a task reads: where it is, and what it contains.

A config has its path, relative to the config. A run stores the SHA-256 of the content too, and that identifies
the file: when the project has moved, the file is looked for, and only the same content counts as found.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr

from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.named_files import home_expanded, sha256_of
from rnnlab.core.options import Options

MOST_BYTES = 1 << 30
_MOST_FOLDERS = 12  # around a config, in which a file that is not at its place is looked for


class DataFile(Options):
    """A file of data."""

    path: str = Field(min_length=1, max_length=4096, description="the file, relative to the config, or from ~ or /")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 that its content must have; null: any"
    )

    _folder: str = PrivateAttr("")  # that of the config

    def within(self, folder: Path) -> Self:
        """Return the file with its path relative to `folder`."""
        (copy := self.model_copy())._folder = str(folder)
        return copy

    def of(self, other: Path) -> Self:
        """Return another file that is read in the same way; its path is relative to the current folder."""
        return self.model_copy(update={"path": str(home_expanded(other).absolute()), "sha256": None})

    @property
    def place(self) -> Path:
        """Its path, absolute and without `..`."""
        return _absolute(Path(self._folder) / home_expanded(self.path))

    def path_from(self, folder: Path) -> str:
        """Return the path that a config in `folder` needs; one that was given from ~ or / stays as it is."""
        if self.is_fixed:
            return self.path
        return os.path.relpath(self.place, _absolute(folder))

    @property
    def is_fixed(self) -> bool:
        """Whether the path depends on no folder."""
        return home_expanded(self.path).is_absolute()

    def found(self) -> Self:
        """Return the file where its content is, with its SHA-256.

        Where nothing is at its place, or another content, the file is looked for by its relative path in the current
        folder and in the folders around the config; it counts only with the content that it must have.

        Raises:
            UsageError: There is no such file, or it cannot be read.
            VerificationError: There is one, and it has another content than it must have.
        """
        place = self.place
        content = _content(place)
        if content is not None and self.sha256 in {None, content}:
            return self.model_copy(update={"sha256": content})
        for other in self._elsewhere() if self.sha256 else ():
            try:
                if _content(other) == self.sha256:
                    return self._at(other)
            except UsageError:  # not to be read
                continue
        if content is not None:
            problem = f"has another content than the data of this run: SHA-256 {content[:12]}…, not {self.sha256:.12}…"
            raise VerificationError(problem, where=str(place), hint="bring the old file back, or train a new run")
        if self.sha256 is not None:
            hint = "bring it back, or give its place by --set task.csv=PATH where a command has --set"
            raise UsageError(f"{place}, the data of this run, is not there", hint=hint)
        raise UsageError(f"{place}: no such file", hint=_hint(self.path))

    def _at(self, place: Path) -> Self:
        path = str(place) if self.is_fixed else os.path.relpath(place, _absolute(self._folder))
        return self.model_copy(update={"path": path})

    def _elsewhere(self) -> Iterator[Path]:
        """Yield where the file may be: as seen from the folder behind a link, or further up."""
        real = Path(os.path.realpath(self._folder or "."))
        if not self.is_fixed:
            yield _absolute(real / self.path)
        down = [part for part in Path(self.path).parts if part != os.pardir]
        tail = Path(self.path).name if self.is_fixed else Path(*down)
        folders = [Path.cwd(), *_absolute(self._folder).parents[:_MOST_FOLDERS]]
        for folder in dict.fromkeys([*folders, *real.parents[:_MOST_FOLDERS]]):
            yield folder / tail


def is_place(key: str, config: Mapping[str, Any]) -> bool:
    """Return whether a dotted key of a stored config is only where a file is; its SHA-256 identifies it.

    Example:
        >>> config = {"task.csv.path": "a.csv", "task.csv.sha256": "3b0c"}
        >>> [is_place(key, config) for key in config]
        [True, False]
    """
    return key.endswith(".path") and f"{key.removesuffix('path')}sha256" in config


def _absolute(path: Path | str) -> Path:
    """Return a path without `..`, which is taken out of the text: behind a link it would lead elsewhere."""
    return Path(os.path.normpath(Path(path).absolute()))


def _content(place: Path) -> str | None:
    try:
        return sha256_of(place, MOST_BYTES, hint="give the path of a plain file")
    except FileNotFoundError:
        return None
    except UsageError as error:
        raise UsageError(error.problem, where=str(place), hint=error.hint) from error


def _hint(path: str) -> str:
    if "$" in path:
        return "variables are not replaced in a config: write the path out, or begin it with ~/"
    return "a path in a config is relative to the config file"
