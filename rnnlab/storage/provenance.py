"""Where a run comes from: command, versions, machine, threads, repository. No secrets, no paths of the machine.

Only variables named here are read from the environment; a prefix would not do, as `SLURM_JWT` is a password.
"""

import hashlib
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "OPENBLAS_CORETYPE", "OMP_PROC_BIND", "OMP_PLACES", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "KERAS_BACKEND",
)  # fmt: skip
SLURM_VARIABLES = (
    "SLURM_CLUSTER_NAME", "SLURM_JOB_PARTITION", "SLURM_JOB_NAME", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_JOB_NODELIST", "SLURM_JOB_NUM_NODES", "SLURM_NODEID",
    "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU",
)  # fmt: skip

DIFF_LIMIT = 1 << 20  # bytes
PATIENCE = 10.0  # seconds for one call of git

# A config of the repository must not start programs. Asking must not change the repository either: `git diff` would
# rewrite its index, and a commit made at that moment would fail.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "diff.autoRefreshIndex=false")
_STATUS = ("status", "--porcelain", "--untracked-files=no")
_DIFF = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")

Describe = Callable[[Path], dict[str, Any] | None]

_PACKAGES = ("rnnlab", "numpy", "safetensors", "pydantic")
# Too slow to import for their version alone.
_HEAVY = ("tensorflow", "keras")


def collect(*, argv: Sequence[str], config_sha256: str, **facts: Any) -> dict[str, Any]:
    """Return what is known about this process and machine, ready for JSON.

    Args:
        argv: The command line.
        config_sha256: The hash of the resolved experiment, 64 hex digits; a longer budget changes it.
        facts: Further entries, which come last.
    """
    return {
        "started": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "argv": list(argv),
        "config_sha256": config_sha256,
        "versions": _versions(),
        "host": platform.node(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": describe_cpu(),
        # The linear algebra and thread libraries in use, without their paths.
        "blas": [{key: value for key, value in one.items() if key != "filepath"} for one in threadpool_info()],
        "threads": _environment(THREAD_VARIABLES),
        "slurm": _environment(SLURM_VARIABLES),
        **facts,
    }


def hash_of(config: bytes) -> str:
    """Return the hash of a config as given: SHA-256, 64 hex digits."""
    return hashlib.sha256(config).hexdigest()


def known_configs(provenance: Mapping[str, Any]) -> set[str]:
    """Return the hashes of the configs that a run was trained with."""
    attempts = provenance.get("attempts", [])
    return {str(one.get("config_sha256")) for one in [provenance, *attempts] if isinstance(one, dict)}


def is_as_given(provenance: Mapping[str, Any], config: bytes) -> bool:
    """Return whether `config` is what the run was started with, as far as its provenance shows."""
    return provenance.get("config_yaml_sha256") in (None, hash_of(config))


def changed_versions(provenance: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each package, or processor, that is another one now; the numbers may then differ.

    Example:
        >>> changed_versions({"versions": {"numpy": "2.4.6"}}, {"versions": {"numpy": "2.5.0"}})
        ['numpy was 2.4.6 when the run began and is 2.5.0 now: the results may differ']
    """
    before, now = (dict(one.get("versions", {})) for one in (provenance, again))
    for versions, facts in ((before, provenance), (now, again)):
        versions["the processor"] = facts.get("cpu", {}).get("model")
    return [
        f"{name} was {before[name]} when the run began and is {now[name]} now: the results may differ"
        for name in before
        if name in now and before[name] != now[name]
    ]


def backends(provenance: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return what computed a run, each with the step from which on it did: one, unless the run went on elsewhere.

    Example:
        >>> backends({"backend": {"name": "numpy"}, "attempts": [{"step": 9, "backend": {"name": "numpy"}}]})
        [(0, 'numpy')]
        >>> elsewhere = {"step": 12, "backend": {"name": "keras", "engine": "jax"}}
        >>> backends({"backend": {"name": "numpy"}, "attempts": [elsewhere]})
        [(0, 'numpy'), (12, 'keras on jax')]
    """
    found: list[tuple[int, str]] = []
    for one in [provenance, *provenance.get("attempts", [])]:
        backend = one.get("backend") if isinstance(one, dict) else None
        if isinstance(backend, dict):
            name = " on ".join(str(backend[key]) for key in ("name", "engine") if key in backend)
            if not found or found[-1][1] != name:
                found.append((one.get("step", 0), name))
    return found


def changed_backend(provenance: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Return a sentence if another backend computes now.

    Example:
        >>> changed_backend({"backend": {"name": "numpy"}}, {"backend": {"name": "numpy"}})
        []
    """
    before, now = (backends(one)[-1:] for one in (provenance, again))
    return [
        f"computed by {then} until now and by {here} from here on: "
        "the results agree within rounding, but are not bit-identical"
        for (_, then), (_, here) in zip(before, now, strict=False)
        if then != here
    ]


def describe_cpu() -> dict[str, Any]:
    """Return the processor's model, how many logical ones the machine has, and which this process may use."""
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {"model": _cpu_model(), "logical_cores": os.cpu_count(), "affinity": affinity}


def _versions() -> dict[str, str | None]:
    heavy = {name: str(sys.modules[name].__version__) for name in _HEAVY if name in sys.modules}
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}, **heavy}


@cache  # of the packages that this process has loaded, whatever is installed meanwhile
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def _cpu_model() -> str:
    """Return the name of the processor; Python itself knows it on few systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _environment(names: Sequence[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def describe_repository(folder: Path) -> dict[str, Any] | None:
    """Return the state of the repository around `folder`, or None without repository or git.

    Keys: `commit` (hex); `dirty`: a tracked file differs from it; `diff`: how, at most 1 MiB; `diff_complete`: whether
    that is all of it. A value is None if git does not answer in ten seconds. Files not tracked do not count: the runs
    themselves may be such.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(folder, *_STATUS)
    # A file that was only touched is no change to the first, but a header without lines to the second.
    diff = _git(folder, *_DIFF) if changes else changes
    return {
        "commit": commit.decode().strip(),
        "dirty": None if changes is None else bool(changes),
        "diff": None if diff is None else diff[:DIFF_LIMIT].decode("utf-8", "replace"),
        "diff_complete": diff is not None and len(diff) <= DIFF_LIMIT,
    }


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git answers, cut one byte over the limit; None where it fails or takes too long."""
    # These would send git to another repository, as inside one of its hooks.
    elsewhere = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | {"LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # noqa: S603
            [*_GIT, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    timer = threading.Timer(PATIENCE, process.kill)
    with process:
        try:
            timer.start()
        except RuntimeError:  # too little memory for a thread: nothing would then end our waiting
            process.kill()
            return None
        assert process.stdout is not None
        output = process.stdout.read(DIFF_LIMIT + 1)
        if is_cut := len(output) > DIFF_LIMIT:
            process.kill()
    timer.cancel()
    return output if is_cut or process.returncode == 0 else None
