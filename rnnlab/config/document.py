"""A config as read: every value with its position, not yet checked against what rnnlab knows."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

from rnnlab.config.errors import KeyPath, LocatedError, Position, dotted, kind, location
from rnnlab.core.errors import UsageError

InFull = Callable[[tuple[str, ...]], str | None]
Scalar = None | bool | int | float | str
# Up to 64 keys joined by dots, as in `training.steps`.
DOTTED_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,63}")


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A value of a config, a scalar, a list of nodes, or nodes by key, and where it and its key begin."""

    value: "Scalar | list[Node] | dict[str, Node]"
    position: Position
    key_position: Position | None = None

    def plain(self) -> Any:
        """Return the value alone: mappings, lists, text, int, finite float, bool and None."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def child(self, key: str | int) -> "Node | None":
        """Return the value of a key or of an item; None if there is no such."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        is_item = isinstance(self.value, list) and isinstance(key, int) and key < len(self.value)
        return self.value[key] if is_item else None  # type: ignore[index, return-value]

    def merged_with(self, over: "Node", in_full: "InFull | None" = None, *, at: tuple[str, ...] = ()) -> "Node":
        """Return `over` merged into this value, at path `at`: mappings key by key, any other value in its place."""
        if not isinstance(over.value, dict):
            return over
        own = self._in_full(in_full, at)
        if not isinstance(own.value, dict):
            return over
        merged = dict(own.value)
        for key, node in over.value.items():
            merged[key] = merged[key].merged_with(node, in_full, at=(*at, key)) if key in merged else node
        return replace(over, value=merged)

    def with_value(
        self, path: tuple[str, ...], node: "Node", in_full: "InFull | None" = None, *, at: tuple[str, ...] = ()
    ) -> "Node":
        """Return a copy with `node` at `path`; mappings on the way are created where there is nothing, or null.

        `in_full` returns the key that a text at a path is short for, `type` for `cell: simple`: keys are set beside it.
        Without it there is no such text. `at` is the path of this value.

        Raises:
            UsageError: A value on the way is not a mapping; `where` is left to the caller.
        """
        if not path:
            return node
        own = self._in_full(in_full, at)
        if own is not self:
            return own.with_value(path, node, in_full, at=at)
        if self.value is not None and not isinstance(self.value, dict):
            problem = f"{dotted(at)} is {kind(self.plain())} ({self.position}), not a mapping"
            raise UsageError(problem, hint=f"write `{dotted(at)}:` as a mapping, or set all of it")
        value = self.value or {}
        child = value.get(path[0]) or Node(None, node.position, node.key_position)
        changed = child.with_value(path[1:], node, in_full, at=(*at, path[0]))
        created = node.position if self.value is None else self.position
        return replace(self, value={**value, path[0]: changed}, position=created)

    def _in_full(self, in_full: "InFull | None", at: tuple[str, ...]) -> "Node":
        """Return a text that is short for a mapping as that mapping; any other value as it is."""
        key = in_full(at) if in_full and at and isinstance(self.value, str) else None
        return replace(self, value={key: replace(self, key_position=self.position)}) if key else self


def node_of(value: Any, position: Position) -> Node:
    """Return plain data as a node; all that is in it has the same position."""
    if isinstance(value, dict):
        return Node({key: node_of(item, position) for key, item in value.items()}, position)
    return Node([node_of(item, position) for item in value] if isinstance(value, list) else value, position)


@final
@dataclass(frozen=True)
class Document:
    """A config after `extends` and `--set`, and the bytes of the file that was asked for, as given.

    Errors are those in single values, which must not be used; `check_document` raises them with its own.
    """

    root: Node
    raw: bytes = b""
    errors: tuple[LocatedError, ...] = ()

    @cached_property
    def data(self) -> dict[str, Any]:
        """The values alone; not to be changed."""
        data: dict[str, Any] = self.root.plain()
        return data

    def without(self, key: str) -> "Document":
        """Return a copy without a key of the top level."""
        assert isinstance(self.root.value, dict)
        rest = {name: node for name, node in self.root.value.items() if name != key}
        return replace(self, root=replace(self.root, value=rest))

    def node(self, path: KeyPath) -> Node | None:
        """Return the value at `path`; None if there is none."""
        nodes = self._nodes(path)
        return nodes[-1] if len(nodes) > len(path) else None

    def position(self, path: KeyPath) -> Position:
        """Return the position of the value at `path`; if there is none, of the nearest key around it."""
        return node.position if (node := self.node(path)) else self.key_position(path)

    def key_position(self, path: KeyPath) -> Position:
        """Return the position of the key at `path`; if there is none, of the nearest key around it."""
        nearest = self._nodes(path)[-1]
        return nearest.key_position or nearest.position

    def where(self, path: KeyPath) -> str:
        """Return the `where` of an error in the value at `path`, e.g. `x.yaml:7:10 training.steps`."""
        return location(self.position(path), path)

    def _nodes(self, path: KeyPath) -> list[Node]:
        nodes = [self.root]
        for key in path:
            if (child := nodes[-1].child(key)) is None:
                break
            nodes.append(child)
        return nodes
