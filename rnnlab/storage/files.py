"""The one writer of whole files: a file has its old content or its new content, never a mix.

A write goes to a new name beside the target, is pushed to the disk, takes the target's name in one step, and then the
folder is pushed to the disk too, because a rename alone does not survive a power cut. What a killed process leaves
behind is named `.<target>.<16 hex digits>.tmp`; no reader looks at such a file.

A whole folder is written likewise. No system can put a folder in the place of one with content in one step, so a folder
that is replaced is first moved aside: a kill in that instant leaves both beside the target, whole, the old one as
`.<target>.<16 hex digits>.old.tmp`.

Source: Pillai et al. 2014, "All file systems are not created equal" (OSDI), for the order of the steps.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.system_errors import ELSEWHERE, reported, system_error
from rnnlab.storage import disk

# Some network and FUSE file systems cannot sync a folder at all; there is then nothing to wait for.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}
# Some have no second names; there a reader may, for a moment, see a new file empty.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


def always() -> None:
    """Allow every write."""


def write_atomic(
    path: Path,
    data: bytes,
    *,
    elsewhere: str = ELSEWHERE,
    guard: Callable[[], None] = always,
    sync: bool = True,
) -> None:
    """Make `data` the content of `path`, now and after a power cut, or leave `path` as it was.

    The file's mode follows the umask. A link at `path` is replaced, not followed.

    Args:
        path: The file.
        data: Its new content.
        elsewhere: How the user chooses another place, for the hint.
        guard: Called when only the rename is left to do; raises if this process may no longer write the file.
        sync: Whether to push the name to the disk too; otherwise the next sync of the folder does.

    Raises:
        EnvironmentFault: A system error; in place is the old content or the new, whole, and nothing beside it.
    """
    temporary = _beside(path)
    with reported(f"write {len(data):,} bytes", path, elsewhere=elsewhere):
        try:
            write_new(temporary, data)
            guard()
            disk.rename(temporary, path)
        except BaseException as fault:
            # An open that reports failure may still have made the file (NFS), so this covers the open as well.
            with suppress(OSError):
                disk.unlink(temporary)
            if isinstance(fault, FileNotFoundError):  # who takes a run over removes such files (see `lock`)
                guard()
            raise
        if sync:
            sync_folder(path.parent)


def create_whole(path: Path, data: bytes, *, elsewhere: str = ELSEWHERE, sync: bool = True) -> None:
    """Make `path` with the content `data`, for this caller alone: it is never visible empty or half written.

    For the options, see `write_atomic`.

    Raises:
        FileExistsError: Something has that name already.
        EnvironmentFault: A system error; the file may be there, whole, all the same.
    """
    temporary = _beside(path)
    try:
        write_new(temporary, data)
        _name_new(temporary, path, data)
        if sync:
            sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as fault:
        raise system_error(f"write {len(data):,} bytes", path, fault, elsewhere=elsewhere) from fault
    finally:
        with suppress(OSError):
            disk.unlink(temporary)


def _name_new(temporary: Path, path: Path, data: bytes) -> None:
    try:
        disk.link(temporary, path)
    except OSError as fault:
        if fault.errno not in _NO_LINKS:
            raise
        write_new(path, data)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def write_new(path: Path, data: bytes) -> None:
    """Create `path` with the content `data`, pushed to the disk; raise `OSError` where that fails."""
    descriptor = disk.open_new(path)
    try:
        write_all(descriptor, data)
        # Once only: after a failed fsync the system forgets the lost pages, and a second one would succeed.
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however little the system takes at a time; raise `OSError` where it takes nothing."""
    rest = memoryview(data)
    while rest:
        written = disk.write(descriptor, rest)
        if written == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[written:]


def sync_folder(folder: Path) -> None:
    """Push the names in `folder` to the disk, where the system has that; raise `OSError` where it fails."""
    if not disk.CAN_OPEN_FOLDERS:
        return
    descriptor = disk.open_folder(folder)
    try:
        disk.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        disk.close(descriptor)


def make_folder(parent: Path, name: str, *, elsewhere: str = ELSEWHERE, sync: bool = True) -> Path:
    """Create the folder `name` in `parent`, for this caller alone, and return it; for `sync`, see `write_atomic`.

    Raises:
        FileExistsError: Something has that name already.
        EnvironmentFault: A system error.
    """
    folder = parent / name
    try:
        disk.mkdir(folder)
        if sync:
            sync_folder(parent)
    except FileExistsError:
        raise
    except OSError as fault:
        raise system_error("create the folder", folder, fault, elsewhere=elsewhere) from fault
    return folder


def ensure_folder(folder: Path, *, elsewhere: str = ELSEWHERE) -> None:
    """Create `folder` and its parents where they are missing; any number of processes may do so at once.

    Raises:
        EnvironmentFault: A system error, or a file has the name.
    """
    with reported("look at", folder, elsewhere=elsewhere):
        there = folder.is_dir()
    if there:
        return
    if folder.parent != folder:
        ensure_folder(folder.parent, elsewhere=elsewhere)
    try:
        make_folder(folder.parent, folder.name, elsewhere=elsewhere)
    except FileExistsError:
        if not folder.is_dir():
            hint = f"move it away, or {elsewhere}"
            raise EnvironmentFault("is not a folder, and a folder is needed", where=str(folder), hint=hint) from None


def nearest_folder(path: Path) -> Path:
    """Return `path` if it is a folder, else the nearest folder around it."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):  # a name that cannot be: making the folder will fail with a message
            if folder.is_dir():
                return folder
    return path


def write_folder(path: Path, files: Mapping[str, bytes], *, elsewhere: str) -> None:
    """Make `path` a folder of `files` and nothing else, or leave `path` as it was.

    Args:
        path: The folder; where there is one, it is replaced.
        files: Name, with `/` between inner folders and file, to content.
        elsewhere: How the user chooses another place, for the hint.

    Raises:
        EnvironmentFault: A system error. The old folder is in place, or, where the fault came after the rename, the
            new; nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with reported("create the folder", path, elsewhere=elsewhere):
        try:
            disk.mkdir(temporary)
            _fill(temporary, files)
            _take_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    inner = {parent for name in files for parent in Path(name).parents} - {Path()}
    for path in sorted(inner):  # outer before inner
        disk.mkdir(folder / path)
    for name, data in files.items():
        write_new(folder / name, data)
    for path in [*inner, Path()]:
        sync_folder(folder / path)


def _take_place(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        disk.rename(temporary, path)
        return
    old = temporary.with_suffix(".old.tmp")
    disk.rename(path, old)
    try:
        disk.rename(temporary, path)
    except BaseException:
        disk.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def is_leftover(name: str) -> bool:
    """Return whether a file of this name is what a killed process left of an unfinished write."""
    return _LEFTOVER.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Delete what killed processes left in `folder`, and what frozen ones have not finished (see `lock`).

    Raises:
        EnvironmentFault: A file cannot be deleted, so a process that wakes could still give it its name.
    """
    with reported("look at", folder):
        leftovers = [path for path in folder.iterdir() if is_leftover(path.name)]
    for path in leftovers:
        with reported("delete an unfinished file", path), suppress(FileNotFoundError, IsADirectoryError):
            disk.unlink(path)


def probe(folder: Path) -> None:
    """Find out now whether `folder` takes files, rather than after hours of work.

    A file is written, synced, renamed, replaced by another, appended to and deleted: some network and FUSE file systems
    refuse one of these.

    Raises:
        EnvironmentFault: It does not.
    """
    path = folder / f".probe.{secrets.token_hex(8)}.tmp"
    newer = _beside(path)
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


_PROBE = b"rnnlab\n"


def _append(path: Path, data: bytes) -> None:
    descriptor = disk.open_append(path)
    try:
        write_all(descriptor, data)
    finally:
        disk.close(descriptor)
