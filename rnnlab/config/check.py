"""Plain data checked against typed options: pydantic's errors in plain words, with their positions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar, final, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import no_info_plain_validator_function

from rnnlab.config.document import Document
from rnnlab.config.errors import KeyPath, LocatedError, dotted, shown
from rnnlab.config.spelling import right_key
from rnnlab.core.code_files import IN_A_FILE
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Short
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
    "finite_number": "a finite number",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_EXAMPLES: dict[KeyPath, str] = {("task",): "add, for example, `task: adding`; `rnnlab tasks` lists them"}
EMPTY: Any = {}  # what a `Member` with a default contains that is not given


@final
@dataclass(frozen=True)
class Member:
    """Marks a field as options of a class in a registry: its name alone, or a mapping with the name as `type`.

    Without a type it is that of `default`, if there is one. `find` returns the class with a name, if that is not
    `registry.get`; each member is then several classes.
    """

    registry: Registry
    default: str = ""
    find: Callable[[str], Any] | None = None

    def kind(self, given: object) -> Any:
        """Return the class that a value chooses.

        Raises:
            ValidationError: The value is neither a name nor a mapping with one, or there is no such class.
        """
        block = {"type": given} if isinstance(given, str) else given
        if not isinstance(block, dict) or not (self.default or "type" in block):
            raise _failure(given, f"got {shown(given)}, expected a name or a mapping with `type`")
        name, at = block.get("type", self.default), ("type",) if block is given else ()
        if not isinstance(name, str):
            raise _failure(given, f"got {shown(name)}, expected one of {', '.join(self.registry.names())}", at=at)
        try:
            return (self.find or self.registry.described)(name)
        except UsageError as error:
            raise _failure(given, error.problem, hint=error.hint, at=at) from error

    def options(self, given: object) -> BaseModel:
        """Return the options in a value.

        Raises:
            ValidationError: See `kind`, or an option is wrong.
        """
        model: type[BaseModel] = self.kind(given).Options
        options = given if isinstance(given, dict) else {}
        return model.model_validate({**options, "type": model.model_fields["type"].default})

    def __get_pydantic_core_schema__(self, _: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(self.options)

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names: dict[type[BaseModel], list[str]] = {}
        for stem, member in self.registry.members().items():
            kinds = member if self.find else [member]
            names |= {kind.Options: [kind.Options.model_fields["type"].default] for kind in kinds}
            if stem not in (of_first := names[kinds[0].Options]):
                of_first.append(stem)
        forms = {model: handler(model.__pydantic_core_schema__) for model in names}
        for model, form in forms.items():
            definition = handler.resolve_ref_schema(form)
            definition["properties"]["type"] = {"enum": names[model]}
            if self.default not in names[model]:
                definition["required"] = sorted({*definition.get("required", []), "type"})
        choices = [{"enum": [name for several in names.values() for name in several]}, *forms.values()]
        if self.registry.of_file:
            named = {"type": "string", "pattern": IN_A_FILE}
            choices += [named, {"type": "object", "properties": {"type": named}, "required": ["type"]}]
        return {"anyOf": choices}


@final
class Checker:
    """Checks the blocks of one document, the config as read, and collects the errors."""

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

    def block(
        self, model: type[Model], data: Any, path: KeyPath, *, valid: dict[str, Any] | None = None
    ) -> Model | None:
        """Return `data` as `model`, or None after its errors were added; its validators get `valid` as context."""
        if not isinstance(data, dict):
            self.add(path, f"got {shown(data)}, expected a mapping")
            return None
        try:
            return model.model_validate(data, context=valid)
        except ValidationError as error:
            by_key: dict[KeyPath, list[ErrorDetails]] = {}
            for detail in error.errors(include_url=False, include_context=True):
                by_key.setdefault(_key_path(detail, data), []).append(detail)
            for inner, details in by_key.items():
                at = (*path, *inner)
                if details[0]["type"] == "extra_forbidden":
                    self.add_unknown_key(at, hint=_hint_for_unknown(model, inner, data) + self._left_over(at))
                elif details[0]["type"] == "union_tag_not_found":
                    types = [one.model_fields["type"].default for one in _models(model, inner, data)[0]]
                    got = shown(details[0]["input"])
                    self.add(at, f"got {got} without `type`, expected one of {', '.join(sorted(types))}")
                else:
                    self._add_details(details, at)
            return None

    def _left_over(self, path: KeyPath) -> str:
        """Return how to drop a key of the file that does not belong to the `type` given by --set."""
        block, key = path[:-1], self.document.key_position(path)
        chosen = self.document.node((*block, "type"))
        if chosen and key.line and chosen.position.source.startswith("--set"):
            return f"; --set {dotted(block)}={chosen.value} drops the keys in the file"
        return ""

    def _add_details(self, details: list[ErrorDetails], at: KeyPath) -> None:
        """Add pydantic's error for one value; of a union there is one for every branch."""
        first = details[0]
        got, context = shown(first["input"]), first.get("ctx", {})
        if first["type"] == "problem":
            self.add(at, context["problem"], hint=context["hint"])
        elif first["type"] == "union_tag_invalid":
            known = re.findall(r"'(\w+)'", context["expected_tags"])
            self.add(at, f"unknown type {shown(context['tag'])}", hint=nearest(context["tag"], known))
        elif first["type"] == "missing":
            self.add(at, "is required, but missing", hint=_EXAMPLES.get(at, f"add `{at[-1]}:`"))
        elif first["type"] == "value_error":
            reason = str(context["error"])
            is_shown = isinstance(first["input"], str) and got in reason
            joint = "," if reason.startswith("expected ") else ":"
            self.add(at, reason if is_shown else f"got {got}{joint} {reason}")
        else:
            self.add(at, f"got {got}, expected {' or '.join(map(_expected, details))}")


def _failure(given: object, problem: str, *, hint: str = "", at: tuple[str, ...] = ()) -> ValidationError:
    error = PydanticCustomError("problem", "{problem}", {"problem": problem, "hint": hint})
    return ValidationError.from_exception_data("config", [InitErrorDetails(type=error, loc=at, input=given)])


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
    path: list[str | int] = []
    for key in detail["loc"]:
        if isinstance(key, int) or (isinstance(data, dict) and key in data):
            path.append(key)
            data = data[key] if isinstance(data, dict | list) else None  # type: ignore[index]
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else tuple(path)


def _hint_for_unknown(model: type[BaseModel], path: KeyPath, data: Any) -> str:
    """Return the hint for the key at `path`, which its block does not have."""
    *block, key = path
    (chosen, *_), member = _models(model, block, data)
    if member and not member.find:
        kinds = member.registry.members().items()
        if owners := [name for name, kind in kinds if key in kind.Options.model_fields]:
            return f"an option of {', '.join(owners)}, not of {chosen.model_fields['type'].default}"
    if "training" in model.model_fields and (better := right_key(str(key), _dotted_keys(model, data))):
        return f"write {better}"
    return nearest(str(key), [field.alias or name for name, field in chosen.model_fields.items()])


def _models(
    model: type[BaseModel], path: Sequence[str | int], data: Any
) -> tuple[list[type[BaseModel]], Member | None]:
    """Return the models allowed at `path` inside `model`, first the one that `data` chooses, and what chooses it."""
    models, member = [model], None
    for key in path:
        data = data[key]
        # What is no field is a key of a mapping, or an item of a list: it is what they contain.
        if field := models[0].model_fields.get(str(key)):
            member = next((mark for mark in field.metadata if isinstance(mark, Member)), None)
            models = [member.kind(data).Options] if member else _models_in(field.annotation) or models
        if isinstance(data, dict) and len(models) > 1:
            models.sort(key=lambda one: one.model_fields["type"].default != data.get("type"))
    return models, member


def _dotted_keys(model: type[BaseModel], data: Any) -> Iterator[str]:
    """Yield the keys of the options in `model`, those of its blocks too, as far as `data` chooses them."""
    for name in model.model_fields:
        yield name
        try:
            inner = _models(model, [name], {name: {}} | data)[0]
        except (TypeError, ValidationError, UsageError):
            continue
        if inner != [model]:
            yield from (f"{name}.{key}" for one in inner[:1] for key in _dotted_keys(one, data.get(name) or {}))


def short_for(model: type[BaseModel], path: Sequence[str], data: Any) -> str | None:
    """Return the option that a text at `path` inside `model` is short for, e.g. `type`; None where it is none."""
    *block, key = path
    try:
        owners, _ = _models(model, block, data)
    except (KeyError, TypeError, ValidationError, UsageError):  # reported when the config is checked
        return None
    marks = (mark for one in owners if (field := one.model_fields.get(key)) for mark in field.metadata)
    return next(
        (mark.key if isinstance(mark, Short) else "type" for mark in marks if isinstance(mark, Short | Member)), None
    )


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
