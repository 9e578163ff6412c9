"""Files that a command may replace: those that it wrote itself."""

from contextlib import suppress
from pathlib import Path

from rnnlab.core.errors import UsageError
from rnnlab.storage.reading import kind

_HEAD = 4096  # bytes in which a file of ours has its mark


def require_own(out: Path, mark: str, *, option: str, what: str, hint: str) -> None:
    """Pass if there is no file yet, or one that has the mark.

    Args:
        out: The file.
        mark: Text at its head.
        option: That names the file.
        what: What it must be, in the error.
        hint: What to do otherwise.

    Raises:
        UsageError: There is something else, or no folder.
    """
    found = kind(out)
    if found == "missing" and kind(out.absolute().parent, follow=True) != "folder":
        raise UsageError(f"there is no folder {out.parent}", where=option, hint="create it first")
    is_ours = found == "missing"
    if found == "file":
        with suppress(OSError), out.open("rb") as file:
            is_ours = mark.encode() in file.read(_HEAD)
    if not is_ours:
        raise UsageError(f"{out} exists and is not {what} of rnnlab", where=option, hint=hint)
