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
