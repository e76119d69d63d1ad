"""What an sdist and a wheel contain."""

import re
import subprocess
import tarfile
import zipfile

import pytest
import yaml

import sdc
from tests.support.workflow import copied


@pytest.fixture(scope="module")
def built(tmp_path_factory, python):
    """The names in an sdist and in a wheel, without the folder at their top."""
    folder = tmp_path_factory.mktemp("built")
    source = copied(folder / "source")
    code = f"from setuptools import build_meta as b; b.build_sdist({str(folder)!r}); b.build_wheel({str(folder)!r})"
    subprocess.run([python, "-c", code], cwd=source, check=True, capture_output=True)
    with tarfile.open(*folder.glob("*.tar.gz")) as file:
        sdist = {name.partition("/")[2] for name in file.getnames()}
    with zipfile.ZipFile(*folder.glob("*.whl")) as file:
        wheel = set(file.namelist())
    return sdist, wheel


def test_an_sdist_is_the_whole_project(built, root):
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True).stdout.split()
    if not tracked:
        pytest.skip("no git here to say what the project is")
    hidden = {name for name in tracked if name.startswith(".") and name != ".ci/run"}
    assert set(tracked) - hidden - built[0] == set()


def test_a_wheel_is_the_library(built, root):
    library = {path.relative_to(root).as_posix() for path in (root / "sdc").rglob("*") if path.is_file()}
    library = {name for name in library if "__pycache__" not in name}
    assert {name for name in built[1] if "dist-info" not in name} == library
    assert [name for name in built[1] if name.endswith("licenses/LICENSE")]


def test_the_citation_and_the_changes_are_of_this_version(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == sdc.__version__
    assert re.search(r"^## (\S+?),? ", (root / "CHANGELOG.md").read_text(), re.M)[1] == sdc.__version__
