"""`rnnlab configs`: what is shipped, and that every command takes it by name."""

import json
from pathlib import Path

import pytest

from rnnlab import open_run
from rnnlab.config.shipped import shipped_configs
from tests.cli.program import rnnlab

SHORT = ["--set", "training.steps=2", "--set", "training.batch_size=4", "--set", "evaluation.sequences=8"]


def test_every_config_is_listed_with_what_it_shows(here: Path) -> None:
    result = rnnlab("configs")
    assert (result.code, result.stderr) == (0, "")
    entries = json.loads(rnnlab("configs", "--json").stdout)["configs"]
    assert [entry["name"] for entry in entries] == list(shipped_configs())
    lines = result.stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    for entry, first, second in zip(entries, lines[::2], lines[1::2], strict=False):
        assert first.split(maxsplit=1) == [entry["name"], entry["shows"]]
        details = [entry["task"], *entry["cells"], f"about {entry['time']}"]
        assert second.strip().removeprefix("a sweep, ") == ", ".join(details)
        assert ("a sweep" in second) == entry["is_sweep"]


def test_one_is_printed_complete_for_any_folder(here: Path) -> None:
    """And nothing of it names a file that is only beside the original."""
    for name in ("quickstart", "vanishing_carry"):
        result = rnnlab("configs", name)
        original = shipped_configs()[name].read_text(encoding="utf-8")
        assert (result.code, result.stderr, result.stdout) == (0, "", original.partition("\n")[2])
        (here / "mine.yaml").write_text(result.stdout, encoding="utf-8")
        assert rnnlab("check", "mine.yaml").stdout == rnnlab("check", name).stdout


def test_an_unknown_name(here: Path) -> None:
    result = rnnlab("configs", "quickstat")
    assert result.code == 2
    assert result.stderr == (
        "rnnlab: error[E_USAGE]: there is no shipped config 'quickstat' — did you mean 'quickstart'?\n"
    )


def test_a_training_by_name_stores_what_one_by_path_does(here: Path) -> None:
    path = shipped_configs()["quickstart"]
    assert [rnnlab("train", name, *SHORT, "-q").code for name in ("quickstart", path)] == [0, 0]
    runs = list(map(open_run, (here / "runs").iterdir()))
    one, two = sorted(runs, key=lambda run: run.provenance.argv[2] != "quickstart")  # both began in the same second
    assert (one.path / "config.yaml").read_bytes() == (two.path / "config.yaml").read_bytes() == path.read_bytes()
    assert one.experiment() == two.experiment()
    assert one.label == two.label == "quickstart"
    assert one.provenance.argv[1:3] == ["train", "quickstart"]
    assert rnnlab("train", one.path / "resolved.yaml", "-q").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["sweep", "vanishing_search", *SHORT, "--set", "sweep.axes={cell.type: [simple]}", "--set", "sweep.when={}"],
        pytest.param(
            ["bench", "notebook_simple", "--against", "none", "--rounds", "1", "--threads", "1"],
            marks=pytest.mark.soak,
        ),
        pytest.param(["verify", "quickstart", "--steps", "2"], marks=pytest.mark.soak),  # starts TensorFlow
    ],
    ids=["sweep", "bench", "verify"],
)
def test_every_command_with_a_config_takes_a_name(here: Path, words: list[str]) -> None:
    result = rnnlab(*words)
    assert (result.code, "error" in result.stderr) == (0, False), result.stderr
