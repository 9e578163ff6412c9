"""Stored files that are not what they should be, through the whole program: named in an error, and nothing is changed.

test_bad_input lists where the other kinds of bad input are tested.
"""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import RunFolder, disk
from rnnlab.storage.sealed_yaml import sealed
from tests.cli.jobs import BEST, EVALUATE, EXPORT, INTO, RESUME, Harm, everything
from tests.cli.program import DIVERGING, rnnlab
from tests.cli.test_bad_input import error_lines
from tests.small import needs_pandas

TEXTS = {
    "nothing": (b"", "is not valid JSON"),
    "cut": (b'{"format": "rnnlab-run/1", ', "is not valid JSON"),
    "NaN": (b'{"loss": NaN}', "is not valid JSON: NaN is not a finite number"),
    "a key twice": (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
    "a key that steers": (b'{"\\u001b[31m": 1, "\\u001b[31m": 1}', "the key '\\x1b[31m' is given twice"),
}


@pytest.mark.parametrize(("content", "problem"), TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("file", ["status.json", "summary.json", "provenance.json"])
def test_a_text_that_is_none(job: Path, file: str, content: bytes, problem: str) -> None:
    (job / file).write_bytes(content)
    before = everything(Path())
    for command in (RESUME, INTO):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        (line,) = error_lines(result)
        assert f"job/{file}:1: " in line
        assert problem in line
    found = rnnlab("doctor", "job")
    assert found.code == 4
    assert f"{file}" in found.stdout + found.stderr
    assert rnnlab("show", "job").code == 4
    assert rnnlab("list").code == 0
    after = everything(Path())
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("content", ["{}", '{"state": "completed", "steps": 20}', None], ids=["empty", "part", "texts"])
@pytest.mark.parametrize("file", ["summary.json", "provenance.json", "status.json"])
def test_a_text_with_other_content(job: Path, made: Path, file: str, content: str | None) -> None:
    """Well-formed, but keys are missing, or all values are texts that would steer the terminal."""
    if content is None:
        value = dict.fromkeys(json.loads((job / file).read_bytes()), "\x1b[31m\u202e[/b]=1+1")
        content = json.dumps(value | ({"format": "rnnlab-run/1"} if file == "status.json" else {}))
    (job / file).write_text(content)
    for command in (("train", "--resume", "./job"), ("train", "--resume", "./job", "--json"), INTO):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        (line,) = error_lines(result)
        assert file in line
    shutil.copytree(made / "whole", "other")
    read = 4 * (file != "provenance.json")
    codes = {("show", "job"): 4, ("doctor", "job"): 4, ("compare", "./job", "other"): read}
    for command, code in {**codes, EVALUATE: 4 * (file != "summary.json"), ("list",): 0}.items():
        result = rnnlab(*command)
        assert result.code == code, command
        if command[0] in {"show", "compare"} and result.code:
            assert len(result.stderr.splitlines()) == 1
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.stdout + result.stderr)


CONFIGS = {
    "nothing": ("", "is damaged: {}: the config is empty"),
    "a list": ("- task\n", "is damaged: {}:1:1: got a list, expected a mapping"),
    "cut": ("task: [\n", "is damaged: {}:2:1: invalid YAML"),
    "a merge key": ("task: adding\ncell: {<<: {}}\n", "is damaged: {}:2:8 cell: merge key << is not supported"),
    "a tag": ("task: !!python/name:os\n", "is damaged: {}:1:7 task: tag '!!python/name:os' is not supported"),
    "a base": ("extends: /etc/hostname\ntask: adding\n", "is damaged: {}:1:1 extends: unknown key 'extends'"),
    "another seed": (None, "was changed since the run began: provenance.json has the hash of another config"),
}


@pytest.mark.parametrize(("content", "problem"), CONFIGS.values(), ids=CONFIGS)
def test_a_stored_config_that_was_changed(job: Path, content: str | None, problem: str) -> None:
    path = job / "resolved.yaml"
    run = RunFolder(job)
    text = content if content is not None else run.read_resolved_text().replace("seed: 0", "seed: 1")
    path.write_bytes(sealed(text, run.read_status().id))
    before = everything(Path())
    for command in (RESUME, INTO, *([EVALUATE, EXPORT] if content is not None else [])):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        (line,) = error_lines(result)
        assert line.replace(f"{path}", "{}").replace("job/resolved.yaml", "{}").startswith("{}: " + problem)
    after = everything(Path())
    assert {name: after.get(name) for name in before} == before


def test_a_record_cut_after_the_end_is_reported(job: Path) -> None:
    with (job / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step":')
    shown = rnnlab("show", "job")
    expected = f"{job}/metrics.jsonl: ends in half a record, though the run is completed: it was cut since"
    assert (shown.code, shown.stderr) == (0, f"rnnlab: warning: {expected}\n")
    found = rnnlab("doctor", "job")
    assert found.code == 4
    assert "ends in half a record, though the run is completed" in " ".join(found.stdout.split())


def test_without_best_weights_the_last_are_offered(here: Path) -> None:
    (here / "x.yaml").write_text(DIVERGING)
    assert rnnlab("train", "x.yaml", "--into", "job", "-q", "--set", "shape.timesteps=400").code == 7
    result = rnnlab("evaluate", "./job")
    assert (result.code, result.stdout) == (4, "")
    (line,) = error_lines(result)
    assert line == f"{here}/job/weights/best.safetensors: is missing — use the last weights: `--weights last`"
    assert rnnlab("evaluate", "./job", "--weights", "last", "--set", "shape.timesteps=2").code == 0


@pytest.mark.parametrize("text", ["runs", ".", "/", "~", "x.yaml", "./x.yaml", "./job/weights", "/dev/null", "./pipe"])
def test_what_is_no_run_is_never_written_to(job: Path, text: str) -> None:
    Path("runs").mkdir()
    os.mkfifo("pipe")
    before = everything(Path())
    for command in (["show"], ["doctor"], ["evaluate"], ["train", "--resume"], ["compare", "job"]):
        result = rnnlab(*command, text)
        is_folder_of_runs = command[0] == "compare" and text == "."  # then `job` is given twice
        assert (result.code, result.stdout) == (2 if is_folder_of_runs else 3, "")
        error_lines(result)
    assert everything(Path()) == before


@pytest.mark.parametrize("file", [BEST, "resolved.yaml", "metrics.jsonl", "summary.json", "status.json"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_pipe_or_a_folder_in_place_of_a_file_never_blocks(job: Path, file: str, make: Harm) -> None:
    (job / file).unlink()
    make(job / file)
    assert rnnlab("list").code == 0
    assert rnnlab("doctor", "job").code == (3 if file == "status.json" else 4)
    needed = {"evaluate": {BEST, "resolved.yaml"}, "export": {BEST, "resolved.yaml"}}
    for command in (EVALUATE, EXPORT, ("show", "job")):
        is_needed = file in needed[command[0]] if command[0] in needed else file != BEST
        assert rnnlab(*command).code == (3 if file == "status.json" else 4 * is_needed), command
    # Weights are written, not read: a pipe is replaced, a folder is an error.
    result = rnnlab(*RESUME, "-q")
    assert result.code == (3 if file == "status.json" else 0 if file == BEST and make is os.mkfifo else 4)
    if file == BEST and result.code:
        assert error_lines(result) == [f"{job / BEST}: is a folder, expected a file of this run — move it away"]


FILES = [
    "config.yaml", "resolved.yaml", "provenance.json", "status.json", "metrics.jsonl", "summary.json", "log.txt",
    "evaluations.jsonl", "weights/best.safetensors", "weights/last.safetensors", "lock-0002.json",
    "checkpoints/step-0000000000-0001.safetensors", "checkpoints/step-0000000020-0001.safetensors", "weights",
    "checkpoints",
]  # fmt: skip


@pytest.mark.parametrize("dangling", [False, True], ids=["live", "dangling"])
@pytest.mark.parametrize("file", FILES)
def test_a_link_planted_at_a_name_of_ours_is_not_followed(
    here: Path, made: Path, monkeypatch: pytest.MonkeyPatch, file: str, dangling: bool
) -> None:
    monkeypatch.setenv("RNNLAB_RUNS", ".")
    shutil.copy(made / "x.yaml", here)
    shutil.copytree(made / "cut", here / "job")
    outside, path = here / "outside", here / "job" / file
    outside.mkdir()
    if path.exists():
        path.rename(outside / "victim")
    else:
        (outside / "victim").write_text("mine")
    if dangling:
        (outside / "victim").rename(outside / "other")
    path.symlink_to(outside / "victim")
    before = everything(outside)
    needed = {"resolved.yaml", "provenance.json", "evaluations.jsonl", "weights", "weights/last.safetensors"}
    evaluated = rnnlab("evaluate", "./job", "--weights", "last")
    assert evaluated.code == (3 if file == "status.json" else 4 * (file in needed))
    monkeypatch.setattr("rnnlab.storage.holder.LEASE_SECONDS", 0.5)  # a lock that cannot be read is watched so long
    result = rnnlab("train", "x.yaml", "--into", "job", "-q")
    assert result.code in {0, 4}
    if result.code:
        error_lines(result)
    assert everything(outside) == before
    refused = {"status.json", "resolved.yaml", "provenance.json", "log.txt", "weights", "checkpoints"}
    assert result.code == (4 if file in refused or (file.startswith("checkpoints/") and "-0000000000-" in file) else 0)
    if not result.code and file not in {"config.yaml", "evaluations.jsonl"}:
        assert not path.is_symlink()


def test_an_export_does_not_write_through_a_link(job: Path) -> None:
    Path("victim.npz").write_text("mine")
    Path("out.npz").symlink_to("victim.npz")
    assert error_lines(rnnlab(*EXPORT)) == [
        "out.npz: already exists — replace it with --force, or choose another place with --out"
    ]
    assert rnnlab(*EXPORT, "--force").code == 0
    assert Path("victim.npz").read_text() == "mine"
    assert not Path("out.npz").is_symlink()


def test_a_file_named_latest_is_no_run(job: Path, tmp_path: Path) -> None:
    """`latest` always means the newest run."""
    (tmp_path / "latest").symlink_to("/etc")
    assert json.loads(rnnlab("show", "latest", "--json").stdout)["path"] == "job"


def test_a_run_that_was_moved_or_copied_is_itself(job: Path) -> None:
    shutil.copytree("job", "elsewhere/twin")
    Path("job").rename("renamed")
    for name in ("renamed", "./elsewhere/twin"):
        assert rnnlab("doctor", name).code == 0
        assert rnnlab("train", "--resume", name, "--set", "training.steps=30", "-q").code == 0
    assert rnnlab("compare", "renamed", "./elsewhere/twin").code == 0


def test_what_other_programs_left_is_passed_over(job: Path) -> None:
    """Files of NFS, of file managers and of editors stay; what a killed process of ours left goes."""
    theirs = [".nfs0000a1", ".DS_Store", "metrics.jsonl~", ".metrics.jsonl.swp", "checkpoints/.nfs0000b2", "status.tmp"]
    ours = [".status.json.0123456789abcdef.tmp", "checkpoints/.step-0000000020-0001.safetensors.0123456789abcdef.tmp"]
    for name in (*theirs, *ours):
        (job / name).write_text("{")
    for command in (("show", "job"), ("doctor", "job"), ("list",), EVALUATE, (*RESUME, "-q")):
        assert rnnlab(*command).code == 0, command
    assert [name for name in (*theirs, *ours) if (job / name).exists()] == theirs


def test_a_run_within_a_run_is_another(job: Path, made: Path) -> None:
    shutil.copytree(made / "whole", job / "inner")
    assert rnnlab("compare", "./job", "./job/inner").code == 0
    assert rnnlab("train", "--resume", "./job/inner", "--set", "training.steps=30", "-q").code == 0
    assert [RunFolder(path).read_status().step for path in (job, job / "inner")] == [20, 30]
    found = rnnlab("doctor", "job")
    assert (found.code, "note   inner" in found.stdout) == (0, True)


def test_a_run_of_a_newer_format_is_left_as_it_is(job: Path, made: Path) -> None:
    shutil.copytree(made / "whole", "other")
    status = job / "status.json"
    status.write_text(status.read_text().replace("rnnlab-run/1", "rnnlab-run/2"))
    before = everything(job)
    problem = "is written in the format 'rnnlab-run/2', this rnnlab reads 'rnnlab-run/1'"
    for command in (("show", "job"), ("compare", "./job", "./other"), RESUME, INTO, EVALUATE):
        result = rnnlab(*command)
        assert result.code == 4, command
        assert problem in result.stderr
    assert "./other" not in rnnlab("compare", "./job", "./other").stderr
    assert rnnlab("doctor", "job").code == 4
    assert everything(job) == before


def test_odd_names_among_the_checkpoints_are_passed_over(job: Path) -> None:
    folder, sound = job / "checkpoints", RunFolder(job).checkpoints().steps()
    for name in ("step-9", "step-10", "step-010", "step-1e3", "step--1", "step-∞", "step-0000000099.safetensors.bak"):
        (folder / name).write_text("")
    (folder / "step-12").mkdir()
    assert RunFolder(job).checkpoints().steps() == sound
    assert rnnlab("doctor", "job").code == 0
    assert rnnlab(*RESUME, "-q").code == 0
    assert (folder / "step-010").exists()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_run_on_a_read_only_disk_can_be_read(job: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(path: Path, *_: object) -> int:
        raise OSError(code, os.strerror(code), str(path))

    for name in ("open_new", "open_append", "rename", "link", "unlink", "mkdir"):
        monkeypatch.setattr(disk, name, refuse)
    for command in (("show", "job"), ("doctor", "job"), ("list",)):
        assert rnnlab(*command).code == 0
    for command in (RESUME, INTO, EXPORT, EVALUATE):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (EnvironmentFault.exit_code, "")
        assert os.strerror(code) in error_lines(result)[0]


@needs_pandas
def test_surroundings_that_changed_are_reported(here: Path) -> None:
    """Another NumPy and another processor are a warning; other data under the same name are refused."""
    rows = "a,b\n" + "".join(f"{n % 7},{n % 5}\n" for n in range(200))
    (here / "data.csv").write_text(rows)
    (here / "x.yaml").write_text(
        "task: {type: forecast, csv: data.csv, target: a}\nshape: {timesteps: 3}\ntraining: {steps: 4, batch_size: 4}\n"
        "evaluation: {sequences: 5}\n"
    )
    assert rnnlab("train", "x.yaml", "--into", "job", "-q").code == 0
    run = RunFolder(here / "job")
    provenance = run.read_provenance()
    versions = {**provenance.versions, "numpy": "1.0"}
    cpu = provenance.cpu.model_copy(update={"model": "Z80"})
    run.write_provenance(provenance.model_copy(update={"versions": versions, "cpu": cpu}))
    first, second = rnnlab("train", "--resume", "./job", "-q", "--set", "training.steps=6").stderr.splitlines()
    assert first.startswith("rnnlab: warning: numpy was 1.0 when the run began and is ")
    assert second.startswith("rnnlab: warning: the processor was Z80 when the run began and is ")
    (here / "data.csv").write_text(rows.replace("6", "9", 1))
    before = everything(run.path)
    for command in (("train", "--resume", "./job", "-q", "--set", "training.steps=8"), ("evaluate", "./job")):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        (line,) = error_lines(result)
        assert "data.csv: has another content than the data of this run" in line
    assert everything(run.path) == before


def test_a_flipped_bit_in_the_mark_of_a_run_does_not_hide_it(job: Path) -> None:
    text = (job / "status.json").read_bytes()
    (job / "status.json").write_bytes(text.replace(b"rnnlab-run", b"Rnnlab-run"))
    listed = rnnlab("list")
    assert (listed.code, "job: status.json" in listed.stderr or "job/status.json" in listed.stderr) == (0, True)
    for command in (("doctor", "./job"), ("show", "./job")):
        assert rnnlab(*command).code == 4
