"""The README and every page of the docs: their blocks are run in order in an empty folder, and give what they show."""

from pathlib import Path

import pytest

from tests.docs.blocks import Tour, blocks
from tests.once import Once

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md"] + [path for path in sorted((ROOT / "docs").rglob("*.md")) if GENERATED not in path.parents]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}


# What `pip install '.[test]'` brings along: pages that need no more than that are run in the first pass of the gate.
INSTALLED = {"matplotlib", "llvmlite", "scipy", "tensorflow"}


def needs(page: str) -> set[str]:
    return {block.text for block in blocks(page) if block.kind == "needs"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.extras if needs(text) - INSTALLED else ())
        for name, text in TEXTS.items()
        if list(blocks(text)) and "slurm" not in needs(text)  # tests/slurm has a cluster
    ],
)
def test_the_blocks_give_what_they_show(name: str, tmp_path: Path, once: Once) -> None:
    Tour(name, tmp_path, once).run(TEXTS[name])
