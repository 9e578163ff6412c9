"""What a plain (unquoted) scalar means: the YAML 1.2 core schema, less every form that two readers read in two ways."""

import math
import re
from collections.abc import Callable

from rnnlab.config.quoting import bare, quoted
from rnnlab.core.errors import UsageError

Scalar = None | bool | int | float | str

MOST_DIGITS = 18
MOST_CHARACTERS = 100


def plain_value(text: str) -> Scalar:
    """Return the value that the plain scalar `text` stands for.

    Source: YAML 1.2.2, section 10.3.2, "Tag resolution" of the core schema.
    Differs: octal, hexadecimal and leading-zero integers, numbers that are not finite, and the YAML 1.1 forms `1_000`
    and `1:30` are refused, not guessed at.

    Raises:
        UsageError: The scalar is a number to one reader and something else to another, or no finite number; `where` is
            left to the caller.

    Example:
        >>> [plain_value(text) for text in ("1e-3", ".5", "12", "on", "2024-01-01", "~")]
        [0.001, 0.5, 12, 'on', '2024-01-01', None]
        >>> plain_value("010")
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.UsageError: 010 is 8 to some YAML readers and 10 to others — write 8 or 10, or '010' for text
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    _refuse_disputed(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _NOT_FINITE.fullmatch(text):
        raise _not_finite(text, text)
    return text


_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _integer(text: str) -> int:
    digits = len(text.lstrip("+-"))
    if digits > MOST_DIGITS:
        hint = "write a smaller number, or put it in quotes for text"
        raise UsageError(f"integer of {digits} digits, {MOST_DIGITS} at most", hint=hint)
    return int(text)


def _finite(text: str) -> float:
    if len(text) > MOST_CHARACTERS:
        hint = "write fewer digits, or put it in quotes for text"
        raise UsageError(f"number of {len(text)} characters, {MOST_CHARACTERS} at most", hint=hint)
    value = float(text)
    mantissa = re.split("[eE]", text)[0]
    if math.isinf(value) or (value == 0 and re.search("[1-9]", mantissa)):
        raise _not_finite(text, f"{bare(text)}, too {'large' if value else 'small'} for a float")
    return value


def _not_finite(text: str, got: str) -> UsageError:
    return UsageError(f"finite number wanted, got {got}", hint=f"write such a number, or {quoted(text)} for text")


def _refuse_disputed(text: str) -> None:
    sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("+-").replace("_", "")
    for form, read in _DISPUTED:
        if form.fullmatch(text):
            # Long ones are nobody's number; reading them could take a while.
            short = len(digits) <= MOST_DIGITS
            readings = list(dict.fromkeys(sign + reading for reading in read(digits))) if short else []
            other = "text" if len(readings) < 2 else readings[1]
            problem = (
                f"{bare(text)} is {readings[0] if readings else 'a number'} to some YAML readers and {other} to others"
            )
            raise UsageError(
                problem, hint=f"write {' or '.join(readings) or 'plain digits'}, or {quoted(text)} for text"
            )


def _sexagesimal(digits: str) -> str:
    value = 0.0
    for part in digits.split(":"):
        value = 60 * value + float(part)
    return f"{value:.15g}"


# Form, and its readings as numbers. Where YAML 1.1 and 1.2 agree (`0x1F`), stricter readers still see text.
_DISPUTED: list[tuple[re.Pattern[str], Callable[[str], list[str]]]] = [
    (re.compile(r"[-+]?0[0-7_]*[0-7]"), lambda digits: [str(int(digits, 8)), str(int(digits))]),
    (re.compile(r"[-+]?0[0-9_]*[0-9]"), lambda digits: [str(int(digits))]),
    (re.compile(r"[-+]?0[oO]_*[0-7][0-7_]*"), lambda digits: [str(int(digits[2:], 8))]),
    (re.compile(r"[-+]?0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*"), lambda digits: [str(int(digits[2:], 16))]),
    (re.compile(r"[-+]?0[bB]_*[01][01_]*"), lambda digits: [str(int(digits[2:], 2))]),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), lambda digits: [_sexagesimal(digits)]),
    (re.compile(r"[-+]?(?=[^_]*_)[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"), lambda digits: [digits]),
]
