"""Errors of a config: each has its place, what was given, what was expected, and a hint."""

import re
from pathlib import Path

import pytest

from rnnlab.cells import CELLS
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import ConfigError


def errors(folder: Path, text: str) -> list[str]:
    """Return all errors of a config, each without its folder."""
    config = folder / "x.yaml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(config)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


# The second line of a config, and below it the only error.
ERRORS = """
# An unknown key names the nearest, or the types that have it.
taks: 3
    2:1 taks: unknown key 'taks' — did you mean 'task'?
cell: {unit: 3}
    2:8 cell.unit: unknown key 'unit' — did you mean 'units'?
cell: {initializers: {kernal: zeros}}
    2:23 cell.initializers.kernal: unknown key 'kernal' — did you mean 'kernel'?
cell: {initializers: {kernel: {type: normal, scal: 1}}}
    2:46 cell.initializers.kernel.scal: unknown key 'scal' — did you mean 'scale'?
training: {optimizer: {type: sgd, learning_rat: 1}}
    2:35 training.optimizer.learning_rat: unknown key 'learning_rat' — did you mean 'learning_rate'?
training: {stop_on_plateau: {evaluations: 1, evaluaton: 3}}
    2:46 training.stop_on_plateau.evaluaton: unknown key 'evaluaton' — did you mean 'evaluations'?
training: {checkpoint: {type: 3}}
    2:25 training.checkpoint.type: unknown key 'type' — known: every_seconds, every_steps
cell: {type: simple, recurrent_activation: tanh}
    2:22 cell.recurrent_activation: unknown key 'recurrent_activation' — an option of GATED, not of simple
training: {schedule: {type: constant, decay_rate: 0.5}}
    2:39 training.schedule.decay_rate: unknown key 'decay_rate' — an option of exponential, step, not of constant
# A wrong type names what was given and what was expected.
cell: {units: true}
    2:15 cell.units: got true, expected an integer
cell: {units: '12'}
    2:15 cell.units: got '12', expected an integer
cell: {units: 3.5}
    2:15 cell.units: got 3.5, expected an integer
cell: {units: null}
    2:15 cell.units: got null, expected an integer
cell: {initializers: 3}
    2:22 cell.initializers: got 3, expected a mapping
cell: null
    2:7 cell: got null, expected a name or a mapping with `type`
cell: {type: null}
    2:14 cell.type: got null, expected one of CELLS
shape: [3]
    2:8 shape: got [3], expected a mapping
training: null
    2:11 training: got null, expected a mapping
training: {stop_when_solved: yes}
    2:30 training.stop_when_solved: got 'yes', expected true or false
training: {optimizer: {type: adam, learning_rate: '1e-3'}}
    2:51 training.optimizer.learning_rate: got '1e-3', expected a number
training: {optimizer: {type: 3}}
    2:30 training.optimizer.type: got 3, expected one of adam, adamw, rmsprop, sgd
precision: float16
    2:12 precision: got 'float16', expected one of float32 or float64
# A number out of bounds names the bound.
seed: -1
    2:7 seed: got -1, expected at least 0
seed: 4294967296
    2:7 seed: got 4294967296, expected at most 4,294,967,295
cell: {units: 0}
    2:15 cell.units: got 0, expected at least 1
cell: {type: carry, forget_bias: 1e300}
    2:34 cell.forget_bias: got 1e+300, expected at most 100.0
training: {batch_size: 1048577}
    2:24 training.batch_size: got 1048577, expected at most 1,048,576
training: {clip_norm: 0}
    2:23 training.clip_norm: got 0, expected more than 0.0
training: {optimizer: {type: sgd, momentum: 1}}
    2:45 training.optimizer.momentum: got 1, expected less than 1.0
shape: {timesteps: 0}
    2:20 shape.timesteps: got 0, expected 1 <= shortest <= longest <= 10,000,000
shape: {timesteps: [100, 50]}
    2:20 shape.timesteps: got [100, 50], expected 1 <= shortest <= longest <= 10,000,000
shape: {timesteps: [1, 2, 3]}
    2:20 shape.timesteps: got [1, 2, 3], expected a number of steps, or a list of two: [shortest, longest]
shape: {timesteps: true}
    2:20 shape.timesteps: got true, expected a number of steps, or a list of two: [shortest, longest]
# An unknown or incomplete member has a hint.
cell: carri
    2:7 cell: unknown cell 'carri' — did you mean 'carry'?
cell: {type: elman}
    2:14 cell.type: unknown cell 'elman' — known: CELLS
cell: {activation: tahn}
    2:20 cell.activation: unknown activation 'tahn' — did you mean 'tanh'?
cell: {initializers: {kernel: glorot}}
    2:31 cell.initializers.kernel: unknown type 'glorot' — did you mean 'glorot_uniform'?
cell: {initializers: {kernel: {scale: 1}}}
    2:31 cell.initializers.kernel: got a mapping without `type`, expected one of \
glorot_uniform, identity, normal, orthogonal, sparse, uniform, uniform_between, zeros
training: {optimizer: adma}
    2:23 training.optimizer: unknown optimizer 'adma' — did you mean 'adam'?
training: {schedule: {type: step}}
    2:12 training.schedule.decay_steps: is required, but missing — add `decay_steps:`
"""


@pytest.mark.parametrize("case", re.findall(r"^(\w.*)\n {4}(.*)$", ERRORS, re.MULTILINE), ids=lambda case: case[0])
def test_an_error_names_its_place_the_value_and_what_was_expected(tmp_path: Path, case: tuple[str, str]) -> None:
    block, expected = case
    cells = CELLS.members().items()
    gated = [name for name, kind in cells if "recurrent_activation" in kind.Options.model_fields]
    expected = expected.replace("CELLS", ", ".join(CELLS.names())).replace("GATED", ", ".join(gated))
    assert errors(tmp_path, f"task: adding\n{block}\n") == [f"x.yaml:{expected}"]


def test_a_value_that_fits_no_branch_of_a_union_is_one_error(tmp_path: Path) -> None:
    expected = "x.yaml:1:32 task.target: got true, expected an integer or text"
    assert errors(tmp_path, "task: {type: forecast, target: true}\n") == [expected]
    expected = "x.yaml:1:32 task.ignore: got 3, expected a list"
    assert errors(tmp_path, "task: {type: forecast, ignore: 3}\n") == [expected]


def test_all_errors_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = (
        "sed: 3\ntraining:\n  optimizer: adma\n  steps: -5\ncell:\n  layrs: 2\n  units: true\ntask: addin\nname: ../x\n"
    )
    assert errors(tmp_path, text) == [
        "x.yaml:1:1 sed: unknown key 'sed' — did you mean 'seed'?",
        "x.yaml:3:14 training.optimizer: unknown optimizer 'adma' — did you mean 'adam'?",
        "x.yaml:4:10 training.steps: got -5, expected at least 1",
        "x.yaml:6:3 cell.layrs: unknown key 'layrs' — did you mean 'layers'?",
        "x.yaml:7:10 cell.units: got true, expected an integer",
        "x.yaml:8:7 task: unknown task 'addin' — did you mean 'adding'?",
        "x.yaml:9:7 name: invalid run name '../x': it starts with '.' — use 1 to 60 of A-Z a-z 0-9 . _ -",
    ]


def test_beyond_twenty_errors_the_rest_is_counted(tmp_path: Path) -> None:
    found = errors(tmp_path, "task: adding\n" + "".join(f"zz{n}: 1\n" for n in range(25)))
    assert len(found) == 21
    assert found[-1] == "5 more errors — correct these first"
