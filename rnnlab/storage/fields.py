"""Types of the fields of stored documents, with bounds: what passes is safe to format, to add and to convert."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

LARGEST_STEP, LARGEST_WHOLE = 10**12, (1 << 63) - 1
LONGEST_NAME, LONGEST_TEXT = 200, 1000  # characters
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)


def _require_bounds(moment: datetime) -> datetime:
    if moment.utcoffset() or not _FIRST.year <= moment.year <= _LAST.year:  # `rnnlab list` does this thousands of times
        raise ValueError("should be in UTC, from 1970 until 2199")
    return moment


def within_bounds(moment: datetime) -> datetime:
    """Return a moment, or the nearest that a document may have: a clock may be far off."""
    return min(max(moment, _FIRST), _LAST)


Moment = Annotated[AwareDatetime, AfterValidator(_require_bounds)]
Step = Annotated[int, Field(ge=0, le=LARGEST_STEP)]
Count = Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]
Whole = Annotated[int, Field(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
Pid = Annotated[int, Field(ge=0, lt=1 << 32)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
RunId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]

# Facts of a kind that is not known here, e.g. of a task of the user's: a value, a list, or a table of them.
Scalar = None | bool | Whole | float | Text
Flat = Scalar | Annotated[list[Scalar], Field(max_length=10_000)]
Fact = Flat | dict[Name, Flat] | Annotated[list[dict[Name, Scalar]], Field(max_length=10_000)]
Facts = Annotated[dict[Name, Fact], Field(max_length=1000)]


def storable(text: str, longest: int = LONGEST_TEXT) -> str:
    r"""Return text as a document takes it: bytes that are not UTF-8 as escapes, and what is too long is cut.

    Example:
        >>> storable("x\udcff"), storable("abcde", 4)
        ('x\\udcff', 'abc…')
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
