"""The results of rows as a page of Markdown: `docs/reproduction.md`."""

from collections.abc import Sequence

import rnnlab
from rnnlab.cli.render.tables import as_markdown, markdown_text
from rnnlab.reproduction.results import Result
from rnnlab.reproduction.words import by_paper, conclusion, facts_of, grouped, machine_of, overview, paragraphs

TITLE = "# Published results, repeated\n"
MARK = "<!-- Written by `rnnlab reproduce"  # by which a page is recognised as one of ours

_ABOUT = """\
Each row is a number that a paper prints, trained again by `rnnlab reproduce`: the paper's task, network, training and
test. The row states beforehand by which rule our result agrees with the printed one, and where it departs from the
paper. *not reached* means that too few trials solved the task, *partly* that some have not ended. Rows that differ are
shown like those that agree. Numbers of sequences are means over the trials that solved the task; intervals are at 95 %.
"""


def page(results: Sequence[Result]) -> str:
    """Return the page; the same results give the same text.

    Args:
        results: Rows, each followed by its variants.
    """
    shown = [one for one in results if one.trials]
    left = [f"`{one.row.name}`" for one in results if not one.trials and not one.row.variant]
    parts = [
        TITLE,
        f"{MARK} --markdown`, rnnlab {rnnlab.__version__}: changes to this file will be lost. -->\n",
        _ABOUT,
        f"**{markdown_text(conclusion(results))}.**\n",
        *([as_markdown(overview(shown))] if shown else []),
    ]
    for paper, groups in by_paper(shown).items():
        parts.append(f"## {markdown_text(paper)}\n")
        for group in groups:
            parts += _row(group)
    if left:
        parts += ["## Not trained\n", ", ".join(left) + "\n"]
    return "\n".join(parts)


def _row(group: Sequence[Result]) -> list[str]:
    published, parts = group[0].row.published, []
    for one in group:
        facts = grouped([*facts_of(one), *machine_of(one)])
        if one.row.variant:
            parts.append(f"**Variant {markdown_text(one.row.variant)}**\n")
        else:
            parts.append(f"### `{one.row.name}`: {markdown_text(published.title)}\n")
            parts.append(f"[{markdown_text(published.place)}]({published.url})\n")
        parts.append("".join(_item(label, texts) for label, texts in facts))
    return [*parts, *(f"{markdown_text(text)}\n" for text in paragraphs(published.notes))]


def _item(label: str, texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return f"- {label}: {markdown_text(texts[0])}\n"
    return f"- {label}:\n" + "".join(f"  - {markdown_text(text)}\n" for text in texts)
