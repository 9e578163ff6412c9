"""The base class of the typed option blocks of a config."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Options as read from YAML: frozen, strict, finite numbers and known keys only.

    The description of a field is its help text in the JSON Schema.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )
