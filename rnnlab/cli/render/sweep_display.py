"""How a sweep under way looks: a table redrawn in place on a terminal, plain lines in a log."""

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rnnlab.cli.commands._training import duration, undisturbed
from rnnlab.cli.errors import note
from rnnlab.cli.render.output import console
from rnnlab.cli.render.result import figure
from rnnlab.core.text import visible
from rnnlab.sweeps.events import Begun, Event, Lost, Over, TrialBegun, TrialEnded, TrialStepped

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_LINE_SECONDS = 1.0  # between two lines that tell nothing bad
_REDRAWS_PER_SECOND = 8


def follow(events: Iterable[Event], *, quiet: bool) -> Over:
    """Show the events on stderr and return the last."""
    screen = console(stderr=True)
    is_live = screen.is_terminal and not screen.is_dumb_terminal and not quiet
    watcher: Any = _Live(screen) if is_live else _Lines(quiet=quiet)
    with watcher:
        for event in events:
            if isinstance(event, Over):
                over = event
            watcher.take(event)
    return over


class _Tally:
    """What is done, and how long the rest will take."""

    def __init__(self, begun: Begun) -> None:
        self.total = begun.plan.total
        self.before = sum(one.is_over for one in begun.standings)
        self.done = self.before
        self._began = time.monotonic()

    def take(self, event: TrialEnded) -> None:
        self.done += event.state != "interrupted"

    def left(self) -> str:
        """Return how long the rest will take, in words."""
        trained = self.done - self.before
        if not trained:
            return ""
        return f"about {duration((time.monotonic() - self._began) / trained * (self.total - self.done))} left"


def _headline(event: Begun, tally: _Tally) -> str:
    started = f"{tally.before:,} done before, " if tally.before else ""
    left = tally.total - tally.before
    workers = f"{min(event.workers, left):,} worker{'s' * (min(event.workers, left) != 1)}"
    with_ = f" with {workers}" if left else ""
    trials = f"{tally.total:,} trial{'s' * (tally.total != 1)}"
    return f"sweep {event.sweep.path}: {trials}, {started}{left:,} to train{with_}"


def _ending(event: TrialEnded) -> str:
    """Return in a line how a trial ended.

    Example:
        >>> from rnnlab.sweeps import Trial
        >>> trial = Trial(number=1, name="0001-seed0", values={}, sha256="0" * 64)
        >>> _ending(TrialEnded(trial, "completed", "", 2.5, 0.25, solved=True))
        '0001-seed0 completed in 2.5 s  0.25  solved'
        >>> _ending(TrialEnded(trial, "completed", "", None))
        '0001-seed0 completed by another process'
    """
    result = f"  {figure(event.result)}" if event.result is not None else ""
    solved = "  solved" if event.solved else ""
    reason = f": {event.reason}" if event.reason else ""
    how = "by another process" if event.seconds is None else f"in {event.seconds:.1f} s"
    return visible(f"{event.trial.name} {event.state} {how}{result}{solved}{reason}")


class _Lines:
    """Lines without control codes; of good news at most one a second, of bad news all."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._last, self._held = quiet, -math.inf, ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._held:
            note(self._held)

    def take(self, event: Event) -> None:
        if self._quiet:
            return
        if isinstance(event, Begun):
            self._tally = _Tally(event)
            note(_headline(event, self._tally))
        elif isinstance(event, Lost):
            note(f"{event.trial.name}: its worker was lost ({event.how}), another goes on with it")
        elif isinstance(event, TrialEnded):
            self._tally.take(event)
            self._tell(f"{self._tally.done:,}/{self._tally.total:,} {_ending(event)}", bad=event.state != "completed")

    def _tell(self, line: str, *, bad: bool) -> None:
        now = time.monotonic()
        if bad or now - self._last >= _LINE_SECONDS:
            note(line)
            self._last, self._held = now, ""
        else:
            self._held = line


class _Live:
    """A bar, what each worker does, and above them the failures as they come."""

    _live: "Live"

    def __init__(self, screen: Any) -> None:
        self._screen = screen
        self._under_way: dict[str, tuple[float, TrialStepped | None]] = {}
        self._drawn = 0.0

    def __enter__(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._screen, auto_refresh=False, transient=True)
        self._live.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._live.__exit__(*exception)

    def take(self, event: Event) -> None:
        if isinstance(event, Begun):
            self._tally = _Tally(event)
            self._screen.print(_headline(event, self._tally))
        elif isinstance(event, TrialBegun):
            self._under_way[event.trial.name] = (time.monotonic(), None)
        elif isinstance(event, TrialStepped):
            self._under_way[event.trial.name] = (self._under_way[event.trial.name][0], event)
        elif isinstance(event, Lost):
            self._screen.print(f"{event.trial.name}: its worker was lost ({event.how}), another goes on with it")
        elif isinstance(event, TrialEnded):
            self._under_way.pop(event.trial.name, None)
            self._tally.take(event)
            if event.state != "completed":
                self._screen.print(_ending(event))
        if time.monotonic() - self._drawn > 1 / _REDRAWS_PER_SECOND:
            self._drawn = time.monotonic()
            with undisturbed():
                self._live.update(self._picture(), refresh=True)

    def _picture(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        tally = self._tally
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=tally.total, completed=tally.done, width=24),
            f"{tally.done:,}/{tally.total:,} trials",
            tally.left(),
        )
        rows = Table.grid(padding=(0, 2))
        for name, (began, stepped) in self._under_way.items():
            steps = f"{stepped.step:,}/{stepped.steps:,}" if stepped else ""
            loss = f"loss {figure(stepped.loss)}" if stepped else ""
            rows.add_row(name, f"{time.monotonic() - began:.0f} s", steps, loss)
        grid = Table.grid()
        grid.add_row(bar)
        grid.add_row(rows)
        return grid
