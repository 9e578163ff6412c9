"""Registries: each file in a folder is a member, named by its stem; other packages add members by entry points."""

import difflib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, final

from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError

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


@final
@dataclass(frozen=True)
class Registry:
    """The members of one kind: one module each in `package`, or an entry point in the group `package`."""

    package: str  # the folder, e.g. `rnnlab.cells`; also the entry-point group for other packages
    attribute: str  # the name each module exports, e.g. `CELL`
    kind: str  # what a member is called in messages, e.g. `cell`
    # called with the name and the object of an entry point; raises if that is no such member
    check: Callable[[str, Any], None] | None = None
    # returns what a name takes from a file, `./my_cell.py:MyCell`, or None if it names no file; and whether that
    # file may be run
    of_file: Callable[[str, bool], Any] | None = None

    def names(self) -> list[str]:
        """Return the names of all members, sorted, without importing any of them."""
        return sorted({*_modules(self.package), *self._entry_points()})

    def get(self, name: str) -> Any:
        """Return what the member `name` exports; a module in the folder comes before an entry point of that name.

        Raises:
            UsageError: There is no such member; the hint names the nearest.
            EnvironmentFault: Its file or its package cannot be imported.
        """
        return self._get(name, run=True)

    def described(self, name: str) -> Any:
        """Return what `get` returns; of a member in a file that was not yet imported, only what its name says."""
        return self._get(name, run=False)

    def _get(self, name: str, *, run: bool) -> Any:
        if self.of_file and (member := self.of_file(name, run)) is not None:
            return member
        if name in _modules(self.package):
            return self._import(name)
        if point := self._entry_points().get(name):
            return self._load(point)
        raise UsageError(f"unknown {self.kind} {name!r}", hint=nearest(name, self.names()))

    def members(self) -> dict[str, Any]:
        """Return what every member exports, by name, sorted; without those that cannot be imported."""
        return self._all()[0]

    def broken(self) -> list[EnvironmentFault]:
        """Return an error for each member that cannot be imported."""
        return self._all()[1]

    def _all(self) -> tuple[dict[str, Any], list[EnvironmentFault]]:
        members: dict[str, Any] = {}
        broken: list[EnvironmentFault] = []
        for name in self.names():
            try:
                members[name] = self.get(name)
            except EnvironmentFault as error:
                broken.append(error)
        return members, broken

    def _entry_points(self) -> "Mapping[str, EntryPoint]":
        points = [point for point, _ in _plug_ins(tuple(sys.path)) if point.group == self.package]
        return {point.name: point for point in reversed(points)}  # of two with one name, the first on the path

    def _import(self, name: str) -> Any:
        try:
            return getattr(import_module(f"{self.package}.{name}"), self.attribute)
        except RnnlabError:
            raise
        except Exception as error:
            file = f"{import_module(self.package).__path__[0]}/{name}.py"
            problem = f"cannot load the {self.kind} {name!r}: {type(error).__name__}: {error}"
            raise EnvironmentFault(problem, where=file, hint="fix this file, or remove it") from error

    def _load(self, point: "EntryPoint") -> Any:
        try:
            member = point.load()
            if self.check is not None:
                self.check(point.name, member)
            return member
        except Exception as error:
            package = point.dist.name if point.dist else point.module
            problem = f"cannot load the {self.kind} {point.name!r} of package {package!r}"
            hint = f"fix, upgrade or uninstall {package}"
            raise EnvironmentFault(f"{problem}: {type(error).__name__}: {error}", hint=hint) from error


def plug_in_fault(error: BaseException) -> EnvironmentFault | None:
    """Return an error that names the package of another author in whose code `error` was raised; None if it was ours.

    Such a package is one with an entry point in a group of rnnlab. What its code was called from, or calls, does not
    matter: one frame of the traceback that is in it is enough.
    """
    places: dict[str, str] = {}  # of each top-level package the innermost
    for frame, line in traceback.walk_tb(error.__traceback__):
        places[frame.f_globals.get("__name__", "").partition(".")[0]] = f"{frame.f_code.co_filename}:{line}"
    for point, package in _plug_ins(tuple(sys.path)):
        if where := places.get(point.module.partition(".")[0]):
            problem = f"the plug-in {point.name!r} of package {package!r} failed: {type(error).__name__}: {error}"[:300]
            return EnvironmentFault(problem, where=where, hint=f"fix, upgrade or uninstall {package}")
    return None


def plug_in_packages() -> list[str]:
    """Return the names of the packages of other authors that are installed and have a member of a registry."""
    return sorted({package for _, package in _plug_ins(tuple(sys.path))})


@cache
def _modules(package: str) -> tuple[str, ...]:
    modules = pkgutil.iter_modules(import_module(package).__path__)
    return tuple(module.name for module in modules if module.name != "base" and not module.name.startswith("_"))


@cache  # looking through all installed packages takes some milliseconds
def _plug_ins(path: tuple[str, ...]) -> "Sequence[tuple[EntryPoint, str]]":
    """Return each entry point in a group of rnnlab with the name of its package."""
    from importlib.metadata import distributions  # 10 ms, which `rnnlab --help` does not need

    found: list[tuple[EntryPoint, str]] = []
    for distribution in distributions(path=list(path)):
        with suppress(Exception):  # a damaged package must not stop rnnlab
            if "[rnnlab." in (distribution.read_text("entry_points.txt") or ""):
                points = [point for point in distribution.entry_points if point.group.startswith("rnnlab.")]
                found += [(point, distribution.name) for point in points]
    return found
