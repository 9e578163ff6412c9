"""A registry is a folder: the file's stem is the name, and other people's packages join by entry point."""

import difflib
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError
from rnnlab.core.text import visible

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of `known`, or lists them all.

    Example:
        >>> nearest("addding", ["adding", "parity"])
        "did you mean 'adding'?"
        >>> nearest("zebra", ["adding", "parity"])
        'known: adding, parity'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


@dataclass(frozen=True)
class Registry:
    """The members of one kind: one module each in `package`, or an entry point in group `package`.

    Args:
        package: The folder, e.g. `rnnlab.cells`; also the entry-point group for packages outside rnnlab.
        attribute: The name each module exports, e.g. `CELL`.
        kind: What a member is called in messages, e.g. `cell`.
        check: Given the name and what a package outside rnnlab exports for it; raises where that is no such member.
    """

    package: str
    attribute: str
    kind: str
    check: Callable[[str, Any], None] | None = None

    def names(self) -> list[str]:
        """Return the names of all members, sorted, without importing any of them."""
        return sorted({*self._modules(), *self._entry_points()})

    def get(self, name: str) -> Any:
        """Return what the member `name` exports.

        Raises:
            UsageError: There is no such member; the hint names the nearest.
            EnvironmentFault: It cannot be imported: another package's, or a file put into the folder.
        """
        if name in self._modules():
            return self._import(name)
        outside = self._entry_points()
        if name in outside:
            return self._load(outside[name])
        raise UsageError(f"unknown {self.kind} {name!r}", hint=nearest(name, self.names()))

    def members(self) -> dict[str, Any]:
        """Return what every member exports, by name, sorted; those that cannot be imported are passed over."""
        return self._all()[0]

    def broken(self) -> list[EnvironmentFault]:
        """Return why members cannot be imported, a fault each."""
        return self._all()[1]

    def _all(self) -> tuple[dict[str, Any], list[EnvironmentFault]]:
        members: dict[str, Any] = {}
        broken: list[EnvironmentFault] = []
        for name in self.names():
            try:
                members[name] = self.get(name)
            except EnvironmentFault as fault:
                broken.append(fault)
        return members, broken

    def _import(self, name: str) -> Any:
        module = f"{self.package}.{name}"
        try:
            return getattr(importlib.import_module(module), self.attribute)
        except RnnlabError:
            raise
        except Exception as error:
            file = importlib.import_module(self.package).__path__[0]
            raise EnvironmentFault(
                f"the {self.kind} {name!r} cannot be loaded: {type(error).__name__}: {error}",
                where=visible(f"{file}/{name}.py"),
                hint="mend that file, or take it out of the folder",
            ) from error

    def _modules(self) -> tuple[str, ...]:
        return _inside(tuple((path, _changed(path)) for path in importlib.import_module(self.package).__path__))

    def _entry_points(self) -> "Mapping[str, EntryPoint]":
        return _installed(self.package, tuple((path, _changed(path)) for path in sys.path))

    def _load(self, point: "EntryPoint") -> Any:
        try:
            member = point.load()
            if self.check is not None:
                self.check(point.name, member)
            return member
        except Exception as error:
            package = point.dist.name if point.dist else point.module
            raise EnvironmentFault(
                f"the {self.kind} {point.name!r} of the package {package!r} cannot be loaded: "
                f"{type(error).__name__}: {error}",
                hint=f"mend, upgrade or uninstall {package}",
            ) from error


def _changed(path: str) -> int:
    """Return when a folder was last changed, as by an installation; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  # asked for some thousand times a sweep
    except OSError:
        return 0


@cache  # asked for some dozen times a trial
def _inside(places: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """Return the names of the members in the folders `places`, as they now are."""
    modules = pkgutil.iter_modules([path for path, _ in places])
    return tuple(m.name for m in modules if m.name != "base" and not m.name.startswith("_"))


@cache  # to look through all that is installed takes some milliseconds
def _installed(group: str, places: tuple[tuple[str, int], ...]) -> "Mapping[str, EntryPoint]":
    """Return the entry points of a group, by name, among the packages in the folders `places`, as they now are."""
    from importlib.metadata import distributions  # takes long enough to be felt

    found: dict[str, EntryPoint] = {}
    for distribution in distributions(path=[path for path, _ in places]):
        with suppress(Exception):  # a damaged package of somebody else's must not stop rnnlab
            for point in distribution.entry_points.select(group=group):
                found.setdefault(point.name, point)
    return found
