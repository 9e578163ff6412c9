"""Removes the safeguards of runs one at a time, and shows that a named test fails without each.

    python -m tests.faults.mutations            all of them
    python -m tests.faults.mutations fsync      those with the word in their name

A change is made in the syntax tree of one function, in a copy of the package, so that formatting and other code of the
file do not matter. A safeguard whose removal no test notices could be lost unnoticed.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
POWER = "tests/faults/test_power_cut.py"
FILES = "tests/storage/test_files.py"
FOLDER = "tests/storage/test_folder.py"
LOCK = "tests/storage/test_lock.py"

# Takes a function's tree, changes it, and returns how many places were changed.
Change = Callable[[ast.AST], int]


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _name_of(node: ast.AST) -> str:
    """Return the name that a function, a class, or an assignment to one name defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) else ""


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _calls(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Call) and _called(node) == name for node in ast.walk(tree))


def _replaced(matches: Callable[[ast.AST], bool], replacement: Callable[[ast.AST], ast.expr]) -> Change:
    def change(tree: ast.AST) -> int:
        count = 0

        class Replace(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> ast.AST:
                nonlocal count
                if matches(node):
                    count += 1
                    return replacement(node)
                return self.generic_visit(node)

        Replace().visit(tree)
        return count

    return change


def instead(old: str, new: str) -> Change:
    """Replace an expression: `old` is compared by its syntax, in which formatting and comments have no part."""
    wanted, replacement = ast.dump(_expression(old)), _expression(new)
    return _replaced(lambda node: ast.dump(node) == wanted, lambda _: replacement)


def without_call(name: str) -> Change:
    """Replace each call of a function or method of this name by None."""
    return _replaced(lambda node: isinstance(node, ast.Call) and _called(node) == name, lambda _: ast.Constant(None))


def without_argument(call: str, argument: str) -> Change:
    """Take a keyword argument away from the calls of a function."""

    def change(tree: ast.AST) -> int:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == call]
        found = [(node, keyword) for node in calls for keyword in node.keywords if keyword.arg == argument]
        for node, keyword in found:
            node.keywords.remove(keyword)
        return len(found)

    return change


def never(call: str) -> Change:
    """Make false the condition of the `if` in which this function is called."""

    def change(tree: ast.AST) -> int:
        found = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _calls(node.test, call)]
        for node in found:
            node.test = ast.Constant(False)
        return len(found)

    return change


@dataclass(frozen=True)
class Mutation:
    """One safeguard removed.

    Attributes:
        name: What is missing.
        place: `file:function` or `file:class`, the file in `rnnlab`; `file:NAME` for the value of a constant.
        changes: What is changed there, each in exactly one place.
        test: The test that must fail.
    """

    name: str
    place: str
    changes: tuple[Change, ...]
    test: str

    @property
    def path(self) -> Path:
        """The file, relative to the root."""
        return Path("rnnlab", self.place.partition(":")[0])

    def mutated(self) -> str:
        """Return the text of the file with the safeguard removed.

        Raises:
            LookupError: The function, or the place in it, is missing or ambiguous.
        """
        tree = ast.parse((ROOT / self.path).read_text(encoding="utf-8"))
        scopes = [node for node in ast.walk(tree) if _name_of(node) == self.place.partition(":")[2]]
        if len(scopes) != 1:
            raise LookupError(f"{self.name}: {len(scopes)} places are called {self.place}")
        for change in self.changes:
            if (count := change(scopes[0])) != 1:
                raise LookupError(f"{self.name}: {count} places to change in {self.place}, expected one")
        return ast.unparse(ast.fix_missing_locations(tree))


MUTATIONS = (
    Mutation(
        "fsync of a new file",
        "storage/files.py:write_new",
        (without_call("fsync"),),
        f"{POWER}::test_power_cut[nothing]",
    ),
    Mutation(
        "fsync of a folder",
        "storage/files.py:sync_folder",
        (without_call("fsync"),),
        f"{POWER}::test_power_cut[nothing]",
    ),
    Mutation(
        "fsync of the folder after a rename",
        "storage/files.py:write_atomic",
        (without_call("sync_folder"),),
        f"{POWER}::test_power_cut[nothing]",
    ),
    Mutation(
        "fsync of the names before the status",
        "storage/folder.py:write_status",
        (without_call("sync_folder"),),
        f"{FOLDER}::test_a_status_is_there_only_with_what_was_written_before",
    ),
    Mutation(
        "fsync of the folder around a new folder",
        "storage/files.py:make_folder",
        (without_call("sync_folder"),),
        f"{POWER}::test_what_is_finished_is_there[nothing]",
    ),
    Mutation(
        "fsync of the metrics before a checkpoint counts them",
        "training/store.py:save",
        (without_call("sync"),),
        f"{POWER}::test_what_is_finished_is_there[nothing]",
    ),
    Mutation(
        "fsync of the folder of the metrics",
        "storage/append.py:_begin",
        (without_call("sync_folder"),),
        "tests/storage/test_metrics.py",
    ),
    Mutation(
        "the temporary file",
        "storage/files.py:write_atomic",
        (
            without_call("rename"),
            instead("write_new(temporary, data)", "[path.exists() and disk.unlink(path), write_new(path, data)]"),
        ),
        f"{FILES}::test_killed_at_each_call_leaves_old_or_new_and_the_next_write_works",
    ),
    Mutation(
        "the write loop",
        "storage/files.py:write_all",
        (instead("rest[written:]", "rest[len(rest):]"),),
        f"{FILES}::test_short_writes_are_continued",
    ),
    Mutation(
        "the exclusive create of a file",
        "storage/disk.py:open_new",
        (instead("os.O_EXCL", "0"),),
        f"{FILES}::test_link_planted_at_the_temporary_is_not_written_through",
    ),
    Mutation(
        "the exclusive create of a folder",
        "storage/disk.py:mkdir",
        (instead("path.mkdir()", "path.mkdir(exist_ok=True)"),),
        f"{FILES}::test_make_folder_is_exclusive_and_synced",
    ),
    Mutation(
        "the exclusive create of a lock",
        "storage/lock.py:make",
        (instead("create_whole", "write_atomic"),),
        f"{LOCK}::test_of_many_that_overtake_at_once_one_wins",
    ),
    Mutation(
        "the hash check of arrays",
        "storage/weights.py:_read_arrays",
        (instead("digest.hexdigest() != sha256", "False"),),
        "tests/faults/test_damage.py::test_a_checkpoint_at_many_bytes[flip]",
    ),
    Mutation(
        "the bound on the arrays of a checkpoint",
        "storage/weights.py:load_arrays",
        (instead("header.data_bytes > most_bytes", "False"),),
        "tests/faults/test_sparse.py::test_no_memory_is_taken_for_them_by_any_reader",
    ),
    Mutation(
        "the size of a file of arrays",
        "storage/layout.py:Header",
        (instead("end != data_bytes", "False"),),
        "tests/storage/test_weights.py::test_appended_and_zeroed_bytes_are_refused",
    ),
    Mutation(
        "the look at a file that a user names",
        "core/named_files.py:_require_regular",
        (instead("stat.S_ISREG(status.st_mode)", "True"),),
        "tests/core/test_named_files.py::test_nothing_else_is_opened",
    ),
    Mutation(
        "the refusal of a system's own files",
        "core/named_files.py:_OF_THE_SYSTEM",
        (instead("('/proc', '/sys')", "()"),),
        "tests/core/test_named_files.py::test_nothing_else_is_opened",
    ),
    Mutation(
        "the filters of a repository",
        "storage/repository.py:describe_repository",
        (instead("_without_filters(_git(folder, here, settings, *_FILTERS) or b'')", "{}"),),
        "tests/faults/test_hostile_repository.py::test_it_starts_no_program",
    ),
    Mutation(
        "the offline answer of a repository",
        "storage/repository.py:_OFFLINE",
        (instead("{'GIT_ALLOW_PROTOCOL': 'none', 'GIT_NO_LAZY_FETCH': '1', 'GIT_TERMINAL_PROMPT': '0'}", "{}"),),
        "tests/faults/test_hostile_repository.py::test_it_starts_no_program",
    ),
    Mutation(
        "the checksum of a record",
        "storage/metrics.py:_decoded",
        (instead("_checksum(match[1]) != match[2]", "False"),),
        "tests/faults/test_damage.py::test_metrics_at_every_byte[flip]",
    ),
    Mutation(
        "the checksum of a document",
        "storage/jsonfile.py:_without_seal",
        (never("_seal"),),
        "tests/storage/test_jsonfile.py::test_every_flipped_bit_and_every_cut_is_noticed",
    ),
    Mutation(
        "the checksum of a config",
        "storage/sealed_yaml.py:read_sealed",
        (never("hexdigest"),),
        "tests/storage/test_sealed_yaml.py::test_the_text_comes_back_and_every_other_byte_is_noticed",
    ),
    Mutation(
        "the id check of a document",
        "storage/run_id.py:require_id",
        (instead("of not in {None, id}", "False"),),
        "tests/faults/test_flips.py::test_a_file_of_another_run_is_noticed[summary.json]",
    ),
    Mutation(
        "the id check of a record",
        "storage/metrics.py:_records",
        (instead('id != of and "it is of another run"', '""'),),
        "tests/storage/test_metrics.py::test_a_record_of_another_run_is_named",
    ),
    Mutation(
        "the recomputation of a summary",
        "inspection/doctor.py:_read_summary",
        (never("summary_faults"),),
        "tests/faults/test_flips.py::test_a_summary_that_disagrees_is_noticed[loss]",
    ),
    Mutation(
        "the check that the newest checkpoint is there",
        "inspection/doctor.py:_list_checkpoints",
        (never("has_ended_in_order"),),
        "tests/faults/test_flips.py::test_a_newest_checkpoint_that_is_gone_is_noticed[completed]",
    ),
    Mutation(
        "the hash check of the config",
        "runs/unchanged.py:verified_experiment",
        (never("known_configs"),),
        "tests/training/test_resume_refused.py::test_a_config_that_was_edited",
    ),
    Mutation(
        "the lock check before taking a run",
        "storage/holder.py:require_gone",
        (never("is_running"),),
        f"{LOCK}::test_a_second_process_is_told_who_holds_it",
    ),
    Mutation(
        "the wait for a change of a lock of another machine",
        "storage/holder.py:require_gone",
        (instead("now - since >= LEASE_SECONDS", "True"),),
        f"{LOCK}::test_a_lock_of_another_machine_is_overtaken_once_it_did_not_change_for_a_lease",
    ),
    Mutation(
        "the observation of a change of a lock of another machine",
        "storage/holder.py:require_gone",
        (instead("found != seen", "False"),),
        f"{LOCK}::test_a_lock_of_another_machine_that_changes_is_left_alone",
    ),
    Mutation(
        "the attempt in the status",
        "storage/lock.py:_require_newest",
        (never("_recorded"),),
        f"{LOCK}::test_the_recorded_attempt_counts_where_the_lock_of_the_successor_is_gone",
    ),
    Mutation(
        "the token in the check of a lock",
        "storage/lock.py:check",
        (instead("holder and holder.token != self._holder.token", "False"),),
        f"{LOCK}::test_a_lock_of_the_same_number_with_the_token_of_another_is_lost",
    ),
    Mutation(
        "the token in the release of a lock",
        "storage/lock.py:_remove",
        (instead("holder and holder.token == self._holder.token", "True"),),
        f"{LOCK}::test_a_lock_of_the_same_number_with_the_token_of_another_is_lost",
    ),
    Mutation(
        "the lock that is made again",
        "storage/lock.py:check",
        (without_call("_make_again"),),
        f"{LOCK}::test_a_lock_that_somebody_deleted_is_made_again",
    ),
    Mutation(
        "the updates of the lock",
        "storage/lock.py:_update",
        (without_call("beat"),),
        f"{LOCK}::test_a_thread_updates_the_lock_until_it_is_released",
    ),
    Mutation(
        "the status as the first thing that an attempt writes",
        "training/resume.py:_resume",
        (without_call("write_status"),),
        "tests/training/test_resume.py::test_the_status_is_the_first_thing_that_a_new_attempt_writes",
    ),
    *(
        Mutation(
            f"the lock check in {function}",
            f"storage/folder.py:{function}",
            (without_argument(call, "guard"),),
            f"{FOLDER}::test_a_process_that_was_overtaken_changes_nothing",
        )
        for function, call in (
            ("write_config", "write_atomic"),
            ("write_resolved", "write_atomic"),
            ("write_provenance", "write_json"),
            ("write_status", "write_json"),
            ("cut_metrics", "write_atomic"),
            ("save_weights", "save_arrays"),
            ("checkpoints", "Checkpoints"),
        )
    ),
    Mutation(
        "the removal of unfinished files",
        "storage/lock.py:acquire",
        (without_call("sweep"),),
        "tests/training/test_resume.py::test_a_process_that_lost_a_file_to_another_reports_that_and_writes_nothing",
    ),
    Mutation(
        "the error where an unfinished file cannot be removed",
        "storage/files.py:sweep",
        (instead("suppress(FileNotFoundError, IsADirectoryError)", "suppress(OSError)"),),
        f"{FOLDER}::test_where_an_unfinished_file_cannot_be_deleted_the_run_is_not_taken_over",
    ),
    Mutation(
        "the attempt in the name of a checkpoint",
        "storage/checkpoint.py:_prune",
        (instead("file.attempt <= attempt", "True"),),
        "tests/storage/test_checkpoint.py::test_a_process_that_was_overtaken_deletes_nothing_of_its_successor",
    ),
    Mutation(
        "the lock check before each write",
        "storage/folder.py:_guard",
        (instead("self.lock.check if self.lock else always", "always"),),
        "tests/training/test_resume.py::test_a_process_that_was_overtaken_writes_nothing_more",
    ),
    Mutation(
        "the reading back of a checkpoint",
        "storage/checkpoint.py:save",
        (without_argument("save_arrays", "read_back"),),
        "tests/storage/test_checkpoint.py::test_a_disk_that_stores_something_else_costs_no_older_checkpoint",
    ),
    Mutation(
        "the second checkpoint",
        "storage/checkpoint.py:KEPT",
        (instead("2", "1"),),
        "tests/storage/test_checkpoint.py::test_the_newest_two_are_kept",
    ),
    Mutation(
        "the cut of later metrics on resuming",
        "training/resume.py:_resume",
        (without_call("cut_metrics"),),
        "tests/faults/test_each_call.py::test_a_run_begins[kill-on-early]",
    ),
)


def is_noticed(mutation: Mutation) -> bool:
    """Return whether the test passes in a copy of the package, and fails there after the mutation."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in ("rnnlab", "tests", "configs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        assert _passes(mutation.test, copy), f"{mutation.name}: {mutation.test} fails without the mutation"
        (copy / mutation.path).write_text(mutation.mutated(), encoding="utf-8")
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
