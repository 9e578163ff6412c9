import pytest

from rnnlab.core.text import docstring_section, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👍 [red]\\x", "plain é 漢 👍 [red]\\x"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("\x00\x7f\x80\x9b\x9f", r"\x00\x7f\x80\x9b\x9f"),
        ("a\n\r\tb", r"a\n\r\tb"),
        ("\u202e\u2066\u2069\u200e\u200f\u061c", r"\u202e\u2066\u2069\u200e\u200f\u061c"),
        ("a\u200bb\u2060c\ufeff", r"a\u200bb\u2060c\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff\ud800", r"\udcff\ud800"),
    ],
)
def test_what_acts_is_escaped_and_what_shows_is_kept(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_nothing_of_the_first_256_acts() -> None:
    result = visible("".join(map(chr, range(256))))
    assert {c for c in result if not c.isprintable()} == {"\xa0", "\xad"}  # two harmless ones: space, soft hyphen


def test_a_section_of_a_docstring() -> None:
    class Documented:
        """Title.

        Source: A book,
            second edition.
        Differs: In two
            lines.

        Example:
            None.
        """

    assert docstring_section(Documented, "Source") == "A book, second edition."
    assert docstring_section(Documented, "Differs") == "In two lines."
    assert docstring_section(Documented, "Raises") == ""
