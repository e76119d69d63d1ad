"""Every figure and table: what it is called, what it reads, where it lies and how it is read.

Light, for the Snakefile takes from here what rules read and write. An entry is made by the module of its name in
``sdc.report.figures`` or ``sdc.report.tables``, which is imported only then:

- a figure's ``frame(runs)`` is the tidy frame it shows, ``draw(frame)`` the figure, ``alternative(frame)`` its words
  for those who do not see it;
- a table's ``make(runs)`` is a ``Table``, or the frame of a plain CSV file.
"""

import dataclasses
import importlib
from typing import Any

from sdc.plan.selections import Reads, Scope

_DRAWN = (".svg", ".pdf", ".png")
_METRICS = Reads()
_CODES = Reads(baselines=())
_BESIDE = Reads(baselines=("metrics.json", "overlaps.csv"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A table or figure.

    Attributes:
        name: Of its module.
        title: Its heading.
        of: What it is of; ``pair`` is a dataset and a backbone.
        path: Below ``results/``, without suffix; wildcards in braces.
        suffixes: Its formats.
        reads: Which files of runs.
        caption: How to read it; a table without one is not in Snakemake's own report.
    """

    name: str
    title: str
    of: Scope = "everything"
    path: str = ""
    suffixes: tuple[str, ...] = (".csv", ".md", ".tex", ".html")
    reads: Reads = _METRICS
    caption: str = ""

    @property
    def embedded(self) -> str | None:
        """The suffix of the file that goes into the report, if one does."""
        return next((suffix for suffix in (".html", ".svg") if suffix in self.suffixes), None)

    @property
    def module(self) -> Any:
        """What makes it."""
        return importlib.import_module(f"sdc.report.{type(self).__name__.lower()}s.{self.name}")


class Table(Entry):
    """A table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure(Entry):
    """A figure; one of a dataset and backbone has the numbers it shows as CSV too."""

    of: Scope = "pair"
    suffixes: tuple[str, ...] = (*_DRAWN, ".csv")

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path or f"figures/{{dataset}}/{{backbone}}/{self.name}")


TABLES = {
    table.name: table
    for table in (
        Table(name="metrics", title="Every number of every run", path="metrics", suffixes=(".csv",)),
        Table(name="runs", title="Every run", path="tables/{dataset}/{bits}", of="code length", suffixes=(".csv",)),
        Table(
            name="table1",
            title="Table 1",
            path="table1",
            reads=Reads(runs=("metrics.json", "average_precision.csv")),
            caption="mAP in percent by method, dataset and code length, the mean over seeds; the remarks below the "
            "table say how it was measured. Of datasets without labels, what stands in the heads of their columns.",
        ),
        Table(name="ablation", title="Ablation", path="tables/ablation/{ablation}", of="ablation"),
        Table(name="longtail", title="Long tail", path="tables/longtail/{dataset}", of="long tail"),
        Table(name="instance", title="Instance retrieval", path="tables/instance", of="instance"),
        Table(name="overlap", title="Overlap", path="tables/overlap", reads=_BESIDE),
    )
}

FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            name="similarities",
            title="Similarities of positive and negative pairs",
            caption="A positive pair is a query and a database item that is relevant to it. The less the two "
            "histograms overlap (1: nothing tells them apart), the better a method kept classes apart. The first panel "
            "is of the features that all codes were made from, in 200 bins; the others are of the longest codes, on "
            "all the values they have.",
            reads=Reads(("metrics.json", "pairs.csv"), ("metrics.json", "pairs.csv")),
        ),
        Figure(
            name="map_by_bits",
            title="mAP against code length",
            caption="What a bit buys. The line across is exact cosine on the features; bands are a standard deviation "
            "over seeds.",
            reads=_METRICS,
        ),
        Figure(
            name="neighbours",
            title="Neighbours that codes find",
            caption="Of the 1, 10 and 100 database items nearest to a query by exact cosine of the features, how many "
            "are among as many nearest by Hamming distance, expected over ties; means over queries and seeds. It needs "
            "no labels.",
            reads=_CODES,
        ),
        Figure(
            name="precision_recall",
            title="Precision and recall",
            caption="Each point is a Hamming radius, from 0 at the left; means over queries, of which those with "
            "nothing within a radius have precision 0 there.",
            reads=_CODES,
        ),
        Figure(
            name="precision_at_k",
            title="Precision of the first K items",
            caption="Expected over all orders of equally distant items. The features are known at the K of the config "
            "only.",
            reads=Reads(("metrics.json", "ranks.csv")),
        ),
        Figure(
            name="precision_within_radius",
            title="Precision within a Hamming radius",
            caption="What a hash table lookup finds. A query with nothing within the radius counts as 0, so long codes "
            "start low.",
            reads=_CODES,
        ),
        Figure(
            name="training",
            title="Training curves",
            caption="Loss and its terms, of the longest codes, means over an epoch and over seeds. Closed-form methods "
            "have none.",
            reads=Reads(baselines=(), training=("curve.csv",)),
        ),
        Figure(
            name="bit_balance",
            title="Balance of the bits",
            caption="Bits of the database's codes (first seed), sorted by how many codes set them. A flat line at 50 % "
            "is best; a bit at 0 or 100 % says nothing.",
            reads=Reads(("metrics.json", "bits.csv"), ()),
        ),
        Figure(
            name="classes",
            title="Class by class",
            caption="mAP of the queries of each class, and how far their positive and negative pairs overlap (codes on "
            "their K + 1 similarities, features in as many bins); longest codes, means over seeds. Classes in which "
            "SDC, or without it the best method, gains most over the features stand first; of more than 20 the first "
            "and the last ten.",
            reads=Reads(("metrics.json", "per_class.csv"), ("metrics.json", "per_class.csv", "overlaps.csv")),
        ),
        Figure(
            name="cost",
            title="What a byte and a second buy",
            caption="Left, bytes that an item takes in the index; right, seconds of the whole training job, the start "
            "of Python included, as Snakemake measured them. Points of a method are its code lengths.",
            reads=Reads(benchmarks=True),
        ),
        Figure(
            name="retrieval",
            title="What is found first",
            caption="Solid green frames are relevant, dotted red ones not (without labels: among the ten nearest by "
            "exact cosine of the features, or not). Queries stand at equal steps in the list of "
            "queries sorted by class, whatever is found for them; methods are those that the config chose, else SDC "
            "and the best, the middle and the worst by mAP, at the longest codes (first seed); items at equal "
            "distances stand in database order.",
            reads=Reads(("metrics.json", "retrieved.csv"), (), thumbnails=True),
        ),
        Figure(
            name="heat_map",
            title="Two settings",
            caption="mAP in percent over two settings; each panel has its own range of colours.",
            reads=_CODES,
            of="two settings",
            path="figures/ablation/{ablation}",
            suffixes=_DRAWN,
        ),
    )
}


def entries(*of: Scope) -> list[Entry]:
    """The tables and figures of some scopes, or of all, in their order."""
    return [entry for entry in (*TABLES.values(), *FIGURES.values()) if entry.of in of or not of]
