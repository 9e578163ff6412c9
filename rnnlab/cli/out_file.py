"""Files that a command line asks to be written, checked before the work is done."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rnnlab.core.errors import UsageError
from rnnlab.storage.reading import kind

_HEAD = 4096  # bytes in which a file of ours has its mark


def require_own(out: Path, mark: str, *, option: str, what: str, hint: str) -> None:
    """Pass if there is no file yet, or one that has the mark `mark` at its head, as what the command wrote itself.

    Raises:
        UsageError: There is something else than `what`, or no folder.
    """
    if (found := kind(out)) == "missing":
        _require_folder(out, option)
    is_ours = found == "missing"
    if found == "file":
        with suppress(OSError), out.open("rb") as file:
            is_ours = mark.encode() in file.read(_HEAD)
    if not is_ours:
        raise UsageError(f"{out} exists and is not {what} of rnnlab", where=option, hint=hint)


def ending_of(out: Path, endings: Sequence[str]) -> str:
    """Return the ending of the file of `--out`, in small letters.

    Raises:
        UsageError: It is none of these, or there is no folder for the file.
    """
    ending = out.suffix.removeprefix(".").lower()
    if ending not in endings:
        *most, last = (f".{one}" for one in endings)
        problem = f"{out} does not end in {', '.join(most)} or {last}"
        raise UsageError(problem, where="--out", hint="the ending determines the format")
    _require_folder(out, "--out")
    return ending


def _require_folder(out: Path, option: str) -> None:
    if kind(out.absolute().parent, follow=True) != "folder":
        raise UsageError(f"there is no folder {out.parent}", where=option, hint="create it first")
