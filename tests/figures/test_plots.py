"""Figures by what is in them: the numbers, the axes, the words, and the same bytes each time."""

from dataclasses import replace
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
from rnnlab.inspection.diagnoses.states import Components
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
    assert [level.label for level in figure.panels[0].levels] == ["vanished: 10⁻¹² or less, drawn as 10⁻¹²"]


def test_eigenvalues_and_lengths() -> None:
    one = finding("a", 1.0)
    simple = lines(made(figure_of("jacobian", {"a": one})))
    np.testing.assert_allclose(simple["a: U"].x, [0.5, -0.25])
    np.testing.assert_allclose(np.hypot(simple["unit circle"].x, simple["unit circle"].y), 1)
    gated = {"layers.0": replace(one["jacobian"]["layers.0"], recurrent=None)}
    jacobian = lines(made(figure_of("jacobian", {"a": replace(one, results={"jacobian": gated})})))["a: Jacobian"]
    np.testing.assert_allclose([jacobian.x, jacobian.y], [[0.9, 0], [0, 0.1]])
    lengths = made(figure_of("lengths", {"a": finding("a", 1.0)}))
    assert [label.get_text() for label in axes_of(lengths).get_xticklabels()] == ["5", "10", "100"]


def test_a_sweep_has_a_panel_per_cell_and_a_shade_per_length(tmp_path: Path) -> None:
    comparison = compare(swept(tmp_path))
    figure = made(curves(comparison))
    carry, simple = figure.panels
    assert (carry.title, simple.title) == ("carry", "simple")
    for panel in figure.panels:
        assert panel.scale is not None
        assert (panel.scale.low, panel.scale.high, panel.scale.ticks) == (10, 30, [10, 20, 30])
        assert [line.colour for line in panel.lines] == [panel.scale.colour(T) for T in (10, 20, 30)]
        assert all(line.shown for line in panel.lines)
    assert carry.y.limits == simple.y.limits
    np.testing.assert_allclose(carry.lines[0].y, [0.8, 0.4, 0.15])  # the median of two seeds
    over = made(curves(comparison, "sequences"))
    assert [len(panel.lines) for panel in over.panels] == [6, 6]  # of each run


def test_lines_that_are_not_drawn_are_counted(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"20260101T000000Z-r-{n:06}", config={"cell.activation": f"name{n}"}, losses=[0.8, 0.1])
        for n in range(25)
    ]
    figure = made(curves(compare(runs)))
    assert [line.shown for line in figure.panels[0].lines] == [True] * 20 + [False] * 5
    with drawn(figure) as canvas:
        assert canvas.get_supxlabel() == "20 of 25 lines are drawn"


def test_lines_with_equal_values_and_bars_are_drawn_side_by_side(tmp_path: Path) -> None:
    figure = made(OF_COMPARISONS["success"](compare(swept(tmp_path))))
    with drawn(figure) as canvas:
        canvas.canvas.draw()
        carry, simple = (line for line in canvas.axes[0].lines if line.get_label() in {"carry", "simple"})
        places = [line.get_transform().transform((10, 1.0)) for line in (carry, simple)]
    assert places[1][0] - places[0][0] == pytest.approx(5 * 160 / 72)  # points of a picture with 160 dots per inch
    assert places[1][1] == places[0][1]


def test_gates_have_a_filled_panel_each() -> None:
    kept, gone = finding("a", 1.0), finding("b", 0.1)
    figure = made(figure_of("gates", {"kept": kept, "gone": gone}))
    (panel,) = figure.panels
    assert [(line.name, line.fill) for line in panel.lines] == [("kept", 0.0), ("gone", 0.0)]
    np.testing.assert_allclose(sum(panel.lines[0].y) / 2, 1)  # the shares, each twice in the stairs
    assert made(figure_of("gates", {"kept": kept})).panels[0].title.startswith("f: mean 0.60")
    assert figure.note == "best weights (step 10)"
    assert "last weights" in made(figure_of("gates", {"a": kept, "b": replace(gone, weights="last")})).note


def test_states_have_the_colours_of_their_targets_and_the_points_on_top() -> None:
    paths = np.zeros((3, 4, 2))
    points, unstable = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    one = Components(paths, np.array([0.9, 0.1]), ("X", "Y", "X"), points=points, unstable=unstable)
    (panel,) = diagnoses()["states"].panels({"a": {"layers.0.h": one}})
    ways = [line for line in panel.lines if line.dash == 0 and len(line.x)]
    assert ways[0].colour == ways[2].colour != ways[1].colour
    entries = [line.name for line in panel.lines if line.name]
    assert entries == ["target X", "target Y", "1 × stable point", "1 × saddle, 1 unstable direction"]
    numbers = replace(one, targets=np.array([0.0, 1.0, 0.5]))
    (panel,) = diagnoses()["states"].panels({"a": {"layers.0.h": numbers}})
    assert panel.scale is not None
    ways = [line.colour for line in panel.lines if line.dash == 0 and len(line.x)]
    assert ways == [panel.scale.colour(value) for value in (0, 1, 0.5)]


def test_a_forecast_is_shown_after_its_history() -> None:
    series = np.arange(10.0)[:, None]
    target, network = np.full((1, 1), 12.0), np.full((1, 1), 11.0)
    one = Sample(series, target, network, np.array([9]), "x", False, ("°C",), ("°C",), (0, 3))
    (panel,) = diagnoses()["sample"].panels({"a": one})
    history, *ends = panel.lines
    assert (list(history.x), list(history.y)) == (list(range(1, 11)), list(range(10)))
    assert [(line.x.tolist(), line.y.tolist()) for line in ends] == [([13], [12]), ([13], [11])]  # type: ignore[union-attr]
    assert panel.y.label == "°C, standard deviations from the mean"


def test_symbols_have_their_names() -> None:
    one = Sample(np.eye(3), np.eye(2)[:1], np.eye(2)[:1], np.array([2]), "x", True, "abc", ("yes", "no"))
    inputs, outputs = diagnoses()["sample"].panels({"a": one})
    assert (tuple(inputs.y.tick_labels), tuple(outputs.x.tick_labels)) == (("a", "b", "c"), ("yes", "no"))


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
    """Nothing reads it, so that there is no gradient; that is not to look as if it had vanished."""
    run = make_run(tmp_path)
    with run.metrics_writer(run.read_status().id) as writer:
        for step in (300, 400):
            shares = {"gradient/layers.0.h": [1.0, 0.1, 0.0], "gradient/layers.0.c": [None, 1.0, 0.1]}
            writer.write({"step": step, "sequences": 0, "seconds": 9.0, "gradient/lags": [0, 1, 2], **shares})
    h, c = diagnoses()["gradient-history"].panels({"a": recorded_gradient(Run(run))})
    assert (h.title, c.title) == ("a: h", "a: c")
    assert h.heat is not None
    assert c.heat is not None
    np.testing.assert_allclose(h.heat.values[0], [0, -1, -12])
    np.testing.assert_allclose(c.heat.values, [[np.nan, 0, -1]] * 2)
    assert (h.heat.limits, c.heat.limits) == ((-12, 0), (-1, 0))  # those of the values
    assert picture(Figure("x", "x", "x", [h, c]), "png").startswith(b"\x89PNG")
