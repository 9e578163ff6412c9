"""Signals that ask a training to stop: recorded at once, obeyed at the end of a step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rnnlab.core.errors import UsageError
from rnnlab.core.options import build_models
from rnnlab.core.registry import nearest
from rnnlab.training.stopping import Stop

# Windows has neither SIGHUP nor SIGUSR1, and no other system SIGBREAK (Ctrl-Break, and the end of its window).
_ALWAYS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
DEFAULT = "SIGUSR1"


@contextmanager
def asking(stop: Stop, *, more: str) -> Iterator[None]:
    """Let SIGTERM, SIGINT, SIGHUP and the signal named `more` ask to stop; a second SIGINT stops at once.

    A signal that the parent process ignores (`nohup`, a background job of a shell) stays ignored.

    Raises:
        UsageError: There is no signal called `more`, or it cannot be caught.
        KeyboardInterrupt: At the second SIGINT.
    """
    build_models()
    names = dict.fromkeys((*_ALWAYS, more))
    wanted = [name for name in names if name not in {*_ALWAYS, DEFAULT} or hasattr(signal, name)]
    caught = {number: signal.getsignal(number) for number in map(_number, wanted)}

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and stop.reason:
            raise KeyboardInterrupt
        stop.ask(signal.Signals(number).name)

    try:
        for number, before in caught.items():
            if before != signal.SIG_IGN:
                signal.signal(number, note)
        yield
    finally:
        for number, before in caught.items():
            signal.signal(number, before)


def _number(name: str) -> signal.Signals:
    known = [one.name for one in signal.valid_signals() if isinstance(one, signal.Signals)]
    catchable = sorted({*known} - {"SIGKILL", "SIGSTOP"})
    if name not in catchable:
        problem = f"'{name}' is not a signal that can be caught"
        raise UsageError(problem, where="--signal", hint=nearest(name, catchable))
    return signal.Signals[name]
