import contextlib
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from sdc import registry
from sdc.backbones import extraction
from sdc.backbones.extraction import Extraction
from sdc.backbones.views import Views
from sdc.errors import SDCError

CPU = torch.device("cpu")


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 256, (10, 12, 3), np.uint8)) for _ in range(23)]


def features(backbone, items, open_image=lambda item: item, rows=None, **options):
    """All blocks of an extraction, one after the other."""
    built = registry.build("backbones", *backbone)
    run = Extraction(built, open_image, CPU, sample=lambda: [open_image(items[0])], **options)
    return np.concatenate([block["features"] for block in run.blocks(items, rows)])


PIXELS = ("pixels", {"size": 4})
NETWORK = ("mobilenet_v3_small", {"weights": "none", "resize": 32, "crop": 32})


def test_features_are_those_of_each_item_in_order(images):
    transform = registry.build("backbones", *PIXELS).transform()
    expected = np.stack([transform(image).numpy() for image in images])
    assert np.array_equal(features(PIXELS, images, batch_size=4), expected)


def test_items_are_whatever_can_be_opened(images, tmp_path):
    expected = features(PIXELS, images)
    arrays = [np.asarray(image) for image in images]
    assert np.array_equal(features(PIXELS, arrays, Image.fromarray), expected)
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    assert np.array_equal(features(PIXELS, paths, lambda path: Image.open(path).convert("RGB")), expected)


def test_items_that_open_as_none_are_left_out(images):
    built = registry.build("backbones", *PIXELS)
    items = [*images[:4], None, images[4], None, None, None, None, images[5]]
    run = Extraction(built, lambda item: item, CPU, batch_size=4, sample=tuple)
    blocks = list(run.blocks(items))
    assert [len(block.get("features", ())) for block in blocks] == [4, 1, 1]
    assert list(Extraction(built, lambda item: item, CPU, batch_size=2, sample=tuple).blocks([None] * 3)) == [{}, {}]
    found = np.concatenate([block["features"] for block in blocks if block])
    assert np.array_equal(found, features(PIXELS, images[:6]))


def test_one_extraction_takes_many_sequences(images):
    built = registry.build("backbones", *NETWORK)
    run = Extraction(built, lambda image: image, CPU, sample=lambda: images[:1])
    (block,) = run.blocks(images[:3])
    assert {name: array.shape for name, array in block.items()} == {"features": (3, 1024), "token_means": (3, 576)}
    (again,) = run.blocks(images[:3])
    assert np.array_equal(again["features"], block["features"])
    assert list(run.blocks([])) == []
    assert run.seconds["loading"] > 0
    assert run.seconds["computing"] > 0


@pytest.mark.parametrize("lanes", [(1, 0), (3, 0), (3, 2)])
def test_threads_do_not_change_a_byte(images, monkeypatch, lanes):
    expected = features(NETWORK, images, batch_size=4)
    monkeypatch.setattr(extraction, "lanes_on", lambda device: lanes)
    assert np.array_equal(features(NETWORK, images, batch_size=4), expected)


@pytest.mark.parametrize("count", [1, 2, 5, 23])
def test_few_items_are_spread_over_the_cores(images, monkeypatch, count):
    monkeypatch.setattr(extraction, "lanes_on", lambda device: (4, 0))
    exactly = (NETWORK[0], {**NETWORK[1], "precision": "float32"})
    run = Extraction(registry.build("backbones", *exactly), lambda item: item, CPU, batch_size=4, sample=tuple)
    threads = torch.get_num_threads()
    blocks = [block["features"] for block in run.blocks(images[:count], spread=True)]
    assert [*map(len, blocks)] == {1: [1], 2: [1, 1], 5: [2, 2, 1], 23: [4] * 5 + [3]}[count]
    expected = features(exactly, images[:count])
    assert np.abs(np.concatenate(blocks) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert torch.get_num_threads() == threads


def test_a_core_of_a_cpu_has_a_lane_and_a_gpu_has_decoders():
    threads = torch.get_num_threads()
    assert extraction.lanes_on(CPU) == (threads, 0)
    assert extraction.lanes_on(torch.device("cuda")) == (3, threads)


def test_views_depend_on_rows_and_not_on_batches(images):
    views, rows = Views.of("views", "photographs", 3, 5), np.arange(100, 123)
    found = features(PIXELS, images, rows=rows, views=views)
    assert found.shape == (23, 3, 48)
    drawn = [np.asarray(view, np.float32).ravel() / 255 for view in views.draw(images[7], (4, 4), 107)]
    assert np.array_equal(found[7], drawn)
    assert np.array_equal(features(PIXELS, images[5:], rows=rows[5:], views=views, batch_size=3), found[5:])


def test_attributes_say_what_features_depend_on(images):
    built = registry.build("backbones", "resnet18", {"weights": "none", "resize": 32, "crop": 32, "tokens": 1})
    views = Views.of("tokens", "scans", 2, 0)
    run = Extraction(built, lambda image: image, CPU, views=views, tokens=True, batch_size=7, sample=lambda: images[:1])
    assert run.attributes == {
        **views.attributes(), "tokens": 1, "precision": run.attributes["precision"],
        **{name: run.attributes[name] for name in ("torch", "torchvision", "pillow")},
    }  # fmt: skip
    assert run.batch_size == 3
    (block,) = run.blocks(images[:2], np.arange(2))
    assert block["features"].shape == (2, 2, 1, 512)


def test_images_that_differ_in_size_are_named(images, tmp_path):
    sizes = {"a.png": (3, 3), "b.png": (4, 4)}
    with pytest.raises(SDCError, match=r"a.png and its neighbours differ in size; set backbones.pixels.size"):
        features(("pixels", {}), list(sizes), lambda name: Image.new("RGB", sizes[name]))


def test_closed_early_or_broken_no_thread_is_left(images):
    before, threads = threading.active_count(), torch.get_num_threads()
    built = registry.build("backbones", *PIXELS)
    run = Extraction(built, lambda image: image, CPU, batch_size=1, sample=lambda: images[:1])
    with contextlib.closing(run.blocks(images)) as blocks:
        next(blocks)
        assert threading.active_count() > before
    assert (threading.active_count(), torch.get_num_threads()) == (before, threads)
    with pytest.raises(ZeroDivisionError):
        features(PIXELS, images, lambda image: image if image is images[0] else 1 / 0)
    assert (threading.active_count(), torch.get_num_threads()) == (before, threads)
