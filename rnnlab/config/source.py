"""From a config file to clean text: regular files only, at most 1 MiB, UTF-8, no hidden characters, no endless line."""

import codecs
import difflib
import os
import re
import stat
import unicodedata
from itertools import islice
from pathlib import Path

from rnnlab.config.errors import Position, raise_all
from rnnlab.core.errors import ConfigError, UsageError

MOST_BYTES = 1 << 20
LONGEST_LINE = 20_000  # PyYAML takes up to a second for one line of a mebibyte

# Characters that control a terminal, reorder a line or are not text; tab and line feed are text.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of the regular file `path`; never waits for a pipe or a device.

    Raises:
        UsageError: No such file, not a regular file, not readable, or over `MOST_BYTES`; `where` is left to the caller.
    """
    try:
        # Checked before it is opened: to open a pipe, even without waiting, disturbs the process that writes to it.
        _require_regular(path.stat())
        with open(path, "rb", opener=_without_waiting) as file:
            _require_regular(os.fstat(file.fileno()))
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("no such file", hint=_nearest_yaml(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"cannot be read: {reason}", hint="give the path of a YAML file that you may read") from None
    if len(raw) > MOST_BYTES:
        problem = f"the file is larger than {MOST_BYTES:,} bytes, the maximum for a config"
        raise UsageError(problem, hint="check that this is the right file")
    return raw


def decode(raw: bytes, source: str) -> str:
    r"""Return the text in `raw`, without a byte-order mark.

    Raises:
        ConfigError: The bytes are not UTF-8 text.

    Example:
        >>> decode(b"\xef\xbb\xbfname: a", "x.yaml")
        'name: a'
        >>> decode(b"name: caf\xe9", "x.yaml")
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.ConfigError: x.yaml:1:10: byte 0xe9 at offset 9 is not UTF-8 — save the file as UTF-8
    """
    where, hint = source, "save the file as UTF-8"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problem = "is UTF-16 text, expected UTF-8"
    elif (offset := raw.find(0)) >= 0:
        problem = f"NUL byte at offset {offset}: binary data, or UTF-16 text"
    else:
        body = raw.removeprefix(codecs.BOM_UTF8)
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            offset = error.start + len(raw) - len(body)
            where = str(position_after(body[: error.start].decode(), Position(source, 1, 1)))
            problem = f"byte 0x{raw[offset]:02x} at offset {offset} is not UTF-8"
    raise ConfigError([UsageError(problem, where=where, hint=hint)])


def check_text(text: str, start: Position) -> None:
    r"""Pass if the text has no hidden character and no line of more than `LONGEST_LINE` characters.

    Raises:
        ConfigError: It has; for each kind, the first is reported.

    Example:
        >>> check_text("name: a\x1b[31m", Position("x.yaml", 1, 1))
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.ConfigError: x.yaml:1:8: U+001B (control character) is not allowed in a config — remove it
    """
    errors = []
    if match := HIDDEN.search(text.replace("\r", "\n")):  # a carriage return ends a line
        where = str(position_after(text[: match.start()], start))
        problem = f"{character(match.group())} is not allowed in a config"
        errors.append(UsageError(problem, where=where, hint="remove it"))
    lengths = [len(line) for line in text.split("\n")]
    if (longest := max(lengths)) > LONGEST_LINE:
        where = str(start.moved(lengths.index(longest), 0))
        problem = f"line of {longest:,} characters, at most {LONGEST_LINE:,} are allowed"
        errors.append(UsageError(problem, where=where, hint="check that this is the right file"))
    raise_all(errors)


def character(char: str) -> str:
    r"""Return the code and the name of a character that cannot be shown.

    Example:
        >>> character("\u202e"), character("\x1b")
        ('U+202E (right-to-left override)', 'U+001B (control character)')
    """
    unnamed = "control character" if unicodedata.category(char) == "Cc" else "not a character"
    return f"U+{ord(char):04X} ({unicodedata.name(char, unnamed).lower()})"


def position_after(text: str, start: Position) -> Position:
    r"""Return the position of the character that follows `text`.

    Example:
        >>> str(position_after("a: 1\r\nb: ", Position("x.yaml", 1, 1)))
        'x.yaml:2:4'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return start.moved(len(lines) - 1, len(lines[-1]))


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that replaced the file between the check and the open must not block either.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        got = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise UsageError(f"is {got}, expected a regular file", hint="give the path of a YAML file")


def _nearest_yaml(path: Path) -> str:
    try:
        # A folder of ten thousand results must not slow down a message.
        known = sorted(islice((entry.name for entry in path.parent.iterdir() if entry.suffix == ".yaml"), 1000))
    except (OSError, ValueError):
        return f"the folder {path.parent} does not exist or cannot be listed"
    close = difflib.get_close_matches(path.name, known, n=1, cutoff=0)
    return f"did you mean {path.parent / close[0]}?" if close else "there is no .yaml file in the folder"
