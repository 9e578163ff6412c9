"""Files of data: found by their path, known by their content, wherever the project has moved."""

import hashlib
from pathlib import Path

import pytest

from rnnlab.core.data_file import DataFile
from rnnlab.core.errors import RnnlabError, UsageError, VerificationError

CONTENT = b"a,b\n1,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def make(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stored(path: str, folder: Path, sha256: str | None = SHA256) -> DataFile:
    return DataFile(path=path, sha256=sha256).within(folder)


def test_the_content_is_filled_in_and_the_path_is_that_of_the_config(tmp_path: Path) -> None:
    data = make(tmp_path / "data" / "x.csv")
    found = DataFile(path="data/x.csv").within(tmp_path).found()
    assert (found.place, found.sha256) == (data, SHA256)
    assert found.path_from(tmp_path / "runs" / "one") == "../../data/x.csv"
    fixed = DataFile(path=str(data)).within(tmp_path / "none").found()
    assert (fixed.place, fixed.path_from(tmp_path / "runs")) == (data, str(data))


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    data = make(tmp_path / "home" / "data" / "x.csv")
    found = DataFile(path="~/data/x.csv").within(tmp_path / "elsewhere").found()
    assert (found.place, found.path_from(tmp_path)) == (data, "~/data/x.csv")


@pytest.mark.parametrize("at", ["x.csv", "../x.csv", "B/x.csv", "B/runs/x.csv"])
def test_a_moved_file_is_found_around_the_run_and_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    place = make(tmp_path / "here" / "x.csv" if at == "x.csv" else tmp_path / at.removeprefix("../"))
    make(tmp_path / "B" / "runs" / "deep" / "x.csv", b"other")
    found = stored("../../../x.csv", tmp_path / "B" / "runs" / "deep" / "one").found()
    assert found.place == place


def test_a_run_behind_a_link_finds_it_from_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    data = make(tmp_path / "project" / "x.csv")
    (tmp_path / "disk2" / "far" / "one").mkdir(parents=True)
    (tmp_path / "project" / "runs").mkdir()
    link = tmp_path / "project" / "runs" / "one"
    link.symlink_to(tmp_path / "disk2" / "far" / "one")
    assert stored("../../x.csv", link).found().place == data


def problem(file: DataFile) -> tuple[type[RnnlabError], str]:
    with pytest.raises(RnnlabError) as caught:
        file.found()
    return type(caught.value), str(caught.value)


def test_another_content_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = make(tmp_path / "x.csv", b"other")
    kind, text = problem(stored("x.csv", tmp_path))
    assert kind is VerificationError
    assert text.startswith(f"{place}: has another content than the data of this run: SHA-256 d9298a10d1b0…, not ")
    make(place)
    assert stored("x.csv", tmp_path).found().sha256 == SHA256


def test_a_missing_file_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind, text = problem(stored("../x.csv", tmp_path / "a" / "b"))
    assert kind is UsageError
    assert text.startswith(f"{tmp_path}/a/x.csv, the data of this run, is not there — bring it back, or give its place")
    _, text = problem(DataFile(path="$HOME/x.csv").within(tmp_path))
    assert text == (
        f"{tmp_path}/$HOME/x.csv: no such file — "
        "variables are not replaced in a config: write the path out, or begin it with ~/"
    )
