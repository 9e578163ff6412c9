"""What is asked of the cluster for each trial, in the words of sbatch, checked before anything is submitted."""

import re
from typing import Annotated, Self, final

from pydantic import Field

from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options
from rnnlab.core.text import visible

_NOTICE = 120  # seconds; saving takes a few, and Slurm looks at the clock twice a minute
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")
_WORD = re.compile(r"[\w.@:+-]+(?:,[\w.@:+-]+)*", re.ASCII)
_PLAIN = {
    "time": (_TIME, "minutes, HH:MM:SS or DAYS-HH:MM:SS"),
    "mem": (re.compile(r"\d+[KMGT]?", re.IGNORECASE), "a size like 500M or 2G"),
    "partition": (_WORD, "a partition's name, or several with commas"),
    "account": (_WORD, "an account's name"),
    "extra": (re.compile(r"#SBATCH\s+-[ -~]+"), "a line like '#SBATCH --constraint=avx2'"),
}


@final
class Request(Options):
    """What each trial's job may use; what is None is the cluster's own default. Immutable."""

    partition: str | None = Field(None, description="Where it may run.")
    time: str | None = Field(None, description="The time limit of one job: a trial that needs more is queued again.")
    cpus: Annotated[int, Field(ge=1)] = Field(1, description="Processors a trial.")
    mem: str | None = Field(None, description="Memory a job.")
    account: str | None = Field(None, description="Who pays.")
    array_limit: Annotated[int, Field(ge=1)] | None = Field(None, description="How many trials may run at a time.")
    extra: tuple[str, ...] = Field((), description="Further lines `#SBATCH …`, which come last and so win.")

    def check(self) -> Self:
        """Return this request if sbatch would read it as meant.

        Raises:
            UsageError: It would not, or it would be refused.

        Example:
            >>> Request(time="90").check().notice()
            120
            >>> Request(mem="2 GB").check()
            Traceback (most recent call last):
            rnnlab.core.errors.UsageError: --mem: got '2 GB', expected a size like 500M or 2G
        """
        for name, (pattern, expected) in _PLAIN.items():
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else [value]:
                if text is not None and not pattern.fullmatch(text):
                    raise UsageError(f"got '{visible(text[:80])}', expected {expected}", where=f"--{name}")
        if self.seconds() == 0:
            raise UsageError("got no time at all", where="--time")
        return self

    def seconds(self) -> int | None:
        """Return the time limit in seconds, None where it is the cluster's.

        Source: sbatch(1), `--time`.

        Example:
            >>> [Request(time=text).seconds() for text in ("90", "1:30", "2:00:00", "1-12", "1-0:30")]
            [5400, 90, 7200, 129600, 88200]
        """
        match = _TIME.fullmatch(self.time or "")
        if match is None:
            return None
        parts = [int(part) for part in match["parts"].split(":")]
        if match["days"] is not None:
            hours, minutes, seconds = [*parts, 0, 0][:3]
            return ((int(match["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
        hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
        return (hours * 60 + minutes) * 60 + seconds

    def notice(self) -> int:
        """Return how many seconds before the time limit a trial is told to save: never more than a quarter of it.

        Example:
            >>> [Request(time=text).notice() for text in (None, "60", "4", "1")]
            [120, 120, 60, 15]
        """
        seconds = self.seconds()
        return _NOTICE if seconds is None else max(1, min(_NOTICE, seconds // 4))

    def lines(self) -> list[str]:
        """Return the lines `#SBATCH …` that ask for this."""
        asked = {
            "signal": f"B:USR1@{self.notice()}",
            "cpus-per-task": self.cpus,
            "partition": self.partition,
            "time": self.time,
            "mem": self.mem,
            "account": self.account,
        }
        return [*(f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None), *self.extra]
