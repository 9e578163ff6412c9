"""YAML text to values with their positions, and plain data to YAML text.

PyYAML composes the text; what a scalar means follows YAML 1.2, so that `1e-3` is a number and `no` is text. Aliases,
tags and excessive nesting are errors: no object is constructed from the text; time and memory are bounded.
"""

import math
import re
import unicodedata
from abc import ABC
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

import yaml

from rnnlab.config.document import Node, Scalar
from rnnlab.config.errors import KeyPath, LocatedError, Position, raise_all, shortened, shown
from rnnlab.core.errors import UsageError

MOST_VALUES = 10_000
MOST_LEVELS, MOST_DIGITS = 64, 18
LONGEST_TEXT = 10_000  # characters
# Characters that control a terminal, reorder a line or are not text; tab and line feed are text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)

_HINT = "check that this is the right file"
YAML, _ALIAS, _TAGGED = "tag:yaml.org,2002:", "alias ", "tagged "
_LIBYAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@final
@dataclass(frozen=True, slots=True)
class Parsed:
    """What a YAML text contains.

    Args:
        root: The value; None if the text has no value at all.
        errors: Errors in single values, which must not be used.
        end: How many characters the value takes; only comments and white space follow.
    """

    root: Node | None
    errors: list[LocatedError]
    end: int


def parse(text: str, start: Position, at: KeyPath = ()) -> Parsed:
    r"""Parse one YAML document.

    Args:
        text: The text of a file, or the value of a `--set`.
        start: The position of the first character; if its line is 0, all values get this position.
        at: The key under which the value will be stored.

    Raises:
        ConfigError: The text as a whole cannot be used: it is not YAML, has a hidden character, or has more than
            `MOST_VALUES` values and keys or `MOST_LEVELS` levels of nesting.

    Example:
        >>> parsed = parse("cell:\n  units: 8\nlr: 1e-3", Position("x.yaml", 1, 1))
        >>> parsed.root.plain(), str(parsed.root.child("lr").position)
        ({'cell': {'units': 8}, 'lr': 0.001}, 'x.yaml:3:5')
        >>> print(parse("lr: 1\nlr: 2", Position("x.yaml", 1, 1)).errors[0])
        x.yaml:2:1 lr: duplicate key, first used at line 1 — remove one of them
    """
    if match := _HIDDEN.search(text.replace("\r", "\n")):  # a carriage return ends a line
        where = str(start.after(text[: match.start()]))
        raise_all([UsageError(f"{_code(match.group())} is not allowed in a config", where=where, hint="remove it")])
    try:
        node = _composed(text)
    except yaml.MarkedYAMLError as error:
        raise_all([_syntax_error(error, start)])
    if node is None or (node.tag == YAML + "null" and node.value == ""):
        return Parsed(None, [], 0)
    builder = _Builder(start)
    return Parsed(builder.node(node, at), builder.errors, node.end_mark.index)


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML, keys in the order given.

    `parse` reads the same data back, and so do readers of YAML 1.1: text that either takes for something else
    (`695e0514`, `on`, `2024-01-01`) is quoted, and floats have both a dot and a signed exponent.

    Raises:
        yaml.YAMLError: A value is not a mapping, list, tuple, text, int, float, bool or None.

    Example:
        >>> print(dump_yaml({"name": "1e5", "lr": 1e-05, "lengths": [50, 100], "cell": {"units": 8}}), end="")
        name: '1e5'
        lr: 1.0e-05
        lengths:
        - 50
        - 100
        cell:
          units: 8
    """
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text


# What a plain scalar means. Source: YAML 1.2.2, section 10.3.2, the core schema.
# Differs: octal and hexadecimal integers and integers with leading zeros are text.
_NUMBER = "+-.0123456789"
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
SCALARS = {
    "null": (re.compile(r"(~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    "int": (re.compile(r"[-+]?(0|[1-9][0-9]*)\Z"), list(_NUMBER)),
    "float": (_FLOAT, list(_NUMBER)),
}


class _Composer(yaml.composer.Composer, yaml.resolver.Resolver, ABC):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML copies it before it adds to it
    values = level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        parser: Any = self  # its other base
        event: Any = parser.peek_event()
        self.values += 1
        if self.values > MOST_VALUES or self.level > MOST_LEVELS:
            many, deep = f"more than {MOST_VALUES:,} values and keys", f"more than {MOST_LEVELS} levels of nesting"
            raise yaml.composer.ComposerError(None, None, deep if self.level > MOST_LEVELS else many, event.start_mark)
        if parser.check_event(yaml.AliasEvent):
            parser.get_event()
            return yaml.ScalarNode(f"{_ALIAS}*{event.anchor}", "", event.start_mark, event.end_mark)
        self.level += 1
        node = super().compose_node(parent, index)
        assert node is not None
        self.level -= 1
        node.tag = node.tag if event.tag is None else _TAGGED + event.tag
        return node


@final
class _Exact(_Composer, yaml.SafeLoader):
    pass


@final
class _Quick(_Composer, _LIBYAML):  # type: ignore[misc]  # in a tenth of the time, with less helpful errors
    def __init__(self, text: str) -> None:
        _LIBYAML.__init__(self, text)
        self.anchors: dict[Any, yaml.Node] = {}


def _composed(text: str) -> yaml.Node | None:
    with suppress(yaml.YAMLError, ValueError, OverflowError):
        return _Quick(text).get_single_node()
    composer = _Exact(text)
    try:
        return composer.get_single_node()
    except (ValueError, OverflowError) as fault:  # PyYAML does not check the number in an escape or a directive
        raise yaml.MarkedYAMLError(problem="number out of range", problem_mark=composer.get_mark()) from fault


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, (_pattern, _first) in SCALARS.items():
    _Composer.add_implicit_resolver(YAML + _name, _pattern, _first)
# Text is also quoted where YAML 1.1 or 1.2 reads something else.
_Dumper.add_implicit_resolver(YAML + "float", _FLOAT, list(_NUMBER))
_Dumper.add_implicit_resolver(YAML + "int", re.compile(r"[-+]?0[oO]?[0-9]+\Z"), list("+-0"))
_Dumper.add_implicit_resolver(YAML + "bool", re.compile(r"[yYnN]\Z"), list("yYnN"))


@final
class _Builder:
    """Turns composed nodes into values and keeps the errors."""

    def __init__(self, start: Position) -> None:
        self._start = start
        self.errors: list[LocatedError] = []

    def node(self, node: yaml.Node, path: KeyPath, key: Position | None = None) -> Node:
        if node.tag.startswith(_ALIAS):
            hint = "repeat the value here; to share keys between files, use `extends: base.yaml`"
            self._add(node, path, f"{shortened(node.tag)} is not supported", hint=hint)
        elif node.tag.startswith(_TAGGED):
            tag = shown(node.tag.removeprefix(_TAGGED).replace(YAML, "!!"))
            self._add(node, path, f"tag {tag} is not supported", hint="remove it: plain YAML values are enough")
        return Node(self._value(node, path), self._position(node), key)

    def _value(self, node: yaml.Node, path: KeyPath) -> Scalar | list[Node] | dict[str, Node]:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.node(item, (*path, number)) for number, item in enumerate(node.value)]
        try:
            return _scalar(node)
        except UsageError as error:
            self._add(node, path, error.problem, hint=error.hint)
            return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        for key, value in node.value:
            name, position = self._key(key, path), self._position(key)
            if name is None:
                continue
            if known := nodes.get(name):
                first = known.key_position
                where = f", first used at line {first.line}" if first and first.line else ""
                self._add(key, (*path, name), f"duplicate key{where}", hint="remove one of them")
            nodes[name] = self.node(value, (*path, name), known.key_position if known else position)
        return nodes

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == YAML + "str":
            if node.value != "<<" or node.style:
                text = self._value(node, path)
                return text if isinstance(text, str) else None
            hint = "repeat the keys here; to share keys between files, use `extends: base.yaml`"
            self._add(node, path, "merge key << is not supported", hint=hint)
            return None
        got, hint = "a list, a mapping, an alias or a tag", "write `key: value`"
        if node.tag.startswith(YAML) and isinstance(node, yaml.ScalarNode):
            got, hint = node.value or "nothing", f"write {shown(node.value or 'name')}"
        self._add(node, path, f"a key must be text, got {shortened(got)}", hint=hint)
        return None

    def _add(self, node: yaml.Node, path: KeyPath, problem: str, *, hint: str) -> None:
        self.errors.append(LocatedError.at(self._position(node), path, problem, hint=hint))

    def _position(self, node: yaml.Node) -> Position:
        return self._start.moved(node.start_mark.line, node.start_mark.column)


def _code(character: str) -> str:
    """Return the code and the name of a character that cannot be shown, e.g. `U+202E (right-to-left override)`."""
    unnamed = "control character" if unicodedata.category(character) == "Cc" else "not a character"
    return f"U+{ord(character):04X} ({unicodedata.name(character, unnamed).lower()})"


def _scalar(node: yaml.Node) -> Scalar:
    text = str(node.value)
    # An escape sequence such as "\e" in double quotes passes the check of the raw text.
    if hidden := _HIDDEN.search(text):
        problem = f"contains {_code(hidden.group())} as character {hidden.start() + 1}, which is not allowed"
        raise UsageError(problem, hint="remove it")
    match node.tag.removeprefix(YAML):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            if (digits := len(text.lstrip("+-"))) > MOST_DIGITS:
                hint = "write a smaller number, or put it in quotes for text"
                raise UsageError(f"got an integer of {digits} digits, expected at most {MOST_DIGITS}", hint=hint)
            return int(text)
        case "float":
            value = float(re.sub(r"\.(?=[inIN])", "", text))
            if not math.isfinite(value):
                hint = f"write {shown(text)} for text"
                raise UsageError(f"got {shortened(text)}, expected a finite number", hint=hint)
            return value
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"got a text of {len(text):,} characters, expected at most {LONGEST_TEXT:,}", hint=_HINT)
    return text


def _syntax_error(error: yaml.MarkedYAMLError, start: Position) -> UsageError:
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    where = start.moved(mark.line, mark.column) if mark else start
    problem = str(error.problem).removeprefix("but ")
    if problem.startswith("more than"):
        return UsageError(problem, where=str(where), hint=_HINT)
    if error.context:
        is_above = bool(start.line and mark and context and context.line != mark.line)
        begin = f" that starts at line {context.line + 1}" if context and is_above else ""
        problem += f" ({error.context}{begin})"
    hint = next((hint for sign, hint in _HINTS.items() if sign in problem), "put the text in quotes")
    return UsageError(f"invalid YAML: {problem[:200]}", where=str(where), hint=hint)


# A part of PyYAML's message, and what most often helps; the first match is taken. The rest is text that begins with a
# character that means something else in YAML.
_HINTS = {
    "'\\t'": "use spaces, not tabs",
    "unexpected end of stream": "close the quotation mark",
    "out of range": "correct the escape sequence or the directive",
    "escape": "double the backslash, or use single quotes",
    "flow": "close the bracket, and put a comma between the items",
    "'<scalar>'": "put all of the text in one pair of quotes",
    "mapping values are not allowed": "check the indentation, or put text that contains ': ' in quotes",
    "sequence entries are not allowed": "begin the list on a line of its own, or put the text in quotes",
    "could not find expected ':'": "write `key: value`, with a space after the colon",
    "block": "indent the keys of a mapping by the same amount",
    "single document": "remove the `---` line, or put each document in a file of its own",
}
