"""The rows that rnnlab ships: each a config of a sweep with a `published:` block, one YAML file.

`<paper>/<row>` is the name of `rnnlab/reproduce/<paper>/<row>.yaml`. A file whose name begins with `_` is no row: rows
extend it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any, final

from rnnlab.config.check import Checker
from rnnlab.config.document import Document, node_of
from rnnlab.config.errors import Position, raise_all
from rnnlab.config.experiment import Experiment, in_full
from rnnlab.config.reading import read_document
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.code_files import CodeFile
from rnnlab.core.errors import ConfigError, UsageError, VerificationError
from rnnlab.core.named_files import home_expanded
from rnnlab.core.options import check_name
from rnnlab.core.registry import nearest
from rnnlab.reproduction.checks import row_faults
from rnnlab.reproduction.published import BLOCK, Published
from rnnlab.storage.fields import storable
from rnnlab.storage.files import write_atomic
from rnnlab.storage.reading import kind, read_text
from rnnlab.sweeps.expand import check_sweep_document
from rnnlab.sweeps.plan import CheckedSweep
from rnnlab.tasks import task_class

FOLDER = Path(__file__).parents[1] / "reproduce"
RESULTS = "reproduce"  # the folder of all results, below the runs
_ENDINGS = (".yaml", ".yml")
_OWNER = "row.txt"  # beside the results of a user's row: its file, relative to them
_LONGEST = 1 << 16  # bytes of that


@final
@dataclass(frozen=True)
class Row:
    """A printed result and the training that repeats it.

    Attributes:
        name: `hs1997/table7_100`.
        source: The config of the sweep with the block `published`; of a variant, with what it sets.
        variant: The name of the variant that this is; empty for the row itself.
    """

    name: str
    published: Published
    source: Document
    variant: str = ""

    @property
    def title(self) -> str:
        """Its name, and that of the variant."""
        return f"{self.name}, {self.variant}" if self.variant else self.name

    @property
    def file(self) -> Path:
        """Its file."""
        return Path(self.source.root.position.source).resolve()

    @property
    def changes(self) -> Mapping[str, Any]:
        """Dotted key -> value of what the variant sets; empty for the row itself."""
        return self.published.variants[self.variant] if self.variant else {}

    def folder(self, root: Path) -> Path:
        """Return the folder of its sweep below that of the runs."""
        path = root / RESULTS / self.name
        return path.with_name(f"{path.name}.{self.variant}") if self.variant else path

    def claim(self, root: Path) -> None:
        """Store beside its results which file they are of: those of a user may have one name in several places."""
        if self.name not in _shipped():
            write_atomic(self.folder(root) / _OWNER, self._from_results(root).encode())

    def require_own(self, root: Path) -> None:
        """Pass if the results in its folder are its own.

        Raises:
            VerificationError: They are of another file that has the same folder and name.
        """
        path = self.folder(root) / _OWNER
        if kind(path) != "missing" and (other := read_text(path, _LONGEST)) != self._from_results(root):
            problem = f"the results are of another row with this name, {other}, and are not used"
            hint = f"rename the file or its folder; if it is that row and was moved, delete {_OWNER} there"
            raise VerificationError(problem, where=str(path.parent), hint=hint)

    def _from_results(self, root: Path) -> str:
        return storable(os.path.relpath(self.file, self.folder(root).resolve()), _LONGEST)

    @cached_property
    def checked(self) -> CheckedSweep:
        """Its trials, checked.

        Raises:
            ConfigError: One has an error, or is not what the paper has; see `row_faults`.
        """
        checked = check_sweep_document(self.document, default_name=self.name.rpartition("/")[2])
        raise_all(row_faults(self.published, checked, self.source, is_variant=bool(self.variant)))
        return checked

    @cached_property
    def document(self) -> Document:
        """The config of the sweep alone; its bytes do not change with what is written about it."""
        rest = self.source.without(BLOCK)
        return replace(rest, raw=dump_yaml(rest.data).encode())

    @property
    def example(self) -> Experiment:
        """What its first trial trains."""
        return next(iter(self.checked.experiments.values()))

    @property
    def parameters(self) -> int:
        """How many parameters its network has."""
        return self.example.network().parameter_count

    @property
    def variants(self) -> "list[Row]":
        """Its variants."""
        return [self._changed(name, values) for name, values in self.published.variants.items()]

    def _changed(self, name: str, values: Mapping[str, Any]) -> "Row":
        root, position = self.source.root, Position(f"{self.name}, variant {name}")
        for key, value in values.items():
            root = root.with_value(tuple(key.split(".")), node_of(value, position), in_full(root))
        return replace(self, source=replace(self.source, root=root), variant=name)


@cache
def _shipped() -> dict[str, Path]:
    paths = sorted((path for path in FOLDER.glob("*/*.yaml") if path.name[0] != "_"), key=_in_order)
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def _in_order(path: Path) -> list[str]:
    """Return what puts table7_500 before table7_1000."""
    return [
        part.rjust(12) if part.isdigit() else part for part in re.split(r"(\d+)", f"{path.parent.name}/{path.stem}")
    ]


def row_names() -> list[str]:
    """Return the names of all rows that rnnlab ships, those of a table in the order of their numbers."""
    return list(_shipped())


@cache
def shipped_row(name: str) -> Row:
    """Return a row that rnnlab ships.

    Raises:
        ConfigError: It has an error.
    """
    return read_row(_shipped()[name], name=name)


def rows_of_task(task: str) -> list[str]:
    """Return the names of the shipped rows for a task, given by its full name; raises as `shipped_row`."""
    return [name for name in row_names() if _task(shipped_row(name)) == task]


def _task(row: Row) -> str:
    given = row.document.data.get("task")
    name = given.get("type") if isinstance(given, dict) else given
    return task_class(name).name if isinstance(name, str) and not CodeFile.of(name) else ""


def read_row(path: Path, *, name: str = "") -> Row:
    """Return the row in a file; its name is that of folder and file where none is given.

    Raises:
        ConfigError: It has an error, or no `published:` block.
        UsageError: No folder can have its name.
    """
    document = read_document(path)
    name = name or f"{path.absolute().parent.name}/{path.stem}"
    for part in name.split("/"):
        check_name(part)
    checker = Checker(document)
    data = document.data.get(BLOCK)
    if data is None:
        hint = "a row is the config of a sweep with a `published:` block"
        raise ConfigError([UsageError(f"no `{BLOCK}` block", where=document.where(()), hint=hint)])
    published = checker.block(Published, data, (BLOCK,))
    raise_all(checker.errors())
    assert published
    return Row(name, published, document)


def rows_named(names: Sequence[str]) -> list[Row]:
    """Return the rows that some names mean, in order and each once: a row, all that begin so, or a file.

    Raises:
        UsageError: A name means none, or two files have the same.
        ConfigError: A row has an error.
    """
    found: dict[str, Row] = {}
    for name in names:
        for row in [_own_row(home_expanded(name))] if name.endswith(_ENDINGS) else map(shipped_row, _meant(name)):
            if (other := found.setdefault(row.name, row)).file != row.file:
                problem = f"{other.file} and {row.file} are both the row {row.name}"
                raise UsageError(problem, hint="rename one: a row has the name of its folder and file")
    return list(found.values())


def _own_row(path: Path) -> Row:
    if not path.exists():
        hint = "give the path of a row's file, or a name that `rnnlab reproduce` lists"
        raise UsageError("no such file", where=str(path), hint=hint)
    row = read_row(path)
    if (shipped := _shipped().get(row.name)) and not path.samefile(shipped):
        problem = f"has the name of a row of rnnlab, {row.name}, and would share its results"
        raise UsageError(problem, where=str(path), hint="rename the file or its folder")
    return row


def _meant(name: str) -> list[str]:
    known = row_names()
    if name in known:
        return [name]
    if name and (fitting := [one for one in known if one.startswith(name)]):
        return fitting
    hint = nearest(name, known) if get_close_matches(name, known) else "`rnnlab reproduce` lists them"
    if Path(name).is_dir():
        hint = f"a row is a file: {Path(name) / 'row.yaml'}, or a name that `rnnlab reproduce` lists"
    raise UsageError(f"there is no row {name[:80]!r}", hint=hint)
