import csv
import itertools

import pytest
from PIL import Image

from sdc.errors import SDCError, StorageError
from sdc.plan.cells import Cell, cells
from sdc.plan.selections import inputs
from sdc.report import catalogue
from sdc.stages import aggregate, evaluate
from sdc.storage.columns import read_precisions, write_columns, write_precisions
from sdc.storage.files import read_json, write_json, write_text
from sdc.storage.records import write_record
from sdc.storage.thumbnails import write_thumbnails
from tests.support.report import write_records

SELECTION = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16], "seeds": [0, 1]}


def made(results, selection, files, **options):
    """Make files below a folder, by name of the catalogue."""
    write_records(results)
    pairs = [(name, results / path) for name, paths in files.items() for path in paths]
    aggregate.run(results, selection, [name for name, _ in pairs], [path for _, path in pairs], **options)


@pytest.fixture
def results(tmp_path):
    for number, cell in enumerate(cells(SELECTION)):
        facts = {"map_at": 10, "mAP@10": number / 10, "ties": "t", "denominator": "d"}
        write_json(tmp_path / cell.folder / "metrics.json", {**cell._asdict(), **facts})
        precisions = {row: number / 10 + (0.1 if row < 100 else -0.1) for row in range(200)}
        write_precisions(tmp_path / cell.folder / "average_precision.csv", precisions)
    return tmp_path


def test_tables_by_name(results):
    tables = [f"table1{suffix}" for suffix in (".csv", ".md", ".tex", ".html")]
    made(results, SELECTION, {"metrics": ["metrics.csv"], "table1": tables, "runs": ["tables/digits/16.csv"]})
    assert (results / "table1.csv").read_text() == (
        "backbone,method,digits/16\npixels,lsh,5.0\npixels,itq,25.0\npixels,per_query_oracle,25.0\n"
    )
    assert "**25.0 ± 7.1**" in (results / "table1.md").read_text()
    assert len((results / "tables/digits/16.csv").read_text().splitlines()) == 5
    assert (results / "metrics.csv").read_text().splitlines()[0] == "dataset,backbone,method,bits,seed,metric,value"


def test_only_the_selection_counts(results):
    made(results, {**SELECTION, "methods": ["lsh"]}, {"table1": ["table1.csv"]})
    assert (results / "table1.csv").read_text().splitlines()[1:] == ["pixels,lsh,5.0"]


def test_missing_metrics_are_named(results):
    (results / "runs/digits/pixels/itq/16bit/seed1/metrics.json").unlink()
    with pytest.raises(StorageError, match=r"itq/16bit/seed1/evaluate.record.json: no such file or folder"):
        made(results, SELECTION, {"table1": ["table1.csv"]})
    assert not (results / "table1.csv").exists()


def test_method_that_runs_once_stands_for_all_seeds(results):
    (results / "runs/digits/pixels/lsh/16bit/seed1/metrics.json").unlink()
    made(results, {**SELECTION, "once": ["lsh"]}, {"table1": ["table1.md"], "runs": ["tables/digits/16.csv"]})
    assert "0.0 ± 0.0" in (results / "table1.md").read_text()
    with open(results / "tables/digits/16.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"], row["mAP@10"]) for row in rows] == [
        ("lsh", "0", "0.0"), ("lsh", "1", "0.0"), ("itq", "0", "0.2"), ("itq", "1", "0.3"),
    ]  # fmt: skip


def test_features_are_a_row_and_so_is_the_per_query_oracle(results):
    facts = {"dataset": "digits", "backbone": "pixels", "method": "features", "bits": 2048, "seed": 0}
    facts |= {"map_at": 10, "mAP@10": 0.7, "ties": "t", "denominator": "d"}
    write_json(results / "baselines/digits/pixels/metrics.json", facts)
    # ITQ is ahead by 20 points on every query but the first, where LSH is perfect.
    folder = results / "runs/digits/pixels/lsh/16bit/seed0"
    write_precisions(folder / "average_precision.csv", {row: 1.0 if row == 0 else 0.0 for row in range(200)})
    files = {"table1": ["table1.csv", "table1.md"], "metrics": ["metrics.csv"]}
    made(results, {**SELECTION, "features": True}, files)
    rows = (results / "table1.csv").read_text().splitlines()[1:]
    best = (1.0 + sum(0.3 for row in range(1, 100)) + sum(0.1 for row in range(100, 200)) + 200 * 0.3) / 400
    assert rows == [
        "pixels,lsh,5.0", "pixels,itq,25.0", "pixels,features,70.0", f"pixels,per_query_oracle,{100 * best:.1f}",
    ]  # fmt: skip
    assert "≈" not in (results / "table1.md").read_text()
    assert "digits,pixels,features,2048,0,mAP@10,0.7" in (results / "metrics.csv").read_text()


def test_what_cannot_be_told_from_the_best_is_marked(results):
    # Averaged over seeds, LSH is a little behind, and ahead on half of the queries.
    for seed in (0, 1):
        for method, shift in (("lsh", 0.2), ("itq", -0.2)):
            folder = results / f"runs/digits/pixels/{method}/16bit/seed{seed}"
            ahead = 0.001 * (method == "itq")
            held = {row: 0.5 + ahead + (shift if row % 2 else -shift) for row in range(200)}
            write_precisions(folder / "average_precision.csv", held)
    made(results, SELECTION, {"table1": ["table1.md"]})
    assert "5.0 ± 7.1≈" in (results / "table1.md").read_text()


def test_ablations_instance_and_overlap_by_name(results):
    ablation = {"name": "rank", "varied": ["x", "y"], "rows": [["lsh", [1, 2]], ["itq", [None, 2]]]}
    names = ["tables/ablation/rank.csv", "tables/ablation/rank.md", "figures/ablation/rank.svg"]
    made(results, {**SELECTION, "ablation": ablation}, {"ablation": names[:2], "heat_map": names[2:]})
    rows = (results / names[0]).read_text().splitlines()
    assert rows == ["backbone,x,y,digits/16", "pixels,1,2,5.0", "pixels,none,2,25.0"]
    assert "**25.0 ± 7.1**" in (results / names[1]).read_text()
    assert (results / names[2]).read_text().startswith("<?xml")
    names = ["tables/instance.csv", "tables/overlap.csv"]
    made(results, SELECTION, {"instance": names[:1], "overlap": names[1:]})
    assert (results / names[0]).read_text() == "backbone,method,digits/16\npixels,lsh,5.0\npixels,itq,25.0\n"
    assert (results / names[1]).read_text().splitlines()[1] == "digits,pixels,16,lsh,,,,,,,,5.0"


def test_the_papers_cells_stand_beside_runs_like_the_papers(results):
    facts = {"protocol": "ep1: …", "queries": 1000, "database": 59000, "train": 5000, "weights": "IMAGENET1K_V1"}
    for cell in cells(SELECTION):
        path = results / cell.folder / "metrics.json"
        metrics = {**read_json(path), **facts, "map_at": 1000}
        write_json(path, {**metrics, "mAP@1000": metrics["mAP@10"]})
    made(results, SELECTION, {"table1": ["table1.md"]})
    assert "paper" not in (results / "table1.md").read_text()
    entries = {"datasets": {"digits": {"type": "cifar10"}}, "backbones": {"pixels": {"type": "vgg16"}}}
    made(results, {**SELECTION, "entries": entries}, {"table1": ["table1.md"]})
    assert "**25.0 ± 7.1**<br><small>paper 46.8 (-21.8)</small>" in (results / "table1.md").read_text()


def test_methods_are_compared_on_the_queries_that_count_for_all_of_them(results):
    folder = results / "runs/digits/pixels/lsh/16bit/seed0"
    held = read_precisions(folder / "average_precision.csv")
    write_precisions(folder / "average_precision.csv", {row: held[row] for row in range(1, 200)})
    made(results, SELECTION, {"table1": ["table1.csv"]})
    # ITQ is ahead on each of them.
    itq = [[read_precisions(results / f"runs/digits/pixels/itq/16bit/seed{seed}/average_precision.csv")[row]
            for row in range(1, 200)] for seed in (0, 1)]  # fmt: skip
    expected = 100 * sum(map(sum, itq)) / (2 * 199)
    assert (results / "table1.csv").read_text().splitlines()[-1] == f"pixels,per_query_oracle,{expected:.1f}"


@pytest.fixture
def drawable(results):
    """Runs with all that figures are drawn from; their codes cannot be read."""
    for cell in cells(SELECTION):
        folder = results / cell.folder
        (folder / "codes.h5").touch()
        write_columns(folder / "ranks.csv", {"k": [1, 9], "precision": [0.5, 0.25], "recall": [0.1, 0.2]})
        write_columns(
            folder / "pairs.csv", {"similarity": [1.0, -1.0], "positive_pairs": [2, 1], "negative_pairs": [0, 7]}
        )
        write_columns(folder / "bits.csv", {"bit": range(16), "share": [bit / 15 for bit in range(16)]})
        neighbours = "query,rank,row,distance,relevant,path\n7,0,7,0,1,7\n7,1,3,2,1,3\n7,2,5,4,0,5\n"
        write_text(folder / "retrieved.csv", neighbours)
        classes = "class,train,database,queries,mAP,group,overlap_17_bins\ncat,2,9,1,0.5,,0.25\n"
        write_text(folder / "per_class.csv", classes)
        write_text(folder / "curve.csv", "epoch,loss,learning_rate,seconds\n0,2.5,0.1,3\n")
        metrics = read_json(folder / "metrics.json")
        more = {"precision@radius2": 0.3, "recall@radius2": 0.2, "version": "1.2"}
        write_json(folder / "metrics.json", {**metrics, **more})
    for folder in (results, results / "incomplete"):
        images = {row: Image.new("RGB", (8, 8), "gray") for row in (3, 5, 7)}
        write_thumbnails(folder / "thumbnails/digits/pixels", images, {"dataset": "digits", "backbone": "pixels"})
    sidecar = {"protocol": "a draw", "counts": {}, "label_kind": "single", "classes": [], "seed": 0, "sources": {}}
    splits = {"query and database": "disjoint", "train": "inside the database"}
    facts = {"dataset": "digits", **sidecar, "splits": splits, "dropped_files": 0, "dropped": []}
    write_record(results / "manifests/digits.json", "prepare", facts, [])
    return results


NAMES = [figure.name for figure in catalogue.entries("pair")]
FIGURES = {name: [f"figures/digits/pixels/{name}{suffix}" for suffix in (".svg", ".csv")] for name in NAMES}
PATHS = [path for paths in FIGURES.values() for path in paths]


def test_figures_and_their_numbers_by_name(drawable):
    made(drawable, SELECTION, FIGURES)
    rows = {}
    for name in NAMES:
        with open(drawable / f"figures/digits/pixels/{name}.csv", newline="") as file:
            rows[name] = list(csv.DictReader(file))
    assert [float(row["mAP"]) for row in rows["map_by_bits"]] == [0, 0.1, 0.2, 0.3]
    assert {(row["radius"], row["precision"], row["recall"]) for row in rows["precision_recall"]} == {
        ("2", "0.3", "0.2")
    }
    assert [(row["k"], row["precision"]) for row in rows["precision_at_k"][:2]] == [("1", "0.5"), ("9", "0.25")]
    assert len(rows["similarities"]) == 4 * 2
    assert {row["value"] for row in rows["training"]} == {"2.5"}
    assert len(rows["bit_balance"]) == 2 * 16
    assert {(row["bytes"], row["seconds"]) for row in rows["cost"]} == {("2", "")}
    assert "image" not in rows["retrieval"][0]
    assert "overlap" in (drawable / "figures/digits/pixels/similarities.svg").read_text()
    before = {path: (drawable / path).read_bytes() for path in PATHS}
    made(drawable, SELECTION, FIGURES)
    assert {path: (drawable / path).read_bytes() for path in PATHS} == before


def test_report_has_tables_figures_and_what_is_known(drawable):
    for run, seconds in {"digits/pixels/lsh": 41.5, "cifar10/pixels/lsh": 900, "digits/pixels/sh": 900}.items():
        write_text(drawable / f"benchmarks/train/{run}/16bit/seed0.tsv", f"s\tmax_rss\n{seconds}\t99\n")
    made(drawable, SELECTION, {"table1": ["table1.html"], **FIGURES})
    config = {"run": {"datasets": ["digits"]}}
    made(drawable, SELECTION, {"report": ["report.html"]}, embed=[drawable / "table1.html"], config=config)
    text = (drawable / "report.html").read_text()
    assert text.count("<svg ") == len(NAMES)
    assert "<b>25.0 ± 7.1</b>" in text
    assert "<td>train</td><td>1</td><td>41.5</td>" in text
    assert "&#34;datasets&#34;" in text
    assert "What is missing" not in text


def test_missing_runs_are_gaps_with_a_reason(drawable):
    lost = Cell("digits", "pixels", "lsh", 16, 1)
    (drawable / lost.folder / "metrics.json").unlink()
    write_text(
        drawable / "logs/evaluate/digits/pixels/lsh/16bit/seed1.log", "sdc evaluate …\nsdc evaluate: error: no query"
    )
    names = ["incomplete/table1.md", "incomplete/table1.html"]
    files = {name: [f"incomplete/{path}" for path in paths] for name, paths in FIGURES.items()}
    made(drawable, SELECTION, {"table1": names, **files}, allow_missing=True)
    # Seed 0 alone would look like the mean over both.
    assert "| LSH      | –  " in (drawable / names[0]).read_text()
    assert "LSH on digits/16: evaluate: error: no query" in (drawable / names[0]).read_text()
    page, embed = drawable / "incomplete/report.html", [drawable / names[1]]
    made(drawable, SELECTION, {"report": [page]}, embed=embed, allow_missing=True)
    assert "Hashing report, incomplete" in page.read_text()
    assert '<td class="words reason">evaluate: error: no query</td>' in page.read_text()
    assert page.read_text().count("<svg ") == len(NAMES)


def test_a_report_where_everything_failed(tmp_path):
    made(tmp_path, SELECTION, {"table1": ["table1.md", "table1.html"], **FIGURES}, allow_missing=True)
    made(tmp_path, SELECTION, {"report": ["report.html"]}, embed=[tmp_path / "table1.html"], allow_missing=True)
    text = (tmp_path / "report.html").read_text()
    assert text.count("was not run") == len(list(itertools.product(*SELECTION.values()))) + 2
    assert "<svg" not in text


def test_long_tails(results):
    facts = {
        "mAP@10/head": 0.5,
        "mAP@10/middle": 0.4,
        "mAP@10/tail": 0.3,
        "protocol": "",
        "train": 9,
        "queries": 1,
        "database": 2,
    }
    for cell in cells(SELECTION):
        path = results / cell.folder / "metrics.json"
        write_json(path, {**read_json(path), **facts})
    made(results, SELECTION, {"longtail": ["tables/longtail/digits.csv"]})
    rows = (results / "tables/longtail/digits.csv").read_text().splitlines()
    assert rows[1:] == ["pixels,lsh,50.0,40.0,30.0,5.0", "pixels,itq,50.0,40.0,30.0,25.0"]


@pytest.mark.parametrize("name", NAMES)
def test_figures_read_what_their_entry_says_and_no_other_file(drawable, name):
    reads = catalogue.FIGURES[name].reads
    declared = {drawable / path for path in inputs({}, {**SELECTION, "features": False}, reads)}
    for path in drawable.rglob("*"):
        if path.is_file() and path not in declared:
            path.unlink()
    made(drawable, SELECTION, {name: FIGURES[name]})
    assert (drawable / FIGURES[name][0]).exists()


@pytest.mark.parametrize(
    ("selection", "names", "message"),
    [
        ({}, ["table1"], r"^selection: key 'datasets' is missing; it needs datasets, backbones, methods, bits, seeds$"),
        ({**SELECTION, "bits": 16}, ["table1"], r"^selection.bits: 16 is not allowed; expected a list"),
        (
            {**SELECTION, "seeds": [0.0]},
            ["table1"],
            r"^selection.seeds.0: 0.0 is not allowed; expected integer; write 0",
        ),
        (SELECTION, ["table"], r"^make: 'table' is not known; allowed: metrics, .*did you mean 'table1'"),
        (SELECTION, ["table1", "runs"], r"^--make: 2 names for 1 files of --out; give one for each$"),
    ],
)
def test_what_is_asked_for_is_checked_first(tmp_path, selection, names, message):
    with pytest.raises(SDCError, match=message):
        aggregate.run(tmp_path, selection, names, [tmp_path / "table1.csv"])
    assert not list(tmp_path.iterdir())


def test_tables_figures_and_report_of_a_dataset_without_labels(stages):
    stages.prepare(labels="none", query=6, train=16)
    stages.extract()
    stages.train()
    stages.encode()
    results = stages.out
    folder, baseline = results / "runs/folder/pixels/itq/16bit/seed0", results / "baselines/folder/pixels"
    evaluate.run(stages.manifest, baseline / "metrics.json", features=stages.features, shards=2)
    evaluate.run(stages.manifest, folder / "metrics.json", stages.codes, neighbours=baseline / "neighbours.h5")
    write_thumbnails(results / "thumbnails/folder/pixels", {}, {"dataset": "folder", "backbone": "pixels"})
    (results / "curve.csv").rename(folder / "curve.csv")
    selection = {"datasets": ["folder"], "backbones": ["pixels"], "methods": ["itq"], "bits": [16], "seeds": [0]}
    selection |= {"features": True}
    figures = {
        entry.name: entry.path.format(dataset="folder", backbone="pixels") for entry in catalogue.entries("pair")
    }
    made(results, selection, {name: [f"{path}.svg", f"{path}.csv"] for name, path in figures.items()})
    tables = {"table1": ["table1.csv", "table1.html"], "metrics": ["metrics.csv"], "runs": ["tables/folder/16.csv"]}
    made(results, selection, {**tables, "overlap": ["tables/overlap.csv"]})
    made(results, selection, {"report": ["report.html"]}, embed=[results / "table1.html"])
    recall = read_json(folder / "metrics.json")["neighbour_recall@10"]
    head = "backbone,method,folder/16/neighbour_recall@10"
    assert (results / "table1.csv").read_text().splitlines() == [head, f"pixels,itq,{100 * recall:.1f}"]
    page = (results / "report.html").read_text()
    for line in (
        "No labels, and so no mAP: folder; neighbour_recall@10 in percent",
        "unknown: there are no labels, and nothing that needs them was measured",
    ):
        assert line in page
    # What is drawn needs no labels; the others say that they do.
    drawn = {name for name, path in figures.items() if len((results / f"{path}.csv").read_text().splitlines()) > 1}
    assert drawn == {"neighbours", "bit_balance"}
