"""List the cells, or describe one: equations, sources, options."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import Annotated, Any

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell
from rnnlab.cli.errors import warn_of_broken
from rnnlab.cli.options import JsonOption, argument, flag, offering
from rnnlab.cli.render.card import facts, option_rows, option_table
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.code_files import located
from rnnlab.core.errors import UsageError
from rnnlab.core.parameters import Parameter
from rnnlab.core.table import table
from rnnlab.core.text import docstring_section
from rnnlab.equations.plan import plan_of
from rnnlab.equations.text import plan_text

Kind = type[AbstractCell]


def command(
    name: Annotated[
        str | None, argument("NAME", "A cell: simple, lstm, ./my_cell.py:MyCell.", offering(CELLS.names))
    ] = None,
    plan: Annotated[bool, flag("--plan", "Show how the cell's step and its gradient are computed.")] = False,
    json: JsonOption = False,
) -> None:
    if plan and (name is None or json):
        raise UsageError("--plan shows one cell, as text", hint="rnnlab cells NAME --plan")
    if name is not None:
        kind: Kind = CELLS.get(located(name))
        if plan:
            show(*plan_text(plan_of(_configured(kind, 32), 1)))
        elif json:
            show_json("cell", described(kind))
        else:
            _show_card(kind, described(kind), name)
        return
    cells = [described(kind) for kind in CELLS.members().values()]
    warn_of_broken(CELLS)
    if json:
        show_json("cells", {"cells": [{key: cell[key] for key in _SUMMARY} for cell in cells]})
    else:
        heads = ["cell", "what it is", "state", "parameters"]
        rows = [(cell["name"], cell["title"], ", ".join(cell["states"]), cell["parameter_count"]) for cell in cells]
        show_table(table(heads, rows, text=heads))
        show("", "Parameters of one layer: I inputs, H units. `rnnlab cells NAME` shows a card.")


def _show_card(kind: Kind, card: dict[str, Any], name: str) -> None:
    states, count = ", ".join(card["states"]), sum(one.size for one in _parameters(kind, 2, 32).values())
    pairs = [
        *((label, card[label]) for label in ("memory", "source", "differs")),
        ("state", f"{states}, each (B, H) for B sequences; zero at the start of every sequence"),
        ("version", f"{card['version']}, stored with the weights"),
        ("parameters", f"{card['parameter_count']} per layer of H units with I inputs: {count:,} for I = 2, H = 32"),
    ]
    rows = []
    for one in card["parameters"]:
        shape, offset = one["shape"], one["offset"]
        drawn = one["initializer"] + (f", plus {offset:g}" if offset else "")
        rows.append((one["name"], f"({', '.join(shape)}{',' * (len(shape) == 1)})", drawn))
    parameters = table(["parameter", "shape", "initializer"], rows, text=["shape", "initializer"])
    show(f"{name}: {kind.title}", "", *(f"  {line}" for line in card["equations"]), *[""] * bool(card["equations"]))
    show(facts(pairs), "")
    show_table(parameters, option_table(card["options"]))
    show("", "In a config:", "  cell:", f"    type: {name}")


_SUMMARY = ("name", "title", "states", "parameter_count")


def described(kind: Kind) -> dict[str, Any]:
    """Return all that is known of a cell, as plain data."""
    parameters = _parameters(kind, _I, _H)
    shapes = {name: [_letter(size) for size in parameter.shape] for name, parameter in parameters.items()}
    return {
        "name": kind.name,
        "title": kind.title,
        "states": list(kind.states),
        "parameter_count": count_formula(shapes.values()),
        "version": kind.version,
        "equations": kind.equations.splitlines(),
        "memory": kind.memory,
        "source": kind.source,
        "differs": docstring_section(kind, "Differs"),
        "parameters": [
            {
                "name": name,
                "shape": shapes[name],
                "role": one.role,
                "initializer": one.initializer.type if one.initializer else f"initializers.{one.role}",
                "offset": one.offset,
            }
            for name, one in parameters.items()
        ],
        "options": option_rows(kind.Options),
    }


# Sizes that no cell is likely to use itself, so that each dimension shows what it depends on.
_I, _H = 1009, 10_007


def _parameters(kind: Kind, inputs: int, units: int) -> dict[str, Parameter]:
    return _configured(kind, units).parameters(inputs)


def _configured(kind: Kind, units: int) -> AbstractCell:
    return kind(kind.Options(units=units))  # type: ignore[call-arg]  # a cell's options set its type


def _letter(size: int) -> str:
    for letter, base in (("H", _H), ("I", _I)):
        if size % base == 0:
            return letter if size == base else f"{size // base}{letter}"
    return str(size)


def count_formula(shapes: Iterable[Sequence[str]]) -> str:
    """Return how many values parameters of these shapes have.

    Example:
        >>> count_formula([("I", "H"), ("H", "H"), ("H",), ("I", "H"), ("4H",)])
        '2·I·H + H² + 5·H'
    """
    terms: Counter[str] = Counter()
    for shape in shapes:
        letters = "·".join(size[-1] for size in shape if not size[-1].isdigit())
        terms[letters.replace("H·H", "H²")] += prod(int("".join(filter(str.isdigit, size)) or 1) for size in shape)
    ordered = sorted(terms, key=lambda term: ("I" not in term, "²" not in term))
    return " + ".join("·".join(filter(None, (str(terms[t]) if terms[t] > 1 or not t else "", t))) for t in ordered)
