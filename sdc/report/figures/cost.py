"""What a byte and a second buy."""

import pandas as pd
from matplotlib.figure import Figure

from sdc.evaluation.metrics import headline_of
from sdc.report import theme
from sdc.report.benchmarks import read_benchmarks
from sdc.report.figures import panels
from sdc.report.runs import Runs


def frame(runs: Runs) -> pd.DataFrame:
    """``bytes`` of an item, ``seconds`` of the training job (blank where nobody measured them) and ``mAP``, if any."""
    rows = []
    for run in runs.labelled:
        measured = read_benchmarks([runs.results / f"benchmarks/train/{runs.trained(run).name}.tsv"])
        seconds = measured[0].seconds if measured else None
        rows.append((*panels.key(run), run.metrics["bits"] // 8, seconds, run.metrics[headline_of(run.metrics)]))
    return panels.tidy(rows, ["bytes", "seconds", "mAP"]).astype({"seconds": float})


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """MAP against bytes, and against seconds."""
    if frame.empty:
        return panels.words(panels.NO_LABELS)
    figure, axes = theme.subplots(1, 2, size=(panels.WIDTH, 3.6), sharey=True)
    names = {"bytes": "bytes per item (log scale)", "seconds": "seconds of the training job (log scale)"}
    for panel, (name, label) in zip(axes[0], names.items(), strict=True):
        for method, rows in panels.methods(frame):
            known = rows.dropna(subset=[name]).groupby("bits")[[name, "mAP"]].mean()
            looks = theme.look(method).keywords
            if name == "seconds":
                looks |= {"linestyle": (0, (1, 2)), "linewidth": 1}
            if len(known):
                panel.plot(known[name], 100 * known["mAP"], label=theme.title(method), **looks)
        panel.set_xlabel(label)
        panels.log_scale(panel, frame[name].dropna())
    ticks = sorted({float(value) for value in frame["bytes"].dropna()})
    axes[0, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 0].set_ylabel("mAP (%)")
    panels.legend(figure, axes[0, 0])
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    return f"mAP in percent against bytes and seconds: {panels.at_longest(frame, 'mAP')}."
