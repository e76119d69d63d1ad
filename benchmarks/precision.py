"""Does the precision of features change what is retrieved?

    python benchmarks/precision.py --root IMAGES --weights mobilenet_v2-imagenet.pth [--images 3000]

IMAGES has a folder per class; of each class the first images are taken, a tenth as queries. They are extracted with
the forward pass in float32 and in bfloat16, and stored as float32 and as float16. Prints, for each, mAP@1000 in percent
by the exact cosine of the features and by codes of 64 bits (ITQ, which is the same for the same features), both over
the queries against all the others, and the least cosine between an image's features and those in float32.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import machine
import numpy as np

from sdc.evaluation.metrics import headline
from sdc.stages import encode, evaluate, extract, prepare, train
from sdc.storage.features import Features
from sdc.storage.files import read_json
from sdc.storage.manifest import read_manifest

WAYS = (("float32", "float32"), ("float32", "float16"), ("bfloat16", "float32"), ("bfloat16", "float16"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--edge", type=int, default=224, help="of the images that the network sees, in pixels")
    parser.add_argument("--bits", type=int, default=64, help="of the codes")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Extract in each way and score."""
    classes = [path for path in sorted(options.root.iterdir()) if path.is_dir()]
    each = options.images // len(classes)
    for kind in classes:
        (folder / "images" / kind.name).mkdir(parents=True)
        for image in sorted(kind.iterdir())[:each]:
            shutil.copy(image, folder / "images" / kind.name / image.name)
    manifest = folder / "manifest.csv"
    prepare.run("folder", {"root": str(folder / "images"), "query": 0.1, "train": 0.5}, manifest)
    preprocessing = {"resize": options.edge, "crop": options.edge, "interpolation": "bicubic"}
    print(f"{options.model}, {each * len(classes)} images of {len(classes)} classes, mAP@1000 in percent")
    print(f"| forward pass | stored | cosine of the features | ITQ, {options.bits} bits | least cosine to float32 |")
    print("|---|---|---|---|---|")
    exact = np.empty(0)
    score = headline(min(1000, len(read_manifest(manifest).rows("database"))))
    for precision, dtype in WAYS:
        settings = {**preprocessing, "weights": options.weights, "precision": precision, "dtype": dtype}
        features = folder / f"{precision}-{dtype}"
        extract.run(manifest, options.model, settings, 0, 1, features / "0-of-1.h5", options.device)
        found = Features(features, 1).read(dtype=np.float64)
        exact = found if not len(exact) else exact
        cosines = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
        head, codes, scores = features / "head.safetensors", features / "codes.h5", []
        train.run(manifest, features, 1, "itq", {}, options.bits, 0, head, features / "curve.csv", "cpu")
        encode.run(manifest, features, 1, head, codes)
        for what in ({"features": features, "shards": 1}, {"codes": codes}):
            evaluate.run(manifest, features / "metrics.json", **what)
            scores.append(100 * read_json(features / "metrics.json")[score])
        print(f"| {precision} | {dtype} | {scores[0]:.2f} | {scores[1]:.2f} | {cosines.min():.6f} |", flush=True)


if __name__ == "__main__":
    main()
