"""`--set training.steps=500`: single values of a config changed on the command line."""

import re
from collections.abc import Sequence
from dataclasses import replace

from rnnlab.config.document import Document, Node
from rnnlab.config.errors import LocatedError, Position, dotted, shortened, shown
from rnnlab.config.yaml import MOST_LEVELS, parse
from rnnlab.core.errors import ConfigError, UsageError


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return a copy of `document` with `overrides` set in it, in order, so that the last of two counts.

    An override with an error sets nothing; the error is kept in the document, and `check_document` raises it.

    Args:
        document: Not changed.
        overrides: `dotted.key=value` each. The value is read as in a file: `1e-3`, `null`, `{type: sgd}`, `[50, 100]`.
            It replaces what was there, a whole mapping too; mappings on the way to the key are created where there is
            nothing, or null.

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
            path, node, found = _parsed(override, position)
            if found:
                errors += found
                continue
            root = root.with_value(path, replace(node, key_position=position))
        except ConfigError as error:
            errors += [LocatedError.at(position, (), fault.problem, hint=fault.hint) for fault in error.faults]
        except UsageError as error:
            errors.append(LocatedError.at(position, (), error.problem, hint=error.hint))
    return replace(document, root=root, errors=tuple(errors))


def _parsed(override: str, position: Position) -> tuple[tuple[str, ...], Node, list[LocatedError]]:
    key, equals, text = override.partition("=")
    if not equals:
        raise UsageError("expected key=value, got no '='", hint="for example --set training.steps=500")
    path = tuple(key.split("."))
    for part in path:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part):
            hint = "join keys by dots, as in training.steps; set a list as a whole: key=[1, 2]"
            raise UsageError(f"{shown(part)} is not a valid key", hint=hint)
    if len(path) > MOST_LEVELS:
        raise UsageError(f"more than {MOST_LEVELS} levels of nesting", hint="for example --set training.steps=500")
    if path[0] == "extends":
        raise UsageError("`extends` cannot be set on the command line", hint="write it in the config file")
    parsed = parse(text, position, path)
    if parsed.root is None:
        hint = f"write {dotted(path)}=null, or {dotted(path)}=\"''\" for empty text"
        raise UsageError("no value given", hint=hint)
    if rest := text[parsed.end :].strip():
        hint = f"quote the value twice, for the shell and for YAML: {dotted(path)}=\"'…'\""
        raise UsageError(f"{shown(rest)} would be read as a comment", hint=hint)
    return path, parsed.root, parsed.errors
