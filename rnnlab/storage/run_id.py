"""The documents of one run: each has the run's id, so that a file of another run does not pass for its own."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rnnlab.core.errors import VerificationError
from rnnlab.storage.jsonfile import read_model
from rnnlab.storage.summary import Summary

if TYPE_CHECKING:
    from rnnlab.storage.provenance import Provenance

Document = TypeVar("Document", Summary, "Provenance")


def read_own(path: Path, kind: type[Document], of: str | None) -> Document:
    """Return the document in `path`, which must be of the run with the id `of`; of any run where that is None.

    Raises:
        VerificationError: It is not, or as from `read_model`.
        EnvironmentFault: The file cannot be read.
    """
    document = read_model(path, kind, what=f"a run's {path.stem}")
    require_id(path, document.id, of)
    return document


def require_id(path: Path, id: str, of: str | None) -> None:
    """Pass if a file with this id is of the run with the id `of`; of any run where that is None.

    Raises:
        VerificationError: It is not.
    """
    if of not in {None, id}:
        raise VerificationError("is of another run", where=str(path), hint="bring the run's own file back")
