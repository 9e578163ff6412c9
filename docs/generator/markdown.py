"""Pieces of a page: tables, lists of options, and the text of a docstring."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_SECTION = re.compile(r"^(Args|Attributes|Call arguments|Differs|Example|Raises|Returns|Source):(?: (.*)|)$")


def escaped(text: str) -> str:
    """Return plain text as Markdown; what is between backticks remains code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if number % 2 else re.sub(r"([\\*_<>\[\]{}|#$])", r"\\\1", part) for number, part in enumerate(parts)
    )


def code(text: object) -> str:
    """Return text as code."""
    return f"`{text}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return terms, each with its text below it."""
    return "\n".join(f"{term}\n: {text or '—'}\n" for term, text in pairs)


def block(text: str, kind: str = "text") -> str:
    """Return text as it stands."""
    return f"```{kind}\n{text.strip(chr(10))}\n```\n"


def options(rows: Iterable[Mapping[str, str]], *, prefix: str = "") -> str:
    """Return the rows of `option_rows`, one a paragraph."""
    pairs = []
    for row in rows:
        kind = ", ".join(filter(None, (escaped(row["type"]), row["bounds"].replace("<", "\\<"))))
        start = "required" if row["default"] == "required" else f"default {code(row['default'] or chr(34) * 2)}"
        about = row["description"]
        about = f"{about[:1].upper()}{about[1:]}." if re.match(r"[a-z]+ ", about) else f"{about}."
        pairs.append((code(prefix + row["name"]), f"{escaped(about)} *{kind}; {start}*"))
    return definitions(pairs)


def document(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the rows of `option_rows` of a stored document as a table."""
    cells = ((code(row["name"]), escaped(row["type"]), escaped(as_stored(row["description"]))) for row in rows)
    return table(("key", "type", "meaning"), cells)


def as_stored(text: str) -> str:
    """Return a description with the words of JSON for those of Python."""
    return re.sub(r"\bNone\b", "`null`", text)


class Docstring(NamedTuple):
    """The parts of a docstring: its text as Markdown, and its sections by their titles, as plain text."""

    text: str
    sections: Mapping[str, str]


def docstring(thing: object) -> Docstring:
    """Return the parts of a docstring; indented lines are equations, which are kept as they are."""
    lines, sections, title = (inspect.getdoc(thing) or "").splitlines(), dict[str, list[str]](), ""
    for line in lines:
        if match := _SECTION.match(line):
            title = match[1]
            sections[title] = [match[2] or ""]
        else:
            sections.setdefault(title, []).append(line)
    text = paragraphs("\n".join(sections.pop("", [])))
    return Docstring(text, {name: "\n".join(found).strip("\n") for name, found in sections.items()})


def paragraphs(text: str) -> str:
    """Return a text of paragraphs as Markdown: indented ones are kept as they are."""
    parts = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        if part.startswith("    "):
            parts.append(block(inspect.cleandoc(part)))
        elif part.startswith("- "):
            parts.append(f"{escaped(part)}\n")
        else:
            parts.append(f"{escaped(' '.join(part.split()))}\n")
    return "\n".join(parts)
