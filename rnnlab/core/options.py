"""The base of every typed option block that a config can hold."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Options as read from YAML: frozen, strict, finite numbers only, unknown keys refused.

    A field's description is its help text: it appears in the JSON Schema and in the error messages.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )
