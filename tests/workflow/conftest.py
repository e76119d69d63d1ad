"""Workflows that tests share."""

import os
import shutil

import pytest
from filelock import FileLock

from tests.support.workflow import Workflow


@pytest.fixture
def workflow(tmp_path):
    return Workflow(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run, the same one for all workers of pytest-xdist; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            Workflow(folder)()
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory, finished):
    """A finished workflow that the tests of a module use in their order."""
    folder = tmp_path_factory.mktemp("workflow")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    return Workflow(folder)
