"""A comparison for other programs: CSV a run a line, Markdown and LaTeX the tables of a paper.

Source: OWASP, "CSV injection", for what a spreadsheet takes for a formula.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from rnnlab.comparison import Comparison
from rnnlab.comparison.metric import short_name
from rnnlab.comparison.tables import UNKNOWN, notes_of, tables_of, value_text
from rnnlab.core.text import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "—": "---",
    "–": "--", "…": r"\dots{}",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~$&])")


def as_csv(comparison: Comparison) -> str:
    """Return a line a run: its group, the values in which runs differ, and what it came to; unknown is empty."""
    groups = {one.name: group.heading for group in comparison.groups for one in group.results}
    keys = [key for key in comparison.differences if key != "seed"]
    scores = sorted({f"validation/{name}" for one in comparison.results for name in one.summary.metrics})
    head = ["run", "group", "state", "solved", "seed", *keys, "steps", "sequences", "seconds"]
    head += ["sequences_to_success", "parameters", "baseline", *map(short_name, scores)]
    extra = [] if comparison.metric in scores else [comparison.metric]
    lines: list[list[Any]] = [
        [
            *(one.name, groups[one.name], one.state, one.summary.solved, one.config.get("seed")),
            *(one.config.get(key) for key in keys),
            *(
                one.summary.steps,
                one.summary.sequences,
                one.summary.seconds,
                one.summary.sequences_to_success,
            ),
            *(one.summary.parameters, one.summary.baseline, *map(one.final, [*scores, *extra])),
        ]
        for one in comparison.results
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [_inert(cell) for cell in line] for line in [[*head, *extra], *lines]
    )
    return out.getvalue()


def _inert(value: Any) -> str | int | float:
    """Return a cell that no spreadsheet calculates; numbers stay numbers.

    Example:
        >>> _inert("=1+1"), _inert(-0.5), _inert(True), _inert(None)
        ("'=1+1", -0.5, 'true', '')
    """
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = str(value) if isinstance(value, str) else value_text(value)
    text = text if text.startswith(_FORMULA) else visible(text)
    return f"'{visible(text)}" if text.startswith(_FORMULA) else text


def as_markdown(comparison: Comparison) -> str:
    """Return the tables as pipes and dashes, with their notes and the sentence."""
    parts = []
    for title, head, rows in _tables(comparison):
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        cells = [[cell if number == 1 else _plain(cell) for cell in line] for number, line in enumerate(lines)]
        parts.append(f"**{_plain(title)}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in cells))
    return (
        "\n\n".join([*parts, *map(_plain, notes_of(comparison) * _is_grouped(comparison)), _plain(comparison.verdict)])
        + "\n"
    )


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", visible(text)).replace("\n", " ")


def as_latex(comparison: Comparison) -> str:
    """Return the tables for LaTeX with the package booktabs."""
    parts = []
    for title, head, rows in _tables(comparison):
        lines = [" & ".join(map(_tex, line)) + r" \\" for line in [head, *rows]]
        columns = "l" + "r" * (len(head) - 1)
        parts.append(
            "\n".join(
                [
                    r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}", rf"\begin{{tabular}}{{{columns}}}",
                    r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}",
                ]
            )
        )  # fmt: skip
    notes = [f"% {visible(text)}" for text in [*notes_of(comparison) * _is_grouped(comparison), comparison.verdict]]
    return "\n\n".join([*parts, "\n".join(notes)]) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in visible(text))


def _is_grouped(comparison: Comparison) -> int:
    return int(comparison.is_grouped)


def _tables(comparison: Comparison) -> Sequence[tuple[str, list[str], list[list[str]]]]:
    if comparison.is_grouped:
        return tables_of(comparison)
    names = [comparison.headings[one.name] for one in comparison.results]
    differing = [
        [key, *(value_text(row[one.name]) if one.name in row else UNKNOWN for one in comparison.results)]
        for key, row in comparison.differences.items()
    ]
    rows = [
        ["state", *(one.state for one in comparison.results)],
        [short_name(comparison.metric), *(_figure(one.final(comparison.metric)) for one in comparison.results)],
        ["solved", *({None: UNKNOWN, True: "yes", False: "no"}[one.summary.solved] for one in comparison.results)],
        [
            "sequences to success",
            *(f"{at.sequences:,}" if (at := one.summary.solved_at) else UNKNOWN for one in comparison.results),
        ],
    ]
    return [
        *([("Config differences", ["key", *names], differing)] if differing else []),
        ("Results", ["", *names], rows),
    ]


def _figure(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"
