"""The report in a real browser, without a network: it loads, it reacts, and text from runs stays text."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.core.figure import SHADES
from tests.cli.program import rnnlab as program
from tests.comparison.runs_by_hand import make_run
from tests.figures.test_page import swept

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "<img src=x onerror=alert(1)><a href='javascript:alert(2)'>%{x}</a></script><script>alert(3)</script>$x$"
CONFIG = {
    "name": "shown",
    "task": "adding",
    "cell": {"type": "carry", "units": 5},
    "shape": {"timesteps": 20},
    "training": {"steps": 40, "batch_size": 8, "evaluate_every": 10},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    pytest.importorskip("jinja2", reason="needs the extra `plots`")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    for cell in ("carry", "simple"):
        for seed in range(2):
            rnnlab.train(CONFIG, [f"seed={seed}", f"cell.type={cell}"], runs=root / "runs")
    assert program("report", root / "runs", "--out", root / "page.html").code == 0
    return root / "page.html"


class Visit:
    """A page, with its messages and its requests."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.messages.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)

    def until(self, expression: str) -> None:
        """Wait for an expression to hold; Playwright's own way of waiting is forbidden by the page's policy."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not in 10 s: {expression}")

    def ticks(self, name: str, axis: str) -> list[str]:
        """The labels of the ticks of an axis."""
        anchor = {"x": "middle", "y": "end"}[axis]
        texts = self.page.locator(f"#{name} text[text-anchor={anchor}]:not([class])").all_text_contents()
        return [str(text) for text in texts]


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    visit = Visit(browser, report, viewport={"width": 1100, "height": 900})
    yield visit
    assert visit.messages == []
    assert visit.requests == [report.as_uri()]
    visit.page.context.close()


def test_it_loads_alone_and_draws(visit: Visit) -> None:
    assert visit.page.title() == "runs"
    charts = visit.page.locator("[data-figure]")
    assert charts.count() == 9
    for number in range(charts.count()):
        assert charts.nth(number).locator(".canvas svg").bounding_box()["width"] > 400
    assert visit.page.locator("#gradient-0 .canvas .line").count() == 3
    assert visit.ticks("lengths-0", "x") == ["10", "20", "40", "100", "200"]


def test_a_sweep_has_panels_with_shades_and_bars_side_by_side(browser: Any, tmp_path: Path) -> None:
    runs = swept(tmp_path)
    assert program("report", *(run.path for run in runs), "--out", tmp_path / "page.html", "--no-diagnose").code == 0
    visit = Visit(browser, tmp_path / "page.html", viewport={"width": 1100, "height": 900})
    page = visit.page
    assert page.locator("figure .panel").all_text_contents() == ["carry", "simple"]
    for panel in ("curves-0", "curves-1"):
        drawn = page.locator(f"#{panel} .canvas .line > path")
        strokes = drawn.evaluate_all("all => all.map(one => one.getAttribute('stroke'))")
        assert len(set(strokes)) == 3
        assert page.locator(f"#{panel} .scale rect").count() == len(SHADES)
        assert page.locator(f"#{panel} .scale").text_content().startswith("sequence length T, steps: 10")
    moves = "all => all.map(one => Number(one.getAttribute('transform').match(/[0-9.]+/)[0]))"
    carry, simple = (
        page.locator(f"#success-0 .canvas .line:nth-of-type({n}) path[transform]").evaluate_all(moves) for n in (1, 2)
    )
    np.testing.assert_allclose(np.subtract(simple, carry), 6, atol=0.11)
    assert visit.messages == []
    page.context.close()


def test_twenty_runs_open_at_once(browser: Any, tmp_path: Path) -> None:
    """Within 1.5 s from the disk, of at most 1.3 MB: two cells with ten seeds, each evaluated a hundred times."""
    many = ["training.steps=200", "training.evaluate_every=2", "evaluation.sequences=20"]
    for number in range(20):
        overrides = [f"seed={number // 2}", f"cell.type={('carry', 'simple')[number % 2]}"]
        rnnlab.train(CONFIG, [*many, *overrides], runs=tmp_path / "runs")
    assert program("report", tmp_path / "runs", "--out", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").stat().st_size <= 1.3e6

    def opened() -> float:
        visit = Visit(browser, tmp_path / "page.html", viewport={"width": 1100, "height": 900})
        assert visit.messages == []
        seconds = visit.page.evaluate("performance.now() / 1000")  # since the navigation began
        visit.page.context.close()
        return float(seconds)

    assert min(opened() for _ in range(3)) < 1.5


def test_a_click_on_the_legend_hides_a_curve(visit: Visit) -> None:
    button = visit.page.locator("#gradient-0 .legend button").first
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    visit.until("document.querySelectorAll('#gradient-0 .canvas .line').length === 2")
    assert button.get_attribute("aria-pressed") == "false"


def test_the_button_changes_the_scale(visit: Visit) -> None:
    button = visit.page.locator("#gradient-0 button.log")
    assert button.get_attribute("aria-pressed") == "true"
    before = visit.ticks("gradient-0", "y")
    button.focus()
    visit.page.keyboard.press("Enter")
    visit.until("document.querySelector('#gradient-0 .log').ariaPressed === 'false'")
    after = visit.ticks("gradient-0", "y")
    assert after != before
    steps = np.diff([float(text) for text in after])
    np.testing.assert_allclose(steps, steps[0])


def test_dragging_zooms_and_a_double_click_goes_back(visit: Visit) -> None:
    area = visit.page.locator("#curves-0 .canvas")
    area.scroll_into_view_if_needed()
    before = visit.ticks("curves-0", "x")
    box = area.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.6, steps=5)
    visit.page.mouse.up()
    zoomed = visit.ticks("curves-0", "x")
    assert before[0] == "0"
    assert 15 < float(zoomed[0]) <= float(zoomed[-1]) < 36
    area.dblclick()
    assert visit.ticks("curves-0", "x") == before


def test_a_point_shows_its_value(visit: Visit) -> None:
    area = visit.page.locator("#gradient-0 .canvas")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    tip = visit.page.locator("#gradient-0 .tip")
    assert tip.is_hidden()
    for share in range(5, 100, 5):  # the height of the line is not known here
        visit.page.mouse.move(box["x"] + 100, box["y"] + box["height"] * share / 100)
        if tip.is_visible():
            break
    assert ": h\nlag" in tip.text_content() or ": c\nlag" in tip.text_content()


def test_light_and_dark(browser: Any, report: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        visit = Visit(browser, report, color_scheme=scheme)
        paper, ink = (
            "getComputedStyle(document.body).backgroundColor",
            "getComputedStyle(document.querySelector('svg')).fill",
        )
        colours[scheme] = visit.page.evaluate(paper), visit.page.evaluate(ink.replace("'svg'", "'.canvas svg'"))
        assert visit.messages == []
        visit.page.context.close()
    assert colours == {
        "light": ("rgb(255, 255, 255)", "rgb(27, 31, 36)"),
        "dark": ("rgb(20, 24, 29)", "rgb(230, 233, 237)"),
    }


def test_text_is_legible(browser: Any, report: Path) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 at least, of every kind of text on the page."""
    for scheme in ("light", "dark"):
        visit = Visit(browser, report, color_scheme=scheme)
        ratios = visit.page.evaluate(CONTRASTS)
        assert len(ratios) > 5
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
        visit.page.context.close()


CONTRASTS = """() => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const level = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = (c) => 0.2126 * level(c[0]) + 0.7152 * level(c[1]) + 0.0722 * level(c[2]);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  const names = "h1;h2;.summary;nav a;figcaption;summary;th;td;button;pre;footer p";
  for (const name of names.split(";")) {
    const element = document.querySelector(name);
    if (!element) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    found[name] = (a + 0.05) / (b + 0.05);
  }
  return found;
}"""


def test_a_reader_who_cannot_see_it(visit: Visit) -> None:
    page = visit.page
    assert page.locator("html").get_attribute("lang") == "en"
    assert [page.locator(name).count() for name in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    for number in range(page.locator("figure").count()):
        figure = page.locator("figure").nth(number)
        assert figure.get_by_role("group").first.get_attribute("aria-label")
        figure.locator("summary").click()
        assert figure.locator("details table tbody tr").count() >= 1
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_narrow_screen_is_not_scrolled_sideways(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, viewport={"width": 360, "height": 700})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    visit.page.context.close()


def test_it_prints(visit: Visit, tmp_path: Path) -> None:
    data = visit.page.pdf(path=tmp_path / "page.pdf")
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page") > 2


def test_text_of_a_run_stays_text(browser: Any, tmp_path: Path) -> None:
    runs = [
        make_run(
            tmp_path, f"20260101T000000Z-{name}-aaaaaa", config={"cell.note": note, "cell.units": units}, message=EVIL
        )
        for name, note, units in (("one", EVIL, 3), ("two", "<b>bold</b>", 4))
    ]
    done = program("report", *(run.path for run in runs), "--out", tmp_path / "page.html", "--title", EVIL)
    assert done.code == 0
    visit = Visit(browser, tmp_path / "page.html")
    visit.page.wait_for_timeout(300)
    assert visit.messages == []
    assert visit.requests == [(tmp_path / "page.html").as_uri()]
    assert visit.page.locator("img, a[href^=javascript], main b").count() == 0
    assert visit.page.locator("h1").text_content() == EVIL
    visit.page.context.close()
