"""Reading a config: its file, the files that it `extends`, the values of `--set`; or text, or Python data."""

import codecs
import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.config.document import DOTTED_KEY, Document, Node, node_of
from rnnlab.config.errors import KeyPath, LocatedError, Position, dotted, kind, location, raise_all, shortened, shown
from rnnlab.config.experiment import in_full
from rnnlab.config.shipped import config_path, located, shipped_configs
from rnnlab.config.yaml import dump_yaml, parse
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.named_files import read_named

MOST_BYTES = 1 << 20
MOST_FILES = 64
KEY = "extends"

_LISTED = 5  # files in a message
_AXES = ("sweep", "axes")  # whose keys are dotted keys themselves
_START = "start with `task: adding`, or with what `rnnlab configs quickstart` prints"


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    r"""Read the config file `path` and all files that it extends, and apply overrides.

    `extends: base.yaml`, or a list of files, each relative to the file that names it, or the name of a shipped config:
    the base is read first and this file is merged into it. Mappings are merged key by key; any other value, lists too,
    replaces the base's. Of several bases, each is merged into those before it.

    Args:
        path: The YAML file, or the name of a shipped config.
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
    document = _read_file(path, where=str(path), chain=(), seen=[])
    errors = {str(error): error for error in document.errors}  # a file may be read for several others
    return apply_overrides(replace(document, errors=tuple(errors.values())), overrides)


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return a copy of `document` with `overrides` set in it, in order, so that the last of two counts.

    An override with an error sets nothing; the error is kept in the document, and `check_document` raises it.

    Args:
        document: Not changed.
        overrides: `dotted.key=value` each. The value is read as in a file: `1e-3`, `null`, `{type: sgd}`, `[50, 100]`.
            It replaces what was there, a whole mapping too; mappings on the way to the key are created where there is
            nothing, or null. `cell.units=9` keeps a `cell: carry`, which is short for `cell: {type: carry}`.

    Example:
        >>> document = Document(Node({"seed": Node(1, Position("x.yaml", 1, 7))}, Position("x.yaml", 1, 1)))
        >>> edited = apply_overrides(document, ["seed=7", "training.optimizer.learning_rate=1e-3"])
        >>> edited.data
        {'seed': 7, 'training': {'optimizer': {'learning_rate': 0.001}}}
        >>> edited.where(("seed",))
        '--set seed=7'
    """
    root, errors = document.root, list(document.errors)
    for override in overrides:
        position = Position(f"--set {shortened(override)}")
        try:
            path, node, found = _parse_override(override, position)
            if found:
                errors += found
                continue
            root = root.with_value(path, replace(node, key_position=position), in_full(root))
        except ConfigError as error:
            errors += [LocatedError.at(position, (), fault.problem, hint=fault.hint) for fault in error.faults]
        except UsageError as error:
            errors.append(LocatedError.at(position, (), error.problem, hint=error.hint))
    return replace(document, root=root, errors=tuple(errors))


def document_of(text: str, source: str) -> Document:
    """Return the config in a YAML text, complete in itself: no other file is read.

    Raises:
        ConfigError: Every error that leaves nothing to check; errors of single values are kept in the document.
    """
    root, errors = _parsed(text, source, hint="")
    return Document(root, text.encode(), tuple(errors))


def document_of_data(data: Mapping[str, Any]) -> Document:
    """Return the config in Python data.

    Args:
        data: Mappings with text keys, lists, tuples, text, paths, int, finite float, bool and None, NumPy's too.

    Raises:
        ConfigError: A key or value is none of these.

    Example:
        >>> document_of_data({"task": "adding", "shape": {"timesteps": (5, 9)}}).data
        {'task': 'adding', 'shape': {'timesteps': [5, 9]}}
    """
    errors: list[UsageError] = []
    plain = plain_data(data, (), source="config", errors=errors)
    raise_all(errors)
    return Document(node_of(plain, Position("config")), dump_yaml(plain).encode())


def plain_data(value: object, path: KeyPath, *, source: str, errors: list[UsageError]) -> Any:
    """Return what a script naturally has, tuples, paths, NumPy's numbers, as YAML would have it; add the errors."""
    value = value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            errors.append(UsageError(f"a key must be text, got {other[0]!r}", where=location(Position(source), path)))
        return {key: plain_data(item, (*path, str(key)), source=source, errors=errors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item, (*path, number), source=source, errors=errors) for number, item in enumerate(value)]
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if not (is_number or isinstance(value, str) or value is None):
        got = str(value) if isinstance(value, float) else type(value).__name__
        problem = f"got {got}, expected a mapping, list, text, integer, finite number, bool or None"
        errors.append(UsageError(problem, where=location(Position(source), path)))
    return value


def _parsed(text: str, source: str, *, hint: str) -> tuple[Node, list[LocatedError]]:
    parsed = parse(text, Position(source, 1, 1))
    if parsed.root is None:
        raise ConfigError([UsageError("the config is empty", where=source, hint=hint)])
    if not isinstance(parsed.root.value, dict):
        problem = f"got {kind(parsed.root.plain())}, expected a mapping of keys to values"
        raise_all(parsed.errors or [UsageError(problem, where=str(parsed.root.position), hint=hint)])
    return parsed.root, parsed.errors


def _read_file(name: Path, *, where: str, chain: tuple[Path, ...], seen: list[Path]) -> Document:
    """Return the content of a file, named at `where`, merged into its bases; `chain` leads to it by `extends`."""
    path = name
    try:
        path = located(name, chain[-1].parent if chain else Path())
        seen.append(path)
        if chain and os.path.realpath(path) in map(os.path.realpath, chain):
            raise UsageError("a file cannot extend itself", hint="remove one of these `extends`")
        if len(seen) > MOST_FILES:
            raise UsageError(f"more than {MOST_FILES} files", hint="merge some of the files")
        raw = _read_bytes(path)
    except UsageError as error:
        names = " extends ".join(shortened(str(one)) for one in (*chain, path))
        problem = f"{names}: {error.problem}" if chain else error.problem
        raise ConfigError([UsageError(problem, where=where, hint=error.hint)]) from error
    source = path.stem if path in shipped_configs().values() else str(path)  # not a path inside the installation
    own, errors = _parsed(_decode(raw, source), source, hint=_START)
    merged = Node({}, Position(source, 1, 1))
    for base_name, place in _bases(own.child(KEY)):
        base = _read_file(config_path(base_name, path.parent), where=place, chain=(*chain, path), seen=seen)
        merged, errors = merged.merged_with(base.root, in_full(merged)), [*errors, *base.errors]
    return Document(merged.merged_with(Document(own).without(KEY).root, in_full(merged)), raw, tuple(errors))


def _bases(node: Node | None) -> list[tuple[str, str]]:
    """Return the names of the bases in the value of `extends`, and where each is named."""
    if node is None:
        return []
    items = node.value if isinstance(node.value, list) else [node]
    names, errors = [], []
    for number, item in enumerate(items):
        where = location(item.position, (KEY,) if item is node else (KEY, number))
        if isinstance(item.value, str) and item.value:
            names.append((item.value, where))
        else:
            got = "an empty name" if item.value == "" else kind(item.plain())
            problem = f"got {got}, expected a file name"
            errors.append(UsageError(problem, where=where, hint="write `extends: base.yaml`"))
    raise_all(errors)
    return names


def _read_bytes(path: Path) -> bytes:
    try:
        return read_named(path, MOST_BYTES, hint="give the path of a YAML file that you may read")
    except FileNotFoundError:
        raise UsageError("no such file", hint=_nearest_yaml(path)) from None


def _decode(raw: bytes, source: str) -> str:
    """Return the text in `raw`, without a byte-order mark."""
    body = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        where = Position(source, 1, 1).after(body[: error.start].decode())
        problem = f"byte 0x{body[error.start]:02x} is not UTF-8"
        raise ConfigError([UsageError(problem, where=str(where), hint="save the file as UTF-8")]) from None


def _nearest_yaml(path: Path) -> str:
    shipped = ""
    for name in difflib.get_close_matches(path.stem, shipped_configs(), n=1):
        shipped = f"did you mean {name}, which comes with rnnlab?"
    try:
        # A folder of ten thousand results must not slow down a message.
        known = sorted(islice((entry.name for entry in path.parent.iterdir() if entry.suffix == ".yaml"), 1000))
    except (OSError, ValueError):
        return shipped or f"the folder {path.parent} does not exist or cannot be listed"
    close = difflib.get_close_matches(path.name, known, n=1) or [name for name in known if Path(name).stem == path.name]
    if close:
        return f"did you mean {path.parent / close[0]}?"
    listed = ", ".join(known[:_LISTED]) + ("…" if len(known) > _LISTED else "")
    if shipped or known:
        return shipped or f"the folder has {listed}"
    return "give the path of a YAML file, or a name that `rnnlab configs` lists"


def _parse_override(override: str, position: Position) -> tuple[tuple[str, ...], Node, list[LocatedError]]:
    key, equals, text = override.partition("=")
    if not equals:
        raise UsageError("expected key=value, got no '='", hint="for example --set training.steps=500")
    if not DOTTED_KEY.fullmatch(key):
        hint = "join keys by dots, as in training.steps; set a list as a whole: key=[1, 2]"
        raise UsageError(f"{shown(key)} is not a valid key", hint=hint)
    path = tuple(key.split("."))
    if path[:2] == _AXES and path[2:]:
        path = (*_AXES, ".".join(path[2:]))
    if path[0] == KEY:
        raise UsageError("`extends` cannot be set on the command line", hint="write it in the config file")
    parsed = parse(text, position, path)
    if parsed.root is None:
        hint = f"write {dotted(path)}=null, or {dotted(path)}=\"''\" for empty text"
        raise UsageError("no value given", hint=hint)
    if rest := text[parsed.end :].strip():
        hint = f"quote the value twice, for the shell and for YAML: {dotted(path)}=\"'…'\""
        raise UsageError(f"{shown(rest)} would be read as a comment", hint=hint)
    return path, parsed.root, parsed.errors
