from sdc.plan.ablations import variant_entries
from sdc.plan.cells import Cell
from sdc.plan.selections import (
    Reads,
    benchmarks,
    inputs,
    joined,
    retrieving,
    selected_entries,
    selection,
    targets,
)

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


def test_what_tables_must_know_of_a_selection():
    config = {
        "run": RUN,
        "preset": "code",
        "datasets": {"digits": {"query": 3}, "pets": {"type": "folder", "query": 3}},
    }
    run = {**RUN, "datasets": ["digits", "pets"], "backbones": ["pixels"], "methods": ["itq"]}
    entries = {"datasets": {"pets": {"type": "folder"}}, "backbones": {}, "methods": {"itq": {"preset": "code"}}}
    assert selected_entries(config, run) == entries
    # Views do not change a metric of a method that sees none: no table is made anew for them.
    config["datasets"]["digits"]["views"] = 3
    assert selected_entries(config, run) == entries


def test_the_selection_of_a_table_is_the_part_that_it_is_of():
    config = {
        "run": {**RUN, "datasets": ["digits", "cifar10"]},
        "ablations": {"rank": {"method": "itq", "vary": {"iterations": [1, 2]}}},
    }
    whole = selection(config, "everything", {})
    assert (whole["datasets"], whole["bits"], whole["features"]) == (["digits", "cifar10"], [16, 32], True)
    length = selection(config, "code length", {"dataset": "digits", "bits": "32"})
    assert (length["datasets"], length["bits"], length["features"]) == (["digits"], [32], False)
    assert selection(config, "long tail", {"dataset": "digits"})["datasets"] == ["digits"]
    assert selection(config, "instance", {})["datasets"] == []
    config["methods"] = variant_entries(config)
    ablation = selection(config, "ablation", {"ablation": "rank"})
    assert [method for method, _ in ablation["ablation"]["rows"]] == ablation["methods"]
    assert not ablation["features"]
    without = {**config, "evaluation": {"features": False}}
    assert not selection(without, "everything", {})["features"]


def test_the_selection_of_figures_is_of_one_dataset_and_backbone():
    config = {
        "run": {**RUN, "methods": ["sh", "sdc"], "only": {"pixels": ["sh"], "vgg16": ["sdc"]}},
        "report": {"retrieval": ["sdc"]},
    }
    run = selection(config, "pair", {"dataset": "digits", "backbone": "pixels"})
    assert (run["datasets"], run["backbones"], run["only"]) == (["digits"], ["pixels"], {"pixels": ["sh"]})
    assert (run["once"], run["retrieval"], run["features"]) == (["sh"], ["sdc"], True)


def test_inputs_are_the_files_that_are_read():
    run = {**RUN, "methods": ["sh", "itq"], "bits": [16], "once": ["sh"], "features": True}
    reads = Reads(("metrics.json", "a.csv"), ("b.csv",), ("curve.csv",), thumbnails=True)
    folders = ["runs/digits/pixels/sh/16bit/seed0", *(f"runs/digits/pixels/itq/16bit/seed{seed}" for seed in (0, 1))]
    assert inputs({}, run, reads) == [
        *(f"{folder}/{name}" for folder in folders for name in ("metrics.json", "a.csv", "evaluate.record.json")),
        *(f"{folder}/{name}" for folder in folders for name in ("curve.csv", "train.record.json")),
        "baselines/digits/pixels/b.csv",
        "baselines/digits/pixels/evaluate.record.json",
        "thumbnails/digits/pixels.png",
        "thumbnails/digits/pixels.csv",
        "thumbnails/digits/pixels.record.json",
    ]
    assert not any("baselines" in path for path in inputs({}, {**run, "features": False}, reads))
    assert joined([reads, Reads(("metrics.json", "c.csv"), benchmarks=True)]) == Reads(
        ("metrics.json", "a.csv", "c.csv"), ("b.csv", "metrics.json"), ("curve.csv",), True, True
    )


def test_a_head_of_another_dataset_has_its_curve_and_benchmark_there():
    config = {"datasets": {"pets": {"type": "folder", "train_on": "digits", "shards": 2}}}
    run = {**RUN, "datasets": ["pets"], "methods": ["cibhash"], "bits": [16], "seeds": [0], "features": False}
    name = "digits/pixels/cibhash/16bit/seed0"
    assert inputs(config, run, Reads((), (), ("curve.csv",))) == [
        f"runs/{name}/curve.csv", f"runs/{name}/train.record.json",
    ]  # fmt: skip
    assert benchmarks(config, run) == {
        "prepare": {f"benchmarks/prepare/{one}.tsv": f"manifests/{one}.images.csv" for one in ("pets", "digits")},
        "extract": {
            f"benchmarks/extract/{one}.tsv": f"features/{one}.h5"
            for one in ("pets/pixels/clean/0-of-2", "pets/pixels/clean/1-of-2", "digits/pixels/clean/0-of-1",
                        "digits/pixels/views/0-of-1")
        },
        "train": {f"benchmarks/train/{name}.tsv": f"runs/{name}/head.safetensors"},
    }  # fmt: skip
    assert list(benchmarks(config, run, ["train"])) == ["train"]


def test_neighbours_are_of_the_longest_codes_and_the_first_seed():
    run = {**RUN, "once": [], "retrieval": []}
    assert retrieving(run) == [Cell("digits", "pixels", method, 32, 0) for method in ("lsh", "itq")]
    assert [cell.method for cell in retrieving({**run, "retrieval": ["itq", "sdc"]})] == ["itq"]


def test_targets_are_what_the_config_has_tables_of():
    config = {
        "run": {**RUN, "datasets": ["digits", "tailed"], "backbones": ["pixels", "vgg16"]},
        "datasets": {"tailed": {"type": "digits", "long_tail": 10}},
        "ablations": {
            "one": {"method": "itq", "vary": {"iterations": [1, 2]}},
            "two": {"method": "sdc", "vary": {"epochs": [1, 2], "hidden": [8, 16]}},
        },
    }
    assert targets(config, "everything") == [{}]
    assert targets(config, "instance") == []
    assert targets(config, "code length") == [
        {"dataset": name, "bits": bits} for name in ("digits", "tailed") for bits in ("16", "32")
    ]
    assert targets(config, "long tail") == [{"dataset": "tailed"}]
    assert targets(config, "ablation") == [{"ablation": "one"}, {"ablation": "two"}]
    assert targets(config, "two settings") == [{"ablation": "two"}]
    assert len(targets(config, "pair")) == 4
