"""`rnnlab check`: the whole experiment as YAML on stdout, the result on stderr, nothing created."""

from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from tests.cli.program import TINY, rnnlab

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_the_config_is_shown_whole(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("check", "x.yaml")
    assert result.code == 0
    assert result.stderr == (
        "ok: 33 parameters, about 11.9 KiB of memory, baseline 0.1449, success rule: validation loss at most 0.005\n"
    )
    assert result.stdout.startswith(
        "name: x\nseed: 0\nprecision: float32\nbackend: numpy\n"
        "numpy:\n  shards: null\n  compiled: false\n  lanes: null\ncell:\n"
    )
    assert [entry.name for entry in here.iterdir()] == ["x.yaml"]


def test_what_is_shown_is_a_config_of_the_same_experiment(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    override = ("--set", "cell={type: carry, units: 3}", "--set", "training.schedule=cosine")
    (here / "whole.yaml").write_text(rnnlab("check", "x.yaml", *override).stdout)
    again = rnnlab("check", "whole.yaml")
    assert again.stdout == (here / "whole.yaml").read_text()
    assert (
        load_experiment(here / "whole.yaml").experiment == load_experiment(here / "x.yaml", override[1::2]).experiment
    )


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_sound(config: Path) -> None:
    result = rnnlab("check", config)
    assert (result.code, result.stderr[:4]) == (0, "ok: ")


def test_errors_are_those_of_train(here: Path) -> None:
    (here / "x.yaml").write_text("task: adding\ncell: {units: 0}\n")
    checked, trained = rnnlab("check", "x.yaml"), rnnlab("train", "x.yaml")
    assert checked == trained
    assert checked.stderr == "rnnlab: error[E_CONFIG]: x.yaml:2:15 cell.units: got 0, expected at least 1\n"


def test_a_network_for_a_larger_machine_may_be_checked_here(here: Path) -> None:
    (here / "x.yaml").write_text("task: adding\ncell: {units: 65536, layers: 64}\n")
    result = rnnlab("check", "x.yaml")
    assert result.code == 0
    assert result.stderr.startswith("ok: 545,465,237,505 parameters, about ")
    assert " TiB of memory, " in result.stderr


def test_what_has_a_separator_is_a_path(here: Path) -> None:
    assert rnnlab("check", "quickstart").code == 0
    result = rnnlab("check", "./quickstart")
    assert (result.code, f"{here / 'quickstart'}: no such file" in result.stderr) == (2, True)
    (here / "x.yaml").write_text("extends: ./quickstart\n")
    assert "no such file" in rnnlab("check", "x.yaml").stderr
    assert "got an empty name" in rnnlab("check", "").stderr


def test_an_error_in_a_shipped_config_has_its_name(here: Path) -> None:
    assert rnnlab("train", "vanishing_sweep").stderr.startswith("rnnlab: error[E_CONFIG]: vanishing_sweep:")
