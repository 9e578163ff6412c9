"""How a training looks: redrawn in place on a terminal, one plain line now and then in a log."""

import math
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Any

from rnnlab.cli.errors import note, warn
from rnnlab.cli.render.output import console
from rnnlab.core.text import visible
from rnnlab.training.events import Evaluated, Event, Finished, Started, Stepped, record_line

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_LINE_SECONDS = 10.0
_REDRAWS_PER_SECOND = 8


def follow(events: Iterable[Event], *, quiet: bool) -> Finished:
    """Draw the events on stderr and return the last; on a terminal live, else as plain lines, or not at all."""
    screen = console(stderr=True)
    if quiet:
        watchers: Any = _Silent()
    elif screen.is_terminal and not screen.is_dumb_terminal:
        watchers = _Live(screen)
    else:
        watchers = _Lines()
    run = None
    try:
        with watchers as watcher:
            for event in events:
                if isinstance(event, Started):
                    run = event.run
                    for one in event.notes:
                        warn(one)
                if isinstance(event, Finished):
                    finished = event
                else:
                    watcher.take(event)
    except KeyboardInterrupt:
        if run is not None:
            note(f"stopped at once: `rnnlab train --resume {quote(str(run.path))}` goes on from the last checkpoint")
        raise
    return finished


def headline(event: Started) -> str:
    """Return what is trained, in one line."""
    experiment, (low, high) = event.experiment, event.experiment.timesteps
    steps = f"T={low}" if low == high else f"T={low}…{high}"
    cell = f"{experiment.cell.type} cell, {experiment.cell.units} units"
    layers = f" in {experiment.cell.layers} layers" if experiment.cell.layers > 1 else ""
    return (
        f"{cell}{layers}, {event.parameters:,} parameters, on {event.task.name} ({steps}); "
        f"{experiment.backend} {experiment.precision}, seed {experiment.seed}"
    )


class _Silent:
    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self, event: Event) -> None:
        pass


class _Lines:
    """Lines without control codes: the start, then one an interval, at evaluations."""

    def __init__(self) -> None:
        self._last = -_LINE_SECONDS
        self._held = ""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._say(self._held)

    def take(self, event: Event) -> None:
        if isinstance(event, Started):
            again = f", from step {event.step:,} on" if event.step else ""
            self._say(f"run {visible(str(event.run.path))}{again}")
            self._say(headline(event))
            self._say(
                f"baseline {event.task.baseline(event.experiment.timesteps):.4g}; solved when {event.task.solved}"
            )
        elif isinstance(event, Evaluated):
            self._held = record_line(event.record)
            if time.monotonic() - self._last >= _LINE_SECONDS or event.solved:
                self._say(self._held)
                self._last, self._held = time.monotonic(), ""

    @staticmethod
    def _say(line: str) -> None:
        if sys.stderr is None:  # print would turn to stdout
            return
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:  # a full or closed log must not cost the training
            sys.stderr = None


class _Live:
    """A bar, the newest numbers beside the lines to beat, and the curve so far."""

    _live: "Live"

    def __init__(self, screen: Any) -> None:
        self._screen = screen
        self._start: Started | None = None
        self._record: dict[str, Any] = {}
        self._losses: list[float] = []
        self._step, self._loss = 0, float("nan")
        self._began = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> "_Live":
        from rich.live import Live

        self._live = Live(console=self._screen, auto_refresh=False, transient=True)
        self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.__exit__(*exception)

    def take(self, event: Event) -> None:
        if isinstance(event, Started):
            self._start, self._began, self._step = event, time.monotonic(), event.step
            self._screen.print(headline(event))
        elif isinstance(event, Stepped):
            self._step, self._loss = event.step, event.loss
        elif isinstance(event, Evaluated):
            self._record = dict(event.record)
            self._losses.append(float(event.record["validation/loss"]))  # type: ignore[arg-type]  # a number
        if time.monotonic() - self._drawn > 1 / _REDRAWS_PER_SECOND:
            self._drawn = time.monotonic()
            with undisturbed():
                self._live.update(self._picture(), refresh=True)

    def _picture(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        assert self._start is not None
        total = self._start.experiment.training.steps
        rate = (self._step - self._start.step) / max(time.monotonic() - self._began, 1e-9)
        left = (total - self._step) / rate if rate else 0.0
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=total, completed=self._step, width=24),
            f"{self._step:,}/{total:,}",
            f"{rate:,.0f} steps/s",
            f"at most {duration(left)} left",
        )
        grid = Table.grid()
        grid.add_row(bar)
        for line in self._figures():
            grid.add_row(line)
        return grid

    def _figures(self) -> list[str]:
        assert self._start is not None
        task, timesteps = self._start.task, self._start.experiment.timesteps
        scores = {name: value for name, value in self._record.items() if name.startswith("validation/")}
        return [
            f"training loss   {self._loss:.4g}",
            "  ".join(f"{name} {value:.4g}" for name, value in scores.items()),
            f"baseline {task.baseline(timesteps):.4g}; solved when {task.solved}",
            f"validation loss {sparkline(self._losses)}",
        ]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done: a picture half drawn could not be wiped away."""
    pressed: list[int] = []  # once for each time
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    for number in pressed:
        signal.raise_signal(number)


def sparkline(values: list[float], width: int = 48) -> str:
    """Return a one-line curve of the newest values, highest at the top.

    Example:
        >>> sparkline([0.0, 1.0, 0.5])
        '▁█▅'
    """
    shown = [value for value in values if math.isfinite(value)][-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = 7 / (high - low) if high > low else 0.0
    return "".join("▁▂▃▄▅▆▇█"[round((value - low) * scale)] for value in shown)


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    Example:
        >>> duration(9.6), duration(61), duration(7261)
        ('10 s', '1 min 01 s', '2 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
