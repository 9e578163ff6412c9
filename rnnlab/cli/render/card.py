"""The parts that cards are made of: labelled paragraphs, and a table of the options of a config block."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rnnlab.core.text import visible

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

Row = dict[str, str]


def facts(pairs: Iterable[tuple[str, str]]) -> "Table":
    """Return labelled paragraphs; those without text are left out, and a label is not repeated."""
    from rich.table import Table

    grid, last = Table.grid(padding=(0, 2)), ""
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in pairs:
        if text:
            grid.add_row("" if label == last else label, "\n".join(map(visible, text.split("\n"))))
            last = label
    return grid


def option_rows(options: "type[BaseModel]") -> list[Row]:
    """Return `name`, `type`, `default`, `bounds` and `description` of each option but `type`; nested ones dotted.

    Example:
        >>> from rnnlab.tasks.parity import ParityOptions
        >>> [(row["name"], row["type"], row["default"], row["bounds"]) for row in option_rows(ParityOptions)]
        [('noise', 'number', '0.0', '0 ≤ x < 1')]
    """
    schema = options.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), prefix="", default={}))


def option_table(rows: Iterable[Row]) -> "Table":
    """Return the options as a table."""
    from rnnlab.cli.render.output import plain_table

    table = plain_table("option", "default", "what it is")
    table.padding = (0, 1, 0, 0)
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for row in rows:
        kind = ", ".join(filter(None, (row["type"], row["bounds"])))
        table.add_row(visible(row["name"]), visible(row["default"]), visible(f"{row['description']} ({kind})"))
    return table


def _rows(
    schema: Mapping[str, Any], known: Mapping[str, Any], *, prefix: str, default: Mapping[str, Any]
) -> Iterator[Row]:
    for name, field in schema.get("properties", {}).items():
        if name == "type":
            continue
        inner = known.get(str(field.get("$ref", "")).rpartition("/")[2], {})
        start = default.get(name, field.get("default", "required"))
        if "properties" in inner:
            yield from _rows(inner, known, prefix=f"{prefix}{name}.", default=start if start != "required" else {})
        else:
            yield {
                "name": prefix + name,
                "type": _kind(field),
                "default": _value(start),
                "bounds": _bounds(field),
                "description": field.get("description", ""),
            }


_WORDS = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null",
    "array": "list", "object": "mapping",
}  # fmt: skip


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "discriminator" in field:
        return ", ".join(field["discriminator"]["mapping"])
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    return _WORDS.get(field.get("type", ""), "")


def _bounds(field: Mapping[str, Any]) -> str:
    """Return the interval as `1 ≤ x ≤ 64`; of several types, that of the one that has bounds."""
    fields = [field, *field.get("anyOf", [])]
    found = {key: value for one in reversed(fields) for key, value in one.items()}
    low = f"{found['minimum']:g} ≤ " if "minimum" in found else ""
    low = f"{found['exclusiveMinimum']:g} < " if "exclusiveMinimum" in found else low
    high = f" ≤ {found['maximum']:g}" if "maximum" in found else ""
    high = f" < {found['exclusiveMaximum']:g}" if "exclusiveMaximum" in found else high
    return f"{low}x{high}" if low or high else ""


def _value(value: Any) -> str:
    """Return a default as YAML has it; of a block that has a type, the type is its name."""
    import json

    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    return value if isinstance(value, str) else json.dumps(value)
