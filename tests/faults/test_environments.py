"""A whole run where little is as usual; its artefacts are those of an ordinary one."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faults import CONFIG, RUN, make_data
from tests.support.workflow import Workflow, copied, different

# Characters that a shell, a URL or a format string would misread.
HOSTILE = ('it\'s "ours" & $HOME %s #1 \u00e4\u00f6\u00fc\u00df ' * 8)[:180].strip()
TARGETS = ("results/table1.csv", "results/tables/toys/16.csv", "results/report.html")
WITHOUT_ENCODING = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOBODY = 65534


def run(workflow, targets=TARGETS, prefix=(), umask=-1, user=None, **environment):
    """A run with words before its command, some variables (None removes one), a umask and a user."""
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    return subprocess.run(
        [*prefix, *workflow.command(*targets)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={name: value for name, value in variables.items() if value is not None}, umask=umask, user=user,
        errors="replace",
    )  # fmt: skip


@pytest.fixture
def judged(finished, tally):
    """``judged(category, workflow, done)``: count a run, and fail if its artefacts are not the usual ones."""

    def judge(category, workflow, done):
        row = tally(f"environment: {category}")
        wrong = different(workflow.files(), finished.expected())
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


def test_all_at_once(workflow, judged, tmp_path):
    """No HOME, the POSIX locale, a strict umask, ``python -O``, one core, and long names that a shell would misread."""
    workflow.folder = tmp_path / HOSTILE / "of {x}"
    workflow.folder.mkdir(parents=True)
    (tmp_path / "data").rename(workflow.folder / "data")
    workflow.root = tmp_path / HOSTILE / "checkout"
    workflow.root.mkdir()
    copied(workflow.root)
    done = run(workflow, [RUN], taskset(), umask=0o077, HOME=None, PYTHONOPTIMIZE="1", **WITHOUT_ENCODING)
    judged("all at once", workflow, done)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("category", "options"),
    [
        ("no HOME", {"HOME": None}),
        ("HOME that does not exist", {"HOME": "/nonexistent"}),
        ("POSIX locale", WITHOUT_ENCODING),
        ("umask 077", {"umask": 0o077}),
        ("umask 000", {"umask": 0}),
        ("python -O", {"PYTHONOPTIMIZE": "2"}),
        ("one core", {"prefix": taskset()}),
        ("no bytecode", {"PYTHONDONTWRITEBYTECODE": "1"}),
    ],
)
def test_one_at_a_time(workflow, judged, category, options):
    judged(category, workflow, run(workflow, **options))


@pytest.mark.faults
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user(workflow, judged, tmp_path):
    """Who owns neither the checkout nor the environment, and has no home."""
    for path in (tmp_path, *tmp_path.rglob("*")):
        shutil.chown(path, NOBODY, NOBODY)
    for path in (tmp_path, *tmp_path.parents[:2]):  # pytest's own are root's alone
        path.chmod(0o755)
    judged("another user", workflow, run(workflow, user=NOBODY, HOME="/nonexistent"))


@contextlib.contextmanager
def namespace(script):
    """Words that run a command where only it sees what is mounted."""
    if os.getuid() or shutil.which("unshare") is None:
        pytest.skip("nothing can be mounted for one command here")
    yield ("unshare", "--mount", "bash", "-c", f'{script} && exec "$@"', "bash")


@pytest.mark.faults
def test_tiny_shared_memory(workflow, judged):
    with namespace("mount -t tmpfs -o size=64k tmpfs /dev/shm") as prefix:
        judged("64 KiB of /dev/shm", workflow, run(workflow, prefix=prefix))


@pytest.mark.faults
def test_read_only_system(workflow, judged, tmp_path):
    """As ``docker run --read-only``: only the working folder, /tmp and the home can be written."""
    home, other = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    other.mkdir()
    script = (
        f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro / && mount --bind {other} /var/tmp && "
        f"mount -o remount,bind,rw {tmp_path}"
    )
    with namespace(script) as prefix:
        judged("read-only system", workflow, run(workflow, prefix=prefix, HOME=str(home), TMPDIR=str(other)))
