from pathlib import Path

import pytest

from rnnlab.storage.jsonfile import flatten
from rnnlab.storage.sealed_yaml import sealed
from tests.stored_runs import CONFIG, SUMMARY, provenance, rnnlab, store

SOLVED = {"solved": True, "stopped": "solved", "solved_at": {"step": 2000, "sequences": 64000, "seconds": 5.5}}


def test_a_run_at_a_glance(tmp_path: Path) -> None:
    run = store(tmp_path, "x-aaaaaa", summary=SOLVED)
    answer = rnnlab("show", "aaaaaa", "--runs", tmp_path, columns=120)
    assert (answer.code, answer.err) == (0, "")
    sizes = {path.name: f"{path.stat().st_size:,}" for path in run.path.iterdir()}
    start = answer.lines.index("validation loss over steps")
    picture, rest = answer.lines[start : start + 13], answer.lines[:start] + answer.lines[start + 13 :]
    assert picture[-2:] == ["           a validation loss  ┄┄ baseline", ""]
    assert rest[start] == "started   2026-11-22T10:25:31Z on here (Abacus, 2 cores; openblas ×1)"
    assert words([line for line in rest if line and "──" not in line]) == [
        "20261122T102531Z-x-aaaaaa",
        "trained carry cell, 16 units, 1,489 parameters, on adding@urnn (T=50); numpy float32, seed 7",
        "state completed at step 3,000 of 3,000",
        "result SOLVED at step 2,000, after 64,000 sequences and 5.5 s (3,000 steps in 8.0 s)",
        "rule validation loss at most 0.005",
        "validation final best",
        "loss 0.125 0.0625",
        "error_rate 0.75 0.5",
        "of step 3,000 2,000",
        "reference predictor loss",
        "constant: always 1 0.1667",
        "memoryless: ½ and the last value if it is marked, else 1 (baseline) 0.1633",
        "remembers the second number 0.08333",
        "▶ this run, at its best 0.0625",
        "oracle 0",
        "started 2026-11-22T10:25:31Z on here (Abacus, 2 cores; openblas ×1)",
        "versions python 3.11.7, rnnlab 0.1.0",
        "git commit 0123456789ab with uncommitted changes (the diff is in provenance.json)",
        "command rnnlab train 'x y.yaml'",
        "file bytes",
        *(f"{name} {sizes[name]}" for name in sorted(sizes)),
        f"to repeat it: rnnlab train {run.path}/resolved.yaml",
    ]


def test_evaluations_made_later(tmp_path: Path) -> None:
    run = store(tmp_path, "x-aaaaaa")
    about = {"weights": "best", "task": "adding@urnn", "seed": 7, "stream": "test", "seconds": 0.1, "sequences": 1000}
    with run.evaluations_writer(run.read_status().id) as writer:
        writer.write(
            {"step": 2000, **about, "shortest": 400, "longest": 400, "baseline": 1 / 6, "solved": False, "loss": 0.2}
        )
        writer.write(
            {"step": 2000, **about, "shortest": 1, "longest": 9, "baseline": 0.5, "solved": True, "mae": float("nan")}
        )
    lines = words(rnnlab("show", run.path).lines)
    start = lines.index("evaluated step on T sequences loss mae baseline solved")
    assert lines[start + 2 : start + 4] == [
        "best 2,000 test 400 1,000 0.2 — 0.1667 no",
        "best 2,000 test 1…9 1,000 — — 0.5 yes",
    ]


def words(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_json(tmp_path: Path) -> None:
    run = store(tmp_path, "x-aaaaaa")
    shown = rnnlab("show", "latest", "--runs", tmp_path, "--json").json
    parts = ["summary", "provenance", "config", "metrics", "evaluations"]
    assert list(shown) == ["format", "run", "path", "status", *parts]
    assert (shown["path"], shown["summary"], shown["provenance"]) == (str(run.path), SUMMARY, provenance().document())
    assert (shown["config"], shown["evaluations"]) == (dict(flatten(CONFIG)), [])
    assert (shown["status"]["state"], shown["status"]["step"]) == ("completed", 3000)
    assert [(record["step"], record["validation/loss"]) for record in shown["metrics"]] == [
        (0, 1.0), (1000, 0.1875), (2000, 0.0625), (3000, 0.125),
    ]  # fmt: skip


def state_of(root: Path) -> str:
    [line] = [line for line in rnnlab("show", "latest", "--runs", root, columns=200).lines if line.startswith("state")]
    return line.removeprefix("state    ")


def test_the_state(tmp_path: Path) -> None:
    for n, (given, expected) in enumerate(
        [
            ({"state": "running", "pid": 12, "host": "elsewhere"},
             "running: process 12 on elsewhere; saved at step 1,000 of 3,000"),
            ({"state": "interrupted", "exit_code": 75, "message": "stopped by SIGTERM"},
             "interrupted at step 1,000 of 3,000, exit code 75: stopped by SIGTERM"),
            ({"state": "diverged", "exit_code": 7, "message": "loss is nan\x1b"},
             r"diverged at step 1,000 of 3,000, exit code 7: loss is nan\x1b"),
        ]
    ):  # fmt: skip
        store(tmp_path / str(n), "x-aaaaaa", **given)
        assert state_of(tmp_path / str(n)) == expected


def test_a_run_whose_process_is_gone(tmp_path: Path) -> None:
    folder = store(tmp_path, "x-aaaaaa", state="running", pid=7, host="there")
    (folder.path / "lock-0001.json").unlink()
    expected = "stale: process 7 on there is not running any more; saved at step 1,000 of 3,000"
    assert state_of(tmp_path) == expected
    assert f"to resume it:  rnnlab train --resume {folder.path}" in rnnlab("show", "latest", "--runs", tmp_path).lines
    assert rnnlab("show", "latest", "--runs", tmp_path, "--json").json["status"]["state"] == "stale"


def test_a_run_that_has_not_ended_shows_its_record(tmp_path: Path) -> None:
    store(tmp_path, "x-aaaaaa", state="running", step=3000)
    answer = rnnlab("show", "latest", "--runs", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    for line in (
        "trained carry cell, 16 units, on adding@urnn (T=50); numpy float32, seed 7",
        "validation newest best",
        "loss 0.125 0.0625",
        "of step 3,000 2,000",
        "▶ this run, at its best 0.0625",
    ):
        assert line in words(answer.lines)
    assert not any(line.startswith(("result", "rule")) for line in answer.lines)
    assert rnnlab("show", "latest", "--runs", tmp_path, "--json").json["summary"] is None


@pytest.mark.parametrize("state", ["interrupted", "stale", "running"])
def test_half_a_record_at_the_end_is_reported(tmp_path: Path, state: str) -> None:
    run = store(tmp_path, "x-aaaaaa", state=state.replace("stale", "running"))
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step":')
    if state == "stale":
        (run.path / "lock-0001.json").unlink()
    answer = rnnlab("show", run.path)
    expected = (
        f"rnnlab: warning: {run.path}/metrics.jsonl: ends in half a record, as a kill can leave it; it is not counted\n"
    )
    assert (answer.code, answer.err) == (0, "" if state == "running" else expected)


@pytest.mark.parametrize(
    ("name", "content", "fault", "missing"),
    [
        ("summary.json", b"{", "summary.json:1: is not valid JSON", "result"),
        ("provenance.json", b"[]", "provenance.json:1: is a list, expected an object", "started"),
        ("metrics.jsonl", b"{}\n", "metrics.jsonl:1: the record is damaged", "validation loss over steps"),
        ("resolved.yaml", b"a: 1\n", "resolved.yaml: was changed since it was written", "trained"),
        ("resolved.yaml", sealed("a: [\n", "0" * 16), "resolved.yaml: invalid YAML", "trained"),
        ("resolved.yaml", sealed("- 1\n", "0" * 16), "resolved.yaml: is not the config of a run", "trained"),
    ],
)
def test_a_damaged_part_is_named_and_the_rest_shown(
    tmp_path: Path, name: str, content: bytes, fault: str, missing: str
) -> None:
    run = store(tmp_path, "x-aaaaaa")
    (run.path / name).write_bytes(content)
    answer = rnnlab("show", run.path)
    assert answer.code == 4
    assert fault in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not any(line.startswith(missing) for line in answer.lines)
    assert any(line.split()[:2] == ["state", "completed"] for line in answer.lines)
    assert answer.lines[-1].startswith("to repeat it:")


@pytest.mark.parametrize(
    "config",
    [
        {"task": {"type": "unheard@of"}},
        {"task": {"type": "adding@urnn", "strange": 1}},
        {"task": {"type": "forecast", "csv": "/no/such.csv"}},
        {"shape": {"timesteps": 1}},
        {"shape": {"timesteps": ["x", 3]}},
    ],
)
def test_a_task_that_cannot_be_built_leaves_the_stored_baseline(tmp_path: Path, config: dict[str, object]) -> None:
    lines = words(rnnlab("show", store(tmp_path, "x-aaaaaa", config=config).path).lines)
    start = lines.index("reference predictor loss")
    assert lines[start + 2 : start + 5] == ["baseline 0.1667", "▶ this run, at its best 0.0625", ""]


def test_the_curve_is_drawn_as_after_a_training(tmp_path: Path) -> None:
    run = store(tmp_path, "x-aaaaaa")
    with run.metrics_writer(run.read_status().id) as writer:
        for step in range(4000, 200_000, 1000):
            loss = 2.0 if step < 199_000 else float("nan")
            writer.write({"step": step, "sequences": 0, "seconds": 9.0, "validation/loss": loss})
    lines = rnnlab("show", run.path, columns=100).lines
    start = lines.index("validation loss over steps, log scale")
    assert lines[start + 10].split() == ["step", "0", "99,500", "199,000"]
    assert lines[start + 11].split() == ["a", "validation", "loss", "┄┄", "baseline"]
    assert max(map(len, lines[start : start + 12])) <= 80
    assert rnnlab("show", run.path, columns=40).code == 0
