import gc
import shutil
from pathlib import Path

import pytest

from rnnlab.runs import index
from tests.stored_runs import START, hold, rnnlab, store

SOLVED = {"solved": True, "solved_at": {"step": 64, "sequences": 2048, "seconds": 0.5}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    store(root, "carry-aaaaaa", summary=SOLVED | {"loss": 0.004321})
    store(
        root,
        "simple-bbbbbb",
        summary={"cell": "simple", "task": "temporal_order@hs1997"},
        started=START.replace(day=21),
    )
    store(root, "cut-cccccc", state="interrupted", summary={"loss": None}, exit_code=75)
    return root


def without_age(lines: list[str]) -> list[str]:
    return [line.rpartition("  ")[0].rstrip() for line in lines]


def test_the_newest_run_is_the_last_line(root: Path) -> None:
    answer = rnnlab("list", "--runs", root, columns=100)
    assert (answer.code, answer.err) == (0, "")
    assert without_age(answer.lines) == [
        "run     name    task                   cell    state        steps      loss  solved",
        "bbbbbb  simple  temporal_order@hs1997  simple  completed    3,000     0.125  no",
        "aaaaaa  carry   adding@urnn            carry   completed    3,000  0.004321  yes",
        "cccccc  cut     adding@urnn            carry   interrupted  1,000         —  no",
    ]


def test_filters_and_order(root: Path) -> None:
    answer = rnnlab("list", "--runs", root, "--filter", "task=adding*", "--filter", "cell.units>=16", "--sort", "-name")
    assert [line[:6].strip() for line in answer.lines] == ["run", "cccccc", "aaaaaa", "2 of 3"]
    assert answer.lines[-1] == f"2 of 3 runs in {root}"
    assert rnnlab("list", "--runs", root, "--filter", "state=failed").out == f"0 of 3 runs in {root}\n"


def test_json(root: Path) -> None:
    (root / "20261122T102532Z-dead-dddddd").mkdir()
    answer = rnnlab("list", "--runs", root, "--sort", "loss", "--filter", "loss!=null", "--json")
    assert [(run["run"], run["loss"], run["solved_step"]) for run in answer.json["runs"]] == [
        ("20261122T102531Z-carry-aaaaaa", 0.004321, 64),
        ("20261122T102531Z-simple-bbbbbb", 0.125, None),
    ]
    dead = root / "20261122T102532Z-dead-dddddd"
    assert answer.json["damaged"] == [{"run": dead.name, "path": str(dead), "reason": "is not an rnnlab run"}]
    assert answer.err == f"rnnlab: warning: {dead}: is not an rnnlab run\n"
    assert rnnlab("list", "--runs", root).lines[-1] == "1 more cannot be read (see stderr)"


def test_nothing_to_list_says_how_to_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "missing"):
        answer = rnnlab("list", "--runs", root, "--filter", "loss<1")
        hint = "start one with `rnnlab train quickstart`"
        assert answer == (0, f"no runs in {root} yet; {hint}\n", "")
        assert rnnlab("list", "--runs", root, "--json").json == {"format": "rnnlab-list/1", "runs": [], "damaged": []}
    (tmp_path / "file").touch()
    assert rnnlab("list", "--runs", tmp_path / "file").code == 3


def test_an_unknown_key_names_the_nearest(root: Path) -> None:
    answer = rnnlab("list", "--runs", root, "--sort", "-sede")
    assert answer == (2, "", "rnnlab: error[E_USAGE]: --sort: no run has a 'sede' — did you mean 'seed'?\n")


@pytest.mark.parametrize("columns", [40, 50, 60, 70, 76, 80, 200])
def test_lines_fit(tmp_path: Path, columns: int) -> None:
    store(tmp_path, f"{'n' * 60}-aaaaaa", summary={"task": "delayed_bernoulli@pitis2016"}, state="interrupted")
    longest = max(map(len, rnnlab("list", "--runs", tmp_path, columns=columns).lines))
    assert longest <= columns
    shown = rnnlab("list", "--runs", tmp_path, columns=columns).lines[1]
    assert ("n" * 60 in shown, "delayed_bernoulli@pitis2016" in shown) == (columns == 200, columns == 200)


@pytest.mark.parametrize("columns", [60, 80])
def test_the_name_of_a_trial_can_be_copied(tmp_path: Path, columns: int) -> None:
    names = ["0001-seed0", "0002-lr0.01-seed0"]
    for name in names:
        store(tmp_path, "trial").path.rename(tmp_path / name)
    lines = rnnlab("list", "--runs", tmp_path, columns=columns).lines[1:3]
    assert sorted(line.split()[0] for line in lines) == names


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    store(tmp_path, "x-aaaaaa", summary={"task": "[red]\x1b[31m"})
    assert r"[red]\x1b[31m" in rnnlab("list", "--runs", tmp_path, columns=120).out


def test_a_run_whose_process_is_gone_is_stale(tmp_path: Path) -> None:
    hold(store(tmp_path, "x-aaaaaa", state="running"), heartbeat=START)
    [run] = rnnlab("list", "--runs", tmp_path, "--json", "--filter", "state=stale").json["runs"]
    assert (run["state"], run["steps"], run["solved"]) == ("stale", 1000, None)


@pytest.fixture
def sixty(tmp_path: Path) -> Path:
    model = store(tmp_path / "model", "x-aaaaaa").path
    for n in range(60):
        shutil.copytree(model, tmp_path / "runs" / f"20261122T102531Z-x-{n:06}")
    return tmp_path / "runs"


def test_a_terminal_shows_the_newest_and_a_file_gets_all(sixty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [line[:6] for line in rnnlab("list", "--runs", sixty).lines[1:]] == [f"{n:06}" for n in range(60)]
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    *lines, last = rnnlab("list", "--runs", sixty, columns=300).lines
    assert [line[:6] for line in lines[1:]] == [f"{n:06}" for n in range(20, 60)]
    assert last == f"the newest 40 of 60 runs in {sixty}; --limit 0 shows all"
    assert len(rnnlab("list", "--runs", sixty, "--limit", "0").lines) == 61
    assert len(rnnlab("list", "--runs", sixty, "--json").json["runs"]) == 60


@pytest.mark.parametrize(
    ("arguments", "shown", "last"),
    [
        (["--limit", "2"], ["000058", "000059"], "the newest 2 of 60 runs in {}; --limit 0 shows all"),
        (["--limit", "2", "--sort", "run"], ["000000", "000001"], "the first 2 of 60 runs in {}; --limit 0 shows all"),
        (["--limit", "1", "--sort", "-run", "--filter", "run<'20261122T102531Z-x-000009'"], ["000008"],
         "the first 1 of 9 runs that match, of 60 in {}; --limit 0 shows all"),
        (["--limit", "9", "--filter", "run<20261122T102531Z-x-000002"], ["000000", "000001"], "2 of 60 runs in {}"),
    ],
)  # fmt: skip
def test_a_limit(sixty: Path, arguments: list[str], shown: list[str], last: str) -> None:
    lines = rnnlab("list", "--runs", sixty, *arguments, columns=200).lines
    assert ([line[:6] for line in lines[1:-1]], lines[-1]) == (shown, last.format(sixty))
    found = rnnlab("list", "--runs", sixty, *arguments, "--json").json["runs"]
    assert [run["run"][-6:] for run in found] == shown


def test_a_second_look_is_the_same_by_the_index(sixty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FRESH", -(10**15))
    first = rnnlab("list", "--runs", sixty, "--filter", "cell.units=16")
    assert sorted(path.name for path in sixty.glob(".*")) == [".index"]
    assert rnnlab("list", "--runs", sixty, "--filter", "cell.units=16") == first


def test_a_narrow_terminal_leaves_columns_out(root: Path) -> None:
    heads = [rnnlab("list", "--runs", root, columns=columns).lines[0].split() for columns in (40, 60, 72)]
    assert heads == [
        ["run", "name", "state", "loss"],
        ["run", "name", "task", "state", "steps", "loss"],
        ["run", "name", "task", "state", "steps", "loss", "solved", "age"],
    ]
    store(root, "x-dddddd").path.rename(root / ("m" * 60))
    lines = rnnlab("list", "--runs", root, columns=60).lines
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("mmmmmm") for line in lines)


@pytest.mark.parametrize("arguments", [["list"], ["show", "aaaaaa"], ["tasks"], ["cells"], ["compare", "aaa", "bbb"]])
def test_no_line_of_a_file_ends_in_blanks(root: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("RNNLAB_RUNS", str(root))
    answer = rnnlab(*arguments)
    assert answer.code == 0
    assert [line for line in answer.out.splitlines() if line != line.rstrip()] == []


def test_garbage_is_looked_for_again_afterwards(root: Path) -> None:
    for arguments in (["--limit", "1"], ["--sort", "nothing"]):
        rnnlab("list", "--runs", root, *arguments)
        assert gc.isenabled()
