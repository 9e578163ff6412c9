"""List the cells, or print the card of one: equations, sources, parameters, options."""

from typing import Annotated, Any

import typer

from rnnlab.cli.options import JsonOption


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A cell: simple, carry.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    from rnnlab.cells import CELLS
    from rnnlab.cli.errors import warn_of_broken
    from rnnlab.cli.render.output import show_json

    if name is not None:
        kind = CELLS.get(name)
        if json:
            show_json("cell", _as_json(kind))
        else:
            _show_card(kind)
        return
    kinds = list(CELLS.members().values())
    warn_of_broken(CELLS)
    if json:
        show_json("cells", {"cells": [_summary(kind) for kind in kinds]})
    else:
        _show_all(kinds)


def _show_all(kinds: list[Any]) -> None:
    from rnnlab.cli.render.output import plain_table, show
    from rnnlab.core.text import visible

    table = plain_table("cell", "what it is", "state", "numbers in a layer")
    for kind in kinds:
        count = count_formula(_shapes(kind).values())
        table.add_row(*map(visible, (kind.name, kind.title, ", ".join(kind.states), count)))
    show(table, "", "I inputs, H units. `rnnlab cells NAME` shows a card.")


def _show_card(kind: Any) -> None:
    from rnnlab.cli.render.card import facts, option_rows, option_table
    from rnnlab.cli.render.output import show

    equations = [f"  {line}" for line in kind.equations.splitlines()]
    count = count_formula(_shapes(kind).values())
    pairs = [
        ("memory", kind.memory),
        ("source", kind.source),
        ("differs", docstring_section(kind, "Differs")),
        ("state", f"{', '.join(kind.states)}, each (B, H) for B sequences; zero at the start of every sequence"),
        ("version", f"{kind.version}, stored with the weights"),
        ("numbers", f"{count} in a layer of H units with I inputs: {_count(kind, 2, 32):,} for I = 2, H = 32"),
    ]
    options = option_table(option_rows(kind.Options))
    show(f"{kind.name}: {kind.title}", "", *equations, "", facts(pairs), "")
    show(_parameter_table(kind), "", options, "", "In a config:", "  cell:", f"    type: {kind.name}")


def _parameter_table(kind: Any) -> Any:
    from rnnlab.cli.render.output import plain_table
    from rnnlab.core.text import visible

    table = plain_table("parameter", "shape", "drawn by")
    table.padding = (0, 1, 0, 0)
    parameters = _parameters(kind, _I, _H)
    for name, shape in _shapes(kind).items():
        offset = parameters[name].offset
        drawn = f"initializers.{parameters[name].role}" + (f", plus {offset:g}" if offset else "")
        table.add_row(*map(visible, (name, f"({', '.join(shape)}{',' * (len(shape) == 1)})", drawn)))
    return table


# Sizes that no cell is likely to have of its own, so that a dimension shows where it comes from.
_I, _H = 1009, 10_007


def _parameters(kind: Any, inputs: int, units: int) -> dict[str, Any]:
    parameters: dict[str, Any] = kind(kind.Options(units=units)).parameters(inputs)
    return parameters


def _shapes(kind: Any) -> dict[str, tuple[str, ...]]:
    """Return the shape of each parameter in letters."""
    return {name: tuple(map(_letter, parameter.shape)) for name, parameter in _parameters(kind, _I, _H).items()}


def _letter(size: int) -> str:
    for letter, base in (("H", _H), ("I", _I)):
        if size % base == 0:
            return letter if size == base else f"{size // base}{letter}"
    return str(size)


def count_formula(shapes: Any) -> str:
    """Return how many numbers parameters of these shapes hold.

    Example:
        >>> count_formula([("I", "H"), ("H", "H"), ("H",), ("I", "H"), ("4H",)])
        '2·I·H + H² + 5·H'
    """
    from collections import Counter
    from math import prod

    terms: Counter[str] = Counter()
    for shape in shapes:
        letters = "·".join(size[-1] for size in shape if not size[-1].isdigit())
        terms[letters.replace("H·H", "H²")] += prod(int("".join(filter(str.isdigit, size)) or 1) for size in shape)
    ordered = sorted(terms, key=lambda term: ("I" not in term, "²" not in term))
    return " + ".join("·".join(filter(None, (str(terms[t]) if terms[t] > 1 or not t else "", t))) for t in ordered)


def _count(kind: Any, inputs: int, units: int) -> int:
    return sum(parameter.size for parameter in _parameters(kind, inputs, units).values())


def docstring_section(kind: type, title: str) -> str:
    """Return the text of one section of a class's docstring as one line, nothing where there is no such section."""
    import inspect
    import re

    match = re.search(rf"^{title}: (.+?)(?=\n\n|\n\S|\Z)", inspect.getdoc(kind) or "", re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def _summary(kind: Any) -> dict[str, Any]:
    count = count_formula(_shapes(kind).values())
    return {"name": kind.name, "title": kind.title, "states": list(kind.states), "parameter_count": count}


def _as_json(kind: Any) -> dict[str, Any]:
    from rnnlab.cli.render.card import option_rows

    parameters = _parameters(kind, _I, _H)
    return {
        **_summary(kind),
        "version": kind.version,
        "equations": kind.equations.splitlines(),
        "memory": kind.memory,
        "source": kind.source,
        "differs": docstring_section(kind, "Differs"),
        "parameters": [
            {"name": name, "shape": list(shape), "role": parameters[name].role, "offset": parameters[name].offset}
            for name, shape in _shapes(kind).items()
        ],
        "options": option_rows(kind.Options),
    }
