"""What PyYAML's parser says about text that is not YAML, put in one line with what to do about it."""

import yaml

from rnnlab.config.marks import Mark
from rnnlab.core.errors import UsageError
from rnnlab.core.text import visible

LIMIT = 200


def next_event(loader: yaml.SafeLoader, start: Mark) -> yaml.Event:
    """Return the parser's next event.

    Raises:
        UsageError: The text is not YAML here; `where` is the parser's line and column, or `start` if its line is 0.
    """
    try:
        event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call]
        return event
    except yaml.MarkedYAMLError as error:
        raise _fault(error, start) from None
    # An escape or a directive may hold a number that is no character or too long for Python: PyYAML lets that through.
    except (ValueError, OverflowError):
        where = _mark(loader.get_mark(), start)
        raise UsageError(
            "not YAML: a number out of range", where=where, hint="correct the escape or the directive"
        ) from None


def _fault(error: yaml.MarkedYAMLError, start: Mark) -> UsageError:
    said = " ".join(part for part in (error.problem, error.context) if part)
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    if start.line and mark and context and context.line != mark.line:
        said += f" that starts at line {context.line + 1}"
    hint = next((hint for sign, hint in _HINTS if sign in said), "put the text in quotes")
    return UsageError(f"not YAML: {visible(said)[:LIMIT]}", where=_mark(mark, start), hint=hint)


def _mark(mark: yaml.Mark | None, start: Mark) -> str:
    return str(Mark(start.source, mark.line + 1, mark.column + 1) if mark and start.line else start)


# A sign in the parser's words, and what most often helps; the first that fits is taken. What is left over is text that
# begins with a character that means something else in YAML.
_HINTS = [
    ("'\\t'", "use spaces, not tabs"),
    ("unexpected end of stream", "close the quotation mark"),
    ("escape", "write the backslash twice, or use single quotes"),
    ("flow", "close the bracket, and put a comma between its items"),
    ("'<scalar>'", "put the whole of the text in one pair of quotes"),
    ("mapping values are not allowed", "check the indent, or put text that holds ': ' in quotes"),
    ("sequence entries are not allowed", "begin a list on a line of its own, or put the text in quotes"),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("block", "give the keys of one mapping the same indent"),
]
