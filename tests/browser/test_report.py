"""The report in a real browser, without a network: it loads, it answers, and nothing in a run's text comes alive."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnlab
from tests.cli.program import rnnlab as program
from tests.comparison.runs_by_hand import make_run

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
    pytest.importorskip("plotly", reason="needs the extra `plots`")
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
    """A page, with all that it says and asks for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)

    def until(self, expression: str) -> None:
        """Wait for an expression to hold; Playwright's own way of waiting is forbidden by the page's policy."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not in 10 s: {expression}")

    def chart(self, name: str, expression: str) -> Any:
        return self.page.evaluate(f"document.getElementById('chart-{name}').{expression}")


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    visit = Visit(browser, report, viewport={"width": 1100, "height": 900})
    yield visit
    assert visit.said == []
    assert visit.asked == [report.as_uri()]
    visit.page.context.close()


def test_it_loads_alone_and_draws(visit: Visit) -> None:
    assert visit.page.title() == "runs"
    charts = visit.page.locator("[data-chart]")
    assert charts.count() == 5
    for number in range(charts.count()):
        assert charts.nth(number).locator("svg.main-svg").first.bounding_box()["width"] > 400
    assert visit.page.locator("#chart-gradient .scatterlayer .trace").count() == 3


def test_a_click_on_the_legend_hides_a_curve(visit: Visit) -> None:
    before = visit.chart("gradient", "data.map(trace => trace.visible ?? true)")
    visit.page.locator("#chart-gradient .legendtoggle").first.click()
    visit.until("document.getElementById('chart-gradient').data[0].visible === 'legendonly'")
    assert before == [True, True, True]
    assert visit.chart("gradient", "data.map(trace => trace.visible ?? true)") == ["legendonly", True, True]


def test_the_button_changes_the_scale(visit: Visit) -> None:
    button = visit.page.get_by_role("button", name="logarithmic scale").first
    assert (visit.chart("curves", "layout.yaxis.type"), button.get_attribute("aria-pressed")) == ("linear", "false")
    button.focus()
    visit.page.keyboard.press("Enter")
    visit.until("document.getElementById('chart-curves').layout.yaxis.type === 'log'")
    assert button.get_attribute("aria-pressed") == "true"


def test_dragging_zooms_and_a_double_click_goes_back(visit: Visit) -> None:
    area = visit.page.locator("#chart-curves .nsewdrag")
    area.scroll_into_view_if_needed()
    before = visit.chart("curves", "_fullLayout.xaxis.range.slice()")
    box = area.bounding_box()
    middle = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    visit.page.mouse.up()
    visit.until(f"document.getElementById('chart-curves')._fullLayout.xaxis.range[0] > {before[0]} + 5")
    low, high = visit.chart("curves", "_fullLayout.xaxis.range.slice()")
    assert (high - low) / (before[1] - before[0]) == pytest.approx(0.3, abs=0.02)
    area.dblclick()
    visit.until(f"document.getElementById('chart-curves')._fullLayout.xaxis.range[0] <= {before[0]} + 1")


def test_a_point_tells_its_value(visit: Visit) -> None:
    area = visit.page.locator("#chart-gradient .nsewdrag")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    for share in range(5, 100, 5):  # the height of the line is not known here
        visit.page.mouse.move(box["x"] + 3, box["y"] + box["height"] * share / 100)
        if visit.page.locator("#chart-gradient .hovertext").count():
            break
    assert "steps back:" in visit.page.locator("#chart-gradient .hovertext").first.text_content()


def test_light_and_dark(browser: Any, report: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        visit = Visit(browser, report, color_scheme=scheme)
        paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        colours[scheme] = (
            paper,
            visit.chart("curves", "layout.paper_bgcolor"),
            visit.chart("curves", "layout.font.color"),
        )
        if scheme == "dark":
            visit.page.emulate_media(color_scheme="light")
            visit.until("document.getElementById('chart-curves').layout.paper_bgcolor === '#ffffff'")
        assert visit.said == []
        visit.page.context.close()
    assert colours == {
        "light": ("rgb(255, 255, 255)", "#ffffff", "#1b1f24"),
        "dark": ("rgb(20, 24, 29)", "#14181d", "#e6e9ed"),
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
  const names = "h1;h2;.verdict;nav a;figcaption;summary;th;td;button;pre;footer p";
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
        assert figure.get_by_role("img").first.get_attribute("aria-label")
        figure.locator("summary").click()
        assert figure.locator("details table tbody tr").count() >= 1
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_narrow_screen_is_not_scrolled_sideways(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, viewport={"width": 360, "height": 700})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    charts = visit.page.locator("[data-chart]")
    for number in range(charts.count()):  # no legend lies on the title of an axis
        chart = charts.nth(number)
        title, legend = (chart.locator(part).first.bounding_box() for part in (".xtitle", ".legend .bg"))
        assert title["y"] + title["height"] <= legend["y"] + 1, chart.get_attribute("data-chart")
    visit.page.context.close()


def test_it_prints(visit: Visit, tmp_path: Path) -> None:
    data = visit.page.pdf(path=tmp_path / "page.pdf")
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page") > 2


def test_nothing_in_a_run_comes_alive(browser: Any, tmp_path: Path) -> None:
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
    assert visit.said == []
    assert visit.asked == [(tmp_path / "page.html").as_uri()]
    assert visit.page.locator("img, a[href^=javascript], main b").count() == 0
    assert visit.page.locator("h1").text_content() == EVIL
    visit.page.context.close()
