"""The jobs that a config plans, and running one of them in a process of its own without Snakemake.

What a job reads, writes and calls is what the rules say in a dry run, so that tests follow the rules by themselves.
"""

import contextlib
import dataclasses
import fcntl
import functools
import importlib
import logging
import multiprocessing
import os
import re
import resource
import shlex
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from sdc import cli

# The exit status of a job whose Python ended with a traceback, and of one that was stopped because it did not end.
TRACEBACK, HANG = 70, 71
DRAWN = (".svg", ".pdf", ".png")
SPARE_BYTES = 8 * 2**30


@dataclasses.dataclass(frozen=True)
class Job:
    """A call of ``sdc``, with the files that it reads and writes, relative to the working directory."""

    rule: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def stage(self):
        return self.arguments[0]

    def with_arguments(self, words):
        """This job with other arguments; what it reads and writes stays."""
        return dataclasses.replace(self, arguments=tuple(words))

    @property
    def command(self):
        return shlex.join(["sdc", *self.arguments])


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a job ended: its exit status, or minus a signal; and what it said on standard error."""

    status: int
    text: str

    @property
    def errors(self):
        """The lines that say what is wrong."""
        return re.findall(r"^sdc(?: \w+)?: error: .*$", self.text, re.MULTILINE)

    @property
    def crashed(self):
        """Whether people get to see a traceback, a signal or nothing at all; or nothing within the limit."""
        return self.status < 0 or self.status in (TRACEBACK, HANG) or "Traceback" in self.text or self._wordless

    @property
    def _wordless(self):
        return self.status != 0 and len(self.errors) != 1


def planned(workflow, *targets):
    """The jobs that a workflow plans for some targets, each after those whose files it reads."""
    text = workflow(*targets, "--dry-run", "--forceall", "--printshellcmds", cores=1).text
    jobs = []
    for part in re.split(r"\n(?=\[)", text):
        command = re.search(r"^ *(python -m sdc .+)$", part, re.MULTILINE)
        if command is None:
            continue
        files = {
            key: tuple(name for name in found[1].split(", "))
            for key in ("input", "output")
            if (found := re.search(rf"^    {key}: (.+)$", part, re.MULTILINE))
        }
        words = [word for word in shlex.split(command[1]) if not word.startswith("2>")]
        rule = re.search(r"^(?:local)?rule (\w+):", part, re.MULTILINE)[1]
        reads = tuple(name.removeprefix("ancient(").removesuffix(")") for name in files.get("input", ()))
        jobs.append(Job(rule, reads, files["output"], tuple(words[3:])))
    return _in_order(jobs)


def _in_order(jobs):
    pending, ordered, there = list(jobs), [], set()
    while pending:
        to_come = {name for job in pending for name in job.writes}
        ready = [job for job in pending if not to_come & set(job.reads)]
        assert ready, [job.rule for job in pending]
        ordered += ready
        there |= {name for job in ready for name in job.writes}
        pending = [job for job in pending if job not in ready]
    return ordered


def numbers_only(job):
    """A job that makes figures, limited to their numbers; drawing takes seconds and reads nothing more."""
    if job.stage != "aggregate" or "--make" not in job.arguments:
        return job
    words = list(job.arguments)
    make, out = words.index("--make") + 1, words.index("--out") + 1
    count = out - 1 - make
    kept = [place for place in range(count) if not words[out + place].endswith(DRAWN)]
    files = [words[out + place] for place in kept]
    names = [words[make + place] for place in kept]
    arguments = (*words[:make], *names, "--out", *files, *words[out + count :])
    # Records have checksums of drawings too.
    writes = job.writes if len(kept) == count else tuple(files)
    return dataclasses.replace(job, writes=writes, arguments=arguments)


def call(job, folder, seconds=120, before=None):
    """Run a job in a process of its own below a folder.

    It is forked from one that has imported what jobs of this stage import, which takes them most of their time.

    Args:
        job: To run.
        folder: Its working directory.
        seconds: After which it is killed.
        before: Called in the process first; it can be pickled.
    """
    server = _server(job.stage, os.getpid())
    server.send((job.arguments, folder, seconds, before))
    return server.recv()


@functools.cache
def _server(stage, _process):
    # Not forked from the process of the tests: where torch has computed gradients, a fork can compute none.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=_serve, args=(theirs,), daemon=True).start()
    theirs.close()
    return ours


def _serve(pipe):
    while True:
        try:
            arguments, folder, seconds, before = pipe.recv()
        except EOFError:
            return
        # A pipe, as a file might be limited in size.
        said, saying = os.pipe()
        os.set_blocking(said, False)
        if sys.platform == "linux":
            fcntl.fcntl(saying, fcntl.F_SETPIPE_SZ, 2**20)
        with tempfile.TemporaryFile("w+") as imported:
            child = os.fork()
            if not child:
                _in_child(arguments, folder, before, saying, imported)
            status = _wait(child, seconds)
            text = b""
            with contextlib.suppress(BlockingIOError):
                text = os.read(said, 2**20)
            pipe.send(Ended(status, text.decode(errors="replace")))
            os.close(said)
            os.close(saying)
            imported.seek(0)
            for module in imported.read().split():
                with contextlib.suppress(Exception):
                    importlib.import_module(module)


def _wait(child, seconds):
    deadline = time.monotonic() + seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return HANG
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(ended[1])


def _in_child(arguments, folder, before, saying, imported):
    status, known = TRACEBACK, set(sys.modules)
    try:
        os.chdir(folder)
        os.dup2(saying, 1)
        os.dup2(saying, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        logging.root.handlers.clear()
        warnings.resetwarnings()
        if before:
            before()
        # Nobody may take memory for what a damaged header promises.
        if sys.platform == "linux":
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + SPARE_BYTES, resource.RLIM_INFINITY))
        status = cli.main(list(arguments))
        with contextlib.suppress(OSError):
            imported.write("\n".join(sys.modules.keys() - known))
            imported.flush()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
