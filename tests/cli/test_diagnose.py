import json
from pathlib import Path

import pytest

import rnnlab as package
from rnnlab.cli.render.curves import draw
from rnnlab.inspection.diagnoses import diagnoses
from tests.cli.program import Result, rnnlab
from tests.figures.test_page import finding

TINY = {
    "name": "tiny",
    "task": "adding",
    "shape": {"timesteps": 8},
    "training": {"steps": 2, "batch_size": 4},
    "cell": {"type": "carry", "units": 4},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("diagnosed")
    package.train(TINY, runs=root)
    return root


def diagnosed(root: Path, *arguments: str) -> Result:
    return rnnlab("diagnose", "tiny", "--runs", str(root), *arguments)


def test_it_has_a_table_or_a_sentence_for_each(runs: Path) -> None:
    done = diagnosed(runs, "--also", "fixed-points,sample")
    assert (done.code, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    shown = " ".join(done.stdout.split())
    for expected in (
        "How much of the gradient reaches the past", "is left 7 steps back", "spectral radius", " Vo ",
        "keep 1/e of their memory for", "Memory capacity:", "Trained on T=8", "without input", "One sequence of adding",
    ):  # fmt: skip
        assert expected in shown


def test_json_has_every_number(runs: Path) -> None:
    found = json.loads(diagnosed(runs, "--json").stdout)
    assert found["format"] == "rnnlab-diagnose/1"
    assert found["run"] == Path(found["path"]).name
    assert (found["label"], found["step"], found["timesteps"]) == ("tiny", 2, [8, 8])
    results = found["results"]
    assert "fixed-points" not in results
    assert len(results["gradient"]["median"]["layers.0.h"]) == 8
    assert len(results["spectrum"]["layers.0.Uo"]["eigenvalues"][0]) == 2
    assert results["lengths"]["timesteps"] == [4, 8, 16, 40, 80]


def test_one_kind(runs: Path) -> None:
    done = diagnosed(runs, "--only", "spectrum", "--timesteps", "3", "--sequences", "5")
    assert "5 sequences of T=3" in done.stdout
    assert "Uo" in done.stdout
    assert "capacity" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--only", "gate"), 2, "'gate' is not a diagnosis — did you mean 'gates'?"),
        (("--only", ","), 2, "is not a diagnosis"),
        (("--at-step", "1"), 2, "has no checkpoint of step 1"),
        (("--timesteps", "1"), 2, "needs at least 2 steps"),
        (("--sequences", "0"), 2, "expected a whole number of at least 1"),
    ],
)
def test_what_cannot_be(runs: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = diagnosed(runs, *arguments)
    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr


def test_the_lowest_value_of_the_chart_is_marked() -> None:
    panel = diagnoses()["gradient"].panels({"": finding("a", 0.1)["gradient"]})[0]
    assert "vanished: 10⁻¹² or less, drawn as 10⁻¹²" in "\n".join(str(line) for line in draw(panel, width=80))
