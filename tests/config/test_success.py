"""A success rule of a config: what it may say, and that it takes the place of the task's own."""

from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import ConfigError
from rnnlab.tasks.base import Streak, SuccessRule, Threshold
from rnnlab.training.resources import checkpoint_bytes


def load(tmp_path: Path, success: str = "null", task: str = "temporal_order") -> Experiment:
    path = tmp_path / "config.yaml"
    path.write_text(f"task: {task}\nshape: {{timesteps: 9}}\ntraining: {{success: {success}}}\n")
    return load_experiment(path).experiment


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("{last: 2000, wrong: 12, loss_below: 0.01}", Streak(2000, 12, 0.01)),
        ("{last: 7}", Streak(7)),
        ("{validation: {error_rate: 0, loss: 0.5}}", Threshold({"error_rate": 0.0, "loss": 0.5})),
    ],
)
def test_it_replaces_the_rule_of_the_task(tmp_path: Path, given: str, rule: SuccessRule) -> None:
    own, experiment = load(tmp_path), load(tmp_path, given)
    assert experiment.build_task().rule((9, 9)) == rule
    assert experiment.build_task().part("test").rule((9, 9)) == rule
    assert own.build_task().rule((9, 9)) == own.build_task().solved == Streak(2000, 0, 0.1)
    assert experiment.sha256() != own.sha256()
    again = tmp_path / "again.yaml"
    again.write_text(dump_yaml(experiment.resolved()))
    assert load_experiment(again).experiment.sha256() == experiment.sha256()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("{}", "expected either `last`, a number of training sequences, or `validation`"),
        ("{wrong: 3}", "expected either `last`"),
        ("{last: 9, validation: {loss: 1}}", "expected either `last`"),
        ("{validation: {loss: 1}, wrong: 2}", "expected `wrong` and `loss_below` with `last` only"),
        ("{last: 9, wrong: 9}", "expected `wrong` to be less than `last`"),
        ("{validation: {eror_rate: 0}}", "temporal_order@hs1997 has no metric 'eror_rate' — did you mean 'error_rate'"),
        ("{validation: {zebra: 0}}", "has no metric 'zebra' — known: error_rate, largest_error, loss"),
        ("{validation: {accuracy: 0.9}}", "'accuracy' a higher value is better.*known: loss, error_rate"),
        ("{last: 0}", "training.success.last: got 0, expected at least 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, given: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path, given)


def test_wrong_sequences_need_a_criterion(tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "import numpy as np\n"
        "from rnnlab.tasks.base import AbstractTask, Batch, Reference, always, draw_lengths, last_step_mask\n"
        "class Own(AbstractTask):\n"
        "    input_features = output_features = 1\n"
        "    default_timesteps = (9, 9)\n"
        "    loss = 'mse'\n"
        "    def sample(self, rng, *, batch_size, timesteps):\n"
        "        lengths = draw_lengths(rng, batch_size, timesteps)\n"
        "        inputs = rng.normal(size=(batch_size, timesteps[1], 1))\n"
        "        return Batch(inputs, inputs[:, 0], last_step_mask(lengths, timesteps[1]), lengths)\n"
        "    def references(self, timesteps):\n"
        "        return (Reference('memoryless: 0', 1.0, always(0.0)),)\n"
    )
    with pytest.raises(ConfigError, match="does not judge sequences — bound a metric"):
        load(tmp_path, "{last: 9}", task="./own.py:Own")
    load(tmp_path, "{validation: {loss: 0.1}}", task="./own.py:Own")


def test_a_checkpoint_has_room_for_its_window(tmp_path: Path) -> None:
    small, large = (checkpoint_bytes(load(tmp_path, f"{{last: {last}}}")) for last in (1000, 101_000))
    assert large - small == 100_000 * 9  # whether each is right, and a loss
