from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.tasks import task_names

FULL = """\
task: parity
name: full
seed: 7
precision: float64
cell: {type: carry, units: 5, layers: 2, activation: relu, recurrent_activation: hard_sigmoid, forget_bias: 2.0,
  initializers: {kernel: {type: normal, scale: 0.1}, recurrent_kernel: identity, bias: {type: uniform, scale: 0.3}}}
shape: {timesteps: [4, 9]}
training:
  steps: 30
  batch_size: 3
  clip_norm: 1.5
  clip_value: 0.5
  bptt_steps: 3
  evaluate_every: 10
  stop_when_solved: false
  stop_on_plateau: {evaluations: 4, min_improvement: 0.001}
  optimizer: {type: sgd, learning_rate: 0.25, momentum: 0.5, nesterov: true}
  schedule: {type: step, decay_steps: 4, warmup_steps: 2}
evaluation: {sequences: 11}
"""


def load(folder: Path, text: str, name: str = "x") -> Experiment:
    config = folder / f"{name}.yaml"
    config.write_text(text, encoding="utf-8")
    return load_experiment(config).experiment


@pytest.mark.parametrize("text", [FULL, *(f"task: {name}\n" for name in task_names())])
def test_the_resolved_config_is_the_same_experiment(tmp_path: Path, text: str) -> None:
    given = load(tmp_path, text)
    again = load(tmp_path, dump_yaml(given.resolved()), name="other-file")
    assert again == given
    assert again.sha256() == given.sha256()


def test_the_resolved_config_leaves_nothing_out(tmp_path: Path) -> None:
    resolved = load(tmp_path, FULL).resolved()
    assert list(resolved) == [
        "name", "seed", "precision", "backend", "numpy", "cell", "output", "shape", "task",
        "training", "evaluation", "logging",
    ]  # fmt: skip
    assert (resolved["shape"]["timesteps"], resolved["shape"]["return_sequences"]) == ([4, 9], False)
    assert resolved["training"]["optimizer"] == {
        "type": "sgd", "learning_rate": 0.25, "momentum": 0.5, "nesterov": True,
    }  # fmt: skip
    assert resolved["training"]["stop_on_plateau"] == {"evaluations": 4, "min_improvement": 0.001}
    assert resolved["cell"]["initializers"]["recurrent_kernel"] == {"type": "identity", "scale": 1.0}


@pytest.mark.parametrize(
    "same",
    [
        "cell: simple\ntask: {type: adding}\nname: y\n",
        "task: adding@urnn\ntraining: {steps: 1000, optimizer: {type: adam}}\n",
        "task: adding\nshape: {timesteps: [100, 100], input_features: 2}\n",
        "task: adding\ntraining: {checkpoint: {every_steps: 7, every_seconds: null}, max_seconds: 60}\n",
        "task: adding\ntraining: {recompute: sqrt}\n",
        "# a remark\ntask: adding\ntraining: {optimizer: {learning_rate: 1e-3}}\n",
    ],
)
def test_equal_experiments_have_one_hash_however_written(tmp_path: Path, same: str) -> None:
    assert load(tmp_path, same).sha256() == load(tmp_path, "task: adding\n").sha256()


@pytest.mark.parametrize(
    "other",
    [
        "seed: 1",
        "numpy: {shards: 3}",
        "training: {clip_norm: 1}",
        "cell: {activation: relu}",
        "output: {bias: false}",
        "training: {success: {last: 9}}",
        "shape: {timesteps: 99}",
    ],
)
def test_any_difference_changes_the_hash(tmp_path: Path, other: str) -> None:
    assert load(tmp_path, f"task: adding\n{other}\n").sha256() != load(tmp_path, "task: adding\n").sha256()


def test_the_hash_is_that_of_the_canonical_json(tmp_path: Path) -> None:
    import hashlib
    import json

    resolved = load(tmp_path, FULL).resolved()
    del resolved["logging"], resolved["name"]
    for name in ("checkpoint", "max_seconds", "recompute"):
        del resolved["training"][name]
    off = ("loss", "stream_steps", "streams", "gradient_regularizer", "success", "record")
    for block, names in {"numpy": ("shards", "lanes"), "training": off}.items():
        assert {resolved[block].pop(name) for name in names} == {None}
    text = json.dumps(resolved, sort_keys=True, separators=(",", ":"))
    assert load(tmp_path, FULL).sha256() == hashlib.sha256(text.encode()).hexdigest()


def test_the_recipe_and_the_network_carry_the_configs_numbers(tmp_path: Path) -> None:
    loaded = load(tmp_path, FULL)
    recipe, network = loaded.recipe(), loaded.network()
    assert (recipe.learning_rate, recipe.clip_norm, recipe.clip_value, recipe.bptt_steps) == (0.25, 1.5, 0.5, 3)
    assert [recipe.schedule.factor(step) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert (network.cell.name, network.precision, network.loss) == ("carry", "float64", loaded.build_task().loss)
    assert network.parameters()["layers.1.Uo"].shape == (5, 5)


def test_the_loss_of_the_classics(tmp_path: Path) -> None:
    """It is the squared error of sigmoids for any targets, and part of what the network computes."""
    experiment = load(tmp_path, "task: adding@hs1997\ntraining: {loss: sigmoid_mse}\n")
    assert (experiment.network().loss, experiment.build_task().loss) == ("sigmoid_mse", "sigmoid_mse")
    assert experiment.network().describe()["loss"] == "sigmoid_mse"
    assert load(tmp_path, "task: adding@hs1997\n").network().loss == "mse"
    for task, loss in (("parity", "sigmoid_mse_bits"), ("temporal_order", "sigmoid_mse_classes")):
        experiment = load(tmp_path, f"task: {task}\ntraining: {{loss: sigmoid_mse}}\n")
        assert (experiment.network().loss, experiment.build_task().loss) == (loss, loss)
        experiment = load(tmp_path, f"task: {task}\ntraining: {{loss: sigmoid_cross_entropy}}\n")
        assert experiment.network().loss == loss.replace("mse", "cross_entropy")
