import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault, RnnlabError, RunNotFoundError, UsageError, VerificationError
from rnnlab.runs import find_run, runs_root
from rnnlab.runs.find import read_runs
from rnnlab.storage import RunFolder, Status
from rnnlab.storage.jsonfile import sealed

ADDING, PARITY, COPY = (
    f"2026112{day}T102531Z-{name}" for day, name in ((1, "adding-aaaaaa"), (2, "parity-bbbbbb"), (3, "copy-cccccc"))
)
STATUS = Status.start("any", now=datetime(2026, 11, 22, tzinfo=UTC))


def make(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir(parents=True)
    RunFolder(path).write_status(STATUS)
    return path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "runs"
    for name in (ADDING, PARITY, COPY):
        make(root, name)
    (root / ".gitkeep").touch()
    (root / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return root


def refusal(root: Path, text: str) -> RnnlabError:
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(RunNotFoundError) as caught:
        find_run(root, text)
    assert sorted(root.parent.rglob("*")) == before
    return caught.value


@pytest.mark.parametrize(
    "text", ["parity", "bbbbbb", "20261122", PARITY, f"runs/{PARITY}", f"./runs/../runs/{PARITY}/"]
)
def test_found_by_any_part_or_path(root: Path, text: str) -> None:
    assert find_run(root, text).name == PARITY


def test_found_by_absolute_path_through_a_link_and_from_inside_the_runs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.parent / "link").symlink_to(root / COPY)
    assert find_run(root, str(root / ADDING)).name == ADDING
    assert find_run(root, "./link").path == root / COPY
    monkeypatch.chdir(root)
    assert find_run(Path("runs"), COPY).name == COPY


def test_a_full_name_wins_over_parts(root: Path) -> None:
    make(root, COPY + "-2")
    assert find_run(root, COPY).name == COPY
    assert refusal(root, "cccccc").problem == f"'cccccc' fits 2 runs: {COPY}, {COPY}-2"


def test_latest_is_the_last_that_can_be_read(root: Path) -> None:
    make(root, "renamed by the user")
    assert find_run(root, "latest").name == COPY
    (root / COPY / "status.json").write_bytes(b"{")
    (root / "20990101T000000Z-new-dddddd").mkdir()
    assert find_run(root, "latest").name == PARITY


def test_forty_fits_list_the_latest_ten(root: Path) -> None:
    for n in range(40):
        make(root, f"20270101T000000Z-sweep-{n:06}")
    assert find_run(root, "sweep").name == "20270101T000000Z-sweep-000039"  # of equal names, the newest
    fault = refusal(root, "swee")
    listed = ", ".join(f"20270101T000000Z-sweep-{n:06}" for n in range(30, 40))
    assert str(fault) == f"{root}: 'swee' fits 40 runs; the latest 10: {listed} — give more of the name, or latest"


def test_an_unknown_name_names_the_nearest(root: Path) -> None:
    assert str(refusal(root, "partiy")) == (
        f"{root}: no run has a name with 'partiy' — did you mean 'parity'? `rnnlab list` shows the runs"
    )
    assert refusal(root, "zzzzzzzzz\x1b").problem == r"no run has a name with 'zzzzzzzzz\x1b'"


@pytest.mark.parametrize(
    "text",
    ["..", ".", "/", "/etc", "/etc/hostname", "runs/empty", "empty", "runs/.gitkeep", "../x", "runs/x", "a\0b", "a/\0b",
     "x" * 131072, "/" + "x" * 131072, "\ud800", "/\ud800", "-x", "*", "~"],
)  # fmt: skip
def test_what_is_no_run_is_refused_and_nothing_is_written(root: Path, text: str) -> None:
    fault = refusal(root, text)
    assert fault.exit_code == 3
    assert str(fault).encode().isascii() or "—" in str(fault)
    assert len(str(fault)) < 1000


def test_an_empty_name_is_a_fault_of_the_command_line(root: Path) -> None:
    with pytest.raises(UsageError, match="the name of the run is empty"):
        find_run(root, "")


def test_no_runs_yet(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        for text in ("latest", "x/y", "x"):
            assert refusal(root, text).exit_code == 3
    (tmp_path / "file").touch()
    assert str(refusal(tmp_path / "file", "latest")) == (
        f"{tmp_path}/file: there are no runs here — start one with `rnnlab train CONFIG`"
    )


def test_a_damaged_run_is_found_and_told(root: Path) -> None:
    (root / COPY / "status.json").write_bytes(b"{")
    with pytest.raises(VerificationError, match="is not valid JSON"):
        find_run(root, "copy")


def test_a_folder_that_cannot_be_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(EnvironmentFault, match="cannot list the runs: Permission denied"):
        read_runs(root)


def test_one_of_ten_thousand_is_found_in_time(tmp_path: Path) -> None:
    text = sealed(STATUS.model_dump(mode="json"))
    for n in range(10_000):
        path = tmp_path / f"20261122T102531Z-adding-{n:06}"
        path.mkdir()
        (path / "status.json").write_bytes(text)
    for query in ("-004321", "latest"):
        start = time.perf_counter()
        find_run(tmp_path, query)
        assert time.perf_counter() - start < 2
    for query in ("addin", "addign"):
        start = time.perf_counter()
        refusal_time(tmp_path, query)
        assert time.perf_counter() - start < 2


def refusal_time(root: Path, text: str) -> None:
    with pytest.raises(RunNotFoundError):
        find_run(root, text)


def test_the_flag_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLAB_RUNS", "/env")
    assert (runs_root(Path("/flag")), runs_root()) == (Path("/flag"), Path("/env"))
    monkeypatch.setenv("RNNLAB_RUNS", "")
    assert runs_root() == Path("runs")


def test_a_folder_that_is_not_one_run_is_named_as_what_it_is(root: Path) -> None:
    (root / "vanishing").mkdir()
    assert refusal(root, "vanishing").problem == "is not a run: it has no status.json"
    (root / "vanishing/plan.json").touch()
    assert str(refusal(root, "vanishing")) == (
        "'vanishing' is a sweep, expected one run — `rnnlab list vanishing` shows its runs"
    )
