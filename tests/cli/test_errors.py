"""Broken configs and a hostile machine, through the whole program: one clear line a fault and the right exit code."""

import os
import re
import resource
import time
from pathlib import Path

import pytest

from tests.cli.program import TINY, child, rnnlab, start
from tests.small import needs_pandas

# A line of a message: the program, the code, then file:line:column and the key, the problem, perhaps what to do.
LINE = re.compile(r"rnnlab: error\[E_[A-Z]+\]: (x\.yaml(:\d+:\d+( [\w.@'\[\]]+)?)?|--set [^:]+|--name)[:.] .+")

BROKEN = {
    "unknown key at the top": "task: adding\ntaks: parity",
    "unknown key in a block": "task: adding\ntraining: {stepz: 3}",
    "option of the other cell": "task: adding\ncell: {type: simple, recurrent_activation: tanh}",
    "text for a number": "task: adding\ncell: {units: '12'}",
    "nan": "task: adding\ntraining: {optimizer: {learning_rate: .nan}}",
    "infinity": "task: adding\ntraining: {clip_norm: .inf}",
    "beyond any float": "task: adding\ntraining: {optimizer: {learning_rate: 1e400}}",
    "10^30 units": f"task: adding\ncell: {{units: 1{'0' * 30}}}",
    "10^9 units in 10^9 layers": "task: adding\ncell: {units: 1000000000, layers: 1000000000}",
    "5000 digits": f"task: adding\nseed: {'9' * 5000}",
    "no task": "name: x",
    "unknown task": "task: addding",
    "unknown cell": "task: adding\ncell: lstn",
    "unknown backend": "task: adding\nbackend: torch",
    "shape against the task": "task: adding\nshape: {input_features: 3}",
    "steps that the task cannot bear": "task: temporal_order\nshape: {timesteps: 3}",
    "csv that is not there": "task: {type: forecast, csv: nowhere.csv}",
    "csv with text": "task: {type: forecast, csv: text.csv, target: a}",
    "csv with nan": "task: {type: forecast, csv: nan.csv, target: a}",
    "csv too short": "task: {type: forecast, csv: short.csv, target: a}",
    "duplicate key": "task: adding\ntask: parity",
    "alias": "name: &a x\ntask: *a",
    "empty": "",
    "only a remark": "# nothing\n",
    "a list": "- task",
    "two documents": "task: adding\n---\ntask: parity",
    "a tab": "task: adding\ncell:\n\tunits: 3",
    "extends itself": "task: adding\nextends: x.yaml",
    "extends nothing": "task: adding\nextends: nowhere.yaml",
    "terminal escape": 'task: "\\e[31madding"',
    "markup": "task: '[/bold]'",
    "64 levels": "task: " + "[" * 70 + "]" * 70,
    "a mebibyte": "#" * (1 << 21),
}
EXAMPLE = " — for example --set training.steps=500"
HUGE = ["cell: {units: 65536, layers: 64}", "training: {batch_size: 1048576}\nshape: {timesteps: 10000000}"]


@pytest.fixture
def broken(here: Path) -> Path:
    (here / "text.csv").write_text("a,b\n1,2\n3,foo\n")
    (here / "nan.csv").write_text("a,b\n1,2\n3,nan\n")
    (here / "short.csv").write_text("a,b\n1,2\n")
    return here / "x.yaml"


READ = {"csv with text", "csv with nan", "csv too short"}


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, marks=needs_pandas if name in READ else ()) for name, text in BROKEN.items()],
    ids=BROKEN,
)
def test_a_broken_config(broken: Path, text: str) -> None:
    broken.write_text(text)
    began = time.perf_counter()
    result = rnnlab("train", "x.yaml")
    assert time.perf_counter() - began < 1.0
    assert (result.code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stderr)
    assert not (broken.parent / "runs").exists()


def test_a_config_that_is_no_file(here: Path) -> None:
    os.mkfifo("pipe")
    for name in (".", "pipe", "/dev/zero"):
        result = rnnlab("train", name)
        assert result.code == 2
        assert re.match(
            rf"rnnlab: error\[E_CONFIG\]: {re.escape(name)}: is a .*, expected a regular file", result.stderr
        )
    (here / "near.yaml").touch()
    assert rnnlab("train", "nea.yaml").stderr == (
        "rnnlab: error[E_CONFIG]: nea.yaml: no such file — did you mean near.yaml?\n"
    )
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            "--set=training.steps",
            "--set training.steps: expected key=value, got no '=' — for example --set training.steps=500",
        ),
        ("--set=cell.unit=3", "--set cell.unit=3: unknown key 'unit' — did you mean 'units'?"),
        (
            "--set=name=a b",
            "--set name=a b: invalid run name 'a b': it contains ' ' — use 1 to 60 of A-Z a-z 0-9 . _ -",
        ),
        ("--name=../x", "--name: invalid run name '../x': it starts with '.' — use 1 to 60 of A-Z a-z 0-9 . _ -"),
        ("--name=a\nb", "--name: invalid run name 'a\\nb': it contains '\\n' — use 1 to 60 of A-Z a-z 0-9 . _ -"),
        ("--name='", "--name: invalid run name ''': it contains ''' — use 1 to 60 of A-Z a-z 0-9 . _ -"),
    ],
)
def test_a_bad_option(here: Path, option: str, expected: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", option)
    assert (result.code, result.stdout) == (2, "")
    assert re.sub(r"E_\w+", "E", result.stderr) == f"rnnlab: error[E]: {expected}\n"
    assert not (here / "runs").exists()


@pytest.mark.parametrize("block", HUGE)
def test_this_very_machine_refuses_what_it_cannot_hold(here: Path, block: str) -> None:
    (here / "x.yaml").write_text(f"task: adding\n{block}\n")
    result = child("train", "x.yaml")
    assert (result.code, result.stdout) == (5, "")
    assert re.fullmatch(
        r"rnnlab: error\[E_ENVIRONMENT\]: training needs about [\d.e+]+ [TP]iB of memory, .*\n", result.stderr
    )
    assert not (here / "runs").exists()


def test_a_limit_on_the_address_space_counts(here: Path) -> None:
    (here / "x.yaml").write_text("task: adding\ncell: {units: 8192}\n")
    gib = 1 << 30
    result = child("train", "x.yaml", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * gib, 2 * gib)))
    assert result.code == 5
    assert "training needs about" in result.stderr
    assert not (here / "runs").exists()


@pytest.mark.parametrize("folder", ["x.yaml", "x.yaml/runs", "/proc", "/dev/null", "a" * 300])
def test_a_place_where_no_runs_can_be(here: Path, folder: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", "--runs", folder)
    assert (result.code, result.stdout) == (5, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"rnnlab: error[E_ENVIRONMENT]: {folder.split('/runs', maxsplit=1)[0]}")
    assert line.endswith("keep the runs elsewhere with --runs DIR or RNNLAB_RUNS")


def test_a_bug_is_one_line_and_a_file_with_the_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines \x1b[31m")

    (here / "x.yaml").write_text(TINY)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr("rnnlab.cli.commands.train.load_experiment", fail)
    result = rnnlab("train", "x.yaml")
    (expected,) = here.glob("rnnlab-bug-*.txt")
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        f"rnnlab: bug[E_BUG]: RuntimeError: two\\nlines \\x1b[31m; the traceback is in {expected}"
        " — this is a bug in rnnlab: please report it with that file\n"
    )
    assert expected.read_text().startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            MemoryError(),
            "out of memory — lower training.batch_size, shape.timesteps or cell.units, or set training.bptt_steps",
        ),
        (
            SystemError("<built-in function compile> returned NULL without setting an exception"),
            "internal error of Python, probably out of memory: <built-in function compile> returned NULL without "
            "setting an exception — allow more memory",
        ),
    ],
    ids=["MemoryError", "SystemError"],
)
def test_memory_that_runs_out_is_no_bug(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    (here / "x.yaml").write_text(TINY)
    monkeypatch.setattr("rnnlab.cli.commands.train.load_experiment", fail)
    result = rnnlab("train", "x.yaml")
    assert (result.code, result.stderr) == (5, f"rnnlab: error[E_ENVIRONMENT]: {expected}\n")


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["check", "x.yaml"], ["schema"], ["train", "x.yaml", "-q"]],
    ids=lambda a: a[0],
)
def test_a_full_stdout_is_the_machines_fault(here: Path, arguments: list[str]) -> None:
    (here / "x.yaml").write_text(TINY)
    result = child(*arguments, stdout=full())
    assert result.code == 5
    assert re.search(
        r"^rnnlab: error\[E_ENVIRONMENT\]: stdout: .*No space left on device$", result.stderr, re.MULTILINE
    )


@pytest.mark.parametrize("arguments", [["--help"], ["schema"], ["train", "x.yaml", "-q"]], ids=lambda a: a[0])
def test_a_reader_that_left_is_no_fault(here: Path, arguments: list[str]) -> None:
    (here / "x.yaml").write_text(TINY)
    read, write = os.pipe()
    os.close(read)
    result = child(*arguments, stdout=write)
    assert (result.code, result.stderr) == (0, "")


def test_closed_streams_do_not_stop_a_training(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    for closed in ((1,), (2,), (0, 1, 2)):
        process = start("train", "x.yaml", "--json", preexec_fn=lambda closed=closed: [os.close(fd) for fd in closed])
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert (out == "") == (1 in closed)
        assert not out or out.startswith("{")
        assert (err == "") == (2 in closed)
    assert len(list((here / "runs").iterdir())) == 3


def test_a_full_stderr_costs_neither_the_training_nor_the_exit_code(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    result = child("train", "x.yaml", "--json", stderr=full())
    assert (result.code, result.stdout[:1]) == (0, "{")
    assert child("train", "nowhere.yaml", stderr=full()).code == 2
