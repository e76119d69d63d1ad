"""Precision of what lies within a Hamming radius."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sdc.report import theme
from sdc.report.figures import panels
from sdc.report.figures.precision_recall import frame as frame

_RADII = 0.3  # share of all distances that is shown


@theme.style()
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each code length."""
    near = frame[frame["radius"] <= np.maximum(2, _RADII * frame["bits"])]
    figure, axes = panels.by_bits(near, "radius", "precision", labels=("Hamming radius (bits)", "precision (%)"))
    for panel in axes:
        panel.set(ylim=(0, 100))
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure


def alternative(frame: pd.DataFrame) -> str:
    """In words."""
    near = frame[frame["radius"] == 2]
    return f"Precision within Hamming radius 2, in percent: {panels.at_longest(near, 'precision')}."
