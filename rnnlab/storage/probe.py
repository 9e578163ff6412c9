"""A trial of the disk: whether a folder takes files, found out before hours of work."""

import secrets
from contextlib import suppress
from pathlib import Path

from rnnlab.core.system_errors import reported
from rnnlab.storage import disk
from rnnlab.storage.files import write_all, write_atomic, write_new

_PROBE = b"rnnlab\n"


def probe(folder: Path) -> None:
    """Find out now whether `folder` takes files, rather than after hours of work.

    A file is written, synced, renamed, replaced by another, appended to and deleted: some network and FUSE file systems
    refuse one of these.

    Raises:
        EnvironmentFault: It does not.
    """
    path = folder / f".probe.{secrets.token_hex(8)}.tmp"
    newer = folder / f".probe.{secrets.token_hex(8)}.tmp"
    try:
        write_atomic(path, _PROBE)
        with reported("replace a file", folder):
            write_new(newer, _PROBE)
            disk.rename(newer, path)
        with reported("append to a file", folder):
            _append(path, _PROBE)
        with reported("delete a file", folder):
            disk.unlink(path)
    except BaseException:
        for left in (newer, path):
            with suppress(OSError):
                disk.unlink(left)
        raise


def _append(path: Path, data: bytes) -> None:
    descriptor = disk.open_append(path)
    try:
        write_all(descriptor, data)
    finally:
        disk.close(descriptor)
