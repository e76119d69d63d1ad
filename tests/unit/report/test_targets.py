from pathlib import Path

from sdc.report.catalogue import FIGURES, TABLES
from sdc.report.targets import everything, files, incomplete, report_figures, report_parts

CONFIG = {
    "run": {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh"], "bits": [16, 32], "seeds": [0]},
    "ablations": {"two": {"method": "sdc", "vary": {"epochs": [1, 2], "hidden": [8, 16]}}},
}


def test_files_of_tables_and_figures():
    assert files(CONFIG, TABLES["runs"], ".csv") == ["tables/digits/16.csv", "tables/digits/32.csv"]
    assert files(CONFIG, FIGURES["heat_map"], ".svg") == ["figures/ablation/two.svg"]
    every = everything(CONFIG)
    assert {"table1.csv", "tables/ablation/two.csv", "figures/digits/pixels/cost.svg"} <= set(every)
    assert len(every) == len(set(every))


def test_what_is_in_the_report():
    assert {"table1.html", "tables/ablation/two.html", "figures/ablation/two.svg"} <= set(report_parts(CONFIG))
    figures = report_figures(CONFIG)
    assert {path.rsplit("/", 1)[0] for path in figures} == {"figures/digits/pixels"}
    assert {path[-4:] for path in figures} == {".svg", ".csv", "json"}


def test_an_incomplete_report_is_of_what_there_is(tmp_path):
    commands = incomplete(CONFIG, tmp_path, Path("out"))
    assert [command[3] for command in commands] == ["aggregate"] * 3
    assert all("--allow-missing" in command for command in commands)
    assert commands[-1][-2:] == ["--out", "out/report.html"]
    assert commands[-1][commands[-1].index("--embed") + 1] == "out/table1.html"
    path = tmp_path / "runs/digits/pixels/lsh/16bit/seed0/retrieved.csv"
    path.parent.mkdir(parents=True)
    path.touch()
    thumbnails = incomplete(CONFIG, tmp_path, Path("out"))[1]
    assert thumbnails[3:] == [
        "thumbnails", "--facts", f"{tmp_path}/manifests/digits.json", "--retrieved", str(path),
        "--out", "out/thumbnails/digits/pixels.png",
    ]  # fmt: skip
