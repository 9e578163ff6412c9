"""Who is in: rnnlab's own backends always, and of the peers those that were asked for or are installed."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from rnnlab.bench.contenders import CONTENDERS
from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.work import Work
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest

NONE = "none"
_FIRST = "numpy"


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender on one engine.

    Attributes:
        name: The contender's, as in the registry.
        engine: One of its engines, or empty.
    """

    name: str
    engine: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.engine}" if self.engine else self.name

    @property
    def kind(self) -> type[AbstractContender]:
        """The contender itself."""
        kind: type[AbstractContender] = CONTENDERS.get(self.name)
        return kind

    @property
    def is_own(self) -> bool:
        """Whether it is one of rnnlab's backends: what a config can choose."""
        return not self.kind.framework

    def missing(self) -> str:
        """Return the first package it needs that is not installed, or nothing."""
        needed = [name for name in (self.engine, *self.kind.packages) if name]
        return next((name for name in needed if not is_installed(name)), "")


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def choose(works: Sequence[Work], against: Sequence[str] | None) -> dict[Work, list[Entrant]]:
    """Return who does each work, rnnlab's own first.

    Args:
        works: What is to be done.
        against: Frameworks whose peers compete, or `none` alone; None for all that are installed.

    Raises:
        UsageError: An unknown framework, or one that is not installed.
    """
    peers = _frameworks(against)
    everyone = [Entrant(name, engine) for name, kind in CONTENDERS.members().items() for engine in kind.engines]
    entered = [one for one in everyone if one.is_own or peers is None or one.kind.framework in peers]
    there = sorted((one for one in entered if not one.missing()), key=_place)
    return {work: [one for one in there if one.kind.suits(work)] for work in works}


def _place(entrant: Entrant) -> tuple[bool, bool]:
    """Return what the entrants are ordered by, before their names: NumPy first, then Keras, then the peers."""
    return not entrant.is_own, entrant.name != _FIRST


def _frameworks(against: Sequence[str] | None) -> set[str] | None:
    if against is None:
        return None
    kinds = CONTENDERS.members().values()
    known = {kind.framework: kind for kind in kinds if kind.framework}
    if list(against) == [NONE]:
        return set()
    if NONE in against:
        raise UsageError(
            f"{NONE} stands alone, or not at all", where="--against", hint=f"known: {', '.join(sorted(known))}"
        )
    for framework in against:
        if framework not in known:
            raise UsageError(
                f"unknown peer {framework[:60]!r}", where="--against", hint=nearest(framework, [*known, NONE])
            )
        if not is_installed(framework):
            raise UsageError(f"{framework} is not installed", where="--against", hint=known[framework].install)
    return set(against)
