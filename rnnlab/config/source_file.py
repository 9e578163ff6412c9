"""The bytes of a config file and the text in them: regular files only, at most 1 MiB, UTF-8."""

import codecs
import difflib
import os
import stat
from itertools import islice
from pathlib import Path

from rnnlab.config.hidden import mark_after
from rnnlab.config.marks import Mark
from rnnlab.core.errors import UsageError
from rnnlab.core.text import visible

MOST_BYTES = 1 << 20


def read_bytes(path: Path) -> bytes:
    """Return the bytes of the regular file `path`; never waits for a pipe or a device.

    Raises:
        UsageError: No such file, not a regular file, not readable, or over `MOST_BYTES`; `where` is left to the caller.
    """
    try:
        # Looked at before it is opened: to open a pipe, even without waiting, disturbs whoever writes to it.
        _refuse_irregular(path.stat())
        with open(path, "rb", opener=_without_waiting) as file:
            _refuse_irregular(os.fstat(file.fileno()))
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("no such file", hint=_nearest_yaml(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"cannot be read: {reason}", hint="name a YAML file that you may read") from None
    if len(raw) > MOST_BYTES:
        raise UsageError(
            f"the file is over {MOST_BYTES:,} bytes, the most a config may have",
            hint="check that this is the config you meant",
        )
    return raw


def decode(raw: bytes, source: str) -> str:
    r"""Return the text in `raw` without its byte-order mark.

    Raises:
        UsageError: The bytes are not UTF-8 text; `where` names `source` and, if there is one, the line and column.

    Example:
        >>> decode(b"\xef\xbb\xbfname: a", "x.yaml")
        'name: a'
        >>> decode(b"name: caf\xe9", "x.yaml")
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.UsageError: x.yaml:1:10: byte 0xe9 at offset 9 is not UTF-8 — save the file as UTF-8
    """
    _refuse_other_encodings(raw, source)
    body = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        offset = error.start + len(raw) - len(body)
        mark = mark_after(body[: error.start].decode(), Mark(source, 1, 1))
        problem = f"byte 0x{raw[offset]:02x} at offset {offset} is not UTF-8"
        raise UsageError(problem, where=str(mark), hint="save the file as UTF-8") from None


def _without_waiting(path: str, flags: int) -> int:
    # A pipe put in place of the file between the look and the open must not block either.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _refuse_irregular(status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    got = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    raise UsageError(f"is {got}, a regular file wanted", hint="name a YAML file")


def _nearest_yaml(path: Path) -> str:
    try:
        # A folder of ten thousand results must not slow down a message.
        known = sorted(islice((entry.name for entry in path.parent.iterdir() if entry.suffix == ".yaml"), 1000))
    except (OSError, ValueError):
        return f"there is no folder {visible(str(path.parent))} that can be listed"
    close = difflib.get_close_matches(path.name, known, n=1, cutoff=0)
    return f"did you mean {visible(str(path.parent / close[0]))}?" if close else "the folder holds no .yaml file"


def _refuse_other_encodings(raw: bytes, source: str) -> None:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError("UTF-16 text, by the mark at byte offset 0", where=source, hint="save the file as UTF-8")
    if (offset := raw.find(0)) >= 0:
        problem = f"NUL byte at offset {offset}: binary data, or UTF-16 text"
        raise UsageError(problem, where=source, hint="save the file as UTF-8 text")
