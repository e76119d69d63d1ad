import pytest

from sdc.report import theme
from sdc.report.figures import panels
from tests.support.report import MAP, frame


def test_words_name_every_method_at_the_longest_codes():
    assert panels.at_longest(MAP, "mAP") == "SDC 55.0, ITQ 35.0 at 32 bits"
    assert panels.at_longest(MAP[MAP["method"] == "features"], "mAP") == "nothing"
    assert panels.enumerated({}) == "nothing"


def test_panels_that_are_too_many_stay_blank():
    figure, axes = panels.panels(4, 3, height=1)
    assert len(axes) == 4
    assert [axis.axison for axis in figure.axes] == [True] * 4 + [False] * 2


def test_without_codes_there_are_words_in_place_of_panels():
    figure, axes = panels.by_bits(frame([], "k", "precision"), "k", "precision", labels=("K", "P"))
    assert axes == []
    assert figure.axes[0].texts[0].get_text() == panels.BY_LABEL_ONLY


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([2, 4, 8, 256], [2, 5, 10, 20, 50, 100, 200]),
        ([1, 1000], [1, 10, 100, 1000]),
        ([4.1, 4.9], [4.1, 4.9]),
        ([30, 90], [50, 30, 90]),
        ([7.0], [7]),
        ([], None),
    ],
)
def test_logarithmic_axes_have_several_ticks(values, ticks):
    panel = theme.subplots()[1][0, 0]
    panels.log_scale(panel, values)
    if ticks is not None:
        assert sorted(panel.get_xticks()) == pytest.approx(sorted(ticks))
