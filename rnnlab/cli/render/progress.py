"""How a training looks on stderr: redrawn in place on a terminal, one plain line now and then in a log."""

import math
import signal
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rnnlab.cli.errors import note
from rnnlab.cli.render.curves import sparkline
from rnnlab.cli.render.output import console
from rnnlab.cli.render.run import trained
from rnnlab.core.text import duration
from rnnlab.storage.jsonfile import flatten
from rnnlab.storage.metrics import Value
from rnnlab.training.events import Evaluated, Event, Started, Stepped, record_line

Events = Generator[Event, None, None]
_LINE_SECONDS = 10.0
_REDRAWS_PER_SECOND = 8
_BAR = 24  # columns


def displayed(events: Events, *, quiet: bool) -> Events:
    """Return the same events, each shown on stderr as it passes: live on a terminal, else as lines, or not at all."""
    if quiet:
        return events
    screen = console(stderr=True)
    return _live(events, screen) if screen.is_terminal and not screen.is_dumb_terminal else _lines(events)


def headline(event: Started) -> str:
    """Return what is trained, in one line."""
    return trained(dict(flatten(event.experiment.resolved())), event.parameters)


def _goal(event: Started) -> str:
    lengths = event.experiment.timesteps
    baseline = event.task.baseline(lengths)
    known = "" if baseline is None else f"baseline {baseline:.4g}; "
    return f"{known}success rule: {event.task.rule(lengths)}"


def _lines(events: Events) -> Events:
    """Print lines without control codes: at the start, then at most one per interval, at evaluations."""
    printed, waiting = -_LINE_SECONDS, ""
    try:
        for event in events:
            if isinstance(event, Started):
                note(f"run {event.run.path}" + (f", resumed at step {event.step:,}" if event.step else ""))
                note(headline(event))
                note(_goal(event))
            elif isinstance(event, Evaluated):
                waiting = record_line(event.record)
                if time.monotonic() - printed >= _LINE_SECONDS or event.solved:
                    note(waiting)
                    printed, waiting = time.monotonic(), ""
            yield event
    finally:
        if waiting:
            note(waiting)


def _live(events: Events, screen: Console) -> Events:
    """Redraw a picture of the training in place; it is wiped away at the end."""
    picture = None
    drawn = 0.0
    with Live(console=screen, auto_refresh=False, transient=True) as live:
        for event in events:
            if isinstance(event, Started):
                screen.print(headline(event))
                picture = _Picture(event)
            elif picture is not None:
                picture.take(event)
                if time.monotonic() - drawn > 1 / _REDRAWS_PER_SECOND:
                    drawn = time.monotonic()
                    with undisturbed():
                        live.update(picture.rendered(), refresh=True)
            yield event


@final
class _Picture:
    """A progress bar, the newest scores beside those to be reached, and the curve of the validation loss."""

    def __init__(self, start: Started) -> None:
        self._start, self._began = start, time.monotonic()
        self._done, self._loss = start.done, math.nan
        self._record: Mapping[str, Value] = {}
        self._losses: list[float] = []

    def take(self, event: Event) -> None:
        """Note what an event reports."""
        if isinstance(event, Stepped):
            self._done, self._loss = event.done, event.loss
        elif isinstance(event, Evaluated):
            self._record = event.record
            if isinstance(loss := event.record["validation/loss"], int | float):
                self._losses.append(loss)

    def rendered(self) -> Text:
        """Return the picture as it is now."""
        total, unit = self._start.experiment.training.budget
        rate = (self._done - self._start.done) / max(time.monotonic() - self._began, 1e-9)
        left = (total - self._done) / rate if rate else 0.0
        done = round(_BAR * self._done / total)
        scores = [
            f"{name} {value:.4g}"
            for name, value in self._record.items()
            if name.startswith("validation/") and isinstance(value, int | float)
        ]
        lines = [
            f"  {self._done:,}/{total:,}  {rate:,.0f} {unit}s/s  at most {duration(left)} left",
            f"training loss   {self._loss:.4g}",
            "  ".join(scores),
            _goal(self._start),
            f"validation loss {sparkline(self._losses)}",
        ]
        return Text.assemble(("━" * done, "green"), ("─" * (_BAR - done), "dim"), "\n".join(lines))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delay Ctrl-C until the block is done: a picture that is half drawn could not be wiped away."""
    pressed: list[int] = []  # once for each time
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    for number in pressed:
        signal.raise_signal(number)
