from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from rnnlab.cli.render.card import draw_example, option_rows
from rnnlab.config.load import load_experiment
from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.options import Options
from rnnlab.tasks import task_class, task_names
from rnnlab.tasks.base import AbstractTask, Reference
from tests.stored_runs import rnnlab


def words(*arguments: str, columns: int = 120) -> list[str]:
    """The lines of `rnnlab tasks`, with single blanks."""
    return [" ".join(line.split()) for line in rnnlab("tasks", *arguments, columns=columns).lines]


def test_the_table_names_every_definition_with_its_baseline() -> None:
    lines = words()
    assert [line.split()[0] for line in lines if line and line.split()[0] in {*task_names()}] == task_names()
    assert "adding@urnn Add two marked numbers mse 0.165 100" in lines
    assert "parity Is the number of ones odd? bce 0.6928 1…40" in lines


def test_json_of_the_table() -> None:
    tasks = {task["name"]: task for task in rnnlab("tasks", "--json").json["tasks"]}
    assert list(tasks) == task_names()
    assert tasks["temporal_order@hs1997"] == {
        "name": "temporal_order@hs1997",
        "title": "Tell the order of two symbols",
        "loss": "cross_entropy",
        "baseline": pytest.approx(2 * np.log(2)),
        "timesteps": [100, 110],
    }


def test_a_card() -> None:
    lines = words("copy_memory")
    assert lines[0] == "copy_memory@urnn: Copy ten symbols over a delay"
    assert "solved validation error_rate at most 0.01" in lines
    assert "symbols 10 how many symbols are to be copied (whole number, 1 ≤ x ≤ 1,000)" in lines
    assert "memoryless: at a blank, how often each answer is right (baseline) 0.4517" in lines
    assert "counts the steps, guesses the symbols 0.1733" in lines
    assert lines[lines.index("counts the steps, remembers 9 symbols 0.01733") + 1] == "oracle 0"
    assert lines[lines.index("In a config:") + 1 :][:2] == ["task:", "type: copy_memory@urnn"]


def test_a_plain_name_means_the_first_and_names_the_others() -> None:
    lines = rnnlab("tasks", "adding").lines
    assert lines[0] == "adding@urnn: Add two marked numbers"
    assert lines[-1].startswith("Other definitions: adding@hs1997 (Add two marked numbers (1997)); adding@")


@pytest.mark.parametrize("name", task_names())
def test_every_card_fits_and_its_config_works(name: str, tmp_path: Path) -> None:
    for columns in (80, 120):
        lines = rnnlab("tasks", name, columns=columns).lines
        assert lines[0].startswith(f"{name}: ")
        example = lines[next(n for n, line in enumerate(lines) if line.startswith("An example")) + 1 :]
        drawn = example[: example.index("")]
        assert len(drawn) >= 4
        assert max(map(len, drawn)) <= columns
    card = rnnlab("tasks", name, "--json").json
    (tmp_path / "x.yaml").write_text(card["config"])
    experiment = load_experiment(tmp_path / "x.yaml").experiment
    assert (experiment.task.type, list(experiment.timesteps)) == (name, card["timesteps"])
    kind = task_class(name)
    task = kind(kind.Options(type=name))
    assert (
        min(one["loss"] for one in card["references"] if not one["needs_memory"])
        == card["baseline"]
        == task.baseline(experiment.timesteps)
    )


class Drawn(AbstractTask):
    """A task whose one sequence is given."""

    name = "drawn"
    loss = "mse"
    return_sequences = False
    output_features = 4
    shortest = 1

    def __init__(self, inputs: Array, targets: Array, mask: Array) -> None:
        super().__init__(self.Options())
        self.given = inputs, targets, mask
        self.return_sequences = mask.sum() > 1
        self.input_features, self.default_timesteps = inputs.shape[1], (len(mask), len(mask))

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return None if timesteps[0] >= self.shortest else "too short"

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        inputs, targets, mask = self.given
        cut = slice(-timesteps[1], None)
        targets = targets[cut] if self.return_sequences else targets
        return Batch(inputs[cut][None], targets[None], mask[cut][None], np.array([min(len(mask), timesteps[1])]))

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        raise NotImplementedError

    def correct(self, outputs: Array, batch: Batch) -> Array:
        raise NotImplementedError

    def oracle(self, batch: Batch) -> Array:
        raise NotImplementedError


def last(steps: int) -> Array:
    return np.arange(steps) == steps - 1


def test_numbers_are_bars_and_markers_are_signs() -> None:
    inputs = np.stack([np.linspace(0, 0.7, 8), [-1, 0, 1, 0, 0, 1, 0, -1]], axis=1)
    assert draw_example(Drawn(inputs, np.array([0.25, -3.0]), last(8)), 60) == [
        "step       0",
        "input 0    ▁▂▃▄▅▆▇█",
        "input 1    -·+··+·-",
        "scored            ^",
        "target     0.25, -3, at step 7, the last",
    ]


def test_one_hot_inputs_are_symbols_and_targets_only_stand_where_scored() -> None:
    inputs = np.eye(4)[[3, 0, 1, 2, 2, 0]]
    mask = np.array([False, False, True, False, True, True])
    assert draw_example(Drawn(inputs, np.array([9, 9, 1, 9, 2, 3]), mask), 60) == [
        "step       0",
        "input      301220",
        "target       1 23",
        "scored       ^ ^^",
    ]


def test_symbols_of_two_digits_take_three_places() -> None:
    inputs = np.eye(12)[[11, 0, 1, 2, 3, 4, 5]]
    assert draw_example(Drawn(inputs, np.array(2), last(7)), 60) == [
        "step       0              5",
        "input      11 0  1  2  3  4  5",
        "scored                       ^",
        "target     class 2 of 0…3, at step 6, the last",
    ]


@pytest.mark.parametrize(
    ("shortest", "lines"),
    [
        (1, ["step       0         10        20", "input      -+-+-+-+-+-+-+-+-+-+-+-+-+-+-",
             "scored                                 ^", "target     1, at step 28, the last"]),
        (100, ["step       0         10  …    90", "input      +-+-+-+-+-+-+-…+-+-+-+-+-+-+-",
               "scored                   …             ^", "target     1, at step 99, the last"]),
    ],
)  # fmt: skip
def test_a_long_sequence_is_drawn_shorter_or_cut(shortest: int, lines: list[str]) -> None:
    task = Drawn(1.0 - 2.0 * (np.arange(100) % 2)[:, None], np.array([1.0]), last(100))
    task.shortest = shortest
    assert draw_example(task, 40) == lines


def test_many_inputs_are_cut_off() -> None:
    lines = draw_example(Drawn(np.zeros((3, 20)), np.array([1.0]), last(3)), 60)
    assert lines[16:18] == ["input 15   ···", "           … 4 more"]


def test_temporal_order_shows_its_letters() -> None:
    task = task_class("temporal_order")(task_class("temporal_order").Options(type="temporal_order@hs1997"))
    row = draw_example(task, 80)[1].split()[1]
    assert (row[0], row[-1], set(row[1:-1]) - set("abcdXY"), sum(map(row.count, "XY"))) == ("E", "B", set(), 2)


def test_kinds_bounds_and_defaults_of_options() -> None:
    class Inner(Options):
        scale: float = 2.0

    class Some(Options):
        type: Literal["some"] = "some"
        needed: int
        word: str | None = None
        flag: bool = True
        way: Literal["a", "b"] = "a"
        inner: Inner = Inner(scale=3.0)

    assert [tuple(row.values()) for row in option_rows(Some)] == [
        ("needed", "whole number", "required", "", ""),
        ("word", "text or null", "null", "", ""),
        ("flag", "true or false", "true", "", ""),
        ("way", "a, b", "a", "", ""),
        ("inner.scale", "number", "3.0", "", ""),
    ]
