"""A block of plain data checked against its typed options, every fault in the user's words and at its place."""

import re
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rnnlab.config.document import Document
from rnnlab.config.marks import KeyPath, Mark, dotted
from rnnlab.config.quoting import bare, kind, quoted
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import Registry, nearest

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


class Checker:
    """Checks the blocks of one document and keeps the faults.

    Args:
        document: The config as read.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: list[tuple[Mark, UsageError]] = [(fault.mark, fault) for fault in document.misread]

    def faults(self) -> list[UsageError]:
        """Return all faults so far, in the order of the files' lines."""
        return [fault for _, fault in sorted(self._found, key=lambda pair: (not pair[0].line, *astuple(pair[0])))]

    def block(self, model: type[Model], data: Any, path: KeyPath, *, shelf: Registry | None = None) -> Model | None:
        """Return `data` as `model`, or None with its faults kept.

        Args:
            model: The typed options.
            data: The block as read.
            path: Where the block stands.
            shelf: Where `model`'s owner stands among others: a key that is theirs is told as such.
        """
        if not isinstance(data, dict):
            self.refuse(path, f"got {shown(data)}, expected a mapping")
            return None
        try:
            return model.model_validate(data)
        except ValidationError as error:
            places: dict[KeyPath, list[ErrorDetails]] = {}
            for detail in error.errors(include_url=False, include_context=True):
                places.setdefault(_without_tags(detail["loc"], self.document, path), []).append(detail)
            for inner, details in places.items():
                if details[0]["type"] == "extra_forbidden":
                    hint = _whose(inner, model, data, shelf=shelf) + self._left_over(path, inner, data)
                    self.refuse_key((*path, *inner), hint=hint)
                else:
                    self._translate(details, model, path, inner=inner)
            return None

    def member(self, registry: Registry, data: Any, path: KeyPath, *, default: str) -> Any:
        """Return the registry's member that `data` names in its `type`, and the data as a mapping with that `type`.

        A name alone (`optimizer: adam`) stands for a mapping with that type; a mapping without one has the default's.
        """
        at = path if isinstance(data, str) else (*path, "type")
        data = {"type": data} if isinstance(data, str) else data
        if not isinstance(data, dict):
            self.refuse(path, f"got {shown(data)}, expected a name or a mapping with `type`")
            return None, data
        name = data.get("type", default)
        if not isinstance(name, str):
            self.refuse(at, f"got {shown(name)}, expected one of {', '.join(registry.names())}")
            return None, data
        try:
            return registry.get(name), {**data, "type": name}
        except UsageError as error:
            self.refuse(at, error.problem, hint=error.hint)
            return None, data

    def refuse(self, path: KeyPath, problem: str, *, hint: str = "") -> None:
        """Keep a fault in the value at `path`, unless it, or a part of it, could not even be read."""
        if path and any(fault.path[: len(path)] == path for fault in self.document.misread):
            return
        fault = UsageError(problem, where=self.document.where(path), hint=hint)
        self._found.append((self.document.mark(path), fault))

    def refuse_key(self, path: KeyPath, *, hint: str) -> None:
        """Keep an unknown key as a fault."""
        fault = UsageError(f"unknown key {quoted(str(path[-1]))}", where=self.document.where_key(path), hint=hint)
        self._found.append((self.document.key_mark(path), fault))

    def _left_over(self, path: KeyPath, inner: KeyPath, data: dict[str, Any]) -> str:
        """Return how to be rid of a key that stands in the file while another `type` came by --set."""
        kind, here = self.document.mark((*path, "type")), self.document.key_mark((*path, *inner))
        if kind.line or not kind.source.startswith("--set") or not here.line:
            return ""
        return f"; --set {dotted(path)}={data.get('type')} leaves the keys of the file out"

    def _translate(self, details: list[ErrorDetails], model: type[BaseModel], path: KeyPath, *, inner: KeyPath) -> None:
        """Keep what pydantic says about one value; of a union it says something for every branch."""
        first, place = details[0], (*path, *inner)
        got, context = shown(first["input"]), first.get("ctx", {})
        if first["type"] == "union_tag_invalid":
            known = re.findall(r"'(\w+)'", context["expected_tags"])
            self.refuse(place, f"unknown type {quoted(context['tag'])}", hint=nearest(context["tag"], known))
        elif first["type"] == "union_tag_not_found":
            known = [branch.model_fields["type"].default for branch in _branches(model, inner)]
            self.refuse(place, f"got {got} without `type`, expected one of {', '.join(sorted(known))}")
        elif first["type"] == "missing":
            key = first["loc"][-1]  # `inner` has it only where its block is written as a mapping
            place = place if inner else (*path, key)
            self.refuse(place, "missing, and it has no default", hint=f"add `{key}:`")
        elif first["type"] == "value_error":
            reason = _reason(first)
            is_told = isinstance(first["input"], str) and got in reason
            self.refuse(place, reason if is_told else f"got {got}: {reason}")
        else:
            expected = " or ".join(_expected(one["type"], one.get("ctx", {}), one["msg"]) for one in details)
            self.refuse(place, f"got {got}, expected {expected}")


def _expected(kind_of_fault: str, context: Mapping[str, Any], message: str) -> str:
    for bound, words in _BOUNDS.items():
        if bound in context and isinstance(context[bound], int | float):
            return f"{words} {context[bound]:,}"
    if kind_of_fault == "literal_error":
        return "one of " + str(context["expected"]).replace("'", "")
    return _EXPECTED.get(kind_of_fault) or message[:1].lower() + message[1:]


def _reason(detail: ErrorDetails) -> str:
    error = detail.get("ctx", {}).get("error")
    return str(error) if error is not None else detail["msg"]


def shown(value: object) -> str:
    """Return a value from YAML as a message shows what was got.

    Example:
        >>> shown("a"), shown(True), shown([100, 50]), shown({"a": 1})
        ("'a'", 'true', '[100, 50]', 'a mapping')
    """
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list) and all(type(item) in {int, float} for item in value):
        return bare(str(value))
    if isinstance(value, dict | list) or value is None:
        return kind(value)
    return bare(str(value).lower() if isinstance(value, bool) else str(value))


def _without_tags(location: tuple[str | int, ...], document: Document, path: KeyPath) -> KeyPath:
    """Drop the parts of pydantic's location that name a branch of a union and no key of the document."""
    data: Any = document.data
    for key in path:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    kept: list[str | int] = []
    for position, key in enumerate(location):
        is_last = position == len(location) - 1
        here = isinstance(data, dict) and key in data
        if here or is_last or isinstance(key, int) or not isinstance(data, dict):
            if isinstance(data, dict) or isinstance(key, int):
                kept.append(key)
            data = data[key] if here else None
    return tuple(kept)


def _whose(inner: KeyPath, model: type[BaseModel], data: Any, *, shelf: Registry | None) -> str:
    """Return the hint for a key that the block does not have."""
    key = str(inner[-1])
    if shelf and len(inner) == 1:
        owners = [name for name, one in shelf.members().items() if key in one.Options.model_fields]
        if owners:
            return f"{shelf.kind} {data.get('type')} has no such option, only {' and '.join(owners)}"
    for step in inner[:-1]:
        data = data[step]
        branches = _branches(model, (step,))
        named = [branch for branch in branches if _type_of(branch) == data.get("type")]
        model = (named or branches)[0]
    return nearest(key, model.model_fields)


def _branches(model: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Return the models that may stand at `path` inside `model`."""
    branches = [model]
    for key in path:
        annotation = branches[0].model_fields[str(key)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        branches = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return branches


def _type_of(model: type[BaseModel]) -> object:
    return model.model_fields["type"].default if "type" in model.model_fields else None
