"""Reading a config: its file, the files that it `extends`, the values of `--set`; or text, or Python data."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from rnnlab.config.document import Document, Node, node_of
from rnnlab.config.errors import KeyPath, ParseError, Position, kind, location, raise_all, shortened, shown
from rnnlab.config.overrides import apply_overrides
from rnnlab.config.source import decode, read_bytes
from rnnlab.config.yaml import dump_yaml, parse
from rnnlab.core.errors import ConfigError, UsageError

MOST_LEVELS = 8
MOST_FILES = 64
KEY = "extends"

_START = "copy a config from configs/, or start with `task: adding`"


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    r"""Read the config file `path` and all files that it extends, and apply overrides.

    `extends: base.yaml`, or a list of files, each relative to the file that names it: the base is read first and this
    file is merged into it. Mappings are merged key by key; any other value, lists too, replaces the base's. Of several
    bases, each is merged into those before it.

    Args:
        path: The YAML file.
        overrides: See `apply_overrides`.

    Raises:
        ConfigError: Every error that leaves nothing to check; errors of single values are kept in the document.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     base, top = pathlib.Path(folder, "base.yaml"), pathlib.Path(folder, "top.yaml")
        ...     _ = base.write_text("cell: {type: carry, units: 8}")
        ...     _ = top.write_text("extends: base.yaml\ncell:\n  units: 16")
        ...     document = read_document(top)
        >>> document.data
        {'cell': {'type': 'carry', 'units': 16}}
        >>> document.position(("cell", "units")).line, document.position(("cell", "type")).column
        (3, 14)
    """
    files = _Files()
    raw = files.bytes_of(path, where=str(path))
    root = files.merged(path, raw, chain=())
    parse_errors = tuple(error for error in files.errors if isinstance(error, ParseError))
    if len(parse_errors) < len(files.errors):
        raise_all(files.errors)
    return apply_overrides(Document(root, raw or b"", tuple(files.sources), parse_errors), overrides)


def document_of(text: str, source: str) -> Document:
    """Return the config in `text`, complete in itself: no other file is read.

    Args:
        text: YAML.
        source: Where it comes from, for messages.

    Raises:
        ConfigError: Every error that leaves nothing to check; errors of single values are kept in the document.
    """
    root, errors = _parsed(text, source, hint="")
    return Document(root, text.encode(), (), tuple(errors))


def document_of_data(data: Mapping[str, Any], source: str = "config") -> Document:
    """Return the config in Python data.

    Args:
        data: Mappings with text keys, lists, tuples, text, paths, int, finite float, bool and None, NumPy's too.
        source: Where it comes from, for messages.

    Raises:
        ConfigError: A key or value is none of these.

    Example:
        >>> document_of_data({"task": "adding", "shape": {"timesteps": (5, 9)}}).data
        {'task': 'adding', 'shape': {'timesteps': [5, 9]}}
    """
    errors: list[UsageError] = []
    plain = _plain(data, (), source=source, errors=errors)
    raise_all(errors)
    return Document(node_of(plain, Position(source)), dump_yaml(plain).encode())


def _plain(value: object, path: KeyPath, *, source: str, errors: list[UsageError]) -> Any:
    """Return what a script naturally has, tuples, paths and NumPy's numbers, as what YAML would have read."""
    value = value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            errors.append(UsageError(f"a key must be text, got {other[0]!r}", where=location(Position(source), path)))
        return {key: _plain(item, (*path, str(key)), source=source, errors=errors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, number), source=source, errors=errors) for number, item in enumerate(value)]
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if not (is_number or isinstance(value, str) or value is None):
        got = str(value) if isinstance(value, float) else type(value).__name__
        problem = f"got {got}, expected a mapping, list, text, integer, finite number, bool or None"
        errors.append(UsageError(problem, where=location(Position(source), path)))
    return value


def _parsed(text: str, source: str, *, hint: str) -> tuple[Node, list[ParseError]]:
    parsed = parse(text, Position(source, 1, 1))
    if parsed.root is None:
        raise ConfigError([UsageError("the config is empty", where=source, hint=hint)])
    if not isinstance(parsed.root.value, dict):
        problem = f"got {kind(parsed.root.plain())}, expected a mapping of keys to values"
        raise_all(parsed.errors or [UsageError(problem, where=str(parsed.root.position), hint=hint)])
    return parsed.root, parsed.errors


@final
@dataclass
class _Files:
    """The files of one config, each read once."""

    sources: list[Path] = field(default_factory=list)
    errors: list[UsageError] = field(default_factory=list)
    _done: dict[str, Node] = field(default_factory=dict)

    def bytes_of(self, path: Path, *, where: str, chain: str = "") -> bytes | None:
        try:
            raw = read_bytes(path)
        except UsageError as error:
            self.errors.append(UsageError(f"{chain}{error.problem}", where=where, hint=error.hint))
            return None
        self.sources.append(path)
        return raw

    def merged(self, path: Path, raw: bytes | None, *, chain: tuple[Path, ...]) -> Node:
        """Return the content of a file merged into that of its bases; empty where it cannot be read."""
        empty = Node({}, Position(str(path), 1, 1))
        if raw is None:
            return empty
        try:
            own, errors = _parsed(decode(raw, str(path)), str(path), hint=_START)
            self.errors += errors
        except ConfigError as error:
            self.errors += error.faults
            return empty
        except UsageError as error:
            self.errors.append(error)
            return empty
        assert isinstance(own.value, dict)
        rest = {key: node for key, node in own.value.items() if key != KEY}
        merged = empty
        for name, position, at in self._names(own.value.get(KEY)):
            merged = merged.merged_with(self._base(name, position=position, at=at, chain=(*chain, path)))
        return merged.merged_with(replace(own, value=rest))

    def _names(self, node: Node | None) -> list[tuple[str, Position, KeyPath]]:
        """Return the bases and where they are named."""
        if node is None:
            return []
        is_list, found = isinstance(node.value, list), dict[str, tuple[str, Position, KeyPath]]()
        for number, item in enumerate(node.value if isinstance(node.value, list) else [node]):
            name, at = item.value, (KEY, number) if is_list else (KEY,)
            if not isinstance(name, str) or not name:
                got = "an empty name" if name == "" else kind(item.plain())
                problem, hint = f"got {got}, expected a file name", "write `extends: base.yaml`"
                self._add(problem, item.position, at, hint=hint)
            elif name in found:
                self._add(f"{shown(name)} is listed twice", item.position, at, hint="remove one of them")
            else:
                found[name] = (name, item.position, at)
        return list(found.values())

    def _base(self, name: str, *, position: Position, at: KeyPath, chain: tuple[Path, ...]) -> Node:
        path = chain[-1].parent / name
        shown_chain = f"{' extends '.join(shortened(str(one)) for one in (*chain, path))}: "
        identity = os.path.realpath(path)
        if identity in map(os.path.realpath, chain):
            self._add(f"{shown_chain}a file cannot extend itself", position, at, hint="remove one of these `extends`")
        elif len(chain) > MOST_LEVELS or len(self.sources) >= MOST_FILES:
            problem = f"{shown_chain}more than {MOST_LEVELS} levels of `extends`, or more than {MOST_FILES} files"
            self._add(problem, position, at, hint="merge some of the files")
        elif identity not in self._done:
            raw = self.bytes_of(path, where=location(position, at), chain=shown_chain)
            self._done[identity] = self.merged(path, raw, chain=chain)
        return self._done.get(identity, Node({}, position))

    def _add(self, problem: str, position: Position, at: KeyPath, *, hint: str) -> None:
        self.errors.append(UsageError(problem, where=location(position, at), hint=hint))
