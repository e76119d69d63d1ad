import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from sdc import ITQ, Encoder, registry
from sdc.errors import SDCError
from sdc.stages import encode, extract, prepare, train
from sdc.storage.codes import read_codes
from sdc.storage.features import Features
from sdc.storage.heads import checksum_of_head, read_head, write_head
from sdc.storage.manifest import read_manifest


class Pipeline:
    """The pipeline from a folder of images to codes, with some backbone."""

    def __init__(self, root, out, backbone, settings, **dataset):
        self.root, self.head = root, out / "head.safetensors"
        manifest, features, curve = out / "folder.csv", out / "features", out / "curve.csv"
        decoding = {key: dataset[key] for key in ("truncated", "orientation") if key in dataset}
        prepare.run("folder", {"root": str(root), "query": 3, "train": 8, **dataset}, manifest)
        for shard in range(2):
            path = features / f"{shard}-of-2.h5"
            extract.run(manifest, backbone, settings, shard, 2, path, "cpu", decoding=decoding)
        train.run(manifest, features, 2, "lsh", {}, 32, 0, self.head, curve, "cpu")
        encode.run(manifest, features, 2, self.head, out / "codes.h5")
        self.features = Features(features, 2).read(dtype=settings.get("dtype", "float32"))
        self.paths = [root / path for path in read_manifest(manifest).paths]
        self.codes = read_codes(out / "codes.h5").codes


@pytest.fixture
def pipeline(make_images, tmp_path):
    def run(backbone="pixels", settings=None, root=None, **dataset):
        root = root or make_images({"cat": 12, "dog": 12})
        return Pipeline(root, tmp_path / "results", backbone, settings or {"size": 4}, **dataset)

    return run


def test_head_says_what_its_backbone_is(pipeline):
    run = pipeline(settings={"size": 4, "dtype": "float16"}, orientation="apply")
    metadata = read_head(run.head).metadata
    assert metadata["backbone_settings"] == {"type": "pixels", "size": 4, "channels": "rgb", "dtype": "float16"}
    assert metadata["decoding"] == {"orientation": "apply"}
    assert metadata["features_version"] == registry.FEATURES_VERSION
    encoder = Encoder.load(run.head)
    assert encoder.bits == 32
    assert encoder.identity == {**metadata, "head_xxh3": checksum_of_head(read_head(run.head))}
    assert np.array_equal(encoder.features(run.paths), run.features)
    assert encoder.features(run.paths[:2]).dtype == np.float16
    assert np.array_equal(encoder.encode(run.paths), run.codes)


def test_every_form_of_an_image_gives_the_same_code(pipeline):
    run = pipeline()
    encoder, few = Encoder.load(run.head, device="cpu"), run.paths[:3]
    images = [Image.open(path).convert("RGB") for path in few]
    for form in ([*map(str, few)], images, [*map(np.asarray, images)], np.stack([*map(np.asarray, images)])):
        assert np.array_equal(encoder.encode(form), run.codes[:3])
    for one in (few[0], str(few[0]), images[0]):
        assert np.array_equal(encoder.encode(one), run.codes[:1])
    gray = np.asarray(images[0].convert("L"))
    assert np.array_equal(encoder.encode([gray]), encoder.encode([np.stack([gray] * 3, axis=2)]))
    for none in ([], np.empty((0, 4, 4, 3), np.uint8)):
        assert encoder.encode(none).shape == (0, 4)
        assert encoder.outputs(none).shape == (0, 32)
        assert encoder.features(none).shape == (0, 48)


def test_outputs_have_the_signs_of_the_bits(pipeline):
    run = pipeline(settings={"size": 4, "dtype": "float16"})
    encoder = Encoder.load(run.head)
    outputs = encoder.outputs(run.paths)
    assert outputs.dtype == np.float32
    assert np.array_equal(np.packbits(outputs > 0, axis=1), run.codes)
    assert np.array_equal(encoder.outputs_of_features(run.features), outputs)
    # Features that were never stored are rounded as the stored ones are.
    exact = run.features.astype(np.float64) * (1 + 1e-5)
    assert np.array_equal(encoder.encode_features(exact.astype(np.float16)), encoder.encode_features(exact))
    assert np.array_equal(encoder.encode_features(torch.from_numpy(run.features)), run.codes)


def test_images_are_decoded_as_the_datasets_were(pipeline, make_images, tmp_path):
    root = make_images({"cat": 12, "dog": 12})
    turned = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    turned.save(root / "cat/turned.jpg", exif=exif)
    cut = (root / "cat/turned.jpg").read_bytes()
    (root / "dog/cut.jpg").write_bytes(cut[: len(cut) * 2 // 3])
    run = pipeline(root=root, orientation="apply", truncated="load")
    assert len(run.paths) == 26
    encoder = Encoder.load(run.head)
    assert np.array_equal(encoder.encode(run.paths), run.codes)
    odd = root / "cat/turned.jpg"
    assert np.array_equal(encoder.features(Image.open(odd)), encoder.features(odd))
    assert not np.array_equal(encoder.features([np.asarray(Image.open(odd))]), encoder.features(odd))


def test_bad_images_are_named(pipeline, tmp_path, monkeypatch):
    run = pipeline()
    encoder = Encoder.load(run.head)
    text, bomb, good = tmp_path / "text.jpg", tmp_path / "bomb.png", run.paths[0]
    text.write_text("not an image")
    Image.new("L", (9_000, 9_000)).save(bomb)
    with pytest.raises(SDCError, match=r"text.jpg: cannot be decoded \(is not an image.*\); fix it or leave"):
        encoder.encode([good, text])
    with pytest.raises(SDCError, match=r"bomb.png: has 81.0 megapixels .* more than max_megapixels: 80; fix it or"):
        encoder.encode(bomb)
    with pytest.raises(SDCError, match=r"^image 1: has 81.0 megapixels"):
        encoder.encode([Image.open(good), Image.open(bomb)])
    with pytest.raises(SDCError, match=r"none.png: cannot be decoded \(.*\); fix it"):
        encoder.encode(tmp_path / "none.png")
    for array in (
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ):
        with pytest.raises(SDCError, match=r"image 0: is an array of shape .*; give uint8 of shape"):
            encoder.encode([array])
    with pytest.raises(SDCError, match=r"shape \(4, 4, 3\) may be one image or several; give a list"):
        encoder.encode(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SDCError, match="image 0: is a int; give a path"):
        encoder.encode([7])
    problems = {}
    codes = encoder.encode([text, *run.paths[:20], bomb, run.paths[20]], complain=problems.__setitem__)
    assert np.array_equal(codes, run.codes[:21])
    assert {name: why[:8] for name, why in problems.items()} == {str(text): "cannot b", str(bomb): "has 81.0"}
    assert encoder.encode([text] * 40, complain=problems.__setitem__).shape == (0, 4)


def test_features_that_do_not_fit_are_refused(pipeline):
    encoder = Encoder.load(pipeline(settings={"size": 4, "dtype": "float16"}).head)
    for wrong in (np.zeros((2, 47)), np.zeros(48), np.full((1, 48), "x")):
        with pytest.raises(SDCError, match=r"head.safetensors takes numbers of shape \(n, 48\)"):
            encoder.encode_features(wrong)
    with pytest.raises(SDCError, match="row 1 holds NaN or infinity as float16"):
        encoder.outputs_of_features(np.stack([np.zeros(48), np.full(48, 1e5)]))


def test_head_that_was_fitted_to_arrays_takes_features_only(tmp_path):
    features = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32)
    method = ITQ(bits=8).fit(features)
    method.save(tmp_path / "h.safetensors")
    encoder = Encoder.load(tmp_path / "h.safetensors")
    assert np.array_equal(encoder.encode_features(features), method.encode(features))
    assert np.array_equal(np.packbits(encoder.outputs_of_features(features) > 0, axis=1), method.encode(features))
    with pytest.raises(SDCError, match="h.safetensors: says nothing of a backbone.*; use encode_features"):
        encoder.encode(["a.jpg"])
    with pytest.raises(SDCError, match="leave weights out"):
        Encoder.load(tmp_path / "h.safetensors", weights="w.pth")


def saved_weights(path, seed):
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(seed)
    torch.save(shufflenet_v2_x0_5().state_dict(), path)
    return path


def test_weights_are_those_of_the_heads_features(pipeline, tmp_path):
    mine, others = (saved_weights(tmp_path / f"{seed}.pth", seed) for seed in (0, 1))
    run = pipeline("shufflenet_v2_x0_5", {"weights": str(mine), "resize": 32, "crop": 32})
    assert np.array_equal(Encoder.load(run.head).encode(run.paths), run.codes)
    moved = mine.rename(tmp_path / "moved.pth")
    # Features need no weights.
    encoder = Encoder.load(run.head)
    assert np.array_equal(encoder.encode_features(run.features), run.codes)
    with pytest.raises(SDCError, match=r"0.pth: no such file, and .*head.safetensors needs the weights sha256:\w+;"):
        encoder.encode(run.paths)
    assert np.array_equal(Encoder.load(run.head, weights=moved).encode(run.paths[:3]), run.codes[:3])
    expected = r"head.safetensors: was trained with weights sha256:\w+, and {} sha256:\w+; give the former"
    with pytest.raises(SDCError, match=expected.format(".*1.pth holds")):
        Encoder.load(run.head, weights=others)
    others.rename(mine)
    with pytest.raises(SDCError, match=expected.format(".*0.pth holds")):
        Encoder.load(run.head).encode(run.paths)
    with pytest.raises(SDCError, match=r"sha256:\w+, and here are none; give the former"):
        Encoder.load(run.head, weights="none")


def test_what_no_backbone_reads_and_versions_that_are_gone_are_refused(pipeline, tmp_path):
    head = read_head(pipeline().head)
    path = tmp_path / "other.safetensors"
    with pytest.raises(SDCError, match="its backbone, pixels, reads no weights; leave weights out"):
        Encoder.load(tmp_path / "results/head.safetensors", weights="w.pth")
    write_head(path, dataclasses.replace(head, metadata={**head.metadata, "features_version": 0}))
    with pytest.raises(SDCError, match="other.safetensors: takes features of version 0, and this sdc makes version"):
        Encoder.load(path)
    write_head(path, dataclasses.replace(head, metadata={**head.metadata, "transform": "size=5"}))
    with pytest.raises(SDCError, match="trained with transform size=5, and here are size=4.*; install the versions"):
        Encoder.load(path).encode([np.zeros((4, 4), np.uint8)])


def test_vectors_are_converted_as_the_dataset_converts_them(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    np.savez(tmp_path / "x.npz", features=vectors, labels=np.arange(60) % 2)
    prepare.run("features", {"file": str(tmp_path / "x.npz"), "query": 3, "train": 9}, tmp_path / "m.csv")
    settings = {"weights": "net", "normalise": True, "dtype": "float16"}
    extract.run(tmp_path / "m.csv", "imported", settings, 0, 1, tmp_path / "f/0-of-1.h5")
    head = tmp_path / "h.safetensors"
    train.run(tmp_path / "m.csv", tmp_path / "f", 1, "lsh", {}, 16, 0, head, tmp_path / "c.csv", "cpu")
    rows = [int(path) for path in read_manifest(tmp_path / "m.csv").paths]
    stored = Features(tmp_path / "f", 1).read(dtype=np.float16)
    encoder = Encoder.load(head)
    assert np.array_equal(encoder.features(vectors[rows]), stored)
    assert np.array_equal(encoder.encode(vectors[rows]), encoder.encode_features(stored))
    with pytest.raises(SDCError, match=r"takes vectors of shape \(n, 6\), no images; give an array"):
        encoder.encode(["a.jpg"])
