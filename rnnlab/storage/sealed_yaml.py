"""The config that a run was trained from, as YAML whose last line is a comment with the run's id and a checksum.

    # run 0123456789abcdef, SHA-256 of the lines above: 3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

The file remains a config, which `rnnlab train` takes.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from rnnlab.config.plain import read_plain
from rnnlab.core.errors import VerificationError
from rnnlab.storage.reading import CHANGED, read_bytes
from rnnlab.storage.run_id import require_id

_SEAL = re.compile(rb"# run ([0-9a-f]{16}), SHA-256 of the lines above: ([0-9a-f]{64})\n")


def sealed(text: str, id: str) -> bytes:
    """Return the lines of `text`, and the comment for the run with this id."""
    data = text.encode()
    return data + f"# run {id}, SHA-256 of the lines above: {hashlib.sha256(data).hexdigest()}\n".encode()


def read_sealed(path: Path, limit: int, of: str | None) -> str:
    """Return the text in `path`, which is of the run with the id `of`, and at most `limit` bytes long.

    Raises:
        VerificationError: The file is missing or no plain file, was changed since it was written, or is of another run.
        EnvironmentFault: The file cannot be read.
    """
    data = read_bytes(path, limit)
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    match = _SEAL.fullmatch(data, start)
    if match is None or hashlib.sha256(data[:start]).hexdigest().encode() != match[2]:
        raise VerificationError(CHANGED, where=str(path), hint="bring a copy back, or start a new run from it")
    require_id(path, match[1].decode(), of)
    return data[:start].decode()


def parse_sealed(path: Path, limit: int, of: str | None) -> dict[str, Any]:
    """Return the text in `path` as plain data, in the order of the file; raises as `read_sealed`, or if it is none."""
    text = read_sealed(path, limit, of)
    try:
        return read_plain(text)
    except VerificationError as fault:
        raise VerificationError(fault.problem, where=str(path)) from fault
