import pytest

from sdc.web.collection import Collection
from tests.support.finished import RUN, finished_run

# As far as a folder's name can be one.
NASTY = "<script>alert(1)<|script>"


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A finished run with two indexes; one class has the name of a script."""
    return finished_run(tmp_path_factory.mktemp("web"), ("cat", NASTY), more_seeds=(1,))


@pytest.fixture(scope="package")
def collections(finished):
    return [Collection(finished / RUN.replace("seed0", f"seed{seed}") / "index", device="cpu") for seed in (0, 1)]
