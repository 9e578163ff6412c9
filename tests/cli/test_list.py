import sys
from pathlib import Path

import pytest

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
        ("aaaaaa", 0.004321, 64),
        ("bbbbbb", 0.125, None),
    ]
    dead = root / "20261122T102532Z-dead-dddddd"
    assert answer.json["broken"] == [{"path": str(dead), "reason": "is not an rnnlab run"}]
    assert answer.err == f"rnnlab: warning: {dead}: is not an rnnlab run\n"


def test_broken_runs_are_counted(root: Path) -> None:
    (root / "20261122T102532Z-dead-dddddd").mkdir()
    assert rnnlab("list", "--runs", root).lines[-1] == "1 more cannot be read (named on stderr)"


def test_nothing_to_list_says_how_to_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "missing"):
        answer = rnnlab("list", "--runs", root, "--filter", "loss<1")
        hint = "start one with `rnnlab train configs/quickstart.yaml`"
        assert answer == (0, f"no runs in {root} yet; {hint}\n", "")
        assert rnnlab("list", "--runs", root, "--json").json == {"runs": [], "broken": []}
    (tmp_path / "file").touch()
    assert rnnlab("list", "--runs", tmp_path / "file").code == 3


def test_an_unknown_key_names_the_nearest(root: Path) -> None:
    answer = rnnlab("list", "--runs", root, "--sort", "-sede")
    assert answer == (2, "", "rnnlab: error[E_USAGE]: --sort: no run has a 'sede' — did you mean 'seed'?\n")


@pytest.mark.parametrize("columns", [76, 80, 200])
def test_lines_fit(tmp_path: Path, columns: int) -> None:
    store(tmp_path, f"{'n' * 60}-aaaaaa", summary={"task": "delayed_bernoulli@pitis2016"}, state="interrupted")
    longest = max(map(len, rnnlab("list", "--runs", tmp_path, columns=columns).lines))
    assert longest <= columns
    shown = rnnlab("list", "--runs", tmp_path, columns=columns).lines[1]
    assert ("n" * 60 in shown, "delayed_bernoulli@pitis2016" in shown) == (columns == 200, columns == 200)


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    store(tmp_path, "x-aaaaaa", summary={"task": "[red]\x1b[31m"})
    assert r"[red]\x1b[31m" in rnnlab("list", "--runs", tmp_path, columns=120).out


def test_list_and_show_never_load_a_framework(root: Path) -> None:
    import subprocess

    for arguments in (["list"], ["show", "aaaaaa"]):
        code = (
            f"import sys; sys.argv = ['rnnlab', *{arguments!r}, '--runs', {str(root)!r}]\n"
            "from rnnlab.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n"
            "    print(end.code, [name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0 []"


def test_a_run_whose_process_is_gone_is_stale(tmp_path: Path) -> None:
    hold(store(tmp_path, "x-aaaaaa", state="running"), heartbeat=START)
    [run] = rnnlab("list", "--runs", tmp_path, "--json", "--filter", "state=stale").json["runs"]
    assert (run["state"], run["steps"], run["solved"]) == ("stale", 1000, None)
