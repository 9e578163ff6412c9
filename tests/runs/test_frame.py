from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault
from rnnlab.runs.columns import table
from tests.comparison.runs_by_hand import SOLVED, UNSOLVED, make_run


def test_a_row_a_run(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs the extra `data`")
    make_run(
        tmp_path, "20260101T000000Z-carry-aaaaaa", summary={**SOLVED, "metrics": {"loss": 0.08, "error_rate": 0.5}}
    )
    make_run(
        tmp_path,
        "20260101T000001Z-simple-bbbbbb",
        config={"cell.type": "simple", "cell.forget_bias": None},
        summary=UNSOLVED,
    )
    frame = table(tmp_path)
    assert isinstance(frame, pandas.DataFrame)
    assert frame["name"].tolist() == ["carry", "simple"]
    assert frame["solved"].tolist() == [True, False]
    assert frame["config.cell.type"].tolist() == ["carry", "simple"]
    assert frame["config.cell.forget_bias"].isna().tolist() == [False, True]
    assert frame["metrics.error_rate"].tolist() == [0.5, 0.04]
    assert frame.loc[0, "config.training.optimizer.learning_rate"] == 0.01


def test_of_a_sweep_by_path_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas", reason="needs the extra `data`")
    (tmp_path / "tiny" / "trials").mkdir(parents=True)
    (tmp_path / "tiny" / "plan.json").write_text("{}")
    make_run(tmp_path / "tiny" / "trials", "0001-seed0", summary=SOLVED)
    monkeypatch.setenv("RNNLAB_RUNS", str(tmp_path))
    for given in ("tiny", tmp_path / "tiny", tmp_path / "tiny" / "trials"):
        assert table(given)["run"].tolist() == ["0001-seed0"]


def test_neither_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.runs.columns.is_installed", lambda _: False)
    with pytest.raises(EnvironmentFault, match=r"pip install 'rnnlab\[data\]'"):
        table(tmp_path)
