"""`rnnlab schema`: what is shipped for editors is what the program prints."""

import json
from pathlib import Path

from rnnlab.config.experiment import config_schema
from tests.cli.program import child, rnnlab


def test_the_schema_is_printed_as_json() -> None:
    result = rnnlab("schema")
    assert (result.code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == config_schema()


def test_the_shipped_schema_is_the_output() -> None:
    shipped = Path(__file__).parents[2] / "configs" / "schema.json"
    assert child("schema").stdout == shipped.read_text(encoding="utf-8"), "rnnlab schema > configs/schema.json"
