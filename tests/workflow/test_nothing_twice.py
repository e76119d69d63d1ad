"""Nothing is done twice: which jobs are due after each kind of change, to files and to the config."""

import json
import shutil
import subprocess
import time

import pytest
from PIL import Image

from tests.support.workflow import ROOT, Workflow, copied, merged

TARGET = "results/runs/pets/pixels/lsh/16bit/seed0/metrics.json"
CONFIG = {
    "run": {"datasets": ["pets"], "backbones": ["pixels"], "methods": ["lsh"], "bits": [16], "seeds": [0]},
    # Vectors of 1.1 MB in all: Snakemake compares larger files by their time alone.
    "backbones": {"pixels": {"size": 40, "channels": "rgb"}},
    "datasets": {"pets": {"type": "folder", "root": "data", "query": 3, "train": 4}},
    "evaluation": {"features": False},
}
REST = {"train": 1, "encode": 1, "evaluate": 1}
SPLIT = {"prepare_splits": 1, **REST}


def pets(folder):
    """A small project with images of two classes in it, and its workflow."""
    for number in range(60):
        path = folder / f"data/{('cats', 'dogs')[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number * 4, 90, 255 - number)).save(path)
    workflow = Workflow(folder)
    workflow.config = CONFIG
    return workflow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workflow = pets(tmp_path_factory.mktemp("pets"))
    workflow(TARGET)
    assert workflow.path("features/pets/pixels/clean/0-of-1.h5").stat().st_size > 1_000_000
    return workflow


def due(workflow, change, *targets):
    """The jobs that a change of the config makes due."""
    changed = Workflow(workflow.folder, workflow.root)
    changed.config = merged(workflow.config, change)
    return changed("--dry-run", *(targets or [TARGET])).jobs


def of_pets(**settings):
    return {"datasets": {"pets": settings}}


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ({}, {}),
        (of_pets(query=5), SPLIT),
        (of_pets(train=0.5), SPLIT),
        (of_pets(seed=1), SPLIT),
        (of_pets(long_tail=2), SPLIT),
        (of_pets(splits="draw"), SPLIT),
        (of_pets(map_at=50), {"evaluate": 1}),
        (of_pets(precision_at=[3]), {"evaluate": 1}),
        ({"evaluation": {"ties": "stable"}}, {"evaluate": 1}),
        # Other words for the same.
        (of_pets(root="./data/"), {}),
        (of_pets(root="data/../data"), {}),
        (of_pets(root="{here}/data"), {}),
        (of_pets(root="linked"), {}),
        (of_pets(seed=0, on_error="fail", truncated="fail"), {}),
        # Other images.
        (of_pets(root="others"), {"prepare": 1, "extract": 1, **SPLIT}),
        ({"backbones": {"pixels": {"size": 8}}}, {"extract": 1, **REST}),
    ],
)  # fmt: skip
def test_jobs_after_a_change_of_the_config(finished, change, jobs):
    folder = finished.folder
    if not (folder / "linked").exists():
        (folder / "linked").symlink_to("data")
        shutil.copytree(folder / "data", folder / "others")
    change = json.loads(json.dumps(change).replace("{here}", str(folder)))
    assert due(finished, change) == jobs


@pytest.mark.parametrize(
    ("target", "jobs"),
    [
        (TARGET.replace("lsh", "itq"), REST),
        (TARGET.replace("16bit", "24bit"), REST),
        (TARGET.replace("seed0", "seed1"), REST),
        (TARGET.replace("lsh", "cibhash"), {"extract": 1, **REST}),  # views of the training items
    ],
)
def test_jobs_of_another_run(finished, target, jobs):
    assert due(finished, {}, target) == jobs


def test_splits_change_and_features_do_not(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    workflow = Workflow(tmp_path)
    shard = workflow.path("features/pets/pixels/clean/0-of-1.h5")
    before = shard.read_bytes()
    workflow.config = merged(CONFIG, of_pets(query=6, seed=2))
    assert workflow(TARGET).jobs == SPLIT
    assert shard.read_bytes() == before
    assert json.loads((tmp_path / TARGET).read_text())["queries"] == 12
    assert workflow(TARGET).jobs == {}


def test_a_copy_without_times_is_up_to_date(finished, tmp_path):
    """As ``cp -r``, or an upload, leaves it, whatever the order in which files arrive."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True, copy_function=shutil.copyfile)
    time.sleep(1.1)
    for path in [*tmp_path.glob("results/manifests/*"), *tmp_path.glob("results/features/**/*.*")]:
        path.touch()
    workflow = Workflow(tmp_path)
    workflow.config = CONFIG
    assert workflow("--dry-run", TARGET).jobs == {}


def test_files_of_others_that_are_large_are_compared_by_time(finished, tmp_path):
    """What Snakemake cannot see, and the two ways out that README names."""
    import numpy as np

    draw = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", features=draw.standard_normal((9000, 32), np.float32), labels=np.arange(9000) % 3)
    workflow = Workflow(tmp_path)
    target = "results/features/mine/imported/clean/0-of-1.h5"
    workflow.config = {
        "run": {"datasets": ["mine"], "backbones": ["imported"], "methods": ["lsh"], "bits": [16], "seeds": [0]},
        "datasets": {"mine": {"type": "features", "file": "x.npz", "query": 5, "train": 5}},
    }
    workflow(target)
    for copy, command in {"kept": "-a", "lost": "-r"}.items():
        subprocess.run(["cp", command, str(tmp_path), str(tmp_path.parent / f"{tmp_path.name}-{copy}")], check=True)
    kept, lost = (Workflow(tmp_path.parent / f"{tmp_path.name}-{copy}") for copy in ("kept", "lost"))
    kept.config = lost.config = workflow.config
    assert kept("--dry-run", target).jobs == {}
    (lost.folder / "x.npz").touch()
    assert lost("--dry-run", target).jobs == {"prepare": 1, "prepare_splits": 1, "extract": 1}
    lost(target, "--touch")
    assert lost("--dry-run", target).jobs == {}


def test_git_checkout_makes_nothing_due(finished, tmp_path):
    """Code and configs that another branch had, and that are back, with new times."""
    clone = copied(tmp_path / "clone")
    workflow = Workflow(finished.folder, clone)
    workflow.config = CONFIG
    for path in (
        *clone.glob("workflow/**/*.smk"),
        *clone.glob("sdc/**/*.py"),
        clone / "Snakefile",
        clone / "config.yaml",
    ):
        path.touch()
    assert workflow("--dry-run", TARGET).jobs == {}
    assert clone != ROOT
