"""`--set training.steps=500`: single values of a config changed on the command line."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from rnnlab.config.document import Document
from rnnlab.config.extends import KEY as EXTENDS
from rnnlab.config.faults import Misread, raise_together
from rnnlab.config.marks import KeyPath, Mark, dotted
from rnnlab.config.quoting import bare, kind, quoted
from rnnlab.config.yaml_reader import Tree, read_yaml
from rnnlab.core.errors import UsageError


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return a copy of `document` with `overrides` set in it, in order, so that the last of two wins.

    Args:
        document: Not changed.
        overrides: `dotted.key=value` each. The value is read as in a file: `1e-3`, `null`, `{type: sgd}`, `[50, 100]`.
            It takes the place of what was there, a whole mapping too; mappings on the way to the key are made where
            there is nothing, or null.

    Raises:
        ConfigError: All that is wrong with all of them.

    Example:
        >>> document = Document({"seed": 1}, {(): Mark("x.yaml", 1, 1)}, {}, b"seed: 1", ())
        >>> edited = apply_overrides(document, ["seed=7", "training.optimizer.learning_rate=1e-3"])
        >>> edited.data
        {'seed': 7, 'training': {'optimizer': {'learning_rate': 0.001}}}
        >>> edited.where(("seed",))
        '--set seed=7'
    """
    edited = override_partly(document, overrides)
    raise_together(list(edited.misread))
    return edited


def override_partly(document: Document, overrides: Sequence[str]) -> Document:
    """Return what `apply_overrides` does, but keep for `check_document` the faults; such an override sets nothing."""
    edited = _Edited(copy.deepcopy(document.data), dict(document.marks), dict(document.key_marks), [])
    for override in overrides:
        try:
            edited.set(override)
        except UsageError as fault:
            edited.faults.append(_kept(fault))
    misread = (*document.misread, *edited.faults)
    return replace(document, data=edited.data, marks=edited.marks, key_marks=edited.key_marks, misread=misread)


@final
@dataclass
class _Edited:
    data: dict[str, Any]
    marks: dict[KeyPath, Mark]
    key_marks: dict[KeyPath, Mark]
    faults: list[Misread]

    def set(self, override: str) -> None:
        mark = Mark(f"--set {bare(override)}", 0, 0)
        path, text = _split(override, mark)
        tree = _value(text, mark, path)
        if tree.faults:
            self.faults += map(_kept, tree.faults)
            return
        holder = self._holder(path, mark)
        if isinstance(holder.get(path[-1]), dict | list):
            self._forget(path)
        holder[path[-1]] = tree.data
        self.marks.update(tree.marks)
        self.key_marks.update({**tree.key_marks, path: mark})

    def _holder(self, path: tuple[str, ...], mark: Mark) -> dict[str, Any]:
        """Return the mapping that holds the last key of `path`."""
        self._refuse_dead_end(path, mark)
        holder = self.data
        for length in range(1, len(path)):
            key, at = path[length - 1], path[:length]
            if holder.get(key) is None:
                holder[key] = {}
                self.marks[at] = mark
                self.key_marks.setdefault(at, mark)
            holder = holder[key]
        return holder

    def _refuse_dead_end(self, path: tuple[str, ...], mark: Mark) -> None:
        beneath: Any = self.data
        for length, key in enumerate(path[:-1], start=1):
            beneath = beneath.get(key)
            if beneath is None:
                return
            if not isinstance(beneath, dict):
                at = path[:length]
                problem = f"{dotted(at)} is {kind(beneath)} (set at {self.marks[at]}) and holds no keys"
                raise UsageError(problem, where=str(mark), hint=f"set the whole of it: --set {dotted(at)}=VALUE")

    def _forget(self, path: KeyPath) -> None:
        for marks in (self.marks, self.key_marks):
            for known in [known for known in marks if known[: len(path)] == path]:
                del marks[known]


def _kept(fault: UsageError) -> Misread:
    """Return the fault of an override, which leaves everything else readable."""
    if isinstance(fault, Misread):
        return fault
    kept = Misread(fault.problem, where=fault.where, hint=fault.hint)
    kept.mark, kept.path = Mark(fault.where, 0, 0), ()
    return kept


def _split(override: str, mark: Mark) -> tuple[tuple[str, ...], str]:
    key, equals, text = override.partition("=")
    if not equals:
        raise UsageError("key=value wanted, got no '='", where=str(mark), hint="for example --set training.steps=500")
    path = tuple(key.split("."))
    for part in path:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part):
            hint = "keys are joined by dots, as in training.steps; a list is set as a whole: key=[1, 2]"
            raise UsageError(f"{quoted(part)} is not the name of a key", where=str(mark), hint=hint)
    if path[0] == EXTENDS:
        raise UsageError("a base is named in a file", where=str(mark), hint="write `extends:` in the config file")
    return path, text


def _value(text: str, mark: Mark, path: KeyPath) -> Tree:
    tree = read_yaml(text, mark, path)
    rest = text[tree.end :].strip()
    if tree.faults:
        return tree
    if path not in tree.marks:
        key = dotted(path)
        raise UsageError("no value given", where=str(mark), hint=f"write {key}=null, or {key}=\"''\" for empty text")
    if rest:
        hint = f"put the value in quotes twice, for the shell and for YAML: {dotted(path)}=\"'…'\""
        raise UsageError(f"{quoted(rest)} would be left out as a comment", where=str(mark), hint=hint)
    return tree
