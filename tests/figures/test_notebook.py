"""What a notebook shows: text from files is text and no markup, the curves are a picture, no error escapes."""

import base64
import re
from pathlib import Path

import pytest

import rnnlab
from rnnlab.core.errors import EnvironmentFault
from tests.comparison.runs_by_hand import SOLVED, make_run
from tests.small import Fit


def test_a_run_shows_its_facts_and_its_curve(fit: Fit) -> None:
    run = fit()
    pytest.importorskip("matplotlib", reason="needs the extra `plots`")
    shown = run._repr_html_()
    assert f"<td>loss</td><td>{run.summary.loss:.4g}</td>" in shown
    (data,) = re.findall(r'src="data:image/png;base64,([\w+/=]*)"', shown)
    assert base64.b64decode(data).startswith(b"\x89PNG\r\n")
    assert repr(run) == f"<Run {run.name!r}: completed, 5 steps, loss={run.summary.loss:.4g}>"


def test_text_is_no_markup(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20260101T000000Z-carry-aaaaaa", summary={**SOLVED, "task": "<script>alert(1)</script>"})
    shown = rnnlab.open_run(run.path)._repr_html_()
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in shown
    assert "<td>loss</td><td>0.08</td>" in shown
    assert "<script" not in shown


def test_without_matplotlib_there_are_tables(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> bytes:
        raise EnvironmentFault("figures need the package matplotlib")

    one, other = fit(), fit("seed=1", "cell.units=3")
    monkeypatch.setattr("rnnlab.figures.notebook.picture", missing)
    for shown in (one._repr_html_(), rnnlab.compare([one, other])._repr_html_()):
        assert "<img" not in shown
        assert f"{one.summary.loss:.4g}" in shown


def test_a_comparison_shows_its_tables_and_its_conclusion(fit: Fit) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `plots`")
    found = rnnlab.compare([fit(), fit("cell.units=3")])
    shown = found._repr_html_()
    assert shown.count("<img") == 1
    assert shown.count("<table>") == len(found.tables())
    assert repr(found) == "<Comparison of 2 runs by validation/loss>"


def test_no_error_escapes(fit: Fit) -> None:
    run = fit()
    (run.path / "summary.json").write_text("{")
    (run.path / "status.json").write_text("{")
    damaged = rnnlab.Run(run.folder)
    assert repr(damaged) == f"<Run {run.name!r}: cannot be read>"
    assert "cannot be read" in damaged._repr_html_()
