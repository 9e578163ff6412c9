"""Blocks of plain data checked against their typed options: pydantic's errors in plain words, with their positions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, TypeVar, final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rnnlab.config.document import Document
from rnnlab.config.errors import KeyPath, LocatedError, dotted, shown
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


@final
class Checker:
    """Checks the blocks of one document and collects the errors.

    Args:
        document: The config as read.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._errors = list(document.errors)

    def errors(self) -> list[LocatedError]:
        """Return all errors so far, in the order of the files' lines; those of `--set` come last."""
        return sorted(self._errors, key=lambda error: (not error.position.line, *astuple(error.position)))

    def add(self, path: KeyPath, problem: str, *, hint: str = "") -> None:
        """Add an error in the value at `path`, unless it, or a part of it, could not even be read."""
        if not path or all(error.path[: len(path)] != path for error in self.document.errors):
            self._errors.append(LocatedError.at(self.document.position(path), path, problem, hint=hint))

    def add_unknown_key(self, path: KeyPath, *, hint: str) -> None:
        """Add an error for the key at `path`."""
        problem = f"unknown key {shown(path[-1])}"
        self._errors.append(LocatedError.at(self.document.key_position(path), path, problem, hint=hint))

    def block(self, model: type[Model], data: Any, path: KeyPath, *, registry: Registry | None = None) -> Model | None:
        """Return `data` as `model`, or None after its errors were added.

        Args:
            model: The typed options.
            data: The block as read.
            path: The key of the block.
            registry: That of the model's owner, where it has one: an unknown key may be an option of another member.
        """
        if not isinstance(data, dict):
            self.add(path, f"got {shown(data)}, expected a mapping")
            return None
        try:
            return model.model_validate(data)
        except ValidationError as error:
            by_key: dict[KeyPath, list[ErrorDetails]] = {}
            for detail in error.errors(include_url=False, include_context=True):
                by_key.setdefault(_key_path(detail, data), []).append(detail)
            for inner, details in by_key.items():
                if details[0]["type"] == "extra_forbidden":
                    hint = _hint_for_unknown(inner, model, data, registry=registry) + self._left_over(path, inner, data)
                    self.add_unknown_key((*path, *inner), hint=hint)
                else:
                    self._add_details(details, model, path, inner=inner)
            return None

    def member(
        self,
        registry: Registry,
        data: Any,
        path: KeyPath,
        *,
        default: str = "",
        find: Callable[[str], Any] | None = None,
    ) -> tuple[Any, Any]:
        """Return the class that `data` names in its `type`, and its options; None and None after errors were added.

        Args:
            registry: Of the classes.
            data: The block as read; a name alone (`optimizer: adam`) is short for a mapping with that type.
            path: The key of the block.
            default: The type of a mapping that has none; empty: it must have one.
            find: Returns the class with a name, if that is not `registry.get`.
        """
        given = {"type": data} if isinstance(data, str) else data
        if not isinstance(given, dict) or not (default or "type" in given):
            self.add(path, f"got {shown(data)}, expected a name or a mapping with `type`")
            return None, None
        at, name = path if isinstance(data, str) else (*path, "type"), given.get("type", default)
        if not isinstance(name, str):
            self.add(at, f"got {shown(name)}, expected one of {', '.join(registry.names())}")
            return None, None
        try:
            kind = (find or registry.get)(name)
        except UsageError as error:
            self.add(at, error.problem, hint=error.hint)
            return None, None
        whole = {**given, "type": kind.Options.model_fields["type"].default}
        return kind, self.block(kind.Options, whole, path, registry=None if find else registry)

    def _left_over(self, path: KeyPath, inner: KeyPath, data: dict[str, Any]) -> str:
        """Return how to drop a key of the file that does not belong to the `type` given by --set."""
        type_, key = self.document.position((*path, "type")), self.document.key_position((*path, *inner))
        if type_.line or not type_.source.startswith("--set") or not key.line:
            return ""
        return f"; --set {dotted(path)}={data.get('type')} drops the keys in the file"

    def _add_details(
        self, details: list[ErrorDetails], model: type[BaseModel], path: KeyPath, *, inner: KeyPath
    ) -> None:
        """Add pydantic's error for one value; of a union there is one for every branch."""
        first, at = details[0], (*path, *inner)
        got, context = shown(first["input"]), first.get("ctx", {})
        if first["type"] == "union_tag_invalid":
            known = re.findall(r"'(\w+)'", context["expected_tags"])
            self.add(at, f"unknown type {shown(context['tag'])}", hint=nearest(context["tag"], known))
        elif first["type"] == "union_tag_not_found":
            known = [branch.model_fields["type"].default for branch in _models(model, inner)]
            self.add(at, f"got {got} without `type`, expected one of {', '.join(sorted(known))}")
        elif first["type"] == "missing":
            self.add(at, "is required, but missing", hint=f"add `{at[-1]}:`")
        elif first["type"] == "value_error":
            reason = str(context["error"])
            is_shown = isinstance(first["input"], str) and got in reason
            self.add(at, reason if is_shown else f"got {got}: {reason}")
        else:
            self.add(at, f"got {got}, expected {' or '.join(map(_expected, details))}")


def _expected(detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    for bound, words in _BOUNDS.items():
        if isinstance(context.get(bound), int | float):
            return f"{words} {context[bound]:,}"
    if detail["type"] == "literal_error":
        return "one of " + str(context["expected"]).replace("'", "")
    return _EXPECTED.get(detail["type"]) or detail["msg"][:1].lower() + detail["msg"][1:]


def _key_path(detail: ErrorDetails, data: Any) -> KeyPath:
    """Return pydantic's location without the parts that name a branch of a union and no key of the data."""
    if not detail["loc"]:
        return ()
    kept: list[str | int] = []
    *outer, last = detail["loc"]
    for key in outer:
        is_here = isinstance(data, dict) and key in data
        if is_here or isinstance(key, int):
            kept.append(key)
        if is_here or isinstance(key, int) or not isinstance(data, dict):
            data = data[key] if is_here else None
    is_key = isinstance(data, dict) and (last in data or detail["type"] == "missing")
    return (*kept, last) if is_key or isinstance(last, int) else tuple(kept)


def _hint_for_unknown(inner: KeyPath, model: type[BaseModel], data: Any, *, registry: Registry | None) -> str:
    """Return the hint for a key that the block does not have."""
    key = str(inner[-1])
    if registry and len(inner) == 1:
        owners = [name for name, one in registry.members().items() if key in one.Options.model_fields]
        if owners:
            return f"an option of {' and '.join(owners)}, not of {data.get('type')}"
    for step in inner[:-1]:
        data = data[step]
        models = _models(model, (step,))
        named = [one for one in models if "type" in one.model_fields]
        model = next((one for one in named if one.model_fields["type"].default == data.get("type")), models[0])
    return nearest(key, model.model_fields)


def _models(model: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Return the models that are allowed at `path` inside `model`."""
    models = [model]
    for key in path:
        annotation = models[0].model_fields[str(key)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        models = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models
