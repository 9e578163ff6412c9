"""The runner of the blocks itself: it finds what is untrue on a page."""

from pathlib import Path

import pytest

from tests.docs.blocks import Tour, blocks

PAGE = """\
```python counting.py
print(1)
print("two  three")
```
```console
$ python counting.py
1
two …
$ mkdir sub
$ cd sub
$ echo a \\
  b > here && ls
here
```
```console exit=3
$ echo gone >&2; exit 3
gone
```
```text
not run
```
```python
x = 6
```
```python
print("first")
7 * x
```
```output
first
42
```
```yaml
cell: {units: 3}
```
"""


@pytest.fixture
def tour(tmp_path: Path) -> Tour:
    return Tour("page.md", tmp_path)


def test_a_true_page_passes(tour: Tour) -> None:
    tour.run(PAGE)
    assert [block.line for block in blocks(PAGE)][:2] == [1, 5]


@pytest.mark.parametrize(
    ("shown", "untrue", "line"),
    [
        ("two …", "three …", 5),
        ("exit=3", "", 15),
        ("exit 3", "exit 4", 15),
        ("42", "43", 29),
        ("cell: {units: 3}", "cell: {unit: 3}", 33),
        ("x = 6", "x = y", 22),
    ],
)
def test_an_untrue_page_fails(tour: Tour, shown: str, untrue: str, line: int) -> None:
    with pytest.raises(AssertionError, match=rf"page\.md:{line}\n"):
        tour.run(PAGE.replace(shown, untrue))


def test_the_rest_of_a_page_is_left_out_without_what_it_needs(tour: Tour) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"page\.md:1 needs no_such_module"):
        tour.run("<!-- needs: no_such_module -->\n" + PAGE.replace("42", "43"))
    with pytest.raises(AssertionError, match="43"):
        tour.run(PAGE.replace("42", "43") + "<!-- needs: no_such_module -->\n")
