import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from sdc import registry
from sdc.backbones import extraction
from sdc.backbones.pixels import Pixels
from sdc.errors import SDCError
from sdc.plan.shards import shard_names
from sdc.stages import extract, prepare
from sdc.storage.features import FEATURES_SCHEMA, Features
from sdc.storage.hdf5 import read_h5
from sdc.storage.manifest import read_manifest


def test_features_are_those_of_each_image_in_manifest_order(stages):
    stages.extract(shards=3)
    manifest = read_manifest(stages.manifest)
    features = Features(stages.features, 3, {"images_xxh3": manifest.images_xxh3})
    transform = Pixels(model="pixels", size=4).transform()
    expected = [transform(Image.open(stages.root / path)).numpy() for path in manifest.paths]
    assert np.array_equal(features.read(), np.stack(expected))


def test_attributes_say_what_the_shard_depends_on(stages):
    stages.extract()
    path = stages.features / "1-of-2.h5"
    attributes = read_h5(path, FEATURES_SCHEMA).attributes
    with h5py.File(path) as file:
        assert file["row"][:].tolist() == list(range(20, 40))
    expected = {
        "schema": "sdc.features/2", "dataset": "folder", "backbone": "pixels", "weights": "none", "kind": "clean",
        "images_xxh3": read_manifest(stages.manifest).images_xxh3, "features_version": registry.FEATURES_VERSION,
        "rows": 40, "shard": 1, "shards": 2, "start": 20, "stop": 40, "dtype": "float32",
        "transform": "size=4 channels=rgb scale=1/255", "torch": str(torch.__version__),
    }  # fmt: skip
    assert {key: attributes[key] for key in expected} == expected


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_size_and_shards_do_not_change_the_values(stages, batch_size):
    stages.extract(shards=1)
    expected = Features(stages.features, 1).read()
    stages.extract(shards=4, batch_size=batch_size)
    assert np.array_equal(Features(stages.features, 4).read(), expected)


def test_again_is_the_same_bytes(stages):
    stages.extract(shards=1)
    first = (stages.features / "0-of-1.h5").read_bytes()
    stages.extract(shards=1)
    assert (stages.features / "0-of-1.h5").read_bytes() == first


def test_half_precision_storage(stages):
    stages.extract(settings={"size": 4, "dtype": "float16"})
    with h5py.File(stages.features / "0-of-2.h5") as file:
        assert file["features"].dtype == np.float16


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_image_that_cannot_be_decoded_fails_and_is_named(stages, damage):
    path = stages.root / read_manifest(stages.manifest).paths[3]
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SDCError, match=rf"{path}: cannot be decoded"):
        stages.extract()
    assert not list(stages.features.iterdir())


def test_skipped_images_are_in_no_shard(stages):
    path = stages.root / "cat/0003.png"
    path.write_bytes(path.read_bytes()[:100])
    stages.prepare(on_error="skip")
    stages.extract()
    assert len(Features(stages.features, 2)) == 39


@pytest.mark.parametrize("batch_size", [1, 16])
def test_images_of_several_sizes_need_a_size(stages, make_images, batch_size):
    make_images({"cat": 1}, size=(9, 9))
    with pytest.raises(SDCError, match=r"differ in size; set backbones.pixels.size"):
        stages.extract(settings={"channels": "rgb"}, batch_size=batch_size)
    assert not list(stages.features.glob("*.part"))


def test_more_shards_than_images(stages):
    with pytest.raises(SDCError, match="datasets.folder.shards: 50 shards for 40 images; lower it"):
        stages.extract(shards=50, only=[0])


def test_features_that_overflow_are_refused_by_image(stages, monkeypatch):
    monkeypatch.setattr(Pixels, "module", lambda self: torch.nn.Threshold(2.0, 1e9))
    with pytest.raises(SDCError, match=r"png: its features hold NaN or infinity as float16; .* or set dtype: float32"):
        stages.extract(settings={"size": 4, "dtype": "float16"})


def test_real_network_and_speed_are_logged(stages, caplog):
    caplog.set_level("INFO")
    out = stages.features / "0-of-1.h5"
    extract.run(
        stages.manifest, "resnet18", {"weights": "none", "resize": 32, "crop": 32}, 0, 1, out, "cpu", batch_size=8
    )
    assert Features(stages.features, 1).shape == (40, 512)
    assert "40 images in" in caplog.text
    assert "images/s" in caplog.text


def test_facts_are_the_last_line(stages, caplog):
    caplog.set_level("INFO", "sdc.stages.extract")
    stages.prepare(on_error="skip")
    stages.extract(shards=1, batch_size=8)
    facts = json.loads(caplog.messages[-1])
    assert facts["images"] == 40
    assert facts["bytes"] == 40 * 48 * 4
    assert (facts["dropped"], facts["truncated"]) == (0, 0)
    assert facts["images_per_second"] == pytest.approx(40 / facts["seconds"], rel=0.2)
    assert 0 < facts["loading"] + facts["computing"] < 1.1
    assert 0 < facts["writing"] < 1


# A network without trained weights, so small that a test extracts in a moment.
NETWORK = {"weights": "none", "resize": 64, "crop": 64, "precision": "float32"}


def extract_views(stages, kind="views", shards=2, backbone="pixels", settings=None, **options):
    """Extract every shard of a kind and return its reader."""
    folder = stages.out / "features" / kind
    for shard, name in enumerate(shard_names(shards)):
        path = folder / f"{name}.h5"
        given = {"size": 4} if settings is None else settings
        extract.run(stages.manifest, backbone, given, shard, shards, path, "cpu", kind=kind, **options)
    return Features(folder, shards, {"images_xxh3": read_manifest(stages.manifest).images_xxh3})


def test_views_are_of_training_rows_only_and_differ_from_each_other(stages):
    manifest = read_manifest(stages.manifest)
    features = extract_views(stages, shards=3, views=3)
    assert features.rows.tolist() == manifest.rows("train").tolist()
    assert features.shape == (len(manifest.rows("train")), 3, 48)
    views = features.read()
    transform = Pixels(model="pixels", size=4).transform()
    clean = np.stack([transform(Image.open(stages.root / manifest.paths[row])) for row in features.rows])
    for view in range(3):
        assert (np.abs(views[:, view] - clean).max(axis=1) > 0.01).all()
        assert (np.abs(views[:, view] - views[:, view - 1]).max(axis=1) > 0.01).all()


def test_views_are_the_views_of_their_image(stages):
    from sdc.backbones.views import Views

    features = extract_views(stages, views=2, view_seed=5)
    manifest = read_manifest(stages.manifest)
    row = int(features.rows[4])
    image = Image.open(stages.root / manifest.paths[row])
    drawn = Views.of("views", "photographs", 2, 5).draw(image, (4, 4), row)
    assert np.array_equal(features.read()[4], [np.asarray(view, np.float32).ravel() / 255 for view in drawn])


def test_views_do_not_depend_on_shards_batches_or_threads(stages):
    expected = extract_views(stages, shards=1).read()
    first = (stages.out / "features/views/0-of-1.h5").read_bytes()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        extract_views(stages, shards=1, batch_size=1)
        assert (stages.out / "features/views/0-of-1.h5").read_bytes() == first
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(extract_views(stages, shards=5, batch_size=100).read(), expected)


def test_view_settings_change_views(stages):
    usual = extract_views(stages, views=2).read()
    more = extract_views(stages, views=3)
    assert more.attributes["views"] == 3
    assert np.array_equal(more.read()[:, :2], usual)
    for change in ({"view_seed": 1}, {"augmentation": "scans"}, {"kind": "views_asymmetric"}):
        changed = extract_views(stages, views=2, **change)
        assert not np.array_equal(changed.read(), usual)
    assert changed.attributes["kind"] == "views_asymmetric"
    assert changed.attributes["augmentation"].count("Photograph") == 2
    assert changed.attributes["view_seed"] == 0


def test_shards_that_differ_in_their_views_are_refused(stages):
    extract_views(stages, view_seed=0)
    folder = stages.out / "features/views"
    extract.run(stages.manifest, "pixels", {"size": 4}, 1, 2, folder / "1-of-2.h5", "cpu", kind="views", view_seed=1)
    with pytest.raises(SDCError, match=r"1-of-2.h5: differs from 0-of-2.h5 in view_seed"):
        Features(folder, 2)


def test_shard_without_training_rows_is_empty(stages):
    stages.prepare(train=1)  # of two classes: two rows in 40 shards
    features = extract_views(stages, shards=40, views=2)
    assert features.shape == (2, 2, 48)
    assert np.isfinite(features.read()).all()
    with h5py.File(stages.out / f"features/views/{min({0, 1, 2} - {*features.rows}):02}-of-40.h5") as file:
        assert len(file["row"]) == len(file["features"]) == 0


def test_means_of_tokens_are_the_features_of_the_same_views(stages):
    views = extract_views(stages, backbone="resnet18", settings=NETWORK, views=2)
    tokens = extract_views(stages, "tokens", backbone="resnet18", settings=NETWORK, views=2, batch_size=6)
    assert tokens.shape == (16, 2, 4, 512)
    stored = tokens.read(dtype=np.float16)
    assert stored.dtype == np.float16
    assert tokens.attributes["dtype"] == "float16"
    found, expected = stored.astype(np.float32).mean(axis=2), views.read()
    assert np.abs(found - expected).max() < 1e-3 * expected.max()


def test_clean_shards_have_means_of_tokens_where_these_are_something_else(stages):
    for model, arrays in {"resnet18": ("features",), "mobilenet_v3_small": ("features", "token_means")}.items():
        extract.run(stages.manifest, model, NETWORK, 0, 1, stages.features / "0-of-1.h5", "cpu")
        features = Features(stages.features, 1)
        assert features.arrays == arrays
        assert features.shape[0] == 40
    assert Features(stages.features, 1, array="token_means").shape == (40, 576)


def test_tokens_pooled_to_a_grid_are_recorded(stages):
    every = extract_views(stages, "tokens", backbone="resnet18", settings=NETWORK, views=2)
    assert "tokens" not in every.attributes
    expected = every.read()
    few = extract_views(stages, "tokens", backbone="resnet18", settings={**NETWORK, "tokens": 1}, views=2)
    assert few.shape == (16, 2, 1, 512)
    assert few.attributes["tokens"] == 1
    assert np.abs(few.read()[:, :, 0] - expected.mean(axis=2)).max() < 1e-3 * expected.max()
    with pytest.raises(SDCError, match="tokens: 3 by 3 are more than the network's 2 by 2; lower it"):
        extract_views(stages, "tokens", backbone="resnet18", settings={**NETWORK, "tokens": 3}, views=2)


def test_tokens_of_pixels_are_refused(stages):
    with pytest.raises(SDCError, match="backbones.pixels: has no tokens"):
        extract_views(stages, "tokens")


def test_vectors_are_copied_in_manifest_order(imported, clustered, monkeypatch):
    monkeypatch.setattr(extract, "BLOCK_BYTES", 7 * 4 * 5)  # seven vectors
    features, labels = clustered(60, 5)
    path = imported("clip", features, labels, shards=3)
    manifest = read_manifest(path)
    cached = Features(path.with_suffix(""), 3, {"images_xxh3": manifest.images_xxh3})
    assert np.array_equal(cached.read(), features[[int(name) for name in manifest.paths]])
    expected = {"backbone": "imported", "weights": "net", "transform": "normalise=False", "kind": "clean", "rows": 60}
    assert {key: cached.attributes[key] for key in expected} == expected


def test_vectors_in_half_precision(imported, clustered):
    features, labels = clustered(60, 5)
    path = imported("clip", features, labels, dtype="float16")
    with h5py.File(path.with_suffix("") / "0-of-2.h5") as file:
        assert file["features"].dtype == np.float16
    features[31] = 1e6
    with pytest.raises(SDCError, match=r"31: its features hold NaN or infinity as float16; fix the file, or set dtype"):
        imported("clip", features, labels, dtype="float16")


def test_vectors_and_images_need_their_own_backbones(stages, imported, clustered, tmp_path):
    out = tmp_path / "x.h5"
    path = imported("clip", *clustered(60, 5))
    with pytest.raises(SDCError, match="datasets.clip holds vectors; its backbone is imported, not pixels"):
        extract.run(path, "pixels", {}, 0, 1, out)
    with pytest.raises(SDCError, match="backbones.imported takes vectors, and datasets.folder holds images"):
        extract.run(stages.manifest, "imported", {}, 0, 1, out)
    with pytest.raises(SDCError, match="datasets.clip holds vectors: there are no images to make views of"):
        extract.run(path, "imported", {}, 0, 1, out, kind="views")
    assert not out.exists()


def test_rows_that_left_the_file_since_it_was_listed(imported, clustered, tmp_path):
    features, labels = clustered(60, 5)
    path = imported("clip", features, labels)
    np.savez(tmp_path / "clip.npz", features=features[:50], labels=labels[:50])
    with pytest.raises(SDCError, match=r"clip.npz: no vector is of 5\d \(10 such\); add it, or run prepare again"):
        extract.run(path, "imported", {}, 0, 1, tmp_path / "x.h5")


def extract_network(stages, threads=1, **options):
    """Extract with a small network in so many threads; return the path of the shard."""
    out = stages.features / "0-of-1.h5"
    before = torch.get_num_threads()
    settings = {**NETWORK, **options.pop("settings", {})}
    try:
        torch.set_num_threads(threads)
        extract.run(stages.manifest, "mobilenet_v3_small", settings, 0, 1, out, "cpu", **options)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    return out


def test_threads_do_not_change_a_byte_of_a_networks_features(stages):
    expected = extract_network(stages, 1, batch_size=4).read_bytes()
    assert extract_network(stages, 3, batch_size=4).read_bytes() == expected


def test_lanes_of_a_gpu_make_the_same_bytes(stages, monkeypatch):
    expected = extract_network(stages, batch_size=4).read_bytes()
    monkeypatch.setattr(extraction, "lanes_on", lambda device: (3, 2))
    assert extract_network(stages, 2, batch_size=4).read_bytes() == expected
    path = stages.root / read_manifest(stages.manifest).paths[13]
    path.unlink()
    with pytest.raises(SDCError, match=rf"{path}: cannot be decoded"):
        extract_network(stages, 2, batch_size=4)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_batch_size_changes_a_networks_features_by_rounding_only(stages, precision, tolerance):
    # Matrix products of other sizes add up in another order.
    settings = {"precision": precision}
    extract_network(stages, batch_size=16, settings=settings)
    expected = Features(stages.features, 1).read()
    for size in (1, 7):
        extract_network(stages, batch_size=size, settings=settings)
        found = Features(stages.features, 1).read()
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_full_memory_lowers_the_batch_and_the_features_are_those_of_the_smaller(stages, monkeypatch, caplog):
    expected = extract_network(stages, batch_size=10).read_bytes()
    convolve = torch.nn.Conv2d.forward

    def limited(self, batch):
        if len(batch) > 10:
            raise torch.OutOfMemoryError("full")
        return convolve(self, batch)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", limited)
    assert extract_network(stages, batch_size=20).read_bytes() == expected
    assert "out of memory with batches of 20; going on with 10" in caplog.text


def test_precision_is_recorded_and_shards_that_differ_in_it_are_refused(stages):
    for shard, precision in enumerate(("float32", "bfloat16")):
        out = stages.features / f"{shard}-of-2.h5"
        extract.run(stages.manifest, "resnet18", {**NETWORK, "precision": precision}, shard, 2, out, "cpu")
        assert read_h5(out, FEATURES_SCHEMA).attributes["precision"] == precision
    with pytest.raises(SDCError, match=r"1-of-2.h5: differs from 0-of-2.h5 in precision"):
        Features(stages.features, 2)


def test_automatic_precision_is_the_same_for_every_shard(stages, monkeypatch):
    from sdc.backbones import forward

    tried = []

    def least_cosine(network, batch, device, precision):
        tried.append(batch)
        return 0.9995

    monkeypatch.setattr(forward, "native_bfloat16", lambda device: True)
    monkeypatch.setattr(forward, "least_cosine", least_cosine)
    for shard in range(2):
        out = stages.features / f"{shard}-of-2.h5"
        extract.run(stages.manifest, "resnet18", {**NETWORK, "precision": "auto"}, shard, 2, out, "cpu")
    assert Features(stages.features, 2).attributes["precision"] == "bfloat16"
    assert len(tried) == 2
    assert torch.equal(*tried)


def test_pooling_is_part_of_the_transform(stages):
    settings = {"pool": "gem", "scales": [0.75, 1, 1.5], "normalise": True}
    extract_network(stages, settings=settings)
    features = Features(stages.features, 1)
    assert features.attributes["transform"].endswith("pool=gem scales=[0.75, 1, 1.5] normalise=True")
    assert features.shape == (40, 576)
    assert np.linalg.norm(features.read(), axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert features.arrays == ("features", "token_means")


def test_a_lane_that_breaks_ends_the_stage_and_leaves_nothing(stages, monkeypatch):
    def broken(self, view=False):
        return lambda image: 1 / 0

    monkeypatch.setattr(Pixels, "resizer", broken)
    with pytest.raises(ZeroDivisionError):
        stages.extract(shards=1)
    assert not list(stages.features.iterdir())


def in_child(work):
    """Fork, work there, and return the process id; it ends with status 0, or 1 after an error."""
    process = os.fork()
    if process:
        return process
    try:
        # Its usual lock is shared with the parent, who would wait for ever for one that a killed child has taken.
        tqdm.set_lock(threading.RLock())
        work()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
        os._exit(1)


def test_killed_at_any_moment_the_next_run_makes_the_same_bytes(stages, monkeypatch):
    opener = type(Pixels(model="pixels")).resizer

    def slow(self, view=False):
        resize = opener(self, view)
        return lambda image: time.sleep(0.002) or resize(image)

    monkeypatch.setattr(Pixels, "resizer", slow)
    out = stages.features / "0-of-1.h5"
    stages.extract(shards=1, batch_size=2)
    expected = out.read_bytes()
    draw, killed = np.random.default_rng(0), 0
    for _ in range(12):
        out.unlink(missing_ok=True)
        child = in_child(lambda: stages.extract(shards=1, batch_size=2))
        time.sleep(draw.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert not out.exists() or out.read_bytes() == expected  # whole or not there
    assert killed
    stages.extract(shards=1, batch_size=2)
    assert out.read_bytes() == expected
    assert sorted(path.name for path in stages.features.iterdir()) == [out.name, "0-of-1.record.json"]


def test_an_image_that_changed_since_it_was_listed_is_taken_as_it_is_now(stages):
    # The manifest holds names and no hashes: of an image with other content, the features are others.
    stages.extract()
    before = Features(stages.features, 2).read()
    Image.new("RGB", (12, 10), "red").save(stages.root / read_manifest(stages.manifest).paths[3])
    stages.extract()
    after = Features(stages.features, 2).read()
    assert np.flatnonzero((before != after).any(axis=1)).tolist() == [3]


def test_compiling_is_recorded(stages, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: network)
    out = extract_network(stages, settings={"compile": True})
    with h5py.File(out) as file:
        assert file.attrs["compiled"]
    monkeypatch.setattr(torch, "compile", lambda network: lambda batch: 1 / 0)
    extract_network(stages, settings={"compile": True})
    with h5py.File(out) as file:
        assert not file.attrs["compiled"]


def test_disk_that_fills_up_on_the_way(stages, monkeypatch, tmp_path):
    # As a process that may write no file of more than 5 kB, in the whole of its life: HDF5 crashed at its end.
    out = stages.features / "0-of-1.h5"
    program = (
        "import resource, signal, sys; from sdc.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); sys.exit(main(sys.argv[1:]))"
    )
    options = ["--manifest", stages.manifest, "--backbone", "pixels", "--settings", '{"size": 4}', "--out", out]
    command = [sys.executable, "-c", program, "extract", *options, "--shard", "0", "--shards", "1", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == f"sdc extract: error: {out}: cannot be written (File too large); make room, then run again"
    assert "Traceback" not in done.stderr
    assert not list(stages.features.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own with room for 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "sdc", folder], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_is_said_before_the_work(stages, small_disk):
    out = small_disk / "0-of-1.h5"
    (small_disk / "other").write_bytes(bytes(500_000))
    with pytest.raises(SDCError, match=r"0-of-1.h5: needs 2 MB, and [01] MB are free; make room, or set dtype"):
        extract.run(stages.manifest, "pixels", {"size": 64}, 0, 1, out, "cpu")
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_disk_that_others_fill_meanwhile(stages, small_disk, monkeypatch):
    free = shutil.disk_usage(small_disk)

    def filled_after(folder):
        (small_disk / "other").write_bytes(bytes(10**6))
        return free._replace(free=10**9)

    monkeypatch.setattr(shutil, "disk_usage", filled_after)
    with pytest.raises(SDCError, match=r"0-of-1.h5: cannot be written \(No space left on device\); make room"):
        extract.run(stages.manifest, "pixels", {"size": 64}, 0, 1, small_disk / "0-of-1.h5", "cpu")
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_images_that_were_scaled_down_are_counted_and_the_limit_is_part_of_what_they_are(make_images, tmp_path, caplog):
    root = make_images({"cat": 4, "dog": 4})
    Image.effect_noise((40, 30), 50).save(root / "cat/large.jpg")
    settings = {"root": str(root), "query": 1, "train": 1}
    decoding = {"oversized": "scale", "max_megapixels": 0.001}
    prepare.run("folder", settings, tmp_path / "m.csv")
    caplog.set_level("INFO")
    attributes, features = [], []
    for given in ({}, decoding, {"oversized": "scale"}):
        path = tmp_path / f"{len(attributes)}" / "0-of-1.h5"
        extract.run(tmp_path / "m.csv", "pixels", {"size": 4}, 0, 1, path, "cpu", decoding=given)
        with h5py.File(path) as file:
            attributes.append(dict(file.attrs))
            features.append(file["features"][:])
    assert [each["scaled"] for each in attributes] == [0, 1, 0]
    assert [json.loads(each["decoding"]) for each in attributes] == [{}, decoding, {"oversized": "scale"}]
    assert np.array_equal(features[0], features[2])
    differ = (features[0] != features[1]).any(1)
    row = read_manifest(tmp_path / "m.csv").paths.index("cat/large.jpg")
    assert differ.tolist() == [index == row for index in range(9)]
    assert np.abs(features[0][row] - features[1][row]).max() < 0.05
    assert "1 JPEG files were scaled down while they were decoded, such as cat/large.jpg" in caplog.messages
    with pytest.raises(SDCError, match="large.jpg: has 0.0 megapixels"):
        too_large = {"max_megapixels": 0.001}
        extract.run(tmp_path / "m.csv", "pixels", {"size": 4}, 0, 1, path, "cpu", decoding=too_large)
