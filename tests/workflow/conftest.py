"""Workflows that tests share."""

import pytest

from tests.support.workflow import Workflow


@pytest.fixture
def workflow(tmp_path):
    return Workflow(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A workflow that the tests of a module use in their order, finished once."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    workflow()
    return workflow
