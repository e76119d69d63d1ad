"""Tiny copies of every registered dataset in its published layout, for unit tests and the contract suite.

One more dataset is one more function here and its line in ``MAKERS``.
"""

import functools
import gzip
import io
import json
import pickle
import struct

import numpy as np
from PIL import Image

from sdc.datasets import cifar, gldv2, imagenet100, mirflickr, mnist, mscoco, nuswide, sop


def encoded(size=(4, 3), kind="JPEG"):
    """A small image as it is in a file."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(buffer, kind)
    return buffer.getvalue()


def write(file, content):
    """Write bytes or text to a file in folders that need not be there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def lines(rows):
    return "".join(f"{row}\n" for row in rows)


def make_cifar10(root):
    """A CIFAR-10 of 20 images per batch."""
    generator = np.random.default_rng(0)
    for name in cifar.BATCHES:
        batch = {"data": generator.integers(0, 256, (20, 3072), np.uint8), "labels": [i % 10 for i in range(20)]}
        write(root / cifar.Cifar10.folder / name, pickle.dumps(batch, protocol=2))
    return {"root": str(root), "checksum": False, "download": False, "query": 2, "train": 3}


def make_cifar100(root):
    """A CIFAR-100 of three images of each class for training and one for testing."""
    generator = np.random.default_rng(0)
    for name, count in (("train", 300), ("test", 100)):
        fine = [index % 100 for index in range(count)]
        batch = {
            "data": generator.integers(0, 256, (count, 3072), np.uint8),
            "fine_labels": fine,
            "coarse_labels": [label // 5 for label in fine],
            "filenames": [f"{index}.png" for index in range(count)],
            "batch_label": "training batch 1 of 1",
        }
        write(root / cifar.Cifar100.folder / name, pickle.dumps(batch, protocol=2))
    return {"root": str(root), "checksum": False, "download": False, "query": 1, "train": 1}


MNIST_PARTS = {"train": 60, "t10k": 20}


def idx(array):
    """An idx file of bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_scans():
    """The scans of ``make_mnist`` by part."""
    generator = np.random.default_rng(0)
    return {part: generator.integers(0, 256, (count, 28, 28), np.uint8) for part, count in MNIST_PARTS.items()}


def make_mnist(root):
    """An MNIST of 60 + 20 scans."""
    for part, scans in mnist_scans().items():
        home = root / mnist.MNIST.folder
        write(home / f"{part}-images-idx3-ubyte.gz", gzip.compress(idx(scans)))
        labels = (np.arange(len(scans)) % 10).astype(np.uint8)
        write(home / f"{part}-labels-idx1-ubyte.gz", gzip.compress(idx(labels)))
    return {"root": str(root), "checksum": False, "download": False, "query": 1, "train": 2}


def make_imagenet100(root, image=None):
    """HashNet's folders and lists, as SDC's repository names them: 3 + 1 images of each of the first five classes."""
    image = encoded() if image is None else image
    rows = {name: [] for name in ("database", "test", "train")}
    for index, wnid in enumerate(imagenet100.WNIDS[:5]):
        rows["database"] += [(f"image/{wnid}_{number}.JPEG", index) for number in range(3)]
        rows["train"] += [(f"image/{wnid}_2.JPEG", index)]
        rows["test"].append((f"val_image/ILSVRC2012_val_{index:08}.JPEG", index))
    for name, pairs in rows.items():
        write(root / f"{name}.txt", lines(f"data/imagenet/{path} {index}" for path, index in pairs))
        for path, _ in pairs:
            write(root / path, image)
    return {"root": str(root)}


NUSWIDE_PHOTOS = 300


def nuswide_concepts(photo):
    """Concepts of a photo; every eleventh has none, and sky is everywhere else."""
    return set() if photo % 11 == 0 else {0, 1 + photo % 20}


def make_nuswide(root, image=None):
    """The published layout: 300 photos in two folders, the last listed twice."""
    image = encoded() if image is None else image
    last = NUSWIDE_PHOTOS - 1
    names = [f"{'actor' if photo < 100 else 'zebra'}\\{photo:04}_{5000 + photo}.jpg" for photo in range(last + 1)]
    names.append(f"zoo\\0001_{5000 + last}.jpg")
    photos = [*range(NUSWIDE_PHOTOS), last]
    write(root / "ImageList/Imagelist.txt", "".join(f"{name}\r\n" for name in names))
    for index, concept in enumerate(nuswide.CONCEPTS):
        column = lines(int(index in nuswide_concepts(photo)) for photo in photos)
        write(root / f"Groundtruth/AllLabels/Labels_{concept}.txt", column)
    for name in names:
        write(root / "Flickr" / name.replace("\\", "/"), image)
    return {"root": str(root), "query": 2, "train": 4}


# COCO's ids have gaps and another order than the alphabet.
COCO_IDS = {name: 1 + 90 * index // 80 for index, name in enumerate(mscoco.CATEGORIES[::-1])}


def coco_annotations(images, instances):
    """An annotation file as published: image ids and file names; (image id, category) of each instance."""
    outline = [[float(value) for value in range(20)]]
    return {
        "info": {"description": "COCO"},
        "licenses": [{"id": 1, "name": "none"}],
        "images": [{"license": 1, "file_name": name, "id": number, "width": 4} for number, name in images.items()],
        "annotations": [
            {
                "segmentation": {"counts": [1, 2], "size": [3, 4]} if index % 3 == 0 else outline,
                "iscrowd": int(index % 3 == 0),
                "image_id": number,
                "bbox": [0.0, 1.5, 2.0, 3.0],
                "category_id": COCO_IDS[name],
                "id": 100 + index,
            }
            for index, (number, name) in enumerate(instances)
        ],
        "categories": [{"supercategory": "x", "id": number, "name": name} for name, number in COCO_IDS.items()],
    }


def make_mscoco(root, image=None):
    """Forty images of 2014, two in three of them for training; image 7 and image 8 show nothing."""
    image = encoded() if image is None else image
    labelled = [number for number in range(1, 41) if number not in (7, 8)]
    for part, chosen in (("train", lambda number: number % 3), ("val", lambda number: not number % 3)):
        images = {number: f"COCO_{part}2014_{number:012}.jpg" for number in range(40, 0, -1) if chosen(number)}
        instances = [
            pair
            for number in labelled
            if chosen(number)
            for pair in [(number, "zebra"), (number, mscoco.CATEGORIES[number]), (number, "zebra")]
        ]
        for name in images.values():
            write(root / f"{part}2014" / name, image)
        write(root / f"annotations/instances_{part}2014.json", json.dumps(coco_annotations(images, instances)))
    return {"root": str(root), "query": 5, "train": 10}


MIRFLICKR_IMAGES = 30


def mirflickr_numbers(topic):
    """Which images show a topic; the stricter topics are within the wider ones, and 7 shows nothing."""
    place = sorted(mirflickr.TOPICS).index(topic.removesuffix("_r1"))
    numbers = [number for number in range(1, MIRFLICKR_IMAGES + 1) if number % 11 == place % 11 and number != 7]
    return numbers[:1] if topic.endswith("_r1") else numbers


def make_mirflickr(root):
    """The first 30 images of a MIRFLICKR as its two archives unpack; the others are missing."""
    for number in range(1, MIRFLICKR_IMAGES + 1):
        write(root / mirflickr.IMAGES_FOLDER / f"im{number}.jpg", encoded())
    for topic in mirflickr.TOPICS:
        numbers = "".join(f"{number}\r\n" for number in mirflickr_numbers(topic))
        write(root / mirflickr.ANNOTATIONS / f"{topic}.txt", numbers)
    write(root / mirflickr.ANNOTATIONS / "README.txt", "Annotations of 25000 images, 24 topics.\n")
    return {"root": str(root), "on_error": "skip", "query": 4, "train": 5}


SOP_KINDS = ("bicycle", "coffee_maker", "sofa")
SOP_HEADER = "image_id class_id super_class_id path"


def make_sop(root):
    """Three kinds with four products of three images each; the last two products of a kind are the test half."""
    halves = {"train": [], "test": []}
    product = number = 0
    for rows in halves.values():
        for kind, name in enumerate(SOP_KINDS, 1):
            for _ in range(2):
                product += 1
                for shot in range(3):
                    number += 1
                    path = f"{name}_final/{110000000000 + product}_{shot}.JPG"
                    rows.append(f"{number} {product} {kind} {path}")
                    write(root / sop.FOLDER / path, encoded())
    for name, rows in (*halves.items(), ("info", [*halves["train"], *halves["test"]])):
        write(root / sop.FOLDER / f"Ebay_{name}.txt", lines([SOP_HEADER, *rows]))
    return {"root": str(root), "query": 2, "train": 3}


def gldv2_name(number):
    return f"{number * 2654435761 % 2**64:016x}"


GLDV2_INDEX = [gldv2_name(number) for number in range(100, 106)]
GLDV2_TEST = [gldv2_name(number) for number in range(200, 204)]
GLDV2_CLEAN = {
    "203092": [gldv2_name(1), gldv2_name(2), gldv2_name(3)],
    "7": [gldv2_name(4)],
    "1000": [gldv2_name(5), gldv2_name(6)],
}
GLDV2_SOLUTION = [
    f"{GLDV2_TEST[0]},{GLDV2_INDEX[4]} {GLDV2_INDEX[1]},Private",
    f"{GLDV2_TEST[1]},None,Ignored",
    f"{GLDV2_TEST[2]},{GLDV2_INDEX[0]},Public",
    f"{GLDV2_TEST[3]},{GLDV2_INDEX[5]} {GLDV2_INDEX[0]} {GLDV2_INDEX[2]},Private",
]


def gldv2_path(split, name):
    return f"{split}/{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


def make_gldv2(root):
    """A Google Landmarks v2 of six index images, four tests and three landmarks as it is laid out for download."""
    for split, names in (("index", GLDV2_INDEX), ("test", GLDV2_TEST), ("train", sum(GLDV2_CLEAN.values(), []))):
        for name in names:
            write(root / gldv2_path(split, name), encoded())
    clean = (f"{landmark},{' '.join(names)}" for landmark, names in GLDV2_CLEAN.items())
    write(root / "metadata" / gldv2.INDEX, lines(["id", *GLDV2_INDEX]))
    write(root / "metadata" / gldv2.CLEAN, lines(["landmark_id,images", *clean]))
    write(root / "ground_truth" / gldv2.TRUTH, lines(["id,images,Usage", *GLDV2_SOLUTION]))
    return {"root": str(root)}


REVISITED_DATABASE = ["all_souls_000001", "christ_church_000007", "balliol_000051", "magdalen_000058"]
REVISITED_QUERIES = ["all_souls_000013", "radcliffe_camera_000519"]


def revisited_truth():
    """The ground truth as it is published."""
    return {
        "imlist": list(REVISITED_DATABASE),
        "qimlist": list(REVISITED_QUERIES),
        "gnd": [
            {"bbx": [2.4, 1.5, 10.6, 8.2], "easy": [3, 0], "hard": [1], "junk": []},
            {"bbx": [0, 0, 12.0, 10.0], "easy": [], "hard": np.array([2]), "junk": [0, 1]},
        ],
    }


def make_revisited(root, name):
    """A revisited benchmark of four images and two queries."""
    generator = np.random.default_rng(0)
    for image in REVISITED_DATABASE + REVISITED_QUERIES:
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (10, 12, 3), np.uint8)).save(buffer, "JPEG", quality=95)
        write(root / "jpg" / f"{image}.jpg", buffer.getvalue())
    write(root / f"gnd_{name}.pkl", pickle.dumps(revisited_truth(), protocol=2))
    return {"root": str(root)}


PETS = [f"{pet}/{number:04}.png" for pet in ("cat", "dog") for number in range(6)]


def make_folder(root):
    """Six images each of cats and dogs, a folder per class."""
    for path in PETS:
        write(root / path, encoded(kind="PNG"))
    return {"root": str(root), "query": 2, "train": 2}


def make_list(root):
    """The same with lists that have the prefix of somebody else's machine."""
    make_folder(root)
    for name, numbers in {"test": range(1), "database": range(1, 6), "train": range(3, 6)}.items():
        rows = (f"/home/them/pets/{PETS[6 * pet + number]} {pet} " for number in numbers for pet in (0, 1))
        write(root / f"{name}.txt", lines(rows))
    return {"root": str(root)}


def make_csv(root):
    """The same with a CSV file, written on Windows."""
    make_folder(root)
    rows = (f"{path},{path[:3]}".replace("/", "\\") for path in PETS)
    write(root / "images.csv", lines(["path,label", *rows]))
    return {"root": str(root), "query": 2, "train": 2}


def make_features(root):
    """Sixty vectors of three classes, with names."""
    root.mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    np.savez(root / "v.npz", features=vectors, labels=np.arange(60) % 3, ids=[f"n{row}" for row in range(60)])
    return {"file": str(root / "v.npz"), "query": 2, "train": 3}


def make_unlabelled_folder(root):
    """Twelve images in one folder."""
    for number in range(12):
        write(root / f"{number:04}.png", encoded(kind="PNG"))
    return {"root": str(root)}


def make_unlabelled_list(root):
    """The lists of ``make_list`` without the labels."""
    settings = make_list(root)
    for file in root.glob("*.txt"):
        write(file, lines(line.split()[0] for line in file.read_text().splitlines()))
    return settings


def make_unlabelled_csv(root):
    """A CSV file with nothing but the paths."""
    make_unlabelled_folder(root)
    write(root / "images.csv", lines(["path", *(f"{number:04}.png" for number in range(12))]))
    return {"root": str(root)}


def make_unlabelled_features(root):
    """Sixty vectors and nothing else."""
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "v.npy", np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32))
    return {"file": str(root / "v.npy")}


# Of the datasets that need no labels: the same without any.
UNLABELLED_MAKERS = {
    "folder": make_unlabelled_folder,
    "list": make_unlabelled_list,
    "csv": make_unlabelled_csv,
    "features": make_unlabelled_features,
}

# By registered name: writes a dataset below a folder and returns its settings.
MAKERS = {
    "digits": lambda root: {},
    "digit_pairs": lambda root: {},
    "cifar10": make_cifar10,
    "cifar100": make_cifar100,
    "mnist": make_mnist,
    "imagenet100": make_imagenet100,
    "nuswide": make_nuswide,
    "mscoco": make_mscoco,
    "folder": make_folder,
    "features": make_features,
    "list": make_list,
    "csv": make_csv,
    "mirflickr": make_mirflickr,
    "sop": make_sop,
    "gldv2": make_gldv2,
    "roxford5k": functools.partial(make_revisited, name="roxford5k"),
    "rparis6k": functools.partial(make_revisited, name="rparis6k"),
}
