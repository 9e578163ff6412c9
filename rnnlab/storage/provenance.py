"""Where a run comes from: command, versions, machine, threads, repository. No secrets, no paths of the machine.

Only variables named here are read from the environment; a prefix would not do, as `SLURM_JWT` is a password.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import ConfigDict, Field
from threadpoolctl import threadpool_info

import rnnlab
from rnnlab.core.options import Options
from rnnlab.core.registry import plug_in_packages
from rnnlab.storage.fields import (
    LONGEST_NAME,
    Count,
    Fact,
    Facts,
    Hash,
    Moment,
    Name,
    RunId,
    Step,
    Text,
    storable,
    within_bounds,
)
from rnnlab.storage.repository import Git
from rnnlab.storage.status import Attempt

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

LONGEST_ARGUMENT, MOST_ARGUMENTS = 10_000, 1000  # characters of one; what is longer is cut

_PACKAGES = ("rnnlab", "numpy", "pydantic")
# Too slow to import for their version alone.
_HEAVY = ("tensorflow", "keras")


@final
class Cpu(Options):
    """A processor.

    Attributes:
        model: Its model.
        logical_cores: How many logical ones the machine has.
        affinity: The numbers of those that the process may use.
    """

    model: Name | None
    logical_cores: Count | None
    affinity: Annotated[list[Count], Field(max_length=100_000)] | None


@final
class ThreadPool(Options):
    """A library of linear algebra or of threads that is in use, as threadpoolctl describes it, without its path."""

    user_api: Name | None = None
    internal_api: Name | None = None
    num_threads: Count | None = None
    prefix: Name | None = None
    version: Name | None = None
    threading_layer: Name | None = None
    architecture: Name | None = None


@final
class Backend(Options):
    """What computes, and further facts by name, which only that backend knows.

    Attributes:
        name: The backend.
        engine: What Keras runs on.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Fact]

    name: Name
    engine: Name | None = None

    @property
    def title(self) -> str:
        """The backend and, where it has several, its engine."""
        return f"{self.name} on {self.engine}" if self.engine else self.name


class Process(Options):
    """One process that trained a run.

    Attributes:
        started: When it began to.
        argv: Its command line.
        config_sha256: The hash of the resolved experiment; a longer budget changes it.
        attempt: Which process of the run it is, from 1.
        step: The step from which on it trained.
        versions: Of packages; None for one that is not installed.
        host: The machine's name.
        platform: Its operating system.
        machine: Its kind of processor.
        cpu: Its processor.
        blas: The linear algebra and thread libraries in use.
        threads: Variables of the environment that are about threads.
        slurm: Variables that Slurm set.
        backend: What computes.
    """

    started: Moment
    argv: Annotated[list[Annotated[str, Field(max_length=LONGEST_ARGUMENT)]], Field(max_length=MOST_ARGUMENTS)]
    config_sha256: Hash
    attempt: Attempt
    step: Step
    versions: Annotated[dict[Name, Name | None], Field(max_length=100)]
    host: Name
    platform: Name
    machine: Name
    cpu: Cpu
    blas: Annotated[list[ThreadPool], Field(max_length=100)]
    threads: Annotated[dict[Name, Text], Field(max_length=100)]
    slurm: Annotated[dict[Name, Text], Field(max_length=100)]
    backend: Backend


@final
class Provenance(Process):
    """Where a run comes from: the process that began it, and what is the same for all that trained it.

    Attributes:
        id: The run's.
        seed: Of the config.
        config_yaml_sha256: The hash of the config as given.
        git: The repository around the config; None where there is none.
        task: What the task knows about its data, e.g. the hash of a file that it reads.
        attempts: The processes that resumed the run, in order.
    """

    id: RunId
    seed: Count
    config_yaml_sha256: Hash
    git: Git | None
    task: Facts
    attempts: list[Process] = Field(default=[])

    @property
    def processes(self) -> Sequence[Process]:
        """All processes that trained the run, in order."""
        return [self, *self.attempts]

    def document(self) -> dict[str, Any]:
        """Return this as it is stored, the id first."""
        return {"id": self.id, **self.model_dump(mode="json")}


def collect(*, argv: Sequence[str], config_sha256: str, attempt: int, step: int, backend: Mapping[str, Any]) -> Process:
    """Return what is known about this process and machine; for the arguments, see `Process`."""
    return Process(
        started=within_bounds(datetime.now(UTC)).replace(microsecond=0),
        argv=[storable(one, LONGEST_ARGUMENT) for one in argv[:MOST_ARGUMENTS]],
        config_sha256=config_sha256,
        attempt=attempt,
        step=step,
        versions=_versions(),
        host=storable(platform.node(), LONGEST_NAME),
        platform=storable(platform.platform(), LONGEST_NAME),
        machine=storable(platform.machine(), LONGEST_NAME),
        cpu=describe_cpu(),
        blas=list(_pools(frozenset(sys.modules) & frozenset(_HEAVY), str(backend["name"]))),
        threads=_environment(THREAD_VARIABLES),
        slurm=_environment(SLURM_VARIABLES),
        backend=Backend(**backend),
    )


def hash_of(config: bytes) -> str:
    """Return the hash of a config as given: SHA-256, 64 hex digits."""
    return hashlib.sha256(config).hexdigest()


def known_configs(provenance: Provenance) -> set[str]:
    """Return the hashes of the configs that a run was trained with."""
    return {one.config_sha256 for one in provenance.processes}


def changed_versions(before: Process, now: Process) -> list[str]:
    """Return a sentence for each package, or processor, that is another one now; the numbers may then differ."""
    were, are = ({**one.versions, "the processor": one.cpu.model} for one in (before, now))
    return [
        f"{name} was {were[name]} when the run began and is {are[name]} now: the results may differ"
        for name in were
        if name in are and were[name] != are[name]
    ]


def missing_plug_ins(before: Process) -> list[str]:
    """Return name and version of the other packages with parts for rnnlab that a process had and this one has not."""
    own = {"python", *_PACKAGES, *_HEAVY, *plug_in_packages()}
    return [f"{name} {version or ''}".strip() for name, version in before.versions.items() if name not in own]


def backends(provenance: Provenance) -> list[tuple[int, str]]:
    """Return what computed a run, each with the step from which on it did: one, unless the run went on elsewhere."""
    found: list[tuple[int, str]] = []
    for one in provenance.processes:
        if not found or found[-1][1] != one.backend.title:
            found.append((one.step, one.backend.title))
    return found


def changed_backend(before: Provenance, now: Process) -> list[str]:
    """Return a sentence if another backend computes now."""
    _, then = backends(before)[-1]
    if then == now.backend.title:
        return []
    return [
        f"computed by {then} until now and by {now.backend.title} from here on: "
        "the results agree within rounding, but are not bit-identical"
    ]


def describe_cpu() -> Cpu:
    """Return the processor of this machine."""
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Cpu(model=storable(_cpu_model(), LONGEST_NAME), logical_cores=os.cpu_count(), affinity=affinity)


_MOST_PLUG_INS = 50


def _versions() -> dict[str, str | None]:
    heavy = {name: str(sys.modules[name].__version__) for name in _HEAVY if name in sys.modules}
    others = plug_in_packages()[:_MOST_PLUG_INS]
    installed = {name: _version(name) for name in (*_PACKAGES, *others)}
    return {"python": platform.python_version(), **installed, **heavy, "rnnlab": rnnlab.__version__}


@cache  # looking for them takes as long as a small training; a backend sets the same threads each time
def _pools(_loaded: frozenset[str], _backend: str) -> tuple[ThreadPool, ...]:
    """Return the thread pools in use, when of the large packages these are loaded, and by this backend."""
    known = ThreadPool.model_fields
    return tuple(ThreadPool(**{key: one[key] for key in known if key in one}) for one in threadpool_info())


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
    return {name: storable(os.environ[name]) for name in names if name in os.environ}
