"""Rows are the same with an index and without, whatever happens to the runs; and few files are opened."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.runs import index
from rnnlab.runs.find import find_run
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder, disk, sealed_yaml
from rnnlab.storage.jsonfile import sealed
from tests.runs.many_runs import COUNT, contents, path_of, remember, without_index
from tests.stored_runs import hold, store


def opened(monkeypatch: pytest.MonkeyPatch, many: Path) -> list[str]:
    """Return the files of runs that are opened to tell of all runs."""
    paths: list[Path] = []

    def open_read(path: Path) -> int:
        paths.append(path)
        return os.open(path, os.O_RDONLY)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "open_read", open_read)
        contents(many)
    return [str(path.relative_to(many)) for path in paths if path.parent != many]


def test_of_runs_that_have_ended_no_file_is_opened_again(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = store(many, "now-bbbbbb", state="running", pid=os.getpid())
    cold = opened(monkeypatch, many)
    remember(many)
    warm = opened(monkeypatch, many)
    own = [name for name in warm if name.startswith(under_way.name)]
    assert sorted(name.partition("/")[2] for name in own) == [
        "lock-0001.json", "metrics.jsonl", "resolved.yaml", "status.json", "status.json",
    ]  # fmt: skip
    assert len(cold) == 4 * COUNT + len(own)
    others = [name.partition("/")[2] for name in warm if name not in own]
    assert others == []


def change_loss(run: RunFolder, loss: float) -> None:
    run.write_summary(run.read_summary().model_copy(update={"loss": loss}))


EVENTS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda run: None,
    "deleted": shutil.rmtree,
    "renamed": lambda run: run.rename(run.parent / "mine"),
    "exchanged": lambda run: exchange(run, run.parent / f"{run.name[:-1]}0"),
    "stale": lambda run: RunFolder(run).write_status(changed(run, state="running")),
    "running": lambda run: (hold(RunFolder(run)), RunFolder(run).write_status(changed(run, state="running"))),
    "diverged": lambda run: RunFolder(run).write_status(changed(run, state="diverged", message="loss is nan")),
    "interrupted": lambda run: (
        RunFolder(run).write_status(changed(run, state="interrupted", step=10)), (run / "summary.json").unlink(),
    ),
    "no summary": lambda run: (run / "summary.json").unlink(),
    "broken status": lambda run: (run / "status.json").write_bytes(b"{"),
    "broken summary": lambda run: (run / "summary.json").write_bytes(b"[1]"),
    "another's status": lambda run: (run / "status.json").write_bytes(b"{}"),
    "a link": lambda run: (shutil.move(run, run.parent.parent / "away"), run.symlink_to(run.parent.parent / "away")),
    "a linked summary": lambda run: (
        (run / "summary.json").rename(run / "other"), (run / "summary.json").symlink_to(run / "other"),
    ),
    "another summary": lambda run: change_loss(RunFolder(run), 0.5),
    "another config": lambda run: (run / "resolved.yaml").write_text("cell: {units: 3, when: 2026-01-01}\n"),
    "same size and time": lambda run: edit(run / "summary.json", b'"loss": 0.125', b'"loss": 0.521'),
    "same size and time, config": lambda run: edit(run / "resolved.yaml", b"units: 16", b"units: 61"),
}  # fmt: skip


def exchange(one: Path, other: Path) -> None:
    change_loss(RunFolder(other), 0.75)
    one.rename(one.parent / "aside")
    other.rename(one)
    (one.parent / "aside").rename(other)


def changed(run: Path, **changes: Any) -> Any:
    return RunFolder(run).read_status().changed(**changes)


def edit(path: Path, old: bytes, new: bytes) -> None:
    """Change a file in place, and set its time back: only the time of the change itself tells."""
    state, data = path.stat(), path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    if path.suffix == ".json":
        value = json.loads(path.read_bytes())
        value.pop("sha256")
        path.write_bytes(sealed(value))
    else:
        lines = path.read_text().splitlines(keepends=True)[:-1]
        path.write_bytes(sealed_yaml.sealed("".join(lines), "0" * 16))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_rows_are_the_same_with_and_without(many: Path, event: Callable[[Path], object]) -> None:
    remember(many)
    before = contents(many)
    event(path_of(many, COUNT - 1))
    after = contents(many)
    assert (after == before) == (event in (EVENTS["nothing"], EVENTS["a link"]))
    assert after == without_index(many)


def test_all_changes_at_once_are_written_and_told(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(many)
    for n in range(COUNT):
        edit(path_of(many, n) / "summary.json", b'"loss": 0.125', b'"loss": 0.521')
    remember(many)
    assert not [name for name in opened(monkeypatch, many) if name.endswith("summary.json")]
    assert [values["loss"] for (values, *_) in contents(many)[0]] == [0.521] * COUNT


def test_what_was_changed_a_moment_ago_is_not_trusted(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time may not change when it changes again."""
    monkeypatch.setattr(index, "FRESH", 10**15)
    remember(many)
    assert list(many.glob(".*")) == []


def test_few_runs_leave_no_file(tmp_path: Path, template: Path) -> None:
    shutil.copytree(template, path_of(tmp_path, 1))
    remember(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [path_of(tmp_path, 1).name]


def test_runs_that_are_gone_leave_the_file(many: Path) -> None:
    remember(many)
    for n in range(1, COUNT):
        shutil.rmtree(path_of(many, n))
    remember(many)
    assert [list(part) for part in remembered(many)] == [[path_of(many, 0).name]] * 2


def remembered(many: Path) -> list[Any]:
    head, _, body = (many / ".index").read_bytes().partition(b"\n")
    mark, size, *_ = head.split()
    assert mark == b"rnnlab-index/3"
    return [json.loads(zlib.decompress(part)) for part in (body[: int(size)], body[int(size) :])]


def test_what_is_remembered(many: Path) -> None:
    remember(many)
    results, configs = remembered(many)
    run = RunFolder(path_of(many, 0))
    assert results[run.name][1] == ["completed", "", "2026-11-22T10:25:31Z", run.read_summary().model_dump()]
    assert configs[run.name][1] == [run.read_status().id, dict(Run(run).config)]


def test_an_index_is_no_run(many: Path) -> None:
    before = contents(many)
    remember(many)
    assert sorted(path.name for path in many.glob(".*")) == [".index"]
    assert contents(many) == before
    assert find_run(many, "latest").path == path_of(many, COUNT - 1)
