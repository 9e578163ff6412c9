"""What is special about the README: it is short, and begins with the two commands that the gate runs as they stand."""

from tests.docs.blocks import blocks
from tests.docs.test_pages import ROOT, TEXTS


def test_the_two_commands_come_first() -> None:
    found = list(blocks(TEXTS["README.md"]))
    first, second = (block.text for block in found[:2])
    assert [block.kind for block in found].count("sh") == 2
    assert [block.kind for block in found[:2]] == ["sh", "sh"]
    assert first.count("\n") == second.count("\n") == 1
    assert "rnnlab train quickstart" in first
    assert "pytest" in second


def test_it_is_short() -> None:
    assert TEXTS["README.md"].count("\n") <= 180


def test_its_pictures_are_there() -> None:
    assert (ROOT / "docs/pictures/gradient.png").stat().st_size < 200_000
