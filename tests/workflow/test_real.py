"""Real pictures and a real pretrained network, where the development data lie beside the repository."""

import json
import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared/data"


@pytest.fixture
def pictures(tmp_path):
    """The first 40 test pictures of each CIFAR-10 class."""
    archive = DATA / "cifar10-jpeg.tar.xz"
    if not archive.exists():
        pytest.skip("needs ../shared/data, which is for development only")
    with tarfile.open(archive) as tar:
        wanted = [
            member
            for member in tar
            if member.name.startswith("test/") and member.isfile() and int(Path(member.name).stem) < 40
        ]
        tar.extractall(tmp_path / "cifar", members=wanted, filter="data")
    return tmp_path / "cifar"


def test_codes_of_real_features_find_their_class(workflow, pictures):
    settings = {"resize": 224, "crop": 224, "interpolation": "bicubic"}
    workflow.configure(
        {
            "run": {
                "datasets": ["folder"],
                "backbones": ["mobilenet_v2"],
                "methods": ["lsh", "itq", "sdc"],
                "bits": [64],
            },
            "datasets": {"folder": {"root": str(pictures), "query": 10, "train": 1.0, "shards": 2}},
            "backbones": {"mobilenet_v2": {"weights": str(DATA / "mobilenet_v2-imagenet.pth"), **settings}},
            "methods": {"sdc": {"epochs": 60, "hidden": 256, "learning_rate": 1.0e-3}},
        }
    )
    workflow()
    scores = {}
    for method in ("lsh", "itq", "sdc"):
        path = workflow.path(f"runs/folder/mobilenet_v2/{method}/64bit/seed0/metrics.json")
        scores[method] = json.loads(path.read_text())["mAP@300"]
    # Chance is 0.1; with so few pictures the exact order of methods is not at stake, only that codes carry the class.
    assert scores["lsh"] > 0.15
    assert scores["itq"] > 0.17
    assert scores["sdc"] > 0.17
