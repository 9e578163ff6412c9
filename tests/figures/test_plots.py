"""Pictures by what is in them: the numbers on their axes, the words, and the same bytes each time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.comparison import Comparison, compare
from rnnlab.figures import ENDINGS, KINDS, draw, image
from rnnlab.figures.curves import draw_curves
from rnnlab.figures.flow import draw_flow
from rnnlab.figures.inside import draw_gradient, draw_lengths, draw_spectrum
from rnnlab.figures.kinds import Content
from rnnlab.figures.sample import draw_sample
from rnnlab.inspection.sample import Sample
from tests.comparison.runs_by_hand import UNSOLVED, make_run
from tests.reports.test_page import finding

pytest.importorskip("matplotlib", reason="needs the extra `plots`")
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def axes_of(fill: Any) -> Any:
    kept = []

    def filled(figure: Any) -> None:
        fill(figure)
        kept.append(figure)

    image("png", filled)
    return kept[0].axes[0]


def lines(axes: Any) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.get_lines() if not str(line.get_label()).startswith("_")}


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
    axes = axes_of(lambda figure: draw_curves(figure, two))
    drawn = lines(axes)
    solved = drawn["carry, solved at 200"]
    np.testing.assert_allclose(solved.get_xydata(), [[0, 0.8], [100, 0.04], [200, 0.01]])
    upright = [line for line in axes.get_lines() if list(line.get_xdata()) == [200, 200]]
    assert [line.get_color() for line in upright] == [solved.get_color()]
    assert list(drawn["baseline 0.16"].get_ydata()) == [0.16, 0.16]
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "training step")
    assert axes.get_ylabel() == "validation loss: mean squared error"
    assert [text.get_text() for text in axes.texts] == ["remembers the second number"]
    references = sorted(line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "-.")
    assert references == pytest.approx([1 / 12])  # Arjovsky et al. 2016: half of the variance of a sum of two
    over = axes_of(lambda figure: draw_curves(figure, two, "sequences"))
    assert list(lines(over)["simple"].get_xdata()) == [0, 1000, 2000]


def test_seeds_are_a_line_with_a_band(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"20260101T000000Z-carry-00000{n}", config={"seed": n}, losses=[0.8, 0.1 * (n + 1)])
        for n in range(3)
    ]
    axes = axes_of(lambda figure: draw_curves(figure, compare(runs)))
    np.testing.assert_allclose(lines(axes)["carry (3 of 3 seeds solved)"].get_ydata(), [0.8, 0.2])
    (band,) = axes.collections
    edges = band.get_paths()[0].vertices
    assert (edges[:, 1].min(), edges[:, 1].max()) == (pytest.approx(0.1), pytest.approx(0.8))


def test_the_gradient_is_a_share_on_a_log_axis() -> None:
    axes = axes_of(lambda figure: draw_gradient(figure, {"kept": finding("a", 1.0), "gone": finding("b", 0.1)}))
    drawn = lines(axes)
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(drawn["kept: h"].get_ydata(), 1)
    np.testing.assert_allclose(drawn["gone: h"].get_ydata()[:3], [1, 0.1, 0.01])
    assert drawn["gone: h"].get_ydata().min() == 1e-12


def test_eigenvalues_and_lengths() -> None:
    spectrum = lines(axes_of(lambda figure: draw_spectrum(figure, {"a": finding("a", 1.0)})))
    np.testing.assert_allclose(spectrum["a: U, radius 0.50"].get_xydata(), [[0.5, 0], [-0.25, 0]])
    np.testing.assert_allclose(np.linalg.norm(spectrum["unit circle"].get_xydata(), axis=1), 1)
    axes = axes_of(lambda figure: draw_lengths(figure, {"a": finding("a", 1.0)}))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "100"]


def content(comparison: Comparison) -> Content:
    steps = np.arange(6)
    sample = Sample(np.eye(6)[:, :2], np.sin(steps)[:, None], np.cos(steps)[:, None], steps, "adding", False)
    return Content(comparison, {"a": finding("a", 0.5)}, {"a": sample})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"states", "flow"}])
def test_the_same_content_is_the_same_file(two: Comparison, kind: str) -> None:
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for ending in ENDINGS if kind == "curves" else ("png",):
        data = draw(kind, ending, content(two))
        assert data.startswith(starts[ending])
        assert data == draw(kind, ending, content(two))


def test_names_are_words_and_no_more(tmp_path: Path) -> None:
    evil = [r"$\frac{1}{0}$ _x", "<script>alert(1)</script>", "_hidden", "$"]
    runs = [
        make_run(tmp_path, f"20260101T000000Z-r-00000{n}", config={"cell.note": note}) for n, note in enumerate(evil)
    ]
    comparison = compare(runs)
    axes = axes_of(lambda figure: draw_curves(figure, comparison))
    assert len(axes.get_legend().get_texts()) == 5
    findings = {name: finding(name, 0.5) for name in evil}
    legend = axes_of(lambda figure: draw_gradient(figure, findings)).get_legend()
    assert next(text.get_text() for text in legend.get_texts()) == r"\$\frac{1}{0}\$ _x: h"
    assert b"<script" not in draw("gradient", "svg", Content(comparison, findings, {}))


@pytest.mark.parametrize("shape", [(3, 1), (3, 9)])
@pytest.mark.parametrize("are_classes", [False, True])
@pytest.mark.parametrize("scored", [1, 3])
def test_samples_of_every_form(two: Comparison, shape: tuple[int, int], are_classes: bool, scored: int) -> None:
    targets = np.full((scored, shape[1]), 0.5)
    sample = Sample(np.ones(shape), targets, targets, np.arange(3)[-scored:], "x", are_classes)
    assert draw("sample", "png", Content(two, {}, {"a": sample})).startswith(b"\x89PNG")


def test_a_single_answer_leaves_room_for_the_legend(two: Comparison) -> None:
    """Of one output the two bars fill a part of the width alone, and no legend lies on them."""
    sample = Sample(np.ones((3, 1)), np.ones((1, 1)), np.ones((1, 1)), np.array([2]), "x", False)
    kept = []
    image("png", lambda figure: (draw_sample(figure, {"a": sample}), kept.append(figure)))
    below = kept[0].axes[1]
    low, high = below.get_xlim()
    assert (high - low) > 3 * 0.8
    legend, bars = below.get_legend().get_window_extent(), [bar.get_window_extent() for bar in below.patches]
    assert not any(legend.overlaps(bar) for bar in bars)


def test_the_last_carry_is_left_out_of_the_map(tmp_path: Path) -> None:
    """Nothing reads it, so that its gradient is 0; that is not to look as if it had vanished."""
    run = make_run(tmp_path)
    with run.metrics_writer() as writer:
        for step in (300, 400):
            norms = {"gradient_flow/layers.0.h": [1.0, 0.1, 0.0], "gradient_flow/layers.0.c": [0.0, 2.0, 0.2]}
            writer.write({"step": step, "gradient_flow/lags": [0, 1, 2], **norms})
    kept = []
    image("png", lambda figure: (draw_flow(figure, compare([run])), kept.append(figure)))
    h, c = kept[0].axes[:2]
    assert [h.get_title(loc="left"), c.get_title(loc="left")] == ["h", "c"]
    np.testing.assert_allclose(h.collections[0].get_array()[0], [0, -1, -12])
    drawn = np.ma.masked_invalid(c.collections[0].get_array())
    assert drawn.mask.tolist() == [[True, False, False]] * 2
    np.testing.assert_allclose(drawn[0, 1:], [0, -1])
