"""A config as read: plain data, the bytes it came from, and the place of every value in its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rnnlab.config.extends import Family, shape_faults
from rnnlab.config.faults import Misread, raise_together
from rnnlab.config.marks import KeyPath, Mark, place
from rnnlab.config.yaml_reader import read_yaml


@final
@dataclass(frozen=True)
class Document:
    """A config after `extends` and, it may be, `--set`; not yet checked against what rnnlab knows.

    Args:
        data: Mappings with text keys, lists, text, int, finite float, bool and None.
        marks: Where each value stands, by its path: `("training", "milestones", 2)`.
        key_marks: Where each key stands.
        raw: The bytes of the file that was asked for, as given.
        sources: The files read, that file first.
        misread: What could not be read of them; a document is complete only without.
    """

    data: dict[str, Any]
    marks: Mapping[KeyPath, Mark]
    key_marks: Mapping[KeyPath, Mark]
    raw: bytes
    sources: tuple[Path, ...]
    misread: tuple[Misread, ...] = ()

    def mark(self, path: KeyPath) -> Mark:
        """Return the mark of the value at `path`; if nothing stands there, of the key that should hold it."""
        return self.marks.get(path) or self.key_mark(path)

    def key_mark(self, path: KeyPath) -> Mark:
        """Return the mark of the key at `path`; if nothing stands there, of the nearest key around it."""
        known = (path[:length] for length in range(len(path), -1, -1))
        marks = (self.key_marks.get(part) or self.marks.get(part) for part in known)
        return next((mark for mark in marks if mark), Mark("the config", 0, 0))

    def where(self, path: KeyPath) -> str:
        """Return the `where` of a fault in the value at `path`, e.g. `x.yaml:7:10 training.steps`."""
        return place(self.mark(path), path)

    def where_key(self, path: KeyPath) -> str:
        """Return the `where` of a fault in the key at `path`, e.g. `x.yaml:7:3 training.stepps`."""
        return place(self.key_mark(path), path)


def read_document(path: Path) -> Document:
    r"""Read the config file `path` and all files that it extends.

    `extends: base.yaml`, or a list of files, each relative to the file that says so: the base is read first and this
    file is laid over it. Mappings are merged key by key; any other value, lists too, takes the place of the base's. Of
    several bases, the later is laid over the earlier.

    Raises:
        ConfigError: All that is wrong with the files, each fault with file, line, column and dotted key.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     base, top = pathlib.Path(folder, "base.yaml"), pathlib.Path(folder, "top.yaml")
        ...     _ = base.write_text("cell: {type: carry, units: 8}")
        ...     _ = top.write_text("extends: base.yaml\ncell:\n  units: 16")
        ...     document = read_document(top)
        >>> document.data
        {'cell': {'type': 'carry', 'units': 16}}
        >>> document.mark(("cell", "units")).line, document.mark(("cell", "type")).column
        (3, 14)
    """
    document = read_partly(path)
    raise_together(list(document.misread))
    return document


def read_partly(path: Path) -> Document:
    """Read like `read_document`, but keep for `check_document` the faults that leave the rest readable."""
    family = Family()
    tree, raw = family.read(path)
    misread = tuple(fault for fault in family.faults if isinstance(fault, Misread))
    if len(misread) < len(family.faults):
        raise_together(family.faults)
    return Document(tree.data, tree.marks, tree.key_marks, raw, tuple(family.sources), misread)


def document_of(text: str, source: str) -> Document:
    """Return the config that `text` holds, complete in itself: nothing else is read, whatever it extends.

    Args:
        text: YAML.
        source: Where it comes from, for messages.

    Raises:
        ConfigError: All that is wrong with the text, each fault with line, column and dotted key.
    """
    tree = read_yaml(text, Mark(source, 1, 1))
    raise_together(tree.faults or shape_faults(tree, source))
    return Document(tree.data, tree.marks, tree.key_marks, text.encode(), ())
