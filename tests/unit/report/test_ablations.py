import pytest

from sdc.report import ablations, published, theme

GRID = {
    "name": "beta",
    "varied": ["a", "b"],
    "rows": [["sdc_5_1", [5, 1]], ["sdc", [5, 5]], ["sdc_10_1", [10, 1]], ["sdc_10_5", [10, 5]]],
}


def run(method, score, seed=0, bits=16, dataset="digits"):
    return {
        "dataset": dataset, "backbone": "pixels", "method": method, "bits": bits, "seed": seed,
        "map_at": 10, "mAP@10": score, "ties": "t", "denominator": "d",
    }  # fmt: skip


def test_rows_are_values_and_numbers_are_the_metrics():
    runs = [run("sdc", 0.5), run("sdc", 0.6, 1), run("sdc_hidden_none", 0.4), run("sdc_hidden_none", 0.4, 1)]
    ablation = {"name": "depth", "varied": ["hidden"], "rows": [["sdc", [4096]], ["sdc_hidden_none", [None]]]}
    table = ablations.table(ablation, runs)
    assert table.render(".csv").splitlines() == ["backbone,hidden,digits/16", "pixels,4096,55.0", "pixels,none,40.0"]
    assert "**55.0 ± 7.1**" in table.render(".md")
    assert "<u>40.0 ± 0.0</u>" in table.render(".md")
    assert table.title == "Ablation: depth"


def test_gaps_and_the_papers_cells():
    cell = published.Cell("supplement, Table 2", "cifar10", "vgg16", "sdc", {}, 16, 63.0, "clear")
    table = ablations.table(
        GRID,
        [run("sdc", 0.5)],
        {("digits", "pixels", "sdc_5_1", 16, 0): "why"},
        {("digits", "pixels", "sdc", 16): cell},
    )
    assert "paper 63.0 (-13.0)" in table.render(".md")
    assert "– pixels, 5, 1 on digits/16: why" in table.render(".md")


def test_heat_map_has_a_panel_per_dataset_and_bits_and_every_number_in_its_place():
    scores = dict(zip(["sdc_5_1", "sdc", "sdc_10_1"], (0.1, 0.2, 0.3), strict=True))
    runs = [run(method, score + bits / 1000, 0, bits) for bits in (16, 32) for method, score in scores.items()]
    figure = ablations.heat_map(GRID, runs)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == ["digits, 16 bits", "digits, 32 bits"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["1", "5"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["5", "10"]
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == ("b", "a")
    # x, y and text; nothing where the run is missing.
    texts = [(*text.get_position(), text.get_text()) for text in panels[0].texts]
    assert sorted(texts) == [(0, 0, "11.6"), (0, 1, "31.6"), (1, 0, "21.6")]


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_heat_map_is_the_same_bytes(tmp_path, suffix):
    for name in ("one", "two"):
        theme.save(ablations.heat_map(GRID, [run("sdc", 0.2)]), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
