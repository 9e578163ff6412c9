"""A block of plain data checked against its typed options, every fault in the user's words and at its place."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rnnlab.config.document import Document
from rnnlab.config.marks import KeyPath, Mark
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
        self._found: list[tuple[Mark, UsageError]] = []

    def faults(self) -> list[UsageError]:
        """Return all faults so far, in the order of the files' lines."""
        return [fault for _, fault in sorted(self._found, key=lambda pair: (not pair[0].line, *astuple(pair[0])))]

    def block(self, model: type[Model], data: Any, path: KeyPath) -> Model | None:
        """Return `data` as `model`, or None with its faults kept."""
        if not isinstance(data, dict):
            self.refuse(path, f"got {_shown(data)}, expected a mapping")
            return None
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=True):
                self._translate(detail, model, path)
            return None

    def member(self, registry: Registry, data: Any, path: KeyPath, *, default: str | None = None) -> Any:
        """Return the registry's member that `data` names in its `type`, and the data as a mapping with that `type`.

        A name alone (`optimizer: adam`) stands for a mapping with that type.
        """
        data = {"type": data} if isinstance(data, str) else data
        if not isinstance(data, dict):
            self.refuse(path, f"got {_shown(data)}, expected a name or a mapping with `type`")
            return None, data
        name = data.get("type", default)
        if not isinstance(name, str):
            got = "no `type`" if name is None else _shown(name)
            self.refuse((*path, "type"), f"got {got}, expected one of {', '.join(registry.names())}")
            return None, data
        try:
            return registry.get(name), {**data, "type": name}
        except UsageError as error:
            self.refuse((*path, "type"), error.problem, hint=error.hint)
            return None, data

    def refuse(self, path: KeyPath, problem: str, *, hint: str = "") -> None:
        """Keep a fault in the value at `path`."""
        fault = UsageError(problem, where=self.document.where(path), hint=hint)
        self._found.append((self.document.mark(path), fault))

    def refuse_key(self, path: KeyPath, known: Iterable[str]) -> None:
        """Keep an unknown key as a fault; the hint names the nearest of `known`."""
        key = str(path[-1])
        fault = UsageError(f"unknown key {quoted(key)}", where=self.document.where_key(path), hint=nearest(key, known))
        self._found.append((self.document.key_mark(path), fault))

    def _translate(self, detail: ErrorDetails, model: type[BaseModel], path: KeyPath) -> None:
        inner = _without_tags(detail["loc"], self.document, path)
        place, got = (*path, *inner), _shown(detail["input"])
        kind_of_fault, context = detail["type"], detail.get("ctx", {})
        if kind_of_fault == "extra_forbidden":
            self.refuse_key(place, _known_keys(model, inner[:-1]))
        elif kind_of_fault == "union_tag_invalid":
            known = re.findall(r"'(\w+)'", context["expected_tags"])
            self.refuse(place, f"unknown type {quoted(context['tag'])}", hint=nearest(context["tag"], known))
        elif kind_of_fault == "missing":
            self.refuse(place, "missing, and it has no default", hint=f"add `{inner[-1]}:`")
        elif kind_of_fault == "value_error":
            reason = _reason(detail)
            self.refuse(place, reason if got in reason else f"got {got}: {reason}")
        else:
            self.refuse(place, f"got {got}, expected {_expected(kind_of_fault, context, detail['msg'])}")


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


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
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


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    for key in path:
        field = model.model_fields.get(str(key))
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
