"""Metrics that are not what rnnlab wrote, through the whole program: the line is named, and it never counts.

test_bad_input lists where the other kinds of bad input are tested.
"""

import json
import os
import shutil
import zlib
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from tests.cli.jobs import RESUME, everything
from tests.cli.program import rnnlab
from tests.cli.test_bad_input import error_lines


@pytest.fixture
def pair(job: Path, made: Path) -> Path:
    """The run `job`, and beside it `other`, the same with another seed's name but nothing wrong."""
    shutil.copytree(made / "whole", "other")
    return job / "metrics.jsonl"


def sealed(text: bytes) -> bytes:
    """A line with the right checksum, whatever it says."""
    return text[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(text)


def second(data: bytes) -> int:
    """Where the second line begins."""
    return data.index(b"\n") + 1


NO_RECORD = "1: the record is damaged: its checksum is right, but it is not an object of finite numbers"
HARMS = {
    "NUL bytes in the middle": (
        lambda data: data[: second(data) + 9] + bytes(30) + data[second(data) + 39 :],
        "2: the record is damaged: it contains NUL bytes",
    ),
    "garbage in the middle": (
        lambda data: data[: second(data)] + b"\xff\x1b[31m[/b]\n" + data[second(data) :],
        "2: the record is damaged: its checksum is missing or does not match",
    ),
    "CR LF": (lambda data: data.replace(b"\n", b"\r\n"), "1: the record is damaged: it ends in CR LF, so an editor"),
    "NaN": (lambda data: sealed(b'{"step":0,"loss":NaN}') + data, NO_RECORD),
    "a step twice": (
        lambda data: data + data.splitlines(keepends=True)[-1],
        "record 4 is of step 20, after one of step 20",
    ),
    "a step back": (lambda data: data + data[: second(data)], "record 4 is of step 0, after one of step 20"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HARMS)
def test_metrics_that_rnnlab_did_not_write(pair: Path, kind: str) -> None:
    """`compare` leaves the run out by name and shows the rest; `doctor` finds the line."""
    harm, problem = HARMS[kind]
    pair.write_bytes(harm(pair.read_bytes()))
    before = everything(Path())
    shown = rnnlab("show", "job")
    assert shown.code == 4
    assert shown.stderr.startswith(f"rnnlab: warning: {pair}:")
    assert problem in shown.stderr
    compared = rnnlab("compare", "./job", "./other", "--json")
    assert (compared.code, [Path(run["path"]).name for run in json.loads(compared.stdout)["runs"]]) == (4, ["other"])
    assert compared.stderr.startswith("rnnlab: warning: job is damaged and left out: metrics.jsonl:")
    assert problem in compared.stderr
    found = json.loads(rnnlab("doctor", "job", "--json").stdout)
    assert not found["healthy"]
    assert (
        problem.partition("1: ")[2]
        in next(one for one in found["findings"] if one["file"] == "metrics.jsonl")["detail"]
    )
    assert rnnlab("list").code == 0
    assert "\x1b" not in shown.stderr + compared.stderr + compared.stdout
    after = everything(Path())
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("kind", HARMS)
def test_resumed_with_metrics_that_rnnlab_did_not_write(pair: Path, kind: str) -> None:
    """From a checkpoint before the damage, with a warning; or not at all."""
    pair.write_bytes(HARMS[kind][0](pair.read_bytes()))
    result = rnnlab(*RESUME, "-q")
    assert result.code in {0, 4}
    if result.code:
        (line,) = error_lines(result)
        assert "no checkpoint can be used: metrics.jsonl" in line
        assert list(Path("job").glob("lock*")) == []
        return
    assert [record["step"] for record in RunFolder(Path("job")).read_metrics().records] == [0, 10, 20, 30]
    assert rnnlab("train", "x.yaml", "--into", "whole", "-q", "--set", "training.steps=30").code == 0
    again = [{**record, "seconds": 0} for record in RunFolder(Path("job")).read_metrics().records]
    assert again == [{**record, "seconds": 0} for record in RunFolder(Path("whole")).read_metrics().records]


def test_half_a_record_at_the_end_is_reported_and_not_counted(pair: Path) -> None:
    pair.write_bytes(pair.read_bytes()[:-9])
    result = rnnlab("compare", "./job", "./other")
    cut = "rnnlab: warning: job: metrics.jsonl ends in half a record, though the run is completed: it was cut since"
    assert (result.code, cut in result.stderr.splitlines()) == (0, True)
    records = RunFolder(Path("job")).read_metrics().records
    assert [record["step"] for record in records] == [0, 10]
    resumed = rnnlab(*RESUME, "-q")
    assert (resumed.code, resumed.stderr.splitlines()[-1]) == (
        0,
        "rnnlab: warning: resuming from the checkpoint of step 0: 20 steps will be trained again",
    )


def test_a_second_name_of_the_metrics_sees_no_change(pair: Path) -> None:
    """A hard link, as by `cp -l`: resuming makes a file of its own."""
    os.link(pair, "second")
    before = pair.read_bytes()
    assert rnnlab(*RESUME, "-q").code == 0
    assert Path("second").read_bytes() == before
    assert pair.read_bytes()[: len(before)] == before
    assert len(pair.read_bytes()) > len(before)
