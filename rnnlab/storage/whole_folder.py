"""The one writer of whole folders: like `files.write_atomic`, for a format that is several files under one name.

The files are written into a folder beside the target, which then takes the target's name in one step. No system has a
step that puts a folder in the place of one with content, so a folder that is replaced is first moved aside: a kill in
that instant leaves both beside the target, whole, as `.<target>.<16 hex digits>.tmp` and `.<target>.<same>.old.tmp`.
"""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from rnnlab.storage import disk
from rnnlab.storage.faults import reported
from rnnlab.storage.files import sync_folder, write_new


def write_folder(path: Path, files: Mapping[str, bytes], *, elsewhere: str) -> None:
    """Make `path` a folder that holds `files` and nothing else, or leave `path` as it was.

    Args:
        path: The folder; where there is one, it is replaced.
        files: Name, with `/` between inner folders and file, to content.
        elsewhere: How the user chooses another place, for the hint.

    Raises:
        EnvironmentFault: The system refused. The old folder is in place, or, where the fault came after the rename, the
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
