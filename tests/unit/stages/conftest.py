import dataclasses

import numpy as np
import pytest

from sdc.stages import encode, evaluate, extract, prepare, train


@dataclasses.dataclass
class Run:
    """Every stage on a small folder of pictures, with the pixels as features."""

    root: object
    out: object

    def prepare(self, **settings):
        prepare.run("folder", {"root": str(self.root), "query": 3, "train": 8, **settings}, self.manifest)

    @property
    def manifest(self):
        return self.out / "manifests/folder.csv"

    @property
    def features(self):
        return self.out / "features"

    @property
    def head(self):
        return self.out / "head.safetensors"

    @property
    def codes(self):
        return self.out / "codes.h5"

    def extract(self, shards=2, settings=None, only=None, **options):
        for shard in range(shards) if only is None else only:
            path = self.features / f"{shard}-of-{shards}.h5"
            extract.run(self.manifest, "pixels", settings or {"size": 4}, shard, shards, path, "cpu", **options)

    def train(self, method="itq", bits=16, shards=2, settings=None, seed=0):
        curve = self.out / "curve.csv"
        train.run(self.manifest, self.features, shards, method, settings or {}, bits, seed, self.head, curve, "cpu")

    def encode(self, shards=2):
        encode.run(self.manifest, self.features, shards, self.head, self.codes)

    def evaluate(self, **options):
        evaluate.run(self.manifest, self.out / "metrics.json", **(options or {"codes": self.codes}))


@pytest.fixture
def stages(make_images, tmp_path):
    """A ``Run`` on 40 pictures of two classes, prepared."""
    run = Run(make_images({"cat": 20, "dog": 20}), tmp_path / "results")
    run.prepare()
    return run


@pytest.fixture
def imported(tmp_path):
    """``imported(name, features, labels, …)``: a dataset of vectors, prepared and extracted; returns its manifest.

    The shards are beside it, in a folder of its name.
    """

    def make(name, features, labels, shards=2, dtype="float32", weights="net", **settings):
        file = tmp_path / f"{name}.npz"
        np.savez(file, features=features, labels=labels)
        manifest = tmp_path / f"{name}.csv"
        prepare.run(name, {"type": "features", "file": str(file), "query": 3, "train": 0.5, **settings}, manifest)
        for shard in range(shards):
            out = tmp_path / name / f"{shard}-of-{shards}.h5"
            extract.run(manifest, "imported", {"dtype": dtype, "weights": weights}, shard, shards, out)
        return manifest

    return make
