"""Each field of each stored document of a run set to each wrong value, with a right checksum; then every command.

Whatever it finds, a command ends in time, with a documented exit code, with text that cannot control a terminal, and
without a change to anything but the run it was asked to change; and the other runs are listed as before.
"""

import io
import json
import random
import re
import resource
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import rnnlab as package
from rnnlab.cli.options import complete_run_or_sweep
from rnnlab.core.errors import RnnlabError
from rnnlab.storage import RunFolder
from rnnlab.storage.holder import LEASE_SECONDS
from tests.faults.poison import Poison, copied, documents, poisons
from tests.stored_runs import Answer, hold, rnnlab

CONFIG = """\
name: small
task: parity
shape: {timesteps: 4}
cell: {units: 2}
training: {steps: 4, batch_size: 2, evaluate_every: 2, stop_when_solved: false, checkpoint: {every_steps: 2}}
evaluation: {sequences: 4}
"""
TRIAL = "0001-seed0"
RUN = f"s/trials/{TRIAL}"
PATIENCE = 30  # seconds for one command, which may import TensorFlow
MOST_TEXT = 200_000  # characters of one command's text
MOST_MEMORY = 400_000  # KiB by which this process may grow
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 9, 75}
# Written down here by their meaning: Unicode 15, bidirectional controls, separators, surrogates; ECMA-48, C0 and C1.
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

READING = [
    ["list"], ["list", "--json"], ["list", "s", "--limit", "2"], ["list", "--sort", "loss"],
    ["list", "--sort", "-metrics.loss"], ["list", "--sort", "-shape.timesteps"], ["list", "--sort", "cell.units"],
    ["list", "--filter", "loss<0.5 or state=running or solved_step>1"], ["list", "--sort", "started", "--limit", "1"],
    ["list", "--filter", "cell.units>=2 and (task.type=par* or seed!=0)"], ["list", "--filter", "steps>1"],
    ["show", RUN], ["show", RUN, "--json"],
    ["compare", "s"], ["compare", "s", "--json"], ["compare", "s", "--format", "csv"],
    ["compare", "s", "--format", "markdown"], ["compare", "s", "--format", "latex"],
    ["compare", "s", "--metric", "train/loss"], ["compare", "s", "--by", "seed", "--over", "cell.units"],
    ["compare", "s", "--fail-if", "val_loss<0 and cell.units=2", "--fail-if", "median(loss)>1e9"],
    ["doctor", RUN], ["doctor", RUN, "--json"], ["sweep", "status", "s"], ["sweep", "status", "s", "--json"],
    ["check", f"{RUN}/resolved.yaml"],
]  # fmt: skip
COMPUTING = [
    ["evaluate", RUN], ["evaluate", RUN, "--weights", "last", "--json"], ["diagnose", RUN],
    ["diagnose", RUN, "--json", "--weights", "last"], ["export", RUN, "--format", "npz", "--out", "out.npz", "--force"],
    ["train", "--resume", RUN, "--set", "training.steps=6", "-q"], ["train", "--resume", RUN, "-q", "--json"],
    ["train", "small.yaml", "--into", RUN, "-q"],
]  # fmt: skip
DRAWING = [["plot", "s", "--out", "out.svg"], ["report", "s", "--out", "out.html"]]


class Hang(BaseException):
    """A command did not end in time."""


@pytest.fixture
def world(made: "World") -> "World":
    made.faults.clear()
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    """A folder with a sweep of three evaluated trials, the first of which is poisoned again and again."""
    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("RNNLAB_RUNS", "s/trials")
        patch.setattr(tempfile, "tempdir", str(root / "bugs"))
        Path("bugs").mkdir()
        Path("small.yaml").write_text(CONFIG)
        Path("sweep.yaml").write_text(CONFIG + "sweep: {seeds: 3}\n")
        done = rnnlab("sweep", "run", "sweep.yaml", "--into", "s", "-j", "1", "-q")
        assert done.code == 0, done
        for trial in sorted(Path("s/trials").iterdir()):
            done = rnnlab("evaluate", f"./{trial}")
            assert done.code == 0, done
        for name in ("completed", "running"):
            shutil.copytree(RUN, f"templates/{name}")
        _unfinish(Path("templates/running"))
        yield World(root)


def _unfinish(run: Path) -> None:
    """Make a run one that is being trained on another machine, as far as its files show."""
    status = documents(run)["status"]
    status.write(status.path, status.read(status.path) | {"state": "running", "exit_code": None})
    (run / "summary.json").unlink()
    hold(RunFolder(run))


class World:
    """The folder in which the commands are run, and what is found."""

    def __init__(self, root: Path) -> None:
        self.root, self.run = root, root / RUN
        self.tried: Counter[str] = Counter()
        self.faults: dict[str, list[str]] = {}
        self.listed = self._others_listed(rnnlab("list", "--json").out)
        self.rows = self._others_in_table()

    def poisons(self) -> dict[str, list[tuple[str, Poison]]]:
        """Return every edit of each document, of the run that is completed and of the one that is not."""
        found: dict[str, list[tuple[str, Poison]]] = {}
        for state in ("completed", "running"):
            for one in poisons(self.root / "templates" / state):
                found.setdefault(one.document, []).append((state, one))
        return found

    def try_all(self, state: str, poison: Poison | None, commands: list[list[str]]) -> None:
        """Run commands on the poisoned run, and keep what is wrong with their answers."""
        template = self.root / "templates" / state
        copied(template, self.run, poison)
        before = self._files(outside=False)
        name = f"{state} {poison.document} {poison.edit}" if poison else state
        for command in [*commands, None]:
            outside = self._files(outside=True)
            faults = list(self.answered(command))
            faults += ["wrote outside the run"] * (self._files(outside=True) != outside)
            for fault in faults:
                self.faults.setdefault(fault, []).append(f"{name}: {' '.join(command or ['api'])}")
            self.tried[command[0] if command else "api"] += 1
            if self._files(outside=False) != before:  # the next command sees the poison again
                copied(template, self.run, poison)
                before = self._files(outside=False)

    def answered(self, command: list[str] | None) -> Iterator[str]:
        """Run a command, or ask the functions for Python; yield what is wrong with the answer."""
        is_train = bool(command) and command[0] == "train"  # which waits for a whole lease of another machine
        try:
            with _limited(), mock.patch("rnnlab.storage.holder.LEASE_SECONDS", 0.2 if is_train else LEASE_SECONDS):
                answer = rnnlab(*command) if command else self._asked_from_python()
        except Hang as hang:
            yield f"hang in {_place(hang)}"
            return
        if answer.code not in DOCUMENTED:
            yield self._bug() or f"exit code {answer.code}: {answer.err[:200]!r}"
        for name, text in (("stdout", answer.out), ("stderr", answer.err)):
            if "Traceback" in text:
                yield f"traceback on {name}"
            if control := CONTROLS.search(text):
                yield f"{control.group()!r} on {name}"
            if re.search("^rnnlab: error: two", text, re.MULTILINE):
                yield f"a forged line on {name}"
        is_json = command is not None and "--json" in command
        if is_json and answer.out and not _is_json(answer.out):
            yield "invalid JSON"
        if len(answer.out) * (not is_json) + len(answer.err) > MOST_TEXT:
            yield f"{len(answer.out) + len(answer.err):,} characters"
        if command == ["list", "--json"] and (answer.code or self._others_listed(answer.out) != self.listed):
            yield f"other runs are listed otherwise: {answer.err[:200]}"
        if command == DRAWING[1] and answer.code in {0, 4} and "<script>alert" in Path("out.html").read_text():
            yield "a script in the report"

    def _asked_from_python(self) -> Answer:
        """Ask the functions for Python; they raise what is no bug, and else return something."""
        out = io.StringIO()
        run = package.Run(RunFolder(self.run))
        asked: list[Callable[[], Any]] = [
            lambda: repr(run), lambda: run._repr_html_(), lambda: run.summary, lambda: run.metrics(),
            lambda: run.curve("validation/loss"), lambda: run.final("train/loss"), lambda: run.best("train/loss"),
            lambda: run.best_step, lambda: run.message, lambda: run.weights("last"),
            lambda: package.open_run(RUN).status, lambda: package.open_run("latest"),
            lambda: complete_run_or_sweep(mock.Mock(params={}), "0"),
            self._others_in_table,
        ]  # fmt: skip
        for one in asked:
            try:
                with mock.patch("rnnlab.figures.notebook.picture", return_value=b""):  # takes longer than all the rest
                    got = one()
            except RnnlabError as fault:
                out.write(f"{fault}\n"[:10_000])
            except Exception as bug:
                return Answer(1, "", f"{type(bug).__name__} in {_place(bug)}")
            else:
                if one == self._others_in_table and got != self.rows:
                    return Answer(1, "", "table() has other rows")
        return Answer(0, out.getvalue(), "")

    def _bug(self) -> str:
        """Return what the bug was, from the file with its traceback, which is removed."""
        texts = []
        for path in Path("bugs").iterdir():
            places = re.findall(r'rnnlab/(\S+)", line (\d+), in (\S+)', path.read_text())
            last = path.read_text().strip().splitlines()[-1]
            texts.append(f"bug: {':'.join(places[-1])}: {last[:60]}")
            path.unlink()
        return "; ".join(texts)

    def _others_listed(self, out: str) -> list[Any]:
        return [row | {"age": 0} for row in json.loads(out)["runs"] if TRIAL not in row["path"]]

    def _others_in_table(self) -> list[Any]:
        if not find_spec("pandas"):
            return []
        rows = package.table().to_dict("records")
        keys = ("run", "state", "loss", "seed", "config.cell.units", "metrics.loss")
        return [[row[key] for key in keys] for row in rows if TRIAL not in row["path"]]

    def _files(self, *, outside: bool) -> dict[str, tuple[int, int]]:
        """Return size and time of each file in the run, or of each other one but what was asked for."""
        found = {}
        for path in self.root.rglob("*"):
            is_asked_for = path.name[:4] == "out." or path.parent.name == "bugs"
            if (self.run not in path.parents) == outside and not is_asked_for and path.is_file():
                state = path.stat()
                found[str(path)] = (state.st_size, state.st_mtime_ns)
        return found


@contextmanager
def _limited() -> Iterator[None]:
    def end(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/rnnlab/" in one.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("state", ["completed", "running"])
def test_what_is_not_poisoned_is_read(world: World, state: str) -> None:
    world.try_all(state, None, [*READING, *COMPUTING, *DRAWING])
    assert world.faults == {}


def test_no_value_of_a_stored_document_is_a_bug(world: World) -> None:
    """A sample of each document, which changes only when the documents do."""
    chance, memory = random.Random(14), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for document, every in world.poisons().items():
        for state, poison in chance.sample(every, 6 if document == "resolved" else 2):
            world.try_all(state, poison, chance.sample(READING, 4) + chance.sample(COMPUTING, 1))
    assert world.faults == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MOST_MEMORY


@pytest.mark.parametrize("document", ["status", "summary", "provenance", "lock", "metrics:0", "resolved"])
def test_ten_megabytes_of_text_are_refused_at_once(world: World, document: str) -> None:
    state = "running" if document == "lock" else "completed"
    one = documents(world.root / "templates" / state)[document]
    content = one.read(one.path) | {"message": "x" * 10_000_000}
    world.try_all(state, Poison(document, "message=10 MB", content), [["list"], ["show", RUN], ["compare", "s"]])
    assert world.faults == {}


GIVEN = {
    "nothing": b"", "no text": b"\xff\x00" * 100, "cut": b"task: [", "a code": b"name: '\x1b[31m'",
    "deep": b"[" * 10**6, "an escape": b'a: "\\e]0;x\\a"', "10 MB": b"x" * 10**7,
    "a base": b"extends: ../../../../etc/passwd",
}  # fmt: skip


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_a_config_as_given_is_never_trusted(world: World, given: bytes) -> None:
    world.try_all("completed", None, [])
    (world.run / "config.yaml").write_bytes(given)
    provenance = documents(world.run)["provenance"]
    content = provenance.read(provenance.path) | {"config_yaml_sha256": sha256(given).hexdigest()}
    provenance.write(provenance.path, content)
    for command in (["check", f"{RUN}/config.yaml"], ["doctor", RUN], ["train", "--resume", RUN, "-q"]):
        assert list(world.answered(command)) == []


DOCUMENTS = [
    "status", "summary", "provenance", "lock", "metrics:0", "metrics:1", "metrics:-1", "evaluations:0", "resolved",
    "best", "last", "checkpoint",
]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_value_of_this_document_is_a_bug(world: World, document: str, report: Callable[[str], None]) -> None:
    """Every edit and every command; the slowest commands with every hundredth edit."""
    before, every = world.tried.total(), world.poisons()[document]
    for number, (state, poison) in enumerate(every):
        world.try_all(state, poison, [*READING, *COMPUTING, *(DRAWING if number % 100 == 0 else [])])
    report(f"{document}: {len(every):,} edits, {world.tried.total() - before:,} commands, {len(world.faults)} faults")
    assert world.faults == {}


def test_every_document_has_its_soak(world: World) -> None:
    assert sorted(world.poisons()) == sorted(DOCUMENTS)
