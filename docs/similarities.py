"""Draw the similarities of positive and negative pairs under two methods: the image of the README.

    make similarities

makes the runs of the digits that it needs, and writes docs/similarities-light.png and docs/similarities-dark.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from sdc.evaluation.collapse import overlaps
from sdc.report import theme
from sdc.storage.columns import read_columns

# Ink and paper by scheme; the dark one as in the report's figures.
SCHEMES = {"light": (theme.INK, "#ffffff"), "dark": ("#e6e6e6", "#0d1117")}
TITLES = {"greedyhash": "GreedyHash: collapse", "sdc": "SDC: calibrated"}


@theme.style()
def draw(runs: list[Path], scheme: str) -> Any:
    """A panel for each run, from its ``pairs.csv``."""
    import matplotlib

    ink, paper = SCHEMES[scheme]
    colours = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    with matplotlib.rc_context({**dict.fromkeys(colours, ink), "figure.facecolor": paper, "axes.facecolor": paper}):
        figure, axes = theme.subplots(1, len(runs), size=(7.2, 2.3), sharex=True)
        for axis, run in zip(axes[0], runs, strict=True):
            columns = read_columns(run / "pairs.csv")
            order = np.argsort(columns["similarity"])
            middle = columns["similarity"][order]
            pairs = np.stack([columns[f"{kind}_pairs"][order] for kind in ("positive", "negative")])
            half = (middle[1] - middle[0]) / 2
            edges = np.append(middle - half, middle[-1] + half)
            looks = (("positive", theme.POSITIVE, "-"), ("negative", theme.NEGATIVE, (0, (4, 1.5))))
            for (kind, colour, dashes), counts in zip(looks, pairs, strict=True):
                axis.stairs(counts / counts.sum(), edges, fill=True, color=colour, alpha=0.3, linewidth=0)
                label = f"{kind} pairs"
                axis.stairs(counts / counts.sum(), edges, color=colour, linestyle=dashes, linewidth=1.2, label=label)
            method = run.parents[1].name
            axis.set_title(TITLES.get(method, theme.title(method)))
            axis.text(0.03, 0.95, f"overlap {overlaps(pairs[None])[0]:.0%}", transform=axis.transAxes, va="top")
            axis.set(yticks=[], xlim=(-1.05, 1.05), xticks=[-1, 0, 1], xlabel="similarity of two codes of 64 bits")
            axis.grid(False)
        axes[0][0].legend(loc="upper center")
        return figure


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    for scheme in SCHEMES:
        path = options.out / f"similarities-{scheme}.png"
        draw(options.run, scheme).savefig(path, dpi=200, metadata={"Software": None})
        print(f"{path}: {path.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
