import pytest

from sdc.web.collection import Collection
from tests.support.finished import NASTY, RUN, finished_run


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A finished run with two indexes; one class has the name of a script."""
    return finished_run(tmp_path_factory.mktemp("web"), ("cat", NASTY), more_seeds=(1,))


@pytest.fixture(scope="package")
def collections(finished):
    return [Collection(finished / RUN.replace("seed0", f"seed{seed}") / "index", device="cpu") for seed in (0, 1)]
