"""Takes out, one at a time, what a run's safety rests on, and shows that a named test notices.

    python -m tests.faults.mutations            all of them
    python -m tests.faults.mutations fsync      those with the word in their name

Each is made in a copy of the package; a safeguard whose loss no test notices is one that could be lost for real.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
POWER = "tests/faults/test_power_cut.py::test_power_cut"


@dataclass(frozen=True)
class Mutation:
    """One safeguard taken out.

    Attributes:
        name: What is gone.
        file: Where it was.
        old: The text of it, which stands there once.
        new: What stands there without it.
        test: The test that has to turn red.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        "fsync of a new file",
        "storage/files.py",
        "        disk.fsync(descriptor)\n    finally:\n        disk.close(descriptor)\n\n\ndef write_all",
        "        pass\n    finally:\n        disk.close(descriptor)\n\n\ndef write_all",
        f"{POWER}[nothing]",
    ),
    Mutation(
        "fsync of a folder",
        "storage/files.py",
        "    try:\n        disk.fsync(descriptor)\n    except OSError as fault:",
        "    try:\n        pass\n    except OSError as fault:",
        f"{POWER}[nothing]",
    ),
    Mutation(
        "fsync of the folder after a rename",
        "storage/files.py",
        "            raise\n        sync_folder(path.parent)\n",
        "            raise\n",
        f"{POWER}[nothing]",
    ),
    Mutation(
        "fsync of the folder around a new folder",
        "storage/files.py",
        "        disk.mkdir(folder)\n        sync_folder(parent)\n",
        "        disk.mkdir(folder)\n",
        "tests/faults/test_power_cut.py::test_what_is_finished_is_there[nothing]",
    ),
    Mutation(
        "fsync of the metrics before a checkpoint counts them",
        "training/store.py",
        "        self._metrics.sync()  # before the checkpoint, which counts its bytes\n",
        "",
        "tests/faults/test_power_cut.py::test_what_is_finished_is_there[nothing]",
    ),
    Mutation(
        "fsync of the folder of the metrics",
        "storage/append.py",
        "            sync_folder(self._path.parent)\n",
        "",
        "tests/storage/test_metrics.py",
    ),
    Mutation(
        "the file beside",
        "storage/files.py",
        "            write_new(temporary, data)\n            disk.rename(temporary, path)\n",
        "            disk.unlink(path) if path.exists() else None\n            write_new(path, data)\n",
        "tests/storage/test_files.py::test_killed_at_each_call_leaves_old_or_new_and_the_next_write_works",
    ),
    Mutation(
        "the write loop",
        "storage/files.py",
        "        rest = rest[written:]\n",
        "        break\n",
        "tests/storage/test_files.py::test_short_writes_are_continued",
    ),
    Mutation(
        "the exclusive create of a file",
        "storage/disk.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE",
        "os.O_WRONLY | os.O_CREAT | _SAFE",
        "tests/storage/test_files.py::test_link_planted_at_the_temporary_is_not_written_through",
    ),
    Mutation(
        "the exclusive create of a folder",
        "storage/disk.py",
        "    path.mkdir()\n",
        "    path.mkdir(exist_ok=True)\n",
        "tests/storage/test_files.py::test_make_folder_is_exclusive_and_synced",
    ),
    Mutation(
        "the exclusive create of a lock",
        "storage/lock.py",
        "        create_whole(path, _encoded(holder))\n",
        "        write_atomic(path, _encoded(holder))\n",
        "tests/storage/test_lock.py::test_of_many_that_overtake_at_once_one_wins",
    ),
    Mutation(
        "the hash check of arrays",
        "storage/weights.py",
        '    if texts.get("sha256") != _digest(arrays, description):\n',
        "    if False:\n",
        "tests/faults/test_damage.py::test_a_checkpoint_at_many_bytes[flip]",
    ),
    Mutation(
        "the checksum of a record",
        "storage/metrics.py",
        "if match is None or _checksum(match[1]) != match[2]:",
        "if match is None:",
        "tests/faults/test_damage.py::test_metrics_at_every_byte[flip]",
    ),
    Mutation(
        "the hash check of the config",
        "training/resume.py",
        "    if experiment.sha256() not in provenance.known_configs(run.read_provenance()):\n",
        "    if False:\n",
        "tests/training/test_resume_refused.py::test_a_config_that_was_edited",
    ),
    Mutation(
        "the lock check before taking a run",
        "storage/lock.py",
        "    if held and not force and _is_live(held[1]):\n",
        "    if False and held:\n",
        "tests/storage/test_lock.py::test_a_second_process_is_told_who_holds_it",
    ),
    Mutation(
        "the lock check before each save",
        "training/store.py",
        "        began = time.perf_counter()\n        self.require_lock()\n",
        "        began = time.perf_counter()\n",
        "tests/training/test_resume.py::test_who_was_overtaken_writes_nothing_more",
    ),
    Mutation(
        "the reading back of a checkpoint",
        "storage/checkpoint.py",
        '"state": plain}, read_back=True)',
        '"state": plain})',
        "tests/storage/test_checkpoint.py::test_a_disk_that_stores_something_else_costs_no_older_checkpoint",
    ),
    Mutation(
        "the second checkpoint",
        "storage/checkpoint.py",
        "KEPT = 2 ",
        "KEPT = 1 ",
        "tests/storage/test_checkpoint.py::test_the_newest_two_are_kept",
    ),
    Mutation(
        "the cut of later metrics on resuming",
        "training/store.py",
        "        self.run.cut_metrics(checkpoint.metrics_bytes if checkpoint else 0)\n",
        "",
        "tests/faults/test_each_call.py::test_a_run_begins[kill-on-early]",
    ),
)


def is_noticed(mutation: Mutation) -> bool:
    """Make the mutation in a copy of the package, and say whether its test fails there."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in ("rnnlab", "tests", "configs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        path = copy / "rnnlab" / mutation.file
        text = path.read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.name}: the text is not there once"
        assert _passes(mutation.test, copy), f"{mutation.name}: {mutation.test} fails as it is"
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        return not _passes(mutation.test, copy)


def _passes(test: str, place: Path) -> bool:
    command = [sys.executable, "-m", "pytest", test, "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False, text=True)
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # neither passed nor failed
    return done.returncode == 0


def main(words: list[str]) -> int:
    chosen = [one for one in MUTATIONS if all(word in one.name for word in words)]
    missed = 0
    for one in chosen:
        noticed = is_noticed(one)
        missed += not noticed
        print(f"{'noticed' if noticed else 'MISSED '}  {one.name}: {one.test}", flush=True)  # noqa: T201
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
