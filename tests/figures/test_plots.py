"""Figures by what is in them: the numbers, the axes, the words, and the same bytes each time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.comparison import Comparison, compare
from rnnlab.core.figure import Figure, Line
from rnnlab.figures import OF_COMPARISONS, figure_of, figures_of
from rnnlab.figures.curves import curves
from rnnlab.figures.picture import ENDINGS, drawn, picture
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.inspection.diagnoses.gradient_history import recorded_gradient
from rnnlab.inspection.diagnoses.sample import Sample
from rnnlab.runs.run import Run
from tests.comparison.runs_by_hand import UNSOLVED, make_run
from tests.figures.test_page import finding, swept

pytest.importorskip("matplotlib", reason="needs the extra `plots`")
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def made(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def lines(figure: Figure) -> dict[str, Line]:
    return {line.name: line for line in figure.panels[0].lines}


def axes_of(figure: Figure) -> Any:
    with drawn(figure) as canvas:
        canvas.canvas.draw()
        return canvas.axes[0]


@pytest.fixture
def two(tmp_path: Path) -> Comparison:
    return compare(
        [
            make_run(tmp_path, "20260101T000000Z-carry-aaaaaa", losses=[0.8, 0.04, 0.01]),
            make_run(
                tmp_path, "20260101T000000Z-simple-aaaaaa", config=TO_SIMPLE, losses=[0.8, 0.6, 0.5], summary=UNSOLVED
            ),
        ]
    )


def test_curves_of_runs(two: Comparison) -> None:
    figure = made(curves(two))
    (panel,) = figure.panels
    np.testing.assert_allclose(lines(figure)["carry"].y, [0.8, 0.04, 0.01])
    assert (panel.x.label, panel.y.label, panel.y.log) == (
        "training step", "validation loss: mean squared error", True,
    )  # fmt: skip
    levels = {level.label: (level.value, level.axis) for level in panel.levels}
    assert levels["baseline 0.16"] == (0.16, "y")
    assert levels["solved at 200"] == (200, "x")
    # Arjovsky et al. 2016: half of the variance of a sum of two
    assert levels["remembers the second number 0.0833"] == (pytest.approx(1 / 12), "y")
    over = made(curves(two, "sequences"))
    assert [list(line.x) for line in over.panels[0].lines] == [[0, 1000, 2000]] * 2


def test_seeds_are_a_line_with_a_band(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"20260101T000000Z-carry-00000{n}", config={"seed": n}, losses=[0.8, 0.1 * (n + 1)])
        for n in range(3)
    ]
    line = lines(made(curves(compare(runs))))["carry (3 of 3 seeds solved)"]
    np.testing.assert_allclose([line.y, line.low, line.high], [[0.8, 0.2], [0.8, 0.1], [0.8, 0.3]])


def test_success_of_a_sweep_with_its_interval(tmp_path: Path) -> None:
    figure = made(OF_COMPARISONS["success"](compare(swept(tmp_path))))
    carry, simple = figure.panels[0].lines
    assert (carry.x, carry.y, simple.y) == ([10, 20, 30], [1, 1, 1], [1, 0, 0])
    assert carry.low is not None
    assert carry.low[0] == pytest.approx(0.342372, abs=1e-5)  # Wilson, 2 of 2
    assert figure.table is not None
    assert figure.table.texts[0] == ["carry", "10", "2/2", "34% to 100%"]


def test_the_gradient_is_a_share_on_a_log_axis() -> None:
    figure = made(figure_of("gradient", {"kept": finding("a", 1.0), "gone": finding("b", 0.1)}))
    drawn_lines = lines(figure)
    assert figure.panels[0].y.log
    np.testing.assert_allclose(drawn_lines["kept: h"].y, 1)
    np.testing.assert_allclose(drawn_lines["gone: h"].y[:3], [1, 0.1, 0.01])
    assert min(drawn_lines["gone: h"].y) == 1e-12
    assert [level.label for level in figure.panels[0].levels] == ["vanished: below 10⁻¹²"]


def test_eigenvalues_and_lengths() -> None:
    spectrum = lines(made(figure_of("spectrum", {"a": finding("a", 1.0)})))
    np.testing.assert_allclose(spectrum["a: U, radius 0.50"].x, [0.5, -0.25])
    np.testing.assert_allclose(np.hypot(spectrum["unit circle"].x, spectrum["unit circle"].y), 1)
    lengths = made(figure_of("lengths", {"a": finding("a", 1.0)}))
    assert [label.get_text() for label in axes_of(lengths).get_xticklabels()] == ["5", "10", "100"]


def test_the_same_content_is_the_same_file(two: Comparison) -> None:
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    (figure,) = figures_of(two)
    for ending in ENDINGS:
        data = picture(figure, ending)
        assert data.startswith(starts[ending])
        assert data == picture(figure, ending)


def test_names_are_words_and_no_more(tmp_path: Path) -> None:
    evil = [r"$\frac{1}{0}$ _x", "<script>alert(1)</script>", "_hidden", "$"]
    runs = [
        make_run(tmp_path, f"20260101T000000Z-r-00000{n}", config={"cell.note": note}) for n, note in enumerate(evil)
    ]
    assert len(axes_of(made(curves(compare(runs)))).get_legend().get_texts()) == 4
    figure = made(figure_of("gradient", {name: finding(name, 0.5) for name in evil}))
    legend = axes_of(figure).get_legend()
    assert next(text.get_text() for text in legend.get_texts()) == r"\$\frac{1}{0}\$ _x: h"
    assert b"<script" not in picture(figure, "svg")


@pytest.mark.parametrize("shape", [(3, 1), (3, 9)])
@pytest.mark.parametrize("are_classes", [False, True])
@pytest.mark.parametrize("scored", [1, 3])
def test_samples_of_every_form(shape: tuple[int, int], are_classes: bool, scored: int) -> None:
    targets = np.full((scored, shape[1]), 0.5)
    sample = Sample(np.ones(shape), targets, targets, np.arange(3)[-scored:], "x", are_classes)
    panels = diagnoses()["sample"].panels({"a": sample})
    assert picture(Figure("sample", "x", "x", panels), "png").startswith(b"\x89PNG")


def test_the_last_carry_is_left_out_of_the_map(tmp_path: Path) -> None:
    """Nothing reads it, so that its gradient is 0; that is not to look as if it had vanished."""
    run = make_run(tmp_path)
    with run.metrics_writer(run.read_status().id) as writer:
        for step in (300, 400):
            norms = {"gradient/layers.0.h": [1.0, 0.1, 0.0], "gradient/layers.0.c": [0.0, 2.0, 0.2]}
            writer.write({"step": step, "sequences": 0, "seconds": 9.0, "gradient/lags": [0, 1, 2], **norms})
    h, c = diagnoses()["gradient-history"].panels({"a": recorded_gradient(Run(run))})
    assert (h.title, c.title) == ("a: h", "a: c")
    assert h.heat is not None
    assert c.heat is not None
    np.testing.assert_allclose(h.heat.values[0], [0, -1, -12])
    np.testing.assert_allclose(c.heat.values, [[np.nan, 0, -1]] * 2)
    assert picture(Figure("x", "x", "x", [h, c]), "png").startswith(b"\x89PNG")
