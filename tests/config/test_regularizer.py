"""What a regularizer, and lengths drawn per batch, need of the rest of a config."""

from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.core.errors import ConfigError


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("backend: keras", "training.gradient_regularizer: is not supported by backend keras"),
        ("cell: lstm", "training.gradient_regularizer: is not supported by cell lstm"),
        ("numpy: {shards: 2}", "training.gradient_regularizer: is not supported with 2 shards"),
    ],
)
def test_a_regularizer_is_for_the_simple_cell_on_numpy(tmp_path: Path, more: str, problem: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        f"task: parity\ncell: simple\ntraining: {{gradient_regularizer: 4}}\n{more}\n".replace(
            "cell: simple\n", "" if "cell" in more else "cell: simple\n"
        )
    )
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert problem in str(caught.value)
    path.write_text("task: parity\ncell: simple\ntraining: {gradient_regularizer: 4}\n")
    assert load_experiment(path).experiment.recipe().gradient_regularizer == 4


def test_each_length_of_a_batch_must_suit_the_task(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("task: modular_arithmetic@deletang2023\nshape: {lengths: per_batch}\n")
    with pytest.raises(ConfigError, match="needs an even number of steps"):
        load_experiment(path)
    path.write_text("task: temporal_order@pascanu2013\nshape: {lengths: per_batch}\n")
    assert load_experiment(path).experiment.shape.lengths == "per_batch"
