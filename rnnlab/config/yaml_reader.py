"""YAML text to plain data with a mark for every value: a small, strict YAML, read as people mean it.

Built on PyYAML's stream of events and not on its constructors: no odd object is ever made, every event has a position,
and text made to exhaust the machine is stopped at the event that goes too far.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import yaml

from rnnlab.config.faults import Misread
from rnnlab.config.hidden import HIDDEN, character, hidden_faults
from rnnlab.config.marks import KeyPath, Mark
from rnnlab.config.quoting import bare, kind, quoted
from rnnlab.config.scalars import Scalar, plain_value
from rnnlab.config.yaml_syntax import next_event
from rnnlab.core.errors import UsageError

MOST_NODES = 10_000
MOST_LEVELS = 64
LONGEST_TEXT = 10_000
LONGEST_LINE = 2 * LONGEST_TEXT

_HINT = "check that this is the config you meant"


@final
@dataclass(frozen=True)
class Tree:
    """What one YAML text holds.

    Args:
        data: The value: mappings with text keys, lists, text, int, float, bool and None.
        marks: Where each value stands; empty when the text holds no value at all.
        key_marks: Where each key of a mapping stands.
        faults: All that is wrong with the text, in file order. With a `Misread`, what stands at its path is not to be
            used; with any other, nothing is.
        end: How many characters of the text the value took; what follows is comment and white space.
    """

    data: Any
    marks: Mapping[KeyPath, Mark]
    key_marks: Mapping[KeyPath, Mark]
    faults: list[UsageError]
    end: int


def read_yaml(text: str, start: Mark, at: KeyPath = ()) -> Tree:
    r"""Read one YAML document.

    Refused, each with its position: duplicate keys, keys that are not text, merge keys, aliases, tags, a second
    document, scalars that `plain_value` refuses, hidden characters, and more than `MOST_NODES` values and keys,
    `MOST_LEVELS` levels, `LONGEST_TEXT` characters in a value or `LONGEST_LINE` in a line.

    Args:
        text: What `decode` gave, or the value of a `--set`.
        start: The mark of the first character; if its line is 0, every value gets this very mark.
        at: The key under which the value will stand.

    Source: YAML 1.2.2, with the core schema.

    Example:
        >>> tree = read_yaml("cell: {units: 8}\nlr: 1e-3", Mark("x.yaml", 1, 1))
        >>> tree.data, str(tree.marks["cell", "units"])
        ({'cell': {'units': 8}, 'lr': 0.001}, 'x.yaml:1:15')
        >>> print(read_yaml("lr: 1\nlr: 2", Mark("x.yaml", 1, 1)).faults[0])
        x.yaml:2:1 lr: duplicate key, first given at line 1 — keep one of them
    """
    if faults := hidden_faults(text, start) or _line_faults(text, start):
        return Tree(None, {}, {}, faults, end=0)
    reader, data = _Reader(text, start), None
    try:
        data = reader.document(at)
    except UsageError as fault:
        reader.faults.append(fault)
    return Tree(data, reader.marks, reader.key_marks, reader.faults, reader.end)


@final
class _Reader:
    """Walks the events once; a fault that leaves the rest readable is kept, any other is raised."""

    def __init__(self, text: str, start: Mark) -> None:
        self.loader, self.start = yaml.SafeLoader(text), start
        self.marks: dict[KeyPath, Mark] = {}
        self.key_marks: dict[KeyPath, Mark] = {}
        self.faults: list[UsageError] = []
        self.nodes = self.end = 0

    def document(self, at: KeyPath) -> Any:
        data = None
        self.next()
        if not isinstance(self.next(), yaml.StreamEndEvent):
            event = self.next()
            if not _is_nothing(event):
                data = self.value(event, at)
            self.next()
            self.refuse_second_document(self.next())
        return data

    def next(self) -> yaml.Event:
        return next_event(self.loader, self.start)

    def value(self, event: yaml.Event, path: KeyPath) -> Any:
        self.count(event, path)
        self.marks[path] = self.mark(event)
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value out; files share keys by `extends: base.yaml`"
            self.refuse(f"alias *{bare(event.anchor or '')} is not allowed", event, path=path, hint=hint)
            return None
        self.refuse_tag(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        return self.sequence(path) if isinstance(event, yaml.SequenceStartEvent) else self.mapping(path)

    def scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Scalar:
        self.refuse_hidden(event, path)
        if len(event.value) > LONGEST_TEXT:
            problem = f"value of {len(event.value):,} characters, {LONGEST_TEXT:,} at most"
            self.refuse(problem, event, path=path, hint=_HINT)
            return None
        if event.style is not None:
            return event.value
        try:
            return plain_value(event.value)
        except UsageError as fault:
            self.refuse(fault.problem, event, path=path, hint=fault.hint)
            return None

    def sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            items.append(self.value(event, (*path, len(items))))
        self.ended(event)
        return items

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.key(event, path)
            if key is None:
                self.skip(self.next(), (*path, "?"))
                continue
            if key in result:
                self.refuse_duplicate(event, (*path, key))
            self.key_marks.setdefault((*path, key), self.mark(event))
            result[key] = self.value(self.next(), (*path, key))
        self.ended(event)
        return result

    def key(self, event: yaml.Event, path: KeyPath) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(f"a key is text, got {_collection(event)}", event, path=path, hint="write `key: value`")
            self.skip(event, (*path, "?"))
            return None
        self.count(event, path)
        self.refuse_tag(event, path)
        self.refuse_hidden(event, path)
        if event.style is not None:
            return event.value
        return self.plain_key(event, path)

    def plain_key(self, event: yaml.ScalarEvent, path: KeyPath) -> str | None:
        name = event.value
        try:
            value = plain_value(name)
        except UsageError as fault:
            self.refuse(f"a key is text: {fault.problem}", event, path=path, hint=f"write {quoted(name)}")
            return None
        if isinstance(value, str) and name != "<<":
            return value
        if name == "<<":
            hint = "write the keys out; files share keys by `extends: base.yaml`"
            self.refuse("merge key << is not allowed", event, path=path, hint=hint)
        else:
            got = f"{kind(value)}: {name}" if name else "nothing"
            self.refuse(f"a key is text, got {got}", event, path=path, hint=f"write {quoted(name or 'name')}")
        return None

    def skip(self, event: yaml.Event, path: KeyPath) -> None:
        """Read past a value whose key is refused already: one fault is enough."""
        known = len(self.faults)
        self.value(event, path)
        del self.faults[known:]

    def refuse(self, problem: str, event: yaml.Event, *, path: KeyPath, hint: str) -> None:
        self.faults.append(Misread.at(self.mark(event), path, problem=problem, hint=hint))

    def refuse_tag(self, event: yaml.Event, path: KeyPath) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = quoted(tag.replace("tag:yaml.org,2002:", "!!"))
            self.refuse(f"tag {shown} is not allowed", event, path=path, hint="delete it: plain YAML values are enough")

    def refuse_hidden(self, event: yaml.ScalarEvent, path: KeyPath) -> None:
        # An escape such as "\e" in double quotes gets past the look at the raw text.
        if match := HIDDEN.search(event.value):
            problem = f"{character(match.group())} as character {match.start() + 1} of the text is not allowed"
            self.refuse(problem, event, path=path, hint="delete it")

    def refuse_duplicate(self, event: yaml.Event, path: KeyPath) -> None:
        first = f", first given at line {self.key_marks[path].line}" if self.start.line else ""
        self.refuse(f"duplicate key{first}", event, path=path, hint="keep one of them")

    def refuse_second_document(self, event: yaml.Event) -> None:
        if not isinstance(event, yaml.StreamEndEvent):
            hint = "delete the `---` line, or put each document in its own file"
            self.refuse("a second document starts here, one wanted", event, path=(), hint=hint)

    def count(self, event: yaml.Event, path: KeyPath) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise UsageError(f"more than {MOST_NODES:,} values and keys", where=str(self.mark(event)), hint=_HINT)
        if len(path) > MOST_LEVELS:
            raise UsageError(f"more than {MOST_LEVELS} levels deep", where=str(self.mark(event)), hint=_HINT)
        self.ended(event)

    def ended(self, event: yaml.Event) -> None:
        # The end of a block has no width and stands after the comments that follow it.
        if event.start_mark and event.end_mark and event.end_mark.index > event.start_mark.index:
            self.end = event.end_mark.index

    def mark(self, event: yaml.Event) -> Mark:
        stands = event.start_mark
        if not self.start.line or stands is None:
            return self.start
        return Mark(self.start.source, stands.line + 1, stands.column + 1)


def _line_faults(text: str, start: Mark) -> list[UsageError]:
    # Before the parser sees it: PyYAML spends up to a second on one line of a mebibyte.
    long = ((number, len(line)) for number, line in enumerate(text.split("\n")) if len(line) > LONGEST_LINE)
    return [
        UsageError(
            f"line of {length:,} characters, {LONGEST_LINE:,} at most",
            where=str(Mark(start.source, start.line + number, 1) if start.line else start),
            hint=_HINT,
        )
        for number, length in long
    ]


def _is_nothing(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "" and event.style is None and event.tag is None


def _collection(event: yaml.Event) -> str:
    kinds = {yaml.SequenceStartEvent: "a list", yaml.MappingStartEvent: "a mapping", yaml.AliasEvent: "an alias"}
    return kinds[type(event)]
