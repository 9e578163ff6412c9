"""The page as text: what it says, that text stays text, and that the same runs give the same bytes."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.comparison import compare
from rnnlab.comparison.curves import together
from rnnlab.inspection.diagnoses.findings import Diagnosis, Gate, GradientFlow, Lengths, Retention
from rnnlab.inspection.diagnoses.recurrence import spectrum
from rnnlab.reports import write_page
from rnnlab.reports.curves import curves, success
from tests.comparison.runs_by_hand import SOLVED, UNSOLVED, make_run

pytest.importorskip("plotly", reason="needs the extra `plots`")
pytest.importorskip("jinja2", reason="needs the extra `plots`")

EVIL = "</script><img src=x onerror=alert(1)>&amp;"
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def finding(name: str, factor: float) -> Diagnosis:
    lags = np.arange(30)
    norms = {"layers.0.h": 2.0 * factor**lags}
    counts = np.arange(4)
    return Diagnosis(
        name=name,
        label=name,
        step=10,
        weights="best",
        timesteps=30,
        sequences=8,
        flow=GradientFlow(lags, norms, norms, norms),
        jacobians={},
        spectra={"layers.0.U": spectrum(np.diag([0.5, -0.25]))},
        gates={"layers.0.f": Gate(np.linspace(0, 1, 5), counts, 0.6, 0.0, 0.5)},
        retention={"layers.0.c": Retention(np.array([3.0, 4.0]), 3.5)},
        components={},
        lengths=Lengths(
            np.array([5, 10, 100]), np.array([0.1, 0.01, np.inf]), np.full(3, 0.16), {}, (False, True, False), (10, 10)
        ),
        capacity=None,
        fixed_points={},
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
    # plotly.js, four megabytes, is code and no markup
    reader = Reader()
    reader.feed(re.sub(r"<script>.*?</script>", "<script></script>", page, flags=re.DOTALL))
    return reader


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_what_it_says(tmp_path: Path) -> None:
    comparison = compare(swept(tmp_path))
    page = write_page(
        comparison, {"carry T=30": finding("a", 1.0), "simple T=30": finding("b", 0.1)}, title="Two cells"
    )
    assert "carry solves 6/6; simple solves 2/6" in page
    assert "<title>Two cells</title>" in page
    assert "rnnlab train " in page
    drawn = figures(page)
    assert list(drawn) == ["success", "curves", "gradient", "lengths", "gates", "spectrum"]
    carry, simple = drawn["success"]["data"]
    assert (carry["x"], carry["y"], simple["y"]) == ([10, 20, 30], [1, 1, 1], [1, 0, 0])
    assert carry["error_y"]["arrayminus"][0] == pytest.approx(1 - 0.342372, abs=1e-5)  # Wilson, 2 of 2
    kept, vanished = drawn["gradient"]["data"]
    assert kept["y"] == [1] * 30
    assert vanished["y"][:3] == [1, 0.1, 0.01]
    assert min(vanished["y"]) == 1e-12
    assert drawn["lengths"]["data"][0]["y"] == [0.1, 0.01, None]
    assert drawn["spectrum"]["data"][1]["x"] == [0.5, -0.25]


def test_it_tells_what_was_asked_and_why_one_failed(tmp_path: Path) -> None:
    """The task and the cells from their cards, and of each network how far its gradient reaches."""
    found = {"carry T=30": finding("a", 1.0), "simple T=30": finding("b", 0.1)}
    page = write_page(compare(swept(tmp_path)), found, title="Two cells")
    assert "carry T=30: 100 % of the last step&#39;s gradient is left 29 steps back, through h. What" in page
    assert (
        "simple T=30: 1 · 10⁻²⁹ of the last step&#39;s gradient is left 29 steps back, through h, and less than 1 % "
        "3 steps back already. It has vanished" in page
    )
    assert "<strong>Add two marked numbers</strong> (adding@urnn)" in page
    assert "c_{t+1} = i_t * k_t + c_t * f_t" in page
    assert page.index("Its only memory is its last output") < page.index("output_t = activation(input_t·W + state_t·U")
    assert (
        "Looked into, of each group the run in the middle by its final metric: carry T=30 (a), simple T=30 (b)." in page
    )


def test_references_are_drawn_where_they_are_those_of_the_curves(tmp_path: Path) -> None:
    """Arjovsky et al. 2016: who knows one of two numbers, uniform in [0, 1), errs by the other's variance, 1/12."""
    chart = curves(compare([make_run(tmp_path)]))
    assert chart is not None
    reference = next(
        trace for trace in chart.figure()["data"] if trace["name"].startswith("remembers the second number")
    )
    assert reference["y"] == [pytest.approx(1 / 12, abs=1e-6)] * 2
    assert chart.y["title"]["text"] == "mean squared error"


def test_words_stand_at_the_left(tmp_path: Path) -> None:
    page = write_page(compare(swept(tmp_path)), {}, title="x")
    kinds = re.findall(r'<table( class="text")?>\n?(?:<caption>)?([^<]*)', page)
    assert [(bool(is_text), title.strip()) for is_text, title in kinds if title.strip()] == [
        (True, "Config differences"),
        (False, "cell.type over shape.timesteps"),
    ]


def test_seeds_are_one_line_with_a_band(tmp_path: Path) -> None:
    comparison = compare(swept(tmp_path))
    group = comparison.groups[0]
    steps, values = together(group)
    assert steps.tolist() == [0, 100, 200]
    np.testing.assert_allclose(values, [[0.8, 0.4, 0.1], [0.8, 0.4, 0.2]])
    chart = curves(comparison)
    assert chart is not None
    band, line = chart.figure()["data"][:2]
    assert line["y"] == [0.8, 0.4, 0.15]
    assert band["y"] == [0.8, 0.4, 0.2, 0.1, 0.4, 0.8]
    assert comparison.pivot
    assert success(comparison.pivot).rows[0] == ["carry", "10", "2/2", "34% to 100%"]


def test_a_run_that_ended_early_stays_where_it_was(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "20260101T000000Z-a-aaaaaa", losses=[0.8, 0.1]),
        make_run(
            tmp_path, "20260101T000000Z-b-aaaaaa", losses=[0.8, 0.4, 0.3, 0.2], config={"seed": 1, "name": "carry"}
        ),
    ]
    (group,) = compare(runs).groups
    steps, values = together(group)
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
    assert reader.tags.count("script") == 3
    assert reader.handlers == []
    assert all(target.startswith("#") for target in reader.loaded)
    assert "\u2028" not in page
    assert "{{ 7 * 7 }}" in page
    names = [trace.get("name", "") for figure in figures(page).values() for trace in figure["data"]]
    assert any("onerror" in name for name in names)  # plotly.js takes names as text with a few tags; see tests/browser


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
    assert "1 runs, the best first" in page
