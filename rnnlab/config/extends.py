"""`extends`: a config laid over the configs that it names."""

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from rnnlab.config.marks import KeyPath, Mark, place
from rnnlab.config.quoting import kind, quoted
from rnnlab.config.source_file import decode, read_bytes
from rnnlab.config.yaml_reader import Tree, read_yaml
from rnnlab.core.errors import UsageError
from rnnlab.core.text import visible

MOST_GENERATIONS = 8
MOST_FILES = 64
LONGEST_SHOWN = 200
KEY = "extends"


@final
@dataclass
class Family:
    """The files of one config, each read once.

    Args:
        sources: The files read, in the order of reading.
        faults: What is wrong with them, in the same order.
    """

    sources: list[Path] = field(default_factory=list)
    faults: list[UsageError] = field(default_factory=list)
    _done: dict[str, Tree] = field(default_factory=dict)

    def read(self, path: Path) -> tuple[Tree, bytes]:
        """Return the file `path` laid over its bases, and its own bytes."""
        source = visible(str(path))
        raw = self._bytes(path, where=source)
        return self._laid_over_bases(path, raw, chain=()), raw or b""

    def _bytes(self, path: Path, *, where: str, told: str = "") -> bytes | None:
        try:
            raw = read_bytes(path)
        except UsageError as fault:
            self.faults.append(UsageError(f"{told}{fault.problem}", where=where, hint=fault.hint))
            return None
        self.sources.append(path)
        return raw

    def _laid_over_bases(self, path: Path, raw: bytes | None, *, chain: tuple[Path, ...]) -> Tree:
        tree = self._own(path, raw)
        names = self._names(tree.data.get(KEY, []), tree)
        bases = [self._base(name, tree=tree, at=at, chain=(*chain, path)) for at, name in names]
        return functools.reduce(laid_over, [*bases, _without_bases(tree)], _EMPTY)

    def _own(self, path: Path, raw: bytes | None) -> Tree:
        """Return what `path` alone says, or an empty tree where that is no mapping."""
        if raw is None:
            return _EMPTY
        source = visible(str(path))
        try:
            tree = read_yaml(decode(raw, source), Mark(source, 1, 1))
        except UsageError as fault:
            tree = Tree(None, {}, {}, [fault], 0)
        self.faults += tree.faults or shape_faults(tree, source)
        return tree if isinstance(tree.data, dict) else _EMPTY

    def _names(self, names: Any, tree: Tree) -> list[tuple[KeyPath, str]]:
        """Return the bases and where they are named; what is no name, or named twice, is a fault."""
        listed = [((KEY, i), name) for i, name in enumerate(names)] if isinstance(names, list) else [((KEY,), names)]
        good: dict[str, KeyPath] = {}
        for at, name in listed:
            if not isinstance(name, str) or not name:
                got = kind(name) if name != "" else "an empty name"
                self._refuse(f"a file name wanted, got {got}", tree=tree, at=at, hint="write `extends: base.yaml`")
            elif name in good:
                self._refuse(f"{quoted(name)} is named twice", tree=tree, at=at, hint="keep one of them")
            else:
                good[name] = at
        return [(at, name) for name, at in good.items()]

    def _base(self, name: str, *, tree: Tree, at: KeyPath, chain: tuple[Path, ...]) -> Tree:
        path = chain[-1].parent / name
        told = f"{' extends '.join(map(_shown, (*chain, path)))}: "
        identity = os.path.realpath(path)
        if identity in map(os.path.realpath, chain):
            self._refuse(f"{told}a file cannot extend itself", tree=tree, at=at, hint="take one link out")
        elif len(chain) > MOST_GENERATIONS or len(self.sources) >= MOST_FILES:
            problem = f"{told}more than {MOST_GENERATIONS} bases in a chain or {MOST_FILES} files"
            self._refuse(problem, tree=tree, at=at, hint="join some of the files")
        elif identity not in self._done:
            raw = self._bytes(path, where=place(tree.marks[at], at), told=told)
            self._done[identity] = self._laid_over_bases(path, raw, chain=chain)
        return self._done.get(identity, _EMPTY)

    def _refuse(self, problem: str, *, tree: Tree, at: KeyPath, hint: str) -> None:
        self.faults.append(UsageError(problem, where=place(tree.marks[at], at), hint=hint))


def laid_over(under: Tree, over: Tree) -> Tree:
    """Return `over` laid over `under`: mappings merge key by key, any other value of `over` takes the place.

    Keys come in the order of `under`, new ones last. Each value keeps the mark of the file it came from.
    """
    data, replaced = _merge(under.data, over.data, ())
    kept = [path for path in under.marks if not any(path[:length] in replaced for length in range(1, len(path) + 1))]
    return Tree(
        data,
        {**{path: under.marks[path] for path in kept}, **over.marks},
        {**{path: under.key_marks[path] for path in kept if path in under.key_marks}, **over.key_marks},
        [],
        0,
    )


def _merge(under: dict[str, Any], over: dict[str, Any], path: KeyPath) -> tuple[dict[str, Any], set[KeyPath]]:
    data, replaced = dict(under), set[KeyPath]()
    for key, value in over.items():
        beneath, at = under.get(key), (*path, key)
        if isinstance(beneath, dict) and isinstance(value, dict):
            data[key], within = _merge(beneath, value, at)
            replaced |= within
        else:
            data[key] = value
            replaced.add(at)
    return data, replaced


def _without_bases(tree: Tree) -> Tree:
    data = {key: value for key, value in tree.data.items() if key != KEY}
    marks = {path: mark for path, mark in tree.marks.items() if path[:1] != (KEY,)}
    key_marks = {path: mark for path, mark in tree.key_marks.items() if path[:1] != (KEY,)}
    return Tree(data, marks, key_marks, [], 0)


def shape_faults(tree: Tree, source: str) -> list[UsageError]:
    """Return a fault where the whole of a config, read from `source`, is no mapping."""
    if isinstance(tree.data, dict):
        return []
    hint = "start from a shipped config, or write lines such as `task: {type: adding}`"
    if not tree.marks:
        return [UsageError("the config is empty", where=source, hint=hint)]
    problem = f"a config is a mapping of keys to values, got {kind(tree.data)}"
    return [UsageError(problem, where=str(tree.marks[()]), hint=hint)]


def _shown(path: Path) -> str:
    text = visible(str(path))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


_EMPTY = Tree({}, {}, {}, [], 0)
