import pytest

from sdc import registry
from sdc.errors import SDCError
from sdc.report import theme

DARK_PAGE = "#16181c"


def contrast(one, other):
    """The contrast of two colours by WCAG 2."""

    def luminance(colour):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", theme.PALETTE)
def test_colours_are_seen_on_light_and_on_dark(colour):
    assert contrast(colour, "#ffffff") >= 3
    assert contrast(colour, DARK_PAGE) >= 3


def test_every_method_looks_different_and_always_the_same():
    looks = [theme.look(name) for name in [*registry.METHODS, "features"]]
    assert len(set(looks)) == len(looks)
    assert len({(look.colour, look.dashes) for look in looks[:-1]}) == len(looks) - 1
    assert theme.look("my_own") == theme.look("my_own")
    assert theme.look("my_own").dashes not in {look.dashes for look in looks}
    assert theme.colour("my_own") in theme.PALETTE
    assert theme.title("sdc_plus") == "SDC+"
    assert theme.title("my_own") == "my_own"


@theme.style()
def drawing():
    figure, axes = theme.subplots()
    axes[0, 0].plot([0.123456, 2], [1, 2], label="0.123456", **theme.look("sdc").keywords)
    axes[0, 0].legend()
    return figure


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_same_figure_same_bytes(tmp_path, suffix):
    figure = drawing()
    for name in "ab":
        theme.save(figure, tmp_path / (name + suffix))
    theme.save(drawing(), tmp_path / ("c" + suffix))
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1
    assert contents.pop().startswith({".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix])


def test_svg_takes_the_colour_of_the_page_and_keeps_its_words(tmp_path):
    theme.save(drawing(), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.count(theme.INK) == 1  # where the file is opened by itself
    assert "fill: currentColor" in text
    assert "prefers-color-scheme:dark" in text
    assert ">0.123456</text>" in text  # only places are rounded


def test_unknown_format(tmp_path):
    with pytest.raises(SDCError, match=r"a.gif: no figure format for '.gif'; allowed: .svg, .pdf, .png"):
        theme.save(drawing(), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_the_theme_ends_with_its_block():
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    with theme.style():
        assert matplotlib.rcParams["font.size"] == 8
    assert matplotlib.rcParams["font.size"] == before
