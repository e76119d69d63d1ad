"""The three short scripts of examples/, as their docstrings call them."""

import re
import sys

import faiss
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from examples import correlation, parquet_to_faiss, search_images
from sdc import ITQ, registry
from sdc.storage.heads import write_head
from tests.support.encoders import make_encoder


@pytest.fixture
def call(monkeypatch, capsys):
    """``call(module, argument, …)``: what it prints."""

    def call(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return call


def test_an_image_finds_itself_and_its_like_among_ones_own(tmp_path, call):
    draw = np.random.default_rng(0)
    images = draw.choice(np.array([0, 240], np.uint8), (12, 2, 2, 3)).repeat(8, axis=1).repeat(8, axis=2)
    # The head expects what the pipeline's heads say of themselves.
    settings = {"type": "pixels", "size": 8}
    encoder = make_encoder(settings, images, features_version=registry.FEATURES_VERSION)
    write_head(tmp_path / "head.safetensors", encoder.head)
    photos = tmp_path / "photos"
    for place, image in enumerate(images):
        folder = photos / str(place % 3)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{place}.png")
    Image.fromarray(images[7] + draw.integers(0, 9, (16, 16, 3), np.uint8)).save(tmp_path / "query.png")
    (photos / "list.txt").write_text("no image")
    output = call(search_images, tmp_path / "head.safetensors", photos, photos / "0/3.png", tmp_path / "query.png")
    own, like = output.split(str(tmp_path / "query.png"))
    assert own.splitlines()[1] == f"    0 of 32 bits  {photos / '0/3.png'}"
    assert len(own.splitlines()) == 1 + 5
    assert like.splitlines()[1].endswith(str(photos / "1/7.png"))


@pytest.mark.parametrize("fixed", [True, False])
def test_an_index_of_parquet_finds_what_it_says(tmp_path, call, fixed):
    draw = np.random.default_rng(0)
    vectors = (draw.standard_normal((40, 16))[draw.integers(0, 40, 800)] + draw.normal(0, 0.3, (800, 16))).astype("f4")
    rows = pyarrow.array(list(vectors), pyarrow.list_(pyarrow.float32(), 16) if fixed else None)
    parquet.write_table(pyarrow.table({"id": np.arange(800), "vector": rows}), tmp_path / "vectors.parquet")
    out = tmp_path / "codes.faiss"
    output = call(parquet_to_faiss, tmp_path / "vectors.parquet", out, "--column", "vector", "--bits", 16)
    assert "800 vectors of 16 numbers, 0.1 MB\n800 codes of 16 bits, 0.0 MB\n" in output
    shares = [int(share) for share in re.findall(r"cosine, (\d+)%", output)]
    assert 30 < shares[0] < shares[1] <= shares[2] == 100  # the last looks at all
    assert shares[1] > 80
    index, head = faiss.read_index_binary(str(out)), ITQ.load(f"{out}.head.safetensors")
    distances, found = index.search(head.encode(vectors[:50]), 1)
    assert index.ntotal == 800
    assert not distances.any()
    assert (head.encode(vectors[found[:, 0]]) == head.encode(vectors[:50])).all()


def test_a_loss_of_ones_own_comes_near_to_itq(call):
    output = call(correlation)
    itq, own = (float(score) for score in re.findall(r"mAP@1000 ([\d.]+)", output))
    assert itq == pytest.approx(69.4, abs=1)
    assert own > 50  # chance is 10


def test_its_loss_is_zero_for_codes_in_step_with_the_features():
    import torch

    from sdc.methods.data import Batch

    signs = torch.tensor(np.random.default_rng(0).choice([-1.0, 1.0], (8, 16)), dtype=torch.float32)
    terms = correlation.Correlation(bits=16).loss(Batch(features=3 * signs, logits=signs))
    assert terms["correlation"].item() == pytest.approx(0, abs=1e-6)
    assert terms["penalty"].item() == 0
    opposite = correlation.Correlation(bits=16).loss(Batch(features=signs.flip(0) * torch.randn(16), logits=signs))
    assert 0.1 < opposite["correlation"].item() <= 2
