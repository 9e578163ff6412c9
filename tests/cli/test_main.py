"""The program itself: it answers at once, loads only what it needs, and works in any surroundings."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnlab import __version__
from rnnlab.cli.main import load_command
from tests.cli.program import TINY, child, rnnlab

COMMANDS = [
    "bench", "cells", "check", "compare", "configs", "diagnose", "doctor", "evaluate", "export", "init", "list", "plot",
    "predict", "report", "reproduce", "schema", "show", "sweep", "tasks", "train", "verify",
]  # fmt: skip
SUBCOMMANDS = ["run", "resume", "status", "cancel"]
FRAMEWORKS = {"tensorflow", "keras", "matplotlib", "scipy", "torch", "jax", "pandas"}
# Runs the program and writes the names of all modules it has loaded, however it ends.
SPY = """\
import atexit, json, sys
from pathlib import Path
report = Path(sys.argv[1])
sys.argv[:] = ["rnnlab", *sys.argv[2:]]
atexit.register(lambda: report.write_text(json.dumps(sorted(sys.modules))))
from rnnlab.cli.main import main
main()
"""


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    """Return the names of the modules that the program has loaded by its end."""
    report = folder / "modules.json"
    subprocess.run([sys.executable, "-c", SPY, report, *arguments], check=True, capture_output=True)
    return set(json.loads(report.read_text()))


def test_the_help_names_every_command_and_every_exit_code() -> None:
    result = rnnlab("--help")
    assert (result.code, result.stderr) == (0, "")
    listed = listed_in(result.stdout)
    assert sorted(name for commands in listed.values() for name in commands) == COMMANDS
    assert list(listed["Start"]) == ["init", "configs", "tasks", "cells"]
    assert "Other" not in listed, "name a new command in a section of `main.py`"
    text = " ".join(result.stdout.split())
    codes = ["0 done", "1 a bug", "2 bad", "3 no such run", "4 stored", "5 system", "6 the run", "7 training", "8 some"]
    for code in (*codes, "9 --fail-if", "75 stopped with the state saved"):
        assert code in text


def listed_in(text: str) -> dict[str, dict[str, str]]:
    """Return the commands that a help lists, each with its summary, by section."""
    sections: dict[str, dict[str, str]] = {}
    for line in text.partition("\nOptions:")[0].splitlines():
        if line and not line.startswith(" ") and line.endswith(":"):
            found = sections[line.removesuffix(":")] = {}
        elif line and sections:
            name, text = line.split(maxsplit=1)
            found[name] = text
    return sections


@pytest.mark.parametrize("group", [[], ["sweep"]], ids=["rnnlab", "sweep"])
def test_each_summary_is_whole_on_one_line_of_80_columns(group: list[str]) -> None:
    listed = listed_in(child(*group, "--help", environment={"COLUMNS": "80"}).stdout)
    for command, text in ((command, text) for commands in listed.values() for command, text in commands.items()):
        help = rnnlab(*group, command, "--help").stdout
        assert help.splitlines()[2].strip() == text
        assert text.endswith(".")


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS), *(["sweep", name] for name in SUBCOMMANDS)], ids=" ".join
)
def test_the_help_fits_80_columns(command: list[str]) -> None:
    usage, *lines = rnnlab(*command, "--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "{" not in usage
    assert "<Path>" not in "".join(lines)
    assert "<str>" not in "".join(lines)
    assert "..." not in "".join(lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_has_help(command: str) -> None:
    result = rnnlab(command, "--help")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: rnnlab {command} ")
    loaded = load_command(command)
    assert loaded.help
    assert [parameter.name for parameter in loaded.params if not parameter.help] == []


def test_the_version() -> None:
    assert rnnlab("--version").stdout == f"rnnlab {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? — see `rnnlab --help`"),
        (["train"], "got neither, expected either CONFIG or --resume RUN — see `rnnlab train --help`"),
        (["train", "x.yaml", "--stes", "3"], "No such option: --stes (Possible options: --plots, --set) — see `rnnlab"),
        (["train", "--set"], "Option '--set' requires an argument"),
        (["train", "a\0b"], "a\\x00b: contains the character NUL"),
        (["compare"], "Missing argument 'RUN' — see `rnnlab compare --help`"),
        (["evaluate", "latest", "--weights", "x"], "Invalid value for '--weights': 'x' is not one of 'best', 'last' —"),
        (
            ["evaluate", "latest", "--sequences", "0"],
            "Invalid value for '--sequences': got '0', expected a whole number of at least 1",
        ),
        (["evaluate", "latest", "--sequences", "1_000"], "Invalid value for '--sequences': got '1_000', expected"),
        (["list", "--limit", "-1"], "Invalid value for '--limit': Input should be"),
        (["verify", "x.yaml", "--steps", "10001"], "Invalid value for '--steps': 10,001 is more than 10,000 —"),
        (["export", "latest", "--format", "h5"], "Invalid value for '--format'"),
        (["train", "x", "\x1b[31m\n\u202e"], "Got unexpected extra argument(s) (\\x1b[31m\\x0a\\u202e) —"),
        (["--\udcff"], "No such option: --\\udcff —"),
    ],
)
def test_a_bad_command_line(here: Path, arguments: list[str], expected: str) -> None:
    result = rnnlab(*arguments)
    assert (result.code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"rnnlab: error[E_USAGE]: {expected}")
    assert list(here.iterdir()) == []


def test_an_argument_of_128_kib_is_shortened(here: Path) -> None:
    result = rnnlab("train", "x" * 131_071)
    assert (result.code, len(result.stderr)) == (2, 4029)
    assert result.stderr.startswith("rnnlab: error[E_CONFIG]: xxx")
    assert result.stderr.endswith(
        "x: cannot be read: File name too long — give the path of a YAML file that you may read\n"
    )


def test_no_command_shows_the_help() -> None:
    result = rnnlab()
    assert result.code == 2
    assert "Usage: rnnlab [OPTIONS] COMMAND [ARGS]..." in result.stdout + result.stderr


def test_the_help_comes_at_once() -> None:
    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "rnnlab", "--help"], check=True, capture_output=True)
        return time.perf_counter() - began

    # 0.3 s is the aim on an idle machine; a test machine is seldom idle.
    assert min(once() for _ in range(4)) < 1.0


def test_the_help_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "--help")
    heavy = {"numpy", "pydantic", "rich", "yaml", "safetensors"}
    assert loaded & (heavy | FRAMEWORKS) == set()
    assert [name for name in loaded if name.startswith("rnnlab.") and name.split(".")[1] not in {"cli", "core"}] == []


def test_a_training_on_numpy_loads_no_framework(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    loaded = loaded_by(here, "train", "x.yaml")
    assert "rnnlab.backends.numpy" in loaded
    assert loaded & FRAMEWORKS == set()


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("list", {"numpy", "rnnlab.config.experiment"}),
        ("compare", {"rnnlab.config.experiment", "rnnlab.backends.base"}),
        ("show", {"rnnlab.training.train"}),
        ("doctor", {"rnnlab.training.trainer", "rnnlab.backends.numpy.unrolled"}),
    ],
)
def test_what_reads_runs_loads_little(here: Path, command: str, unneeded: set[str]) -> None:
    """Each of these costs tens of milliseconds of every call."""
    (here / "x.yaml").write_text(TINY)
    runs = [str(here / name) for name in ("one", "two")]
    assert [rnnlab("train", "x.yaml", "--into", run, "-q").code for run in runs] == [0, 0]
    arguments = {"list": ["--runs", "."], "compare": runs}.get(command, runs[:1])
    assert loaded_by(here, command, *arguments) & (unneeded | FRAMEWORKS) == set()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_numpy_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of OpenBLAS wait busily for work: 60 ms of processor time for each processor."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    code = "import atexit, os, rnnlab.cli.main as m; atexit.register(lambda: print(os.listdir('/proc/self/task'))); "
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['rnnlab', 'tasks']; {code}m.main()"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert len(done.stdout.splitlines()[-1].split(",")) == 1


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"TERM": "dumb"},
        {"COLUMNS": "20"},
        {"COLUMNS": "x", "LINES": "-1"},
    ],
    ids=str,
)
def test_a_training_ends_well_in_any_surroundings(here: Path, surroundings: dict[str, str]) -> None:
    (here / "x.yaml").write_text(TINY)
    result = child("train", "x.yaml", environment=surroundings)
    assert result.code == 0
    assert "bug" not in result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    ascii_only = "PYTHONUTF8" in surroundings or "PYTHONIOENCODING" in surroundings
    assert (result.stdout + result.stderr).isascii() == ascii_only
    assert result.stdout.startswith("not solved: all training steps are done (20 steps in 0.")


def test_the_program_is_also_a_module_and_a_script() -> None:
    script = Path(sys.executable).with_name("rnnlab")
    expected = subprocess.run([script, "--version"], check=True, capture_output=True, text=True).stdout
    assert expected == f"rnnlab {__version__}\n" == child("--version").stdout
