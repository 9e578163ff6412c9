"""`rnnlab init`: every file that it writes works, and so does every command that it names."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from rnnlab.config.reading import read_document
from tests.cli.program import rnnlab

FILES = ["first.yaml", "schema.json", "slurm.sh", "sweep.yaml"]
SHORT = ["--set", "training.steps=2", "--set", "training.batch_size=4", "--set", "evaluation.sequences=8"]


@pytest.fixture
def started(here: Path) -> Path:
    assert rnnlab("init").code == 0
    return here


def named_by(text: str) -> list[list[str]]:
    """Return the commands that the message of `init` names."""
    lines = [line.removeprefix("  ").partition("  ")[0] for line in text.partition("next:\n")[2].splitlines()]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("folder", [None, "new", "a b/c"])
def test_the_commands_that_it_names_work(here: Path, monkeypatch: pytest.MonkeyPatch, folder: str | None) -> None:
    result = rnnlab("init", *filter(None, [folder]))
    assert (result.code, result.stderr) == (0, "")
    made = here / (folder or "")
    assert sorted(path.name for path in made.iterdir()) == FILES
    commands = named_by(result.stdout)
    if folder is not None:
        assert commands.pop(0) == ["cd", folder]
        monkeypatch.chdir(made)
    assert [words[1] for words in commands] == ["train", "show", "sweep", "compare", "report"]
    for _, *words in commands if folder is None else ():
        short = SHORT if words[0] in {"train", "sweep"} else ["--no-diagnose"] if words[0] == "report" else []
        done = rnnlab(*words, *short)
        assert done.code == 0, done.stderr
    assert folder is not None or (made / "report.html").is_file()


def test_a_folder_that_cannot_be_made_or_begins_like_an_option(here: Path) -> None:
    (here / "file").write_text("")
    result = rnnlab("init", "file")
    reported = (
        "file: is not a folder, and a folder is needed — move it away, or give another folder: `rnnlab init FOLDER`"
    )
    assert (result.code, result.stderr) == (5, f"rnnlab: error[E_ENVIRONMENT]: {reported}\n")
    assert named_by(rnnlab("init", "--", "-x").stdout)[0] == ["cd", "./-x"]


def test_an_editor_finds_a_schema_that_fits(started: Path) -> None:
    for name in ("first.yaml", "sweep.yaml"):
        start, _, path = (started / name).read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
        schema = json.loads((started / path).read_text(encoding="utf-8"))
        assert start == "# yaml-language-server: "
        assert list(Draft202012Validator(schema).iter_errors(read_document(started / name).data)) == []
    wrong = {"task": "adding", "cell": {"units": -1}}
    assert [error.json_path for error in Draft202012Validator(schema).iter_errors(wrong)] == ["$.cell"]


def test_the_first_config_is_the_quickstart(started: Path) -> None:
    changed = rnnlab("check", "first.yaml").stdout.replace("name: first", "name: quickstart")
    assert changed == rnnlab("check", "quickstart").stdout


def test_the_script_submits_the_sweep(started: Path) -> None:
    """Without Slurm, up to the job scripts, which it shows."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "slurm.sh", "--dry-run"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert "\n#SBATCH --time=0:30:00\n" in done.stdout
    assert "\n#SBATCH --array=1-18%20\n" in done.stdout
    assert sorted(path.name for path in started.iterdir()) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_link", [False, True])
def test_nothing_is_overwritten(here: Path, name: str, is_link: bool) -> None:
    if is_link:
        (here / name).symlink_to("nowhere")
    else:
        (here / name).write_text("mine")
    result = rnnlab("init")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"rnnlab: error[E_USAGE]: {name}: already exists — give another folder")
    assert [path.name for path in here.iterdir()] == [name]
    assert is_link or (here / name).read_text() == "mine"


def test_a_folder_that_cannot_be(here: Path) -> None:
    (here / "file").touch()
    result = rnnlab("init", "file/new")
    assert (result.code, result.stdout) == (5, "")
    assert "file: is not a folder" in result.stderr
