import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdc import SDC, SDCSimCLR
from sdc.errors import SDCError
from sdc.methods.data import Batch, Training
from sdc.methods.sdc_simclr import within_views


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    return Batch(draw(16, 6), draw(16, 8), index=torch.tensor([3, 1, 7, 0, 2, 6, 5, 4]))


@given(st.integers(1, 40).map(lambda half: 2 * half))
def test_every_row_is_paired_once_and_inside_its_view(items):
    rows = within_views(torch.arange(2 * items))
    assert sorted(rows.tolist()) == list(range(2 * items))
    first, second = rows.chunk(2)
    assert torch.equal(first // items, second // items)
    assert torch.equal(second - first, torch.full((items,), items // 2))


def test_batches_are_even():
    # Of an odd number of items, pairs could not all lie inside a view.
    with pytest.raises(SDCError, match="SDCSimCLR.batch_size: 5 is not allowed; .* a multiple of 2"):
        SDCSimCLR(batch_size=5)


def test_calibration_is_that_of_sdc_on_both_views_together(batch):
    terms = SDCSimCLR(contrastive=0.0).loss(batch)
    rows = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]
    expected = SDC().loss(Batch(batch.features[rows], batch.logits[rows]))
    assert {name: terms[name].item() for name in expected} == {name: value.item() for name, value in expected.items()}
    assert terms["contrast"] == 0


def test_contrast_does_not_depend_on_the_scale_of_logits(batch):
    scaled = Batch(batch.features, 5 * batch.logits)
    assert SDCSimCLR().loss(scaled)["contrast"].item() == pytest.approx(SDCSimCLR().loss(batch)["contrast"].item())
    assert SDCSimCLR(contrastive=2.0).loss(batch)["contrast"] == 2 * SDCSimCLR().loss(batch)["contrast"]


@pytest.mark.parametrize("similarity", ["centred", "diffusion"])
def test_other_similarities_are_those_of_the_items(batch, similarity):
    items = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    method = SDCSimCLR(similarity=similarity, neighbours=3)
    auxiliary = method.build_auxiliary(Training(items))
    # Both views of an item show it as it is, so every pair is ranked alike in both.
    features = items[batch.index].repeat(2, 1)
    seen = Batch(features, batch.logits, index=batch.index, auxiliary=auxiliary)
    single = Batch(features[:8], batch.logits[:8], index=batch.index, auxiliary=auxiliary)
    targets = SDC(similarity=similarity).pair_targets(single)
    expected = SDCSimCLR()._criterion(None, within_views(batch.logits), targets.repeat(2))
    assert method.loss(seen)["calibration"].item() == pytest.approx(expected["calibration"].item())


def test_parameter_count():
    head = SDCSimCLR.preset("code").build_head(768, 64)
    assert sum(parameter.numel() for parameter in head.parameters()) == 639_936
