"""CONTRIBUTING's recipes are true: one more of everything, by those touches alone, is in the table and the report."""

import csv
import re

import pytest

from tests.support.workflow import Workflow, copied

NEW_FILES = {
    "sdc/methods/plain_signs.py": '''
"""Signs of the first features."""

from typing import Any, ClassVar

import numpy as np

from sdc.head import Head, linear_head
from sdc.methods.base import HashMethod, method
from sdc.methods.data import Curve, Training


@method
class PlainSigns(HashMethod):
    """One bit for each of the first features: whether it is above its mean."""

    title: ClassVar[str] = "Plain signs"
    source: ClassVar[str] = "a test"
    random: ClassVar[bool] = False

    def fit_head(self, training: Training, **_: Any) -> tuple[Head, Curve]:
        """Take the features that vary most."""
        features = np.asarray(training.features)
        chosen = np.argsort(-features.var(axis=0), kind="stable")[np.arange(self.bits) % features.shape[1]]
        weight = np.eye(features.shape[1])[chosen]
        return linear_head(weight, -(weight @ features.mean(axis=0))), []
''',
    "sdc/datasets/stripes.py": '''
"""Stripes in four directions, drawn here."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from sdc.datasets.base import Dataset
from sdc.datasets.draws import complete_splits
from sdc.datasets.problems import Problems
from sdc.storage.manifest import Images, Manifest

DIRECTIONS = ("across", "along", "up", "down")


def draw(index: int) -> Image.Image:
    """An image of 8 x 8 pixels; its class is its index modulo 4."""
    rows, columns = np.mgrid[:8, :8]
    ramp = (rows, columns, rows + columns, rows - columns)[index % 4]
    noise = np.random.default_rng(index).integers(0, 60, (8, 8))
    return Image.fromarray((90 * (ramp % 3 == 0) + noise).astype(np.uint8)).convert("RGB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stripes(Dataset):
    """A hundred images of each direction."""

    title: ClassVar[str] = "Stripes"
    source: ClassVar[str] = "a test"

    def images(self, problems: Problems) -> Images:
        """All of them, the directions in turns."""
        paths = [str(index) for index in range(400)]
        return self.list_images(paths, np.arange(400) % 4, DIRECTIONS, sources={})

    def split(self, images: Images, problems: Problems) -> Manifest:
        """As drawn by seed."""
        splits = complete_splits(images, False, 5, 0.5, self.seed)
        return self.manifest(images, splits, problems, protocol="per-class draw")

    def opener(self) -> Callable[[str], Any]:
        """Images by their index."""
        return lambda path: draw(int(path))
''',
    "sdc/backbones/profiles.py": '''
"""Sums of rows and columns as features."""

import dataclasses
from collections.abc import Callable
from typing import Any

from sdc.backbones.base import Backbone


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profiles(Backbone):
    """The mean gray value of every row and column of an image of 8 x 8 pixels, and every pixel."""

    def weights_id(self) -> str:
        """There are none."""
        return "none"

    def transform(self) -> Callable[[Any], Any]:
        """Means, then pixels."""
        import numpy as np
        import torch

        def transform(image: Any) -> Any:
            gray = np.asarray(image.convert("L"), np.float32) / 255
            return torch.from_numpy(np.concatenate([gray.mean(axis=0), gray.mean(axis=1), gray.ravel()]))

        return transform

    def transform_id(self) -> str:
        """Always the same."""
        return "profiles"

    def module(self) -> Any:
        """The identity."""
        from torch import nn

        return nn.Identity()
''',
    "sdc/report/figures/near_misses.py": '''
"""How many items lie at distance 0 from a query, on average."""

from typing import Any

import pandas as pd

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``items`` at distance 0."""
    return panels.tidy([(*panels.key(run), run.metrics["items_at_distance_0"]) for run in runs.codes], ["items"])


@theme.style()
def draw(frame: pd.DataFrame) -> Any:
    """A bar for each run."""
    figure, axes = theme.subplots()
    axes[0, 0].bar(range(len(frame)), frame["items"])
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    return f"At most {frame['items'].max():.1f} items."
''',
}

# One entry each, put in front of the first of its kind: file, what it goes in front of, and the entry.
ENTRIES = [
    ("sdc/registry.py", "METHODS = {\n", '    "plain_signs": "sdc.methods.plain_signs:PlainSigns",\n'),
    ("sdc/registry.py", "DATASETS = {\n", '    "stripes": "sdc.datasets.stripes:Stripes",\n'),
    ("sdc/registry.py", "BACKBONES = {\n", '    "profiles": "sdc.backbones.profiles:Profiles",\n'),
    (
        "sdc/evaluation/metrics.py",
        "METRICS: tuple[Metric, ...] = (\n",
        '    Metric("half_full", "bits set in 40 to 60 % of the codes", "share", (0, 1), True, CodeHealth,\n'
        '           lambda c: float(((c.shares > 0.4) & (c.shares < 0.6)).mean()), "half full"),\n',
    ),
    (
        "sdc/report/catalogue.py",
        "FIGURES = {\n    figure.name: figure\n    for figure in (\n",
        '        Figure(name="near_misses", title="Near misses", caption="Fewer are better.", reads=_CODES),\n',
    ),
]

CONFIG = {
    "run": {
        "datasets": ["stripes"],
        "backbones": ["profiles"],
        "methods": ["itq", "plain_signs"],
        "bits": [16],
        "seeds": [0],
    }
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A scratch copy with one more of everything, and its finished run."""
    clone = copied(tmp_path_factory.mktemp("scratch"))
    for name, text in NEW_FILES.items():
        assert not (clone / name).exists()
        (clone / name).write_text(text.lstrip())
    for name, place, entry in ENTRIES:
        text = (clone / name).read_text()
        assert text.count(place) == 1, f"{name}: {place!r}"
        (clone / name).write_text(text.replace(place, place + entry))
    workflow = Workflow(tmp_path_factory.mktemp("run"), root=clone)
    workflow.config = CONFIG
    workflow()
    return workflow


def test_method_dataset_and_backbone_are_in_the_table(extended):
    with open(extended.path("table1.csv"), newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["backbone", "method", "stripes/16"]
    scores = {row[1]: float(row[2]) for row in rows if row[0] == "profiles"}
    assert {"itq", "plain_signs"} <= set(scores)
    assert 25 < scores["plain_signs"] <= 100  # four classes: chance is 25
    assert "Plain signs" in extended.path("table1.md").read_text()


def test_metric_is_in_metrics_table_and_report(extended):
    runs = extended.path("runs/stripes/profiles/plain_signs/16bit/seed0/metrics.json").read_text()
    assert re.search(r'"half_full": (0|1)\.?\d*', runs)
    rows = extended.path("metrics.csv").read_text().splitlines()
    assert len([row for row in rows if row.startswith("stripes,profiles,") and ",half_full," in row]) == 2
    assert "half full" in extended.path("tables/overlap.csv").read_text().splitlines()[0]
    assert "half full" in extended.path("report.html").read_text()


def test_figure_is_drawn_and_in_the_report(extended):
    assert extended.path("figures/stripes/profiles/near_misses.svg").read_text().startswith("<?xml")
    assert extended.path("figures/stripes/profiles/near_misses.csv").read_text().startswith("method,bits,seed,items")
    page = extended.path("report.html").read_text()
    assert "Near misses" in page
    assert "Fewer are better." in page
