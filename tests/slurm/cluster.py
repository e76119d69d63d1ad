"""A SLURM cluster of one node on loopback, for a test: own ports, own keys, everything in a temporary folder."""

import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
# Daemons lie where no user's PATH goes.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

CONF = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# No cgroups and no systemd: this also runs in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Who uses more memory than he asked for is killed, as cgroups would.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
# A node that comes back is used again; its jobs are not started anew by SLURM, which is left to Snakemake.
ReturnToService=2
JobRequeue=0
KillWait=2
MinJobAge=86400
SlurmdTimeout=15
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
GresTypes=gpu
# Memory is what jobs may ask for, whatever the machine has.
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 {gres} State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """The daemons that are not installed."""
    return [name for name in DAEMONS if shutil.which(name, path=PATH) is None]


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: whatever ends this process ends its daemons


class Cluster:
    """Runs from ``with`` to its end; ``environment`` is what its clients need.

    Args:
        folder: For keys, sockets, logs and state; short, as names of sockets may have 107 characters.
        gpus: Pretended ones: plain files, which SLURM hands out by number.
    """

    def __init__(self, folder, gpus=2):
        self.folder = Path(folder)
        self.gpus = gpus
        conf = str(self.folder / "slurm.conf")
        self.environment = {**os.environ, "PATH": f"{self.folder}/bin:{PATH}", "SLURM_CONF": conf}
        self._running = {}

    def __enter__(self):
        for name in ("state", "spool", "dev", "bin"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        controller, daemon = _free_ports(2)
        for gpu in range(self.gpus):
            (self.folder / f"dev/gpu{gpu}").touch()
        devices = "".join(f"Name=gpu File={self.folder}/dev/gpu{gpu}\n" for gpu in range(self.gpus))
        (self.folder / "gres.conf").write_text(f"AutoDetect=off\n{devices}")
        (self.folder / "slurm.conf").write_text(
            CONF.format(
                folder=self.folder, controller=controller, daemon=daemon, user=getpass.getuser(),
                cpus=os.cpu_count(), gres=f"Gres=gpu:{self.gpus}" * bool(self.gpus),
            )
        )  # fmt: skip
        # Within a job, Snakemake's plugin takes SLURM's variables from the environment, and this one with them.
        srun = self.folder / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        try:
            files = {name: f"{self.folder}/munge.{name}" for name in ("socket", "log", "pid", "seed")}
            self._start(
                "munged", "--foreground", "--force", f"--socket={files['socket']}", f"--key-file={key}",
                f"--log-file={files['log']}", f"--pid-file={files['pid']}", f"--seed-file={files['seed']}",
            )  # fmt: skip
            self._wait_for(lambda: (self.folder / "munge.socket").exists(), "munged")
            self._start("slurmctld", "-D", "-c", "-f", self.environment["SLURM_CONF"])
            self.start_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.run("scancel", "--user", getpass.getuser(), check=False)
        self.kill_steps()
        for name in reversed(DAEMONS):
            self._stop(name)

    def _start(self, name, *arguments):
        command = [shutil.which(name, path=PATH), *arguments]
        with open(self.folder / f"{name}.out", "ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _stop(self, name, how=signal.SIGTERM):
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_for(self, ready, name, seconds=60):
        until = time.monotonic() + seconds
        while not ready():
            process = self._running[name]
            if process.poll() is not None or time.monotonic() > until:
                logs = "".join(path.read_text()[-2000:] for path in self.folder.glob(f"{name}*.*") if path.is_file())
                raise RuntimeError(f"{name} does not run:\n{logs}")
            time.sleep(0.2)

    def run(self, *command, check=True):
        """What a client prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def start_node(self):
        """Start the node's daemon unless it runs, and wait until the node takes jobs."""
        if "slurmd" not in self._running:
            self._start("slurmd", "-D", "-f", self.environment["SLURM_CONF"])
        free = ("idle", "mixed", "allocated")
        self._wait_for(lambda: self.run("sinfo", "-h", "-o", "%T", check=False).strip() in free, "slurmd")

    def crash_node(self):
        """Kill the node's daemon and all that runs there, as a power cut would; returns how many processes that was."""
        self._stop("slurmd", signal.SIGKILL)
        # First those that would tell the controller how the others ended.
        return self._kill(self._processes(lambda command, _: command.startswith(b"slurmstepd"))) + self.kill_steps()

    def steps(self, doing=b""):
        """The processes of jobs, or those whose command line has some words."""
        return self._processes(lambda command, told: b"SLURM_JOB_ID=" in told and doing in command)

    def kill_steps(self, doing=b""):
        """Kill those processes; returns how many there were."""
        return self._kill(self.steps(doing))

    def _processes(self, chosen):
        mine, found = f"SLURM_CONF={self.folder}/slurm.conf".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                told = (process / "environ").read_bytes()
                if mine in told and chosen((process / "cmdline").read_bytes().replace(b"\0", b" "), told):
                    found.append(int(process.name))
        return found

    @staticmethod
    def _kill(processes):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return len(processes)

    def jobs(self):
        """State and comment by number of all jobs that SLURM still knows."""
        lines = self.run("squeue", "-h", "--states=all", "-o", "%i|%T|%k").splitlines()
        return {number: (state, comment) for number, state, comment in (line.split("|", 2) for line in lines)}
