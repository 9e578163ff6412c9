import os
import re
from pathlib import Path
from typing import Any

import pytest

from rnnlab.cells.carry import CarryOptions
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import ConfigError
from tests.small import needs_pandas


def load(folder: Path, text: str, *overrides: str, name: str = "x.yaml") -> Experiment:
    config = folder / name
    config.write_text(text, encoding="utf-8")
    return load_experiment(config, overrides).experiment


def errors(folder: Path, text: str, *overrides: str, name: str = "x.yaml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides, name=name)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_a_task_alone_is_a_config(tmp_path: Path) -> None:
    loaded = load(tmp_path, "task: adding\n", name="first-try.yaml")
    assert (loaded.name, loaded.seed, loaded.precision, loaded.backend) == ("first-try", 0, "float32", "numpy")
    assert (loaded.cell.type, loaded.cell.units, loaded.cell.layers) == ("simple", 32, 1)
    assert (loaded.task.type, loaded.timesteps) == ("adding@urnn", (100, 100))
    assert (loaded.training.optimizer.type, loaded.training.optimizer.learning_rate, loaded.training.schedule.type) == (
        "adam",
        0.001,
        "constant",
    )
    assert (loaded.training.steps, loaded.training.batch_size, loaded.evaluation.sequences) == (1000, 32, 1000)


@pytest.mark.parametrize(
    ("block", "field", "value"),
    [
        ("shape: {timesteps: 7}", "timesteps", (7, 7)),
        ("shape: {timesteps: [50, 100]}", "timesteps", (50, 100)),
        ("shape: {timesteps: null}", "timesteps", (100, 100)),
        ("shape: {input_features: 2, output_features: 1, return_sequences: false}", "timesteps", (100, 100)),
        ("name: no", "name", "no"),
        ("training: {optimizer: {learning_rate: 1}}", "training.optimizer.learning_rate", 1.0),
        ("training: {optimizer: {learning_rate: 1}}", "training.optimizer.type", "adam"),
        ("training: {schedule: {warmup_steps: 5}}", "training.schedule.type", "constant"),
        ("cell: {units: 3}", "cell.type", "simple"),
        ("cell: carry", "cell", CarryOptions()),
        ("cell: {initializers: {kernel: zeros}}", "cell.initializers.kernel.type", "zeros"),
        ("seed: 4294967295", "seed", 4294967295),
        ("task: {type: adding}", "task.type", "adding@urnn"),
        ("task: adding@hs1997", "task.type", "adding@hs1997"),
    ],
)
def test_what_a_block_means(tmp_path: Path, block: str, field: str, value: Any) -> None:
    loaded: Any = load(tmp_path, block if block.startswith("task") else f"task: adding\n{block}\n")
    for part in field.split("."):
        loaded = getattr(loaded, part)
    assert loaded == value
    assert type(loaded) is type(value)


# Lines of a config, and the only error.
ERRORS = """
name: a
    1:1 task: is required, but missing — add, for example, `task: adding`; `rnnlab tasks` lists them
task: addding
    1:7 task: unknown task 'addding' — did you mean 'adding'?
task: adding@urn
    1:7 task: unknown definition 'adding@urn' — did you mean 'adding@urnn'?
task: {type: ../adding}
    1:14 task.type: unknown task '../adding' — did you mean 'adding'?
task: {type: adding, foo: 3}
    1:22 task.foo: unknown key 'foo' — known: type
task: null
    1:7 task: got null, expected a name or a mapping with `type`
task: {type: forecast, target: 4}
    1:7 task: the built-in weather predicts its column 0 from all — `target`, `ignore` need `csv`
task: adding; backend: jax
    2:10 backend: 'jax' is an engine of Keras, not a backend — write `backend: keras` and `engine: jax`
task: adding; backend: numpi
    2:10 backend: unknown backend 'numpi' — did you mean 'numpy'?
task: adding; shape: {input_features: 3}
    2:25 shape.input_features: got 3, but task adding@urnn has 2 — remove shape.input_features, or choose another task
task: adding; shape: {return_sequences: true}
    2:27 shape.return_sequences: got true, but task adding@urnn has false — remove shape.return_sequences, \
or choose another task
task: adding; training: {reset: never}
    2:19 training.reset: has no effect with update: sequence — add `update: step`
task: parity; training: {streams: 3}
    2:21 training.streams: has no effect with update: sequence — add `update: step`
task: continual_reber; cell: mingru; training: {update: step, batch_size: 1, reset: never, streams: 3}
    3:64 training.streams: is no limit, for with reset: never a stream never ends — \
set stream_steps, or reset: sequence, error or both
task: adding; cell: lstm; training: {update: step, batch_size: 1}
    3:20 training.update: the gradient of the cell lstm flows from step to step through Uo, not unit by unit — \
set training.bptt_steps: 1, which cuts the gradient to the step, or take a cell like lstm_1997
task: adding; cell: lstm_1997; training: {update: step, batch_size: 1}
    3:20 training.update: the gradient of the cell lstm_1997 flows from step to step through Uo, not unit by unit — \
set cell.truncate: true, or training.bptt_steps: 1, which cuts the gradient to the step
task: adding; cell: mingru; training: {update: step, batch_size: 2}
    3:38 training.batch_size: got 2, expected 1 with update: step, which is of one stream — set `batch_size: 1`
task: adding; cell: mingru; backend: keras; training: {update: step, batch_size: 1}
    4:20 training.update: got 'step', which backend keras does not support — set `backend: numpy`
task: adding; cell: mingru; training: {update: step, batch_size: 1}; numpy: {shards: 2}
    4:17 numpy.shards: has no effect with update: step — leave it out
task: adding; cell: mingru; training: {update: step, batch_size: 1}; shape: {lengths: per_batch}
    4:18 shape.lengths: has no effect with update: step — leave it out
task: adding; cell: mingru; training: {update: step, batch_size: 1, recompute: sqrt}
    3:52 training.recompute: has no effect with update: step — leave it out
task: adding; cell: mingru; training: {update: step, batch_size: 1, reset: never}
    3:48 training.reset: got 'never', but adding@urnn scores the last step of a sequence alone — \
leave it out, or take a task with `return_sequences`
task: parity; cell: mingru; training: {update: step, batch_size: 1, reset: error}
    3:48 training.reset: got 'error', but parity scores the last step of a sequence alone — \
leave it out, or take a task with `return_sequences`
task: flip_flop; cell: mingru; training: {update: step, batch_size: 1, reset: error}
    3:48 training.reset: got 'error', but flip_flop@sussillo2013 does not say when a step is wrong — \
set reset: never, or take a task with `tolerance`, not of classes
task: noise_free_lag@hs1997_2b; cell: mingru; training: {update: step, batch_size: 1, reset: error}
    3:48 training.reset: got 'error', but noise_free_lag@hs1997_2b does not say when a step is wrong — \
set reset: never, or take a task with `tolerance`, not of classes
"""


@pytest.mark.parametrize("case", re.findall(r"^(\w.*)\n {4}(.*)$", ERRORS, re.MULTILINE), ids=lambda case: case[0])
def test_blocks_that_do_not_fit(tmp_path: Path, case: tuple[str, str]) -> None:
    text, expected = case
    assert errors(tmp_path, text.replace("; ", "\n")) == [f"x.yaml:{expected}"]


def test_lengths_that_the_task_cannot_draw_are_an_error(tmp_path: Path) -> None:
    (only,) = errors(tmp_path, "task: temporal_order\nshape: {timesteps: [3, 90]}\n")
    assert only.startswith(
        "x.yaml:2:20 shape.timesteps: got [3, 90]: task temporal_order@hs1997 needs at least 5 steps"
    )


def test_a_name_that_no_run_can_have(tmp_path: Path) -> None:
    assert errors(tmp_path, "task: adding\nname: ../x\n") == [
        "x.yaml:2:7 name: invalid run name '../x': it starts with '.' — use 1 to 60 of A-Z a-z 0-9 . _ -"
    ]


def test_a_file_name_that_makes_no_run_name_asks_for_one(tmp_path: Path) -> None:
    (only,) = errors(tmp_path, "task: adding\n", name="my config.yaml")
    assert only == (
        "my config.yaml:1:1 name: missing, and the name of the file cannot be used: "
        "invalid run name 'my config': it contains ' ' — add `name:`"
    )


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (None, "", "no such file"),
        (b"", "", "the file is empty"),
        pytest.param(b"a,b\n1,2\n3,foo\n", ", target: a", "'foo' in column 1 (b) is not a number", marks=needs_pandas),
        (b"a,b\n1,\xff\n", "", "byte 6 is not UTF-8"),
        (b"a,b\n1,2\n2,3\n", ", target: zz", "no column named 'zz'"),
    ],
)
def test_a_csv_file_that_is_none(tmp_path: Path, content: bytes | None, options: str, expected: str) -> None:
    if content is not None:
        (tmp_path / "data.csv").write_bytes(content)
    (only,) = errors(tmp_path, f"task: {{type: forecast, csv: {tmp_path}/data.csv{options}}}\n")
    assert only.startswith(("x.yaml:1:7 task: data.csv", "x.yaml:1:29 task.csv: data.csv"))
    assert expected in only


@pytest.mark.parametrize("path", ["/dev/zero", ".", "pipe.csv"])
def test_a_csv_that_is_no_file_never_blocks(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (only,) = errors(tmp_path, f"task: {{type: forecast, csv: {path}}}\n")
    assert "is a folder, a pipe or a device, expected a regular file" in only


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.stepz=3", "--set training.stepz=3: unknown key 'stepz' — did you mean 'steps'?"),
        ("training.steps=abc", "--set training.steps=abc: got 'abc', expected an integer"),
        ("seed=1e3", "--set seed=1e3: got 1000.0, expected an integer"),
        ("cell=null", "--set cell=null: got null, expected a name or a mapping with `type`"),
        ("cell.type=carri", "--set cell.type=carri: unknown cell 'carri' — did you mean 'carry'?"),
        ("shape.timesteps=[9, 3]", "--set shape.timesteps=[9, 3]: got [9, 3], expected 1 <= shortest <= longest"),
        (
            "training.optimizer.learning_rate=nan",
            "--set training.optimizer.learning_rate=nan: got 'nan', expected a number",
        ),
    ],
)
def test_an_error_from_the_command_line_names_the_option(tmp_path: Path, override: str, expected: str) -> None:
    (only,) = errors(tmp_path, "task: adding\n", override)
    assert only.startswith(expected)


def test_a_type_changed_on_the_command_line_has_a_hint_on_the_keys_of_the_file(tmp_path: Path) -> None:
    text = "task: adding\ncell: {type: carry, units: 3, recurrent_activation: tanh}\n"
    (error,) = errors(tmp_path, text, "cell.type=simple")
    assert error.startswith("x.yaml:2:31 cell.recurrent_activation: unknown key 'recurrent_activation' — an option of")
    assert error.endswith("not of simple; --set cell=simple drops the keys in the file")
    assert load(tmp_path, text, "cell=simple").cell.type == "simple"
    (error,) = errors(tmp_path, "task: adding\n", "cell.type=simple", "cell.forget_bias=1")
    assert " — an option of carry, " in error
    assert error.endswith(", not of simple")


def test_errors_of_the_file_come_before_those_of_the_command_line(tmp_path: Path) -> None:
    found = errors(tmp_path, "task: adding\nname: 5\n", "seed=-1")
    assert found == ["x.yaml:2:7 name: got 5, expected text", "--set seed=-1: got -1, expected at least 0"]


def test_an_error_of_a_base_names_the_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("task: adding\ncell:\n  units: 0\n", encoding="utf-8")
    found = errors(tmp_path, "extends: base.yaml\ncell: {layers: 0}\n")
    assert found == [
        "base.yaml:3:10 cell.units: got 0, expected at least 1",
        "x.yaml:2:16 cell.layers: got 0, expected at least 1",
    ]


def test_loading_makes_nothing(tmp_path: Path) -> None:
    load(tmp_path, "task: adding\n")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize("schedule", ["step", "{type: step, warmup_steps: 2}"])
def test_a_member_named_alone_needs_its_required_options(tmp_path: Path, schedule: str) -> None:
    assert errors(tmp_path, f"task: adding\ntraining: {{schedule: {schedule}}}\n") == [
        "x.yaml:2:12 training.schedule.decay_steps: is required, but missing — add `decay_steps:`"
    ]
