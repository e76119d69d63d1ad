"""A finished run on a folder of images, with its index, where the pipeline would put it."""

import numpy as np
from PIL import Image

from sdc.stages import encode, extract, index, prepare, train

# A class that is a script, as far as a folder's name can be one.
NASTY = "<script>alert(1)<|script>"
RUN = "results/runs/folder/pixels/lsh/16bit/seed0"


def finished_run(base, classes=("cat", "dog"), more_seeds=()):
    """Write 12 images of noise for each class, and the index of a head of 16 bits for each seed; returns the folder."""
    generator = np.random.default_rng(0)
    for name in classes:
        (base / "images" / name).mkdir(parents=True)
        for number in range(12):
            noise = generator.integers(0, 256, (10, 12, 3)).astype(np.uint8)
            Image.fromarray(noise).save(base / f"images/{name}/{number:04}.png")
    manifest, features = base / "results/manifests/folder.csv", base / "results/features/folder/pixels/clean"
    prepare.run("folder", {"root": str(base / "images"), "query": 3, "train": 8}, manifest)
    for shard in range(2):
        extract.run(manifest, "pixels", {"size": 4}, shard, 2, features / f"{shard}-of-2.h5", "cpu")
    for seed in (0, *more_seeds):
        run = base / RUN.replace("seed0", f"seed{seed}")
        head, codes = run / "head.safetensors", run / "codes.h5"
        train.run(manifest, features, 2, "lsh", {}, 16, seed, head, head.with_name("curve.csv"), "cpu")
        encode.run(manifest, features, 2, head, codes)
        expect = {"dataset": "folder", "method": "lsh", "bits": 16, "seed": seed}
        index.run(manifest, codes, head, run / "index", expect=expect)
    return base
