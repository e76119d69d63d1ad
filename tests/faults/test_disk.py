"""No room, no inodes, no right to write: one line, and nothing half-written."""

import contextlib
import functools
import os
import re
import resource
import shutil
import subprocess

import pytest

from tests.support.faults import comparable, draw_of, sizes
from tests.support.jobs import call

BLOCK = 4096


@contextlib.contextmanager
def small_disk(folder, options):
    """A file system in memory with mount options, at a folder."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "sdc-faults", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def place(bench, job, folder):
    """Put what a job reads into a folder, and make those in which it writes."""
    (folder / "data").symlink_to(bench.folder / "data")
    for name in {one for read in job.reads for one in bench.beside(read)}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bench.files[name])
    for name in job.writes:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)


def verdict_of(bench, job, folder, ended):
    """What became of a job that had no room: only whole files, and a line that names one of them, or its folder."""
    names = {name for name in job.writes if (folder / name).exists()}
    made = {name: (folder / name).read_bytes() for name in names}
    parts = [path.name for name in job.writes for path in (folder / name).parent.glob("*.part*")]
    if ended.crashed:
        return "traceback"
    expected = comparable({name: bench.files[name] for name in job.writes})
    if (
        parts
        or not comparable(made).items() <= expected.items()
        or (ended.status == 0 and len(names) < len(job.writes))
    ):
        return "silent"
    if ended.status == 0:
        return "harmless"
    line = ended.errors[0]
    named = any(name in line or f"{name.rpartition('/')[0]}" in line for name in job.writes)
    return "detected" if named and re.search("make room|writable", line) else "unnamed"


def each_stage(bench, trial, draw):
    """A job of each stage in turn, of those that write anything."""
    stages = sorted({job.stage for job in bench.jobs if job.writes})
    jobs = [job for job in bench.jobs if job.stage == stages[trial % len(stages)]]
    return jobs[int(draw.integers(len(jobs)))]


@sizes(6, 300)
def test_full_disk(bench, tally, tmp_path, trials):
    row = tally("full disk")
    for trial in range(trials):
        draw = draw_of("full disk", trial)
        job, folder = each_stage(bench, trial, draw), tmp_path / "disk"
        with small_disk(folder, "size=64m"):
            place(bench, job, folder)
            blocks = sum(-(-len(bench.files[name]) // BLOCK) for name in job.writes)
            free = int(draw.integers(blocks + 2)) * BLOCK
            with open(folder / "ballast", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(BLOCK, shutil.disk_usage(folder).free - free))
            ended = call(job, folder)
            row.add(verdict_of(bench, job, folder, ended), f"trial {trial}, {free} bytes: {job.command}\n    {ended}")
    row.check()


@sizes(6, 60)
def test_no_inodes(bench, tally, tmp_path, trials):
    row = tally("no inodes")
    for trial in range(trials):
        draw = draw_of("inodes", trial)
        job, folder = each_stage(bench, trial, draw), tmp_path / "disk"
        with small_disk(folder, "size=64m,nr_inodes=400"):
            place(bench, job, folder)
            left = int(draw.integers(len(job.writes) + 1))
            for number in range(os.statvfs(folder).f_ffree - left):
                (folder / f"ballast{number}").touch()
            ended = call(job, folder)
            row.add(verdict_of(bench, job, folder, ended), f"trial {trial}, {left} left: {job.command}\n    {ended}")
    row.check()


@sizes(6, 12)
def test_read_only(bench, tally, tmp_path, trials):
    row = tally("read-only folder")
    for trial in range(trials):
        job, folder = each_stage(bench, trial, draw_of("read-only", trial)), tmp_path / "disk"
        with small_disk(folder, "size=64m"):
            place(bench, job, folder)
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            ended = call(job, folder)
            row.add(verdict_of(bench, job, folder, ended), f"trial {trial}: {job.command}\n    {ended}")
    row.check()


@sizes(6, 120)
def test_files_may_not_be_so_large(bench, tally, tmp_path, trials):
    row = tally("limit to the size of files")
    for trial in range(trials):
        draw = draw_of("limit", trial)
        job, folder = each_stage(bench, trial, draw), tmp_path / f"limit{trial}"
        folder.mkdir()
        place(bench, job, folder)
        limit = int(draw.integers(max(len(bench.files[name]) for name in job.writes) + 100))
        ended = call(job, folder, before=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, -1)))
        row.add(verdict_of(bench, job, folder, ended), f"trial {trial}, {limit} bytes: {job.command}\n    {ended}")
        shutil.rmtree(folder)
    row.check()
