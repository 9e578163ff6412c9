"""Bad input through the whole program: the right exit code, one line per error, nothing created or lost.

Here: text that means something to YAML 1.1, a shell, a terminal or a template; names, paths, overrides, arguments and
surroundings. Bad runs, weights, metrics and sweeps are in the other `test_bad_*`, configs in `test_errors` and
`tests/config`, limits of the system in `test_limits`, stored documents field by field in `tests/faults`.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import TINY, Result, child, rnnlab

USE = "use 1 to 60 of A-Z a-z 0-9 . _ -"
LINE = re.compile(r"rnnlab: error\[E_[A-Z]+\]: .+")


def error_lines(result: Result) -> list[str]:
    """The errors, after a check of the shape of the message: one line each, no raw control character, nothing else."""
    lines = result.stderr.splitlines()
    assert lines
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", result.stderr
    )
    assert "Traceback" not in result.stderr
    return [re.sub(r"^rnnlab: error\[E_[A-Z]+\]: ", "", line) for line in lines]


def names(folder: Path | str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


TEXTS = {
    "no is text": ("cell: no", "x.yaml:2:7 cell: unknown cell 'no' — known: carry,"),
    "a date for a name of a cell": ("cell: 2024-01-01", "x.yaml:2:7 cell: unknown cell '2024-01-01' — known:"),
    "= as a value": ("name: =", f"x.yaml:2:7 name: invalid run name '=': it contains '=' — {USE}"),
    "<< as a value": ("name: <<", f"x.yaml:2:7 name: invalid run name '<<': it contains '<' — {USE}"),
    "closing markup": ("cell: '[/bold]'", "x.yaml:2:7 cell: unknown cell '[/bold]' — known:"),
    "a link": ("cell: '[link=http://e]x[/link]'", "x.yaml:2:7 cell: unknown cell '[link=http://e]x[/link]' — known:"),
    "an emoji code": ("cell: ':bomb:'", "x.yaml:2:7 cell: unknown cell ':bomb:' — known:"),
    "a backslash at the end": ("cell: 'x\\'", "x.yaml:2:7 cell: unknown cell 'x\\\\' — known:"),
    "a shell variable": ("cell: ${HOME}", "x.yaml:2:7 cell: unknown cell '${HOME}' — known:"),
    "a template": ("cell: '{{7*7}}'", "x.yaml:2:7 cell: unknown cell '{{7*7}}' — known:"),
    "a format with attributes": ("cell: '{0.__class__}'", "x.yaml:2:7 cell: unknown cell '{0.__class__}' — known:"),
    "a seed below": ("seed: -1", "x.yaml:2:7 seed: got -1, expected at least 0"),
    "a seed above": ("seed: 4294967296", "x.yaml:2:7 seed: got 4294967296, expected at most 4,294,967,295"),
    "a path out": ("name: ../../etc/x", f"x.yaml:2:7 name: invalid run name '../../etc/x': it starts with '.' — {USE}"),
    "a device": ("name: CON", "x.yaml:2:7 name: invalid run name 'CON': Windows reserves it for a device"),
    "NUL": ('name: "a\\0b"', "x.yaml:2:7 name: contains U+0000 (control character) as character 2, which"),
    "Cyrillic a": ("name: c\u0430rry", "x.yaml:2:7 name: invalid run name 'c\u0430rry': it contains '\u0430' (U+0430)"),
    "right to left": ("name: a\u202eb", "x.yaml:2:8: U+202E (right-to-left override) is not allowed in a config"),
    "a terminal's title": ('name: "\\e]0;x\\a"', "x.yaml:2:7 name: contains U+001B (control character) as character 1"),
}  # fmt: skip


@pytest.mark.parametrize(("block", "expected"), TEXTS.values(), ids=TEXTS)
def test_text_that_means_something_elsewhere_is_text(here: Path, block: str, expected: str) -> None:
    (here / "x.yaml").write_text(f"task: adding\n{block}\n")
    result = rnnlab("train", "x.yaml")
    assert (result.code, result.stdout) == (2, "")
    (line,) = error_lines(result)
    assert line.startswith(expected)
    assert names() == ["x.yaml"]


@pytest.mark.parametrize("name", ["no", "on", "yes", "2024-01-01", "695e0514", "1e5", "12e03"])
def test_a_name_stays_the_text_it_is(here: Path, name: str) -> None:
    (here / "x.yaml").write_text(TINY + f"name: {name}\n")
    quoted = name in {"695e0514", "1e5", "12e03"}  # numbers, as YAML 1.2 has it
    if quoted:
        assert rnnlab("train", "x.yaml").code == 2
        (here / "x.yaml").write_text(TINY + f"name: '{name}'\n")
    assert rnnlab("train", "x.yaml", "-q").code == 0
    (run,) = (here / "runs").iterdir()
    assert run.name[17:-7] == name
    assert rnnlab("check", run / "resolved.yaml").stdout.startswith(f"name: '{name}'\n")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("http://example.org/x.csv", "is a URL, expected the path of a file — download it first"),
        ("gs://bucket/x.csv", "is a URL, expected the path of a file — download it first"),
        ("/dev/stdin", "is a folder, a pipe or a device, expected a regular file — give the path of a plain file"),
        ("/proc/self/environ", "is in /proc or /sys, expected a file on a disk"),
        ("loop.csv", "Too many levels of symbolic links"),
        ("$(id)", "$(id): no such file"),
        ("~/none/x.csv", f"{Path.home()}/none/x.csv: no such file"),
        ("~nobody-here/x.csv", "there is no user 'nobody-here' — write ~/… for your home folder"),
    ],
)
def test_a_place_that_is_no_local_file(here: Path, path: str, problem: str) -> None:
    (here / "loop.csv").symlink_to("loop.csv")
    (here / "x.yaml").write_text(f"task: {{type: forecast, csv: '{path}'}}\n")
    result = rnnlab("train", "x.yaml")
    assert (result.code, result.stdout) == (2, "")
    (line,) = error_lines(result)
    assert line.startswith("x.yaml:1:29 task.csv: ")
    assert problem in line
    assert names() == ["loop.csv", "x.yaml"]


def test_an_error_shows_no_other_value(here: Path) -> None:
    (here / "x.yaml").write_text("task: adding\ntoken: hunter2\nseed: x\ncell: {units: 0}\n")
    lines = error_lines(rnnlab("train", "x.yaml"))
    assert [line.split(": ")[0] for line in lines] == ["x.yaml:2:1 token", "x.yaml:3:7 seed", "x.yaml:4:15 cell.units"]
    assert "hunter2" not in "".join(lines)


def test_errors_of_the_text_and_of_the_keys_come_together(here: Path) -> None:
    (here / "x.yaml").write_text(
        "task: adding\ncell: {unit: 3, layers: 010}\nname: &a x\nseed: *a\ntraining: !big {steps: 0}\n1: 2\n"
    )
    result = rnnlab("train", "x.yaml", "--set", "evaluation.sequences=1_0", "--set", "precision=float16")
    assert [line.partition(" — ")[0] for line in error_lines(result)] == [
        "x.yaml:2:8 cell.unit: unknown key 'unit'",
        "x.yaml:2:25 cell.layers: got '010', expected an integer",
        "x.yaml:4:7 seed: alias *a is not supported",
        "x.yaml:5:11 training: tag '!big' is not supported",
        "x.yaml:5:24 training.steps: got 0, expected at least 1",
        "x.yaml:6:1: a key must be text, got 1",
        "--set evaluation.sequences=1_0: got '1_0', expected an integer",
        "--set precision=float16: got 'float16', expected one of float32 or float64",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.optimizer.learning_rate=nan", "got 'nan', expected a number"),
        ("training.optimizer.learning_rate=inf", "got 'inf', expected a number"),
        ("training.optimizer.learning_rate=.inf", "got .inf, expected a finite number"),
        ("training.optimizer.learning_rate=1e400", "got 1e400, expected a finite number"),
        ("training.steps=1_000", "got '1_000', expected an integer"),
        ("__class__=1", "unknown key '__class__'"),
        ("cell.__class__=x", "unknown key '__class__'"),
        ("a.b.c=1", "unknown key 'a'"),
        ("cell.units=[/b]", "got a list, expected an integer"),
        ("name=\udcff", "U+DCFF (not a character) is not allowed in a config"),
        ("seed=\x1b[31m", "U+001B (control character) is not allowed in a config"),
    ],
)
def test_an_override_is_checked_like_the_file(here: Path, override: str, expected: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", "--set", override)
    assert (result.code, result.stdout) == (2, "")
    (line,) = error_lines(result)
    assert line.startswith("--set ")
    assert f": {expected}" in line
    assert names() == ["x.yaml"]


def test_a_thousand_bad_overrides_are_twenty_lines_and_a_count(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    lines = error_lines(rnnlab("train", "x.yaml", *(f"--set=a{n}=1" for n in range(1000))))
    assert (len(lines), lines[-1]) == (21, "980 more errors — correct these first")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["train", "\x1b[31m\n.yaml"], 2, "\\x1b[31m\\n.yaml: no such file"),
        (["train", "\udcff.yaml"], 2, "\\udcff.yaml: no such file"),
        (["train", "--resume", "\x1b[31m"], 3, "no run has a name with '\\x1b[31m'"),
        (["train", "x.yaml", "--signal", "\x1b"], 2, "--signal: '\\x1b' is not a signal that can be caught"),
        (["evaluate", "[/b]"], 3, "there is no run '[/b]'"),
        (["show", "\u202e"], 3, "no run has a name with '\\u202e'"),
        (["compare", "[red]a", ":bomb:"], 3, "no run has a name with '[red]a'"),
        (["list", "--filter", "\x1b"], 2, "--filter, character 1: got '\\x1b', expected a name"),
        (["tasks", "[/b]"], 2, "unknown task '[/b]'"),
        (["cells", "\x1b"], 2, "unknown cell '\\x1b'"),
        (["doctor", "x" * 131_071], 3, "runs: no run has a name with 'xxx"),
        (["tr\x1b[31main"], 2, "No such command 'tr\\x1b[31main'"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_argument_that_would_steer_the_terminal(here: Path, arguments: list[str], code: int, expected: str) -> None:
    (here / "x.yaml").write_text(TINY)
    (here / "runs").mkdir()
    result = rnnlab(*arguments)
    assert (result.code, result.stdout) == (code, "")
    (line,) = error_lines(result)
    assert expected in line
    assert len(line) < 5000
    assert names() == ["runs", "x.yaml"]
    assert names("runs") == []


GONE = """
import os, sys
from pathlib import Path
os.chdir(sys.argv[1])
Path(sys.argv[1]).rmdir()
sys.argv[1:] = sys.argv[2:]
from rnnlab.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "surroundings",
    [{"HOME": ""}, {"TMPDIR": "/nowhere"}, {"TMPDIR": "/dev/null", "HOME": "/nowhere"}, {"USER": "\udcff\x1b"}],
    ids=str,
)
def test_nothing_is_kept_in_home_or_in_the_temporary_folder(here: Path, surroundings: dict[str, str]) -> None:
    (here / "x.yaml").write_text(TINY)
    result = child("train", "x.yaml", "-q", environment=surroundings)
    assert (result.code, result.stderr) == (0, "")
    assert names() == ["runs", "x.yaml"]


def test_a_working_folder_that_is_gone(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)

    def run(*arguments: str) -> Result:
        (here / "gone").mkdir()
        command = [sys.executable, "-c", GONE, str(here / "gone"), *arguments]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    assert run("train", str(here / "x.yaml"), "-q", "--runs", str(here / "runs")).code == 0
    relative = run("train", "x.yaml")
    assert (relative.code, relative.stdout) == (2, "")
    assert error_lines(relative)[0].startswith("x.yaml: no such file")
    assert names(here) == ["runs", "x.yaml"]


@pytest.mark.parametrize(("files", "code"), [(4, 5), (8, 0)])
def test_few_open_files_are_enough_or_an_error(here: Path, files: int, code: int) -> None:
    """Limited once Python has begun: what an installation runs before the program may need more."""
    (here / "x.yaml").write_text(TINY)
    begun = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))"
    program = f"{begun}; from rnnlab.cli.main import main; main()"
    command = [sys.executable, "-c", program, "train", "x.yaml", "--into", "job", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result = Result(done.returncode, done.stdout, done.stderr)
    assert result.code == code
    if code:
        (line,) = error_lines(result)
        assert line.endswith("Too many open files — raise the limit on open files (ulimit -n)")
    assert rnnlab("train", "x.yaml", "--into", "job", "-q").code == 0


def test_the_same_command_twice_in_one_second_makes_two_runs(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    assert [rnnlab("train", "x.yaml", "-q", "--name", "same").code for _ in range(2)] == [0, 0]
    assert len(names("runs")) == 2
