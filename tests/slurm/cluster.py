"""A private Slurm on this machine: munged, slurmctld and two slurmd, all files in one folder, no accounting.

Everything runs as the user who runs the tests, on free ports, and reads nothing of an installed Slurm. Each slurmd is a
node of its own. Jobs in the partition `main` are preempted by those in `high`: they get their signal, some seconds of
grace, and are requeued.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODES = ("n1", "n2")
CPUS = 16  # configured per node, whatever the machine has: the trials here mostly sleep
GRACE = 5  # seconds that a preempted job has

_SBIN = "/usr/sbin:/sbin"


def missing() -> str:
    """Return the first of Slurm's programs that is not installed, or nothing."""
    return next((name for name in PROGRAMS if _program(name) is None), "")


class Cluster:
    """The running cluster; `close` ends it, and every job with it.

    Args:
        folder: An empty folder with a short name: a Unix socket's path has at most 107 letters.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._host = socket.gethostname().partition(".")[0]
        self._ports = _free_ports(1 + len(NODES))
        for name in ("state", "spool", "log", "run"):
            (folder / name).mkdir()
        (folder / "munge.key").touch(mode=0o600)
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (folder / "slurm.conf").write_text(self._configuration())
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._start(f"slurmd.{name}", "slurmd", "-D", "-N", name)

    def kill_node(self, name: str) -> None:
        """Kill the daemon of a node, not the jobs there: as when a node loses its network."""
        self._daemons[f"slurmd.{name}"].kill()
        self._daemons.pop(f"slurmd.{name}").wait()

    def is_idle(self) -> bool:
        """Return whether every node is up and idle."""
        return self._ask("sinfo", "-hNo", "%t", "-p", "main").split() == ["idle"] * len(NODES)

    def run(self, *command: str | Path) -> str:
        """Run one of Slurm's programs, and return its output."""
        program = [_program(str(command[0])) or str(command[0]), *map(str, command[1:])]
        done = subprocess.run(program, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def close(self) -> None:
        """End the jobs, the daemons, and what is left of either."""
        if "slurmctld" in self._daemons:
            subprocess.run(["scancel", "--state=PD", "--quiet"], env=self.environment, check=False, timeout=20)
            subprocess.run(["scancel", "--signal=KILL", "--full"], env=self.environment, check=False, timeout=20)
        for daemon in self._daemons.values():
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._kill_stragglers()

    def _start_all(self) -> None:
        run, log = self.folder / "run", self.folder / "log"
        munge = (f"--socket={run / 'munge.sock'}", f"--key-file={self.folder / 'munge.key'}", "--force")
        files = (f"--pid-file={run / 'munged'}", f"--log-file={log / 'munged.log'}", f"--seed-file={run / 'seed'}")
        self._start("munged", "munged", "--foreground", *munge, *files)
        self._wait("munged", (run / "munge.sock").exists)
        self._start("slurmctld", "slurmctld", "-D")
        self._wait("slurmctld", lambda: " UP" in self._ask("scontrol", "ping"))
        for name in NODES:
            self.start_node(name)
        self._wait(
            f"slurmd.{NODES[-1]}", lambda: self._ask("sinfo", "-hNo", "%t", "-p", "main").split() == ["idle"] * 2
        )

    def _start(self, name: str, program: str, *arguments: str) -> None:
        # A session of its own: Ctrl-C is for pytest, which then closes the cluster.
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                # If pytest is killed, they end too.
                ["setpriv", "--pdeathsig", "KILL", _program(program) or program, *arguments],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _wait(self, name: str, is_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not is_up():
            if self._daemons[name].poll() is not None or time.monotonic() > deadline:
                logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("log/*"))
                raise RuntimeError(f"{name} did not start:\n{logs}")
            time.sleep(0.1)

    def _ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=20)
        return done.stdout

    def _kill_stragglers(self) -> None:
        """End what outlives its daemon: slurmstepd and the jobs, which all have our configuration."""
        ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if ours in variables and (
                    any(one.startswith(b"SLURM_JOB_ID=") for one in variables)
                    or (entry / "comm").read_text().strip() == "slurmstepd"
                ):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:  # ended meanwhile, or not ours
                continue

    def _configuration(self) -> str:
        user = pwd.getpwuid(os.getuid()).pw_name
        folder, nodes = self.folder, ",".join(NODES)
        lines = [
            "ClusterName=rnnlab",
            f"SlurmctldHost={self._host}(127.0.0.1)",
            f"SlurmctldPort={self._ports[0]}",
            f"SlurmUser={user}",
            f"SlurmdUser={user}",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            # The second is how long a requeued job must wait before it may start again; 5 is the least that counts.
            f"AuthInfo=socket={folder}/run/munge.sock,cred_expire=5",
            "MpiDefault=none",
            "MailProg=/bin/true",
            "ProctrackType=proctrack/pgid",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            "AccountingStorageType=accounting_storage/none",
            "JobCompType=jobcomp/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU",
            "SlurmdParameters=config_overrides",  # a node may have more CPUs than the machine
            "ReturnToService=2",
            "KillWait=5",
            "MinJobAge=300",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,bf_continue",
            "SlurmctldParameters=preempt_send_user_signal",
            "PreemptType=preempt/partition_prio",
            "PreemptMode=REQUEUE",
            "JobRequeue=1",
            "PropagateResourceLimits=NONE",
            f"SlurmctldPidFile={folder}/run/slurmctld.pid",
            f"SlurmctldLogFile={folder}/log/slurmctld.log",
            f"StateSaveLocation={folder}/state",
            f"SlurmdPidFile={folder}/run/slurmd.%n.pid",
            f"SlurmdLogFile={folder}/log/slurmd.%n.log",
            f"SlurmdSpoolDir={folder}/spool/%n",
            "SlurmdTimeout=10",
            *(
                f"NodeName={name} NodeHostname={self._host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
                "RealMemory=16000 State=UNKNOWN"
                for name, port in zip(NODES, self._ports[1:], strict=True)
            ),
            f"PartitionName=main Nodes={nodes} Default=YES PriorityTier=1 GraceTime={GRACE} DefaultTime=10 State=UP",
            f"PartitionName=high Nodes={nodes} PriorityTier=10 PreemptMode=OFF DefaultTime=10 State=UP",
        ]
        return "\n".join(lines) + "\n"


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
