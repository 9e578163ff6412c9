"""What every typed block of options is, and the names that a run may have."""

import re
from dataclasses import dataclass
from typing import Any, final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from rnnlab.core.errors import UsageError
from rnnlab.core.text import docstring_attributes

_ALLOWED = re.compile(r"[A-Za-z0-9._-]")
# Windows opens a device under these names, with any ending, in any folder.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class Options(BaseModel):
    """Options as read from YAML: frozen, strict, finite numbers and known keys only.

    The description of a field, or what the docstring has of it under `Attributes`, is its help text in the JSON Schema.
    """

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        model = handler.resolve_ref_schema(found)
        model["description"] = model.get("description", "").partition("\n\nAttributes:")[0]
        for name in docstring_attributes(cls).keys() & model.get("properties", {}).keys():
            model["properties"][name].setdefault("description", docstring_attributes(cls)[name])
        return found


@final
@dataclass(frozen=True)
class Short:
    """Marks a block of options of which one may be given alone, as text: `csv: x.csv` for `csv: {path: x.csv}`."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self._in_full, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    def _in_full(self, value: Any) -> Any:
        return {self.key: value} if isinstance(value, str) else value


def build_models() -> None:
    """Build every model of options that is imported and was not used yet.

    An interrupt while pydantic builds a model would be reported as a fault of its schema.
    """
    waiting: list[type[Options]] = [Options]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        model.model_rebuild(raise_errors=False)


def check_name(name: str) -> None:
    """Pass if a run may be called `name`: 1 to 60 of A-Z a-z 0-9 . _ - and no special meaning anywhere.

    Raises:
        UsageError: It may not; the message names the reason.

    Example:
        >>> check_name("carry-T100")
        >>> check_name("../x")
        Traceback (most recent call last):
        rnnlab.core.errors.UsageError: invalid run name '../x': it starts with '.' — use 1 to 60 of A-Z a-z 0-9 . _ -
    """
    other = next((character for character in name if not _ALLOWED.fullmatch(character)), "")
    looks_like_another = other.isprintable() and not other.isascii()
    code = f" (U+{ord(other):04X})" if looks_like_another else ""
    reasons = {
        "it is empty": not name,
        f"it starts with '{name[:1]}'": name[:1] in {".", "-"},
        f"it contains '{other}'{code}": bool(other),
        f"it has {len(name)} characters": len(name) > 60,
        "it ends with '.'": name.endswith("."),
        "Windows reserves it for a device": bool(_DEVICES.fullmatch(name)),
        "`latest` means the latest run": name == "latest",
    }
    for reason, applies in reasons.items():
        if applies:
            hint = "use 1 to 60 of A-Z a-z 0-9 . _ -"
            raise UsageError(f"invalid run name '{name[:80]}': {reason}", hint=hint)
