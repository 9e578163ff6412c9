"""List the cells, or print the card of one: equations, sources, parameters, options."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import Annotated, Any

import typer

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell
from rnnlab.cli.errors import warn_of_broken
from rnnlab.cli.options import JsonOption
from rnnlab.cli.render.card import facts, option_rows, option_table
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.parameters import Parameter
from rnnlab.core.table import Table, table
from rnnlab.core.text import docstring_section

Kind = type[AbstractCell]


def _complete(incomplete: str) -> list[str]:
    return [name for name in CELLS.names() if name.startswith(incomplete)]


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A cell: simple, carry.", show_default=False, autocompletion=_complete),
    ] = None,
    json: JsonOption = False,
) -> None:
    if name is not None:
        kind: Kind = CELLS.get(name)
        if json:
            show_json("cell", _as_json(kind))
        else:
            _show_card(kind)
        return
    kinds: list[Kind] = list(CELLS.members().values())
    warn_of_broken(CELLS)
    if json:
        show_json("cells", {"cells": [_summary(kind) for kind in kinds]})
    else:
        _show_all(kinds)


def _show_all(kinds: Iterable[Kind]) -> None:
    heads = ["cell", "what it is", "state", "parameters per layer"]
    rows = [(kind.name, kind.title, ", ".join(kind.states), count_formula(_shapes(kind).values())) for kind in kinds]
    show_table(table(heads, rows, text=heads))
    show("", "I inputs, H units. `rnnlab cells NAME` shows a card.")


def _show_card(kind: Kind) -> None:
    formula = count_formula(_shapes(kind).values())
    count = sum(parameter.size for parameter in _parameters(kind, 2, 32).values())
    pairs = [
        ("memory", kind.memory),
        ("source", kind.source),
        ("differs", docstring_section(kind, "Differs")),
        ("state", f"{', '.join(kind.states)}, each (B, H) for B sequences; zero at the start of every sequence"),
        ("version", f"{kind.version}, stored with the weights"),
        ("parameters", f"{formula} per layer of H units with I inputs: {count:,} for I = 2, H = 32"),
    ]
    show(f"{kind.name}: {kind.title}", "", *(f"  {line}" for line in kind.equations.splitlines()), "")
    show(facts(pairs), "")
    show_table(_parameter_table(kind), option_table(option_rows(kind.Options)))
    show("", "In a config:", "  cell:", f"    type: {kind.name}")


def _parameter_table(kind: Kind) -> Table:
    parameters, rows = _parameters(kind, _I, _H), []
    for name, shape in _shapes(kind).items():
        offset = parameters[name].offset
        drawn = f"initializers.{parameters[name].role}" + (f", plus {offset:g}" if offset else "")
        rows.append((name, f"({', '.join(shape)}{',' * (len(shape) == 1)})", drawn))
    return table(["parameter", "shape", "initializer"], rows, text=["shape", "initializer"])


# Sizes that no cell is likely to use itself, so that each dimension shows what it depends on.
_I, _H = 1009, 10_007


def _parameters(kind: Kind, inputs: int, units: int) -> dict[str, Parameter]:
    return kind(kind.Options(units=units)).parameters(inputs)  # type: ignore[call-arg]  # a cell's options set its type


def _shapes(kind: Kind) -> dict[str, tuple[str, ...]]:
    """Return the shape of each parameter in letters."""
    return {name: tuple(map(_letter, parameter.shape)) for name, parameter in _parameters(kind, _I, _H).items()}


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


def _summary(kind: Kind) -> dict[str, Any]:
    count = count_formula(_shapes(kind).values())
    return {"name": kind.name, "title": kind.title, "states": list(kind.states), "parameter_count": count}


def _as_json(kind: Kind) -> dict[str, Any]:
    parameters = _parameters(kind, _I, _H)
    return {
        **_summary(kind),
        "version": kind.version,
        "equations": kind.equations.splitlines(),
        "memory": kind.memory,
        "source": kind.source,
        "differs": docstring_section(kind, "Differs"),
        "parameters": [
            {"name": name, "shape": shape, "role": parameters[name].role, "offset": parameters[name].offset}
            for name, shape in _shapes(kind).items()
        ],
        "options": option_rows(kind.Options),
    }
