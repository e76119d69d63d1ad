import numpy as np
import pytest
from PIL import Image

from sdc.backbones import views

RECIPES = {"contrastive": views.CONTRASTIVE, "asymmetric": views.ASYMMETRIC, "scans": views.SCANS}


@pytest.fixture
def photograph():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))


def scan():
    """A thin bar at the left, so that mirroring would show."""
    ink = np.zeros((8, 8, 3), np.uint8)
    ink[:, 2] = 255
    return Image.fromarray(ink)


def drawn(image, recipe, size=(24, 24), seed=0, row=3, count=4):
    return np.stack([np.asarray(view) for view in views.Views(recipe, count, seed).draw(image, size, row)])


def plain(**changes):
    """A Photograph that does nothing but fill the size."""
    nothing = {"scale": (1, 1), "flip": 0, "jitter": (0, 0, 0, 0), "jittered": 0, "gray": 0, "blur": None}
    return (views.Photograph(**{**nothing, **changes}),)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_draws_depend_on_seed_row_and_view_alone(photograph, recipe):
    first = drawn(photograph, recipe)
    assert np.array_equal(first, drawn(photograph, recipe))
    assert np.array_equal(first[:2], drawn(photograph, recipe, count=2))
    for change in ({"seed": 1}, {"row": 4}):
        assert not np.array_equal(first, drawn(photograph, recipe, **change))
    assert len(np.unique(first, axis=0)) == 4


def test_photographs_get_the_size_and_scans_keep_theirs(photograph):
    assert drawn(photograph, views.CONTRASTIVE).shape == (4, 24, 24, 3)
    assert drawn(photograph, views.ASYMMETRIC, size=(10, 20)).shape == (4, 10, 20, 3)
    assert drawn(photograph, views.SCANS).shape == (4, 40, 60, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 200)])
def test_extreme_images_can_be_cropped(size):
    assert drawn(Image.new("RGB", size, "white"), views.CONTRASTIVE).shape == (4, 24, 24, 3)


def test_crops_have_the_share_and_the_ratio_they_should():
    draw = np.random.default_rng(0)
    boxes = np.array([views._crop((300, 200), (0.2, 0.5), draw) for _ in range(500)])
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 200).all()
    assert (left + width <= 300).all()
    share, ratio = height * width / 60000, width / height
    assert (share.min(), share.max()) == pytest.approx((0.2, 0.5), abs=0.02)
    assert (ratio.min(), ratio.max()) == pytest.approx((3 / 4, 4 / 3), abs=0.03)


def test_probabilities_are_those_of_the_recipe():
    ink = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)
    own = np.asarray(ink)
    flipped = drawn(ink, plain(flip=0.5), (4, 4), count=400)
    is_flipped = (flipped == own[:, ::-1]).all(axis=(1, 2, 3))
    assert ((flipped == own).all(axis=(1, 2, 3)) | is_flipped).all()
    assert is_flipped.mean() == pytest.approx(0.5, abs=0.08)
    gray = drawn(ink, plain(gray=0.2), (4, 4), count=400)
    assert (gray == gray[..., :1]).all(axis=(1, 2, 3)).mean() == pytest.approx(0.2, abs=0.06)
    jittered = drawn(ink, plain(jittered=0.7, jitter=(0.4, 0.4, 0.4, 0.1)), (4, 4), count=400)
    assert (jittered != own).any(axis=(1, 2, 3)).mean() == pytest.approx(0.7, abs=0.07)


def test_kernel_blur_is_torchvisions(photograph):
    from torchvision.transforms import functional as F

    for sigma in (0.1, 0.7, 2.0):
        found = np.asarray(views._blur(photograph, "kernel", sigma)).astype(int)
        expected = np.asarray(F.gaussian_blur(photograph, [3, 3], [sigma, sigma])).astype(int)
        assert np.abs(found - expected)[1:-1, 1:-1].max() <= 1  # Pillow leaves the outermost pixels as they are


def test_asymmetric_views_alternate(photograph):
    # Only even views are blurred, so only odd ones keep the noise of the image.
    rough = [np.abs(np.diff(view.astype(int), axis=1)).mean() for view in drawn(photograph, views.ASYMMETRIC, count=40)]
    assert np.mean(rough[1::2]) > 1.2 * np.mean(rough[::2])


def test_scans_move_a_little_and_are_never_mirrored():
    moved = drawn(scan(), views.SCANS, count=100).astype(float)
    assert moved.shape == (100, 8, 8, 3)
    ink = moved.sum(axis=(1, 3))
    where = (ink * np.arange(8)).sum(axis=1) / ink.sum(axis=1)
    assert (np.abs(where - 2) < 1.5).all()  # a mirrored bar would be at 5
    assert where.std() > 0.3


def test_recipes_by_kind_and_images():
    def recipe(kind, augmentation):
        return views.Views.of(kind, augmentation, 4, 0).recipe

    assert recipe("views", "photographs") == recipe("tokens", "photographs") == views.CONTRASTIVE
    assert recipe("views_asymmetric", "photographs") == views.ASYMMETRIC
    assert recipe("views_asymmetric", "scans") == recipe("tokens", "scans") == views.SCANS


def test_attributes_tell_recipes_apart():
    expected = {"views": 4, "augmentation": "Scan(degrees=15.0, shift=0.125)", "view_seed": 7}
    assert views.Views(views.SCANS, 4, 7).attributes() == expected
    assert len({views.Views(recipe, 4, 7).attributes()["augmentation"] for recipe in RECIPES.values()}) == 3
