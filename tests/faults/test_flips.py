"""A changed bit, a file of another run, a figure that does not follow: `doctor` notices each, and readers refuse it."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import rnnlab
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import DivergedError, VerificationError
from rnnlab.inspection.doctor import examine
from rnnlab.storage import Metrics, RunFolder
from rnnlab.storage.holder import is_lock
from rnnlab.storage.jsonfile import read_json, write_json
from rnnlab.storage.summary import Summary
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop
from tests.cli import program
from tests.small import SMALL
from tests.training.resuming import killed, until
from tests.training.test_endings import EXPLODES

KINDS = ("completed", "evaluated", "interrupted", "resumed", "diverged", "killed", "resumed and killed")
CONFIG = dump_yaml({**SMALL, "name": "small"}).encode()


def asked(folder: Path, *overrides: str) -> Experiment:
    path = folder / "small.yaml"
    path.write_bytes(CONFIG)
    return load_experiment(path, overrides).experiment


def begun(experiment: Experiment, folder: Path, *, stop_at: int | None = None) -> RunFolder:
    stop = Stop()
    events = train_into(folder, experiment, config=CONFIG, argv=["x"], stop=stop)
    list(events) if stop_at is None else until(events, stop_at, stop)
    return RunFolder(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each kind, and one of the first kind with another seed."""
    place = tmp_path_factory.mktemp("runs")
    experiment = asked(place)
    begun(experiment, place / "completed")
    begun(asked(place, "seed=1"), place / "other")
    rnnlab.evaluate(rnnlab.open_run(str(begun(experiment, place / "evaluated").path)))
    begun(experiment, place / "interrupted", stop_at=3)
    list(resume(begun(experiment, place / "resumed", stop_at=3), argv=["y"]))
    with pytest.raises(DivergedError):
        begun(asked(place, *EXPLODES), place / "diverged")
    killed(experiment, place / "killed", 3)
    shutil.copytree(place / "interrupted", place / "resumed and killed")
    events = resume(RunFolder(place / "resumed and killed"), argv=["y"])
    for _ in range(3):
        next(events)
    shutil.copytree(place / "resumed and killed", place / "copy")
    events.close()
    shutil.rmtree(place / "resumed and killed")
    (place / "copy").rename(place / "resumed and killed")
    return place


def files(run: RunFolder) -> list[Path]:
    """All files but the log and pictures, which nothing reads back."""
    found = sorted(path for path in run.path.rglob("*") if path.is_file())
    return [path for path in found if path.name != "log.txt" and path.parent.name != "plots"]


def flips(run: RunFolder, count: int, rng: random.Random) -> Iterator[tuple[Path, int]]:
    """Yield bits, evenly over the files, and anywhere within each."""
    paths = files(run)
    first = rng.randrange(len(paths))
    for number in range(count):
        path = paths[(first + number) % len(paths)]
        if size := path.stat().st_size:
            yield path, rng.randrange(8 * size)


def contents(run: RunFolder) -> list[Metrics]:
    return [run.read_metrics(), run.read_evaluations()]


def require_noticed(run: RunFolder, count: int, seed: int) -> Counter[str]:
    """Flip bits one at a time; return in how many of each file that was noticed, or had no effect."""
    assert examine(run).is_healthy, examine(run).findings
    before, counts = contents(run), Counter[str]()
    for path, bit in flips(run, count, random.Random(seed)):
        data = path.read_bytes()
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        name = str(path.relative_to(run.path))
        if examine(run).is_healthy:
            # What is read is the same: of records, the rest of one that a crash had cut does not count, and of
            # two checkpoints of one step the older is never opened.
            read = [run.checkpoints().path(step) for step in run.checkpoints().steps()]
            assert path.suffix == ".jsonl" or (path.parent.name == "checkpoints" and path not in read), (name, bit)
            assert contents(run) == before, (name, bit)
            name = f"{name}, without effect"
        counts[name] += 1
        path.write_bytes(data)
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_noticed(runs: Path, tmp_path: Path, kind: str) -> None:
    run = RunFolder(shutil.copytree(runs / kind, tmp_path / "run"))
    assert sum(require_noticed(run, 15, KINDS.index(kind)).values()) >= 14


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_many_flipped_bits_are_noticed(runs: Path, tmp_path: Path, kind: str) -> None:
    """350 each, 2,450 in all; `-s` shows the counts."""
    run = RunFolder(shutil.copytree(runs / kind, tmp_path / "run"))
    counts = require_noticed(run, 350, 100 + KINDS.index(kind))
    print(f"\n{kind}: {sum(counts.values())}", *(f"  {count:4} {name}" for name, count in counts.items()), sep="\n")  # noqa: T201


def test_a_run_that_was_killed_has_its_lock(runs: Path) -> None:
    for kind in ("killed", "resumed and killed"):
        assert any(is_lock(path.name) for path in files(RunFolder(runs / kind)))


NEWEST = "checkpoints/step-0000000005-0001.safetensors"
# File -> the commands that read it, and must refuse one of another run.
SWAPPED: dict[str, Sequence[str]] = {
    "status.json": ("show", "evaluate"),
    "summary.json": ("show",),
    "provenance.json": ("show", "evaluate"),
    "resolved.yaml": ("show", "evaluate"),
    "metrics.jsonl": ("show",),
    "weights/best.safetensors": ("evaluate",),
    "weights/last.safetensors": ("evaluate --weights last",),
    NEWEST: (),
}


@pytest.mark.parametrize("file", SWAPPED)
def test_a_file_of_another_run_is_noticed(runs: Path, tmp_path: Path, file: str) -> None:
    run = RunFolder(shutil.copytree(runs / "completed", tmp_path / "run"))
    shutil.copy(runs / "other" / file, run.path / file)
    bad = {finding.file: finding.detail for finding in examine(run).findings if finding.result == "bad"}
    assert "is of another run" in " ".join(bad.values())
    assert file in bad or file == "status.json"
    for command in SWAPPED[file]:
        name, *options = command.split()
        result = program.rnnlab(name, run.path, *options)
        assert (result.code, "is of another run" in result.stderr) == (4, True), (command, result)
    listed = program.rnnlab("list", "--runs", tmp_path)
    assert ("is of another run" in listed.stdout + listed.stderr) == (file in {"status.json", "summary.json"})


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "id": lambda of: "0" * 16,
    "attempt": lambda of: 2,
    "run": lambda of: "another",
    "name": lambda of: "another",
    "state": lambda of: "interrupted",
    "stopped": lambda of: "plateau",
    "task": lambda of: "adding@urnn",
    "timesteps": lambda of: [4, 5],
    "backend": lambda of: "keras",
    "cell": lambda of: "simple" if of["cell"] == "carry" else "carry",
    "seed": lambda of: 1,
    "parameters": lambda of: of["parameters"] + 1,
    "steps": lambda of: 4,
    "sequences": lambda of: of["sequences"] + 1,
    "seconds": lambda of: 0.0,
    "steps_per_second": lambda of: 2 * of["steps_per_second"],
    "baseline": lambda of: 0.99 * of["baseline"],
    "solved": lambda of: not of["solved"],
    "solved_rule": lambda of: "any",
    "solved_at": lambda of: {"step": 2, "sequences": 13, "seconds": 0.0},
    "loss": lambda of: of["loss"] - 0.2,
    "metrics": lambda of: {**of["metrics"], "error_rate": 0.0125},
    "best": lambda of: {"step": 2 if of["best"]["step"] != 2 else 4, "metrics": of["best"]["metrics"]},
}


def test_each_field_of_a_summary_is_recomputed() -> None:
    assert WRONG.keys() == Summary.model_fields.keys()


@pytest.mark.parametrize("field", WRONG)
def test_a_summary_that_disagrees_is_noticed(runs: Path, tmp_path: Path, field: str) -> None:
    """Its checksum is right."""
    run = RunFolder(shutil.copytree(runs / "completed", tmp_path / "run"))
    path = run.path / "summary.json"
    summary = read_json(path)
    write_json(path, summary | {field: WRONG[field](summary)})
    bad = {finding.file: finding.detail for finding in examine(run).findings if finding.result == "bad"}
    assert set(bad) == {"summary.json"}
    assert field in bad["summary.json"] or "another run" in bad["summary.json"]


@pytest.mark.parametrize(
    "change",
    [{"id": "0" * 16}, {"run": "another"}, {"attempt": 2}, {"state": "diverged"}, {"state": "failed"}, {"step": 4},
     {"step": 6}, {"saved": 4}, {"saved": None}, {"exit_code": 75}, {"exit_code": None}],
    ids=str,
)  # fmt: skip
def test_a_status_that_disagrees_is_noticed(runs: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    run = RunFolder(shutil.copytree(runs / "completed", tmp_path / "run"))
    write_json(run.path / "status.json", read_json(run.path / "status.json") | change)
    assert not examine(run).is_healthy


@pytest.mark.parametrize("kind", ["completed", "interrupted", "resumed", "diverged"])
def test_a_newest_checkpoint_that_is_gone_is_noticed(runs: Path, tmp_path: Path, kind: str) -> None:
    run = RunFolder(shutil.copytree(runs / kind, tmp_path / "run"))
    run.checkpoints().path(run.checkpoints().steps()[0]).unlink()
    bad = {finding.file: finding.detail for finding in examine(run).findings if finding.result == "bad"}
    assert "though the newest was saved at step" in bad["checkpoints"]


def test_weights_of_another_step_are_noticed(runs: Path, tmp_path: Path) -> None:
    """Of the same run, with a checksum that is right."""
    run = RunFolder(shutil.copytree(runs / "completed", tmp_path / "run"))
    arrays, about = run.load_weights("best")
    for which in ("best", "last"):
        run.save_weights(which, arrays, {**about, "step": 1})
    bad = {finding.file: finding.detail for finding in examine(run).findings if finding.result == "bad"}
    assert set(bad) == {"weights/best.safetensors", "weights/last.safetensors"}
    run.save_weights("best", arrays, {**about, "id": "0" * 16})
    with pytest.raises(VerificationError, match="is of another run"):
        rnnlab.open_run(str(run.path)).weights("best")
