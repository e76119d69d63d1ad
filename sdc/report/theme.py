"""One look for every figure, and files that depend on nothing but what is drawn.

Lines are never told apart by colour alone: each method has a marker, and methods that share a colour differ in dashes.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sdc import registry
from sdc.errors import SDCError
from sdc.storage.files import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Axes and words; an SVG has currentColor in its place, so it is dark on light and light on dark.
INK = "#1f2328"
# After Okabe and Ito, evened out: each has a contrast of 3 or more with white and with a dark page.
PALETTE = ("#0072b2", "#3797d8", "#009e73", "#d55e00", "#c2669a", "#bd8500", "#808080")
POSITIVE, NEGATIVE = PALETTE[2], PALETTE[3]  # pairs, and whether what is retrieved is relevant
_MARKERS = "os^Dv*PX<>pdhH8"
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)))
_OTHERS = (0, (4, 1.2, 1, 1.2))  # which no registered method has
_RC: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib
    "font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold", "axes.labelsize": 8, "legend.fontsize": 7.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6, "legend.frameon": False,
    "lines.linewidth": 1.4, "lines.markersize": 4.5, "image.cmap": "cividis",
    "figure.dpi": 100, "savefig.dpi": 150, "figure.constrained_layout.use": True,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
    "xtick.color": INK, "ytick.color": INK,
    "svg.fonttype": "none", "svg.hashsalt": "sdc", "pdf.fonttype": 42,  # words stay words
}  # fmt: skip
_SVG_FONTS = "'DejaVu Sans', Verdana, sans-serif"  # Verdana is as wide
# A file that is opened by itself; inside a page, where it is not the root, the page's own colour holds.
_SVG_STYLE = (
    "<style>svg:root{color:%s}@media (prefers-color-scheme:dark){svg:root{color:#e6e6e6;background:#16181c}}</style>"
)


class Look(NamedTuple):
    """How a method is drawn."""

    colour: str
    marker: str
    dashes: Any

    @property
    def keywords(self) -> dict[str, Any]:
        """The same for ``Axes.plot``."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.dashes}


def look(method: str) -> Look:
    """Colour, marker and dashes of a method, the same in every figure; ``features`` has the colour of the axes.

    A registered method has them by its place in the registry, another entry of the catalogue by its name.
    """
    if method == "features":
        return Look(INK, "o", _DASHES[0])
    names = list(registry.METHODS)
    if method in names:
        place = names.index(method)
        dashes = _DASHES[place // len(PALETTE) % len(_DASHES)]
    else:
        place, dashes = zlib.crc32(method.encode()), _OTHERS
    return Look(PALETTE[place % len(PALETTE)], _MARKERS[place % len(_MARKERS)], dashes)


def colour(method: str) -> str:
    """The colour of a method, ``#rrggbb``; see ``look``."""
    return look(method).colour


def title(method: str) -> str:
    """How a method is called in print: its class's title, or the name a config gave it."""
    if method == "features":
        return "features"
    return str(vars(registry.load("methods", method))["title"]) if method in registry.METHODS else method


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The theme, for as long as something is drawn: ``with theme.style():``, or ``@theme.style()`` on a function."""
    import matplotlib

    with matplotlib.rc_context(_RC):
        yield


def subplots(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.4, 3.2), **options: Any
) -> tuple[Figure, Any]:
    """A figure outside pyplot, its size in inches, and its axes, shape ``(rows, columns)``; use inside ``style``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically; the same figure gives the same bytes, whenever and however often.

    As ``.svg`` it is transparent, its ink currentColor; as ``.pdf`` or ``.png`` it is on white.

    Raises:
        SDCError: If the suffix is another one.
    """
    metadata: dict[str, dict[str, None]] = {
        ".svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        ".png": {"Software": None},
    }
    suffix = Path(path).suffix
    if suffix not in metadata:
        raise SDCError(f"{path}: no figure format for {suffix!r}; allowed: {', '.join(metadata)}")
    with style(), writing(path) as part:
        figure.savefig(part, format=suffix[1:], metadata=metadata[suffix], transparent=suffix == ".svg")
        if suffix == ".svg":
            text = part.read_text(encoding="utf-8").replace(INK, "currentColor").replace("'DejaVu Sans'", _SVG_FONTS)
            # A hundredth of a point is as exact as anybody sees, and half the file.
            text = re.sub(r' (?:d|x|y)="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
            part.write_text(re.sub(r"(<svg [^>]*>)", rf"\1{_SVG_STYLE % INK}", text, count=1), encoding="utf-8")
