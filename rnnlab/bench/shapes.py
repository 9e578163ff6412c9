"""The shapes that are timed: four with names, and any other spelled out."""

import re
from dataclasses import dataclass

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one training step.

    Attributes:
        timesteps: T, at least 1.
        batch_size: B, at least 1.
        input_features: D, at least 1.
        units: H, at least 1.
    """

    timesteps: int
    batch_size: int
    input_features: int
    units: int

    def __str__(self) -> str:
        return f"T{self.timesteps} B{self.batch_size} D{self.input_features} H{self.units}"


# Small, middle and large, and a notebook's: what is common, and what lies on either side of it.
NAMED = {
    "N": Shape(timesteps=120, batch_size=64, input_features=14, units=16),
    "S": Shape(timesteps=50, batch_size=64, input_features=16, units=32),
    "M": Shape(timesteps=100, batch_size=32, input_features=32, units=128),
    "L": Shape(timesteps=100, batch_size=128, input_features=64, units=256),
}


def read_shape(text: str) -> Shape:
    """Return the shape that `text` names or spells out.

    Raises:
        UsageError: It does neither.

    Example:
        >>> str(read_shape("M")), str(read_shape("T5xB4xD2xH3"))
        ('T100 B32 D32 H128', 'T5 B4 D2 H3')
        >>> read_shape("T5xB0xD2xH3")
        Traceback (most recent call last):
        rnnlab.core.errors.UsageError: unknown shape 'T5xB0xD2xH3' — known: L, M, N, S; or T100xB32xD32xH128
    """
    spelled = re.fullmatch("T{0}xB{0}xD{0}xH{0}".format("([1-9][0-9]{0,6})"), text, re.ASCII)
    if spelled:
        return Shape(*map(int, spelled.groups()))
    if text in NAMED:
        return NAMED[text]
    raise UsageError(f"unknown shape {text[:60]!r}", hint=f"{nearest(text, NAMED)}; or T100xB32xD32xH128")
