"""The page as text: its content, that text stays text, and that the same runs give the same bytes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.comparison import compare
from rnnlab.figures.page import write_page
from rnnlab.inspection.diagnoses import Diagnosis
from rnnlab.inspection.diagnoses.gates import Gate
from rnnlab.inspection.diagnoses.jacobian import Jacobian
from rnnlab.inspection.diagnoses.lengths import Lengths
from rnnlab.training.gradient_by_lag import GradientByLag
from tests.comparison.runs_by_hand import SOLVED, UNSOLVED, make_run

pytest.importorskip("jinja2", reason="needs the extra `plots`")

EVIL = "</script><img src=x onerror=alert(1)>&amp;"
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def finding(name: str, factor: float) -> Diagnosis:
    lags = np.arange(30)
    norms, shares = {"layers.0.h": 2.0 * factor**lags}, {"layers.0.h": factor**lags}
    counts = np.arange(4)
    lengths = (
        np.array([5, 10, 100]),
        np.array([5, 10, 100]),
        np.array([0.1, 0.01, np.inf]),
        np.full(3, 0.16),
        {},
        "mean squared error",
        (False, True, False),
    )
    return Diagnosis(
        run=name,
        path=Path(name),
        label=name,
        step=10,
        weights="best",
        timesteps=(30, 30),
        sequences=8,
        results={
            "gradient": GradientByLag(lags, norms, shares, shares, shares),
            "jacobian": {"layers.0": Jacobian(np.ones((1, 2)), np.array([[0.9, 0.1j]]), np.array([0.5, -0.25 + 0j]))},
            "gates": {"layers.0.f": Gate(np.linspace(0, 1, 5), counts, 0.6, 0.0, 0.5, np.array([3.0, 4.0]))},
            "lengths": Lengths(*lengths, trained=(10, 10)),
        },
    )


def swept(root: Path) -> list[Any]:
    runs = []
    for cell in ("carry", "simple"):
        for T in (10, 20, 30):
            for seed in range(2):
                solved = cell == "carry" or T == 10
                config = {**(TO_SIMPLE if cell == "simple" else {}), "seed": seed, "shape.timesteps": T}
                name = f"20260101T000000Z-{cell}{T}-00000{seed}"
                summary = SOLVED if solved else UNSOLVED
                runs.append(make_run(root, name, config=config, summary=summary, losses=[0.8, 0.4, 0.1 * (seed + 1)]))
    return runs


class Reader(HTMLParser):
    """Collects what the page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.loaded += [str(given[name]) for name in ("src", "href", "srcset", "data", "action") if name in given]
        self.handlers += [name for name in given if name.startswith("on")]
        self.ids += [str(given["id"])] if "id" in given else []
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    described: dict[str, Any] = json.loads(found[1])["figures"]
    return described


def test_the_page_has_the_conclusions_and_the_figures(tmp_path: Path) -> None:
    found = {"carry T=30": finding("a", 1.0), "simple T=30": finding("b", 0.1)}
    page = write_page(compare(swept(tmp_path)), found, title="Two cells")
    assert "Runs that solved the task: carry 6/6, simple 2/6" in page
    assert "<title>Two cells</title>" in page
    assert "rnnlab train " in page
    described = figures(page)
    assert list(described) == ["success", "curves", "gradient", "jacobian", "gates", "lengths"]
    kept, vanished = described["gradient"]["panels"][0]["lines"]
    assert kept["y"] == [1] * 30
    assert vanished["y"][:3] == [1, 0.1, 0.01]
    assert described["lengths"]["panels"][0]["lines"][0]["y"] == [0.1, 0.01, None]
    # the task and the cells from their cards, and for each network how far its gradient reaches
    assert "carry T=30: h: 100 % of the gradient is left 29 steps back." in page
    vanished = "simple T=30: h: 1 · 10⁻²⁹ of the gradient is left 29 steps back, and less than 1 % at lag 3 already."
    assert vanished in page
    assert "<strong>Add two marked numbers</strong> (adding@urnn)" in page
    assert "c_{t+1} = i_t * k_t + c_t * f_t" in page
    assert "carry T=30 (a, best weights, step 10), simple T=30 (b, best weights, step 10)." in page


def test_seeds_are_on_common_steps_and_one_that_ended_early_stays_where_it_was(tmp_path: Path) -> None:
    steps, values = compare(swept(tmp_path / "sweep")).groups[0].curves()
    assert steps.tolist() == [0, 100, 200]
    np.testing.assert_allclose(values, [[0.8, 0.4, 0.1], [0.8, 0.4, 0.2]])
    runs = [
        make_run(tmp_path, "20260101T000000Z-a-aaaaaa", losses=[0.8, 0.1]),
        make_run(
            tmp_path, "20260101T000000Z-b-aaaaaa", losses=[0.8, 0.4, 0.3, 0.2], config={"seed": 1, "name": "carry"}
        ),
    ]
    (group,) = compare(runs).groups
    steps, values = group.curves()
    assert steps.tolist() == [0, 100, 200, 300]
    np.testing.assert_allclose(values, [[0.8, 0.1, 0.1, 0.1], [0.8, 0.4, 0.3, 0.2]])


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    runs = swept(tmp_path)
    found = {"carry": finding("a", 0.9)}
    assert write_page(compare(runs), found, title="x") == write_page(compare(runs[::-1]), found, title="x")


def test_text_stays_text(tmp_path: Path) -> None:
    evil = {"cell.note": EVIL, "task.<b>bold</b>": "javascript:alert(1)"}
    runs = [
        make_run(tmp_path, "20260101T000000Z-carry-aaaaaa", config=evil, message=EVIL + "\u2028", state="failed"),
        make_run(tmp_path, "20260101T000000Z-simple-aaaaaa", config=TO_SIMPLE | {"cell.note": "{{ 7 * 7 }}%{x}"}),
    ]
    page = write_page(compare(runs), {EVIL: finding(EVIL, 0.5)}, title=EVIL, notes=[EVIL])
    reader = read(page)
    assert "img" not in reader.tags
    assert "b" not in reader.tags
    assert reader.tags.count("script") == 2
    assert reader.handlers == []
    assert all(target.startswith("#") for target in reader.loaded)
    assert "\u2028" not in page
    assert "{{ 7 * 7 }}" in page
    assert "onerror" in figures(page)["gradient"]["panels"][0]["lines"][0]["name"]  # set as text; see tests/browser


def test_nothing_is_loaded_and_all_is_named(tmp_path: Path) -> None:
    page = write_page(compare(swept(tmp_path)), {"carry": finding("a", 0.9)}, title="x")
    reader = read(page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert reader.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(reader.headings, reader.headings[1:], strict=False))
    assert len(set(reader.ids)) == len(reader.ids)
    assert {target.removeprefix("#") for target in reader.loaded} <= set(reader.ids)


def test_one_run_and_no_network(tmp_path: Path) -> None:
    page = write_page(compare([make_run(tmp_path)]), {}, title="one")
    assert list(figures(page)) == ["curves"]
    assert "1 run, the best first" in page
