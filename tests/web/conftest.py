import pytest

from sdc.web.collection import Collection
from tests.support.finished import NASTY, RUN, finished_run
from tests.support.server import serving


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    """A finished run with two indexes; one class has the name of a script."""
    return finished_run(tmp_path_factory.mktemp("web"), ("cat", NASTY), more_seeds=(1,))


@pytest.fixture(scope="package")
def collections(folder):
    return [Collection(folder / RUN.replace("seed0", f"seed{seed}") / "index", device="cpu") for seed in (0, 1)]


@pytest.fixture(scope="package")
def port(collections):
    """Of a server of both."""
    uvicorn = pytest.importorskip("uvicorn")

    from sdc.web.app import create_app

    app = create_app(collections, hosts={"127.0.0.1"})
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="error"))
    with serving(server) as number:
        yield number
