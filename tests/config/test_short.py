"""Texts that are short for a mapping: keys may be set beside what they give."""

from pathlib import Path
from typing import Any

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.config.reading import read_document

BASE = "task: adding\ncell: carry\n"


def resolved(tmp_path: Path, text: str, *overrides: str) -> dict[str, Any]:
    (tmp_path / "x.yaml").write_text(text)
    return load_experiment(tmp_path / "x.yaml", overrides).experiment.resolved()


@pytest.mark.parametrize(
    "overrides",
    [["cell=simple", "cell.units=9"], ["cell.units=9", "cell.type=simple"], ["cell={type: simple}", "cell.units=9"]],
    ids=str,
)
def test_a_key_beside_a_short_cell(tmp_path: Path, overrides: list[str]) -> None:
    cell = resolved(tmp_path, BASE, *overrides)["cell"]
    assert (cell["type"], cell["units"]) == ("simple", 9)


def test_every_other_short_text(tmp_path: Path) -> None:
    found = resolved(
        tmp_path,
        BASE + "training: {optimizer: sgd, schedule: {type: step, decay_steps: 3}}\n",
        "cell.units=9",
        "cell.initializers.kernel=uniform",
        "cell.initializers.kernel.scale=0.25",
        "training.optimizer.momentum=0.5",
        "training.schedule=exponential",
        "training.schedule.decay_steps=7",
    )
    assert (found["cell"]["type"], found["cell"]["units"]) == ("carry", 9)
    assert found["cell"]["initializers"]["kernel"] == {"type": "uniform", "scale": 0.25}
    assert (found["training"]["optimizer"]["type"], found["training"]["optimizer"]["momentum"]) == ("sgd", 0.5)
    assert (found["training"]["schedule"]["type"], found["training"]["schedule"]["decay_steps"]) == ("exponential", 7)


def test_a_mapping_over_a_short_text_of_the_base_keeps_it(tmp_path: Path) -> None:
    """Otherwise the cell would become the default one, in silence."""
    (tmp_path / "base.yaml").write_text(BASE)
    found = resolved(tmp_path, "extends: base.yaml\ncell: {units: 9}\n")["cell"]
    assert (found["type"], found["units"]) == ("carry", 9)
    (tmp_path / "base.yaml").write_text("task: adding\ncell: {type: carry, units: 5}\n")
    assert resolved(tmp_path, "extends: base.yaml\ncell: simple\n")["cell"]["units"] == 32  # it replaces all


def test_short_texts_in_the_section_of_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("task: adding\nsweep: {seeds: 2, metric: metrics.error_rate}\n")
    document = read_document(tmp_path / "s.yaml", ["sweep.metric.goal=maximize"])
    assert document.data["sweep"]["metric"] == {"name": "metrics.error_rate", "goal": "maximize"}


def test_other_texts_have_no_keys(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\ntask: adding\n")
    (error,) = read_document(tmp_path / "x.yaml", ["name.first=y"]).errors
    assert "name is text" in str(error)
    assert "not a mapping" in str(error)
