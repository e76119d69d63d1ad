"""A whole run where little is as usual; its artefacts are those of an ordinary one."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.faults import CONFIG, RUN, make_data
from tests.support.workflow import Workflow, copied, different, timeless

# Characters that a shell, a URL or a format string would misread.
HOSTILE = ('it\'s "ours" & $HOME %s #1 \u00e4\u00f6\u00fc\u00df ' * 8)[:180].strip()
TARGETS = ("results/table1.csv", "results/tables/toys/16.csv", "results/report.html")
WITHOUT_ENCODING = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOBODY = 65534


def run(workflow, targets=TARGETS, prefix=(), umask=-1, **environment):
    """A run with words before its command, some variables (None removes one) and a umask."""
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    return subprocess.run(
        [*prefix, *workflow.command(*targets)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={name: value for name, value in variables.items() if value is not None}, umask=umask,
        errors="replace",
    )  # fmt: skip


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The artefacts of an ordinary run, its figures included."""
    workflow = Workflow(tmp_path_factory.mktemp("usual"))
    workflow.config = CONFIG
    make_data(workflow.folder / "data")
    workflow(*TARGETS)
    return timeless(workflow.files())


@pytest.fixture
def judged(tally):
    """``judged(category, workflow, done, expected)``: count a run, and fail if its artefacts are not as expected."""

    def judge(category, workflow, done, expected):
        row = tally(f"environment: {category}")
        wrong = different(workflow.files(), expected)
        verdict = "traceback" if done.returncode else "silent" if wrong else "harmless"
        row.add(verdict, f"{done.stdout[-3000:]} {wrong}")
        row.check()

    return judge


@pytest.fixture
def workflow(tmp_path):
    made = Workflow(tmp_path)
    made.config = CONFIG
    make_data(tmp_path / "data")
    return made


def taskset():
    return ("taskset", "--cpu-list", "0") if shutil.which("taskset") else ()


def test_all_at_once(workflow, finished, judged, tmp_path):
    """No HOME, the POSIX locale, a strict umask, ``python -O``, one core, and long names that a shell would misread."""
    workflow.folder = tmp_path / HOSTILE / "of {x}"
    workflow.folder.mkdir(parents=True)
    (tmp_path / "data").rename(workflow.folder / "data")
    workflow.root = tmp_path / HOSTILE / "checkout"
    workflow.root.mkdir()
    copied(workflow.root)
    done = run(workflow, [RUN], taskset(), umask=0o077, HOME=None, PYTHONOPTIMIZE="1", **WITHOUT_ENCODING)
    judged("all at once", workflow, done, finished.expected())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("category", "options"),
    [
        ("no HOME", {"HOME": None}),
        ("HOME that does not exist", {"HOME": "missing/home"}),
        ("POSIX locale", WITHOUT_ENCODING),
        ("umask 077", {"umask": 0o077}),
        ("umask 000", {"umask": 0}),
        ("python -O", {"PYTHONOPTIMIZE": "2"}),
        ("one core", {"prefix": taskset()}),
        ("no bytecode", {"PYTHONDONTWRITEBYTECODE": "1"}),
    ],
)
def test_one_at_a_time(workflow, usual, judged, category, options):
    judged(category, workflow, run(workflow, **options), usual)


@contextlib.contextmanager
def namespace(script):
    """Words that run a command where only it sees what is mounted."""
    if os.getuid() or shutil.which("unshare") is None:
        pytest.skip("nothing can be mounted for one command here")
    yield ("unshare", "--mount", "bash", "-c", f'{script} && exec "$@"', "bash")


def within_reach(paths, aside):
    """Words of bash that give everybody a way to folders which lie in one that is root's alone."""
    closed = {next((one for one in path.parents[::-1] if not one.stat().st_mode & 1), None) for path in paths} - {None}
    for number, folder in enumerate(closed):
        below = [path for path in paths if path.is_relative_to(folder)]
        for place, path in enumerate(below):
            kept = aside / f"{number}-{place}"
            kept.mkdir(parents=True)
            yield f"mount --bind {path} {kept}"
        yield f"mount -t tmpfs -o mode=755 tmpfs {folder}"
        for place, path in enumerate(below):
            yield f"mkdir -p {path} && mount --bind {aside / f'{number}-{place}'} {path}"


@pytest.mark.faults
def test_another_user(workflow, usual, judged, tmp_path, root):
    """Who owns neither the checkout nor the environment. Snakemake needs a home that can be written."""
    folders = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), root, tmp_path]
    with tempfile.TemporaryDirectory() as aside:
        script = [*within_reach(folders, Path(aside)), f"chown -R {NOBODY} {tmp_path}"]
        with namespace(" && ".join(script)) as prefix:
            prefix = (*prefix, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            done = run(workflow, prefix=prefix, HOME=str(tmp_path), USER=None)
    judged("another user", workflow, done, usual)


@pytest.mark.faults
def test_tiny_shared_memory(workflow, usual, judged):
    with namespace("mount -t tmpfs -o size=64k tmpfs /dev/shm") as prefix:
        judged("64 KiB of /dev/shm", workflow, run(workflow, prefix=prefix), usual)


@pytest.mark.faults
def test_read_only_system(workflow, usual, judged, tmp_path):
    """As ``docker run --read-only``: only the working folder, /tmp and the home can be written."""
    home, other = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    other.mkdir()
    script = (
        f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro / && mount --bind {other} /var/tmp && "
        f"mount -o remount,bind,rw {tmp_path}"
    )
    with namespace(script) as prefix:
        judged("read-only system", workflow, run(workflow, prefix=prefix, HOME=str(home), TMPDIR=str(other)), usual)
