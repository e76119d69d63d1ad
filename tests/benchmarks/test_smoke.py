"""Every script of benchmarks/ runs on small sizes and prints its figures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.workflow import TINY, Workflow, merged

NUMBER = r"[\d.,]+"
RUN = "runs/digits/pixels/lsh/16bit/seed0"
ITQ = json.dumps({"type": "itq", "iterations": 2})

# Arguments, in which names in braces are paths, and what the output must match.
SCRIPTS = {
    "bytes": (
        ["--manifest", "{manifest}", "--features", "{features}", "--methods", "itq", "signs", "RaBitQ",
         "--sizes", "8", "16", "--map-at", "50", "--out", "{out}"],
        # FAISS takes half a minute to train PQ, however few the items.
        [*(rf"\| {name} +\| +8 \|(?: +{NUMBER} \|){{9}}" for name in ("ITQ", "signs")),
         rf"\| RaBitQ +\| +16 \| +{NUMBER} \| +nan +\| +nan +\|(?: +{NUMBER} \|){{6}}",
         "signs at 16 bytes: the signs of 64 dimensions are 8 bytes",
         "RaBitQ at 8 bytes: 8 bytes are numbers, which leaves 0 of 64 dimensions"],
    ),
    "dag plan": (["--plan", "20"], [rf"20 jobs: planned in {NUMBER} s, {NUMBER} ms a job, {NUMBER} GiB"]),
    "dag run": (["--run", "18"], [rf"18 jobs that do nothing: {NUMBER} ms each"]),
    "dag project": (
        ["--project", "1e6", "--cores", "10", "--seconds", "0.01"],
        [r"1e\+06 images: features 0.004 TB", rf"core-hours: decode {NUMBER}, forward {NUMBER}",
         r"shards of    10,000:       100 jobs of .* cores busy \d+ %"],
    ),
    "draws": (
        ["--manifest", "{manifest}", "--features", "{clean}", "--query", "5", "--map-at", "50", "--seeds", "0", "1"],
        [rf"seed 0: {NUMBER} ± {NUMBER}", rf"2 draws: {NUMBER} to {NUMBER}, mean {NUMBER}"],
    ),
    "encoder": (
        ["--model", "shufflenet_v2_x0_5", "--edge", "32", "--rounds", "1"],
        [*(rf"\| {count} \| {NUMBER} \| {NUMBER} \| {NUMBER} \| {NUMBER} \| {NUMBER} \|" for count in (1, 64)),
         r"\d+ of 4,096 bits differ"],
    ),
    "evaluate": (
        ["--bits", "16", "--queries", "120", "--database", "2000", "--rounds", "1", "--threads", "1"],
        [
            rf"16 bits: ours {NUMBER} s, usual {NUMBER} s, FAISS {NUMBER} s, bound {NUMBER} s; "
            rf"usual / ours {NUMBER}, FAISS / ours {NUMBER}, ours / bound {NUMBER}; mAP@1000 exp"
        ],
    ),
    "evaluate scale": (
        ["--scale", "--share", "0.002", "--threads", "1"],
        [rf"{name}: {NUMBER} x {NUMBER} x {bits} bits in {NUMBER} s; peak {NUMBER} GB"
         for name, bits in (("Google Landmarks v2", 512), ("a million items", 64))],
    ),
    "extract": (
        ["--model", "shufflenet_v2_x0_5", "--images", "8", "--edge", "32", "--rounds", "1", "--rows", "600"],
        [*(rf"{name} +{NUMBER}" for name in ("bare forward", "stage / bare forward", "stage / obvious loop",
                                             "forward / stage")),
         *(rf"a shard of +{count} images, \d+ threads: takes {NUMBER} MB, asked for {NUMBER} MB" for count in (2, 8)),
         rf"reading 600 x 1280, stored float16, wanted float32: .* ratio {NUMBER}, of core-seconds {NUMBER}",
         rf"contiguous, XXH3 \(what shards are\) \| \d+ \| {NUMBER} \| {NUMBER} \| {NUMBER} \|"],
    ),
    "extract project": (
        ["--project", "--images", "4", "--precision", "float32"],
        [rf"PROJECTION, cpu, .*vgg16 {NUMBER} images/s", rf"\| CIFAR-10 \| .* \| vgg16 \| {NUMBER} \| {NUMBER} \|"],
    ),
    "gpu_check": (
        ["--device", "cpu", "--tiny", "--only", "evaluation", "--out", os.devnull],
        [rf"\| 4 queries, 50 codes of 64 bits, on cpu \| {NUMBER} s \|", r"\| metrics as on the CPU \| 1 \| 1 \|"],
    ),
    "machine": ([], [r".+, \d+ cores?, .*\w"]),
    "manifest": (
        ["--train", "3000", "--index", "1000", "--shards", "4"],
        [rf"make: +{NUMBER} s, peak {NUMBER} GiB", rf"read and shard: +{NUMBER} s", r"5,129 rows, \d+ MiB on disk"],
    ),
    "memory": (
        ["--rows", "800", "--dim", "64", "--train", "80", "--methods", "itq"],
        [rf"\| {rule} \| {NUMBER} \| {NUMBER} \| {NUMBER} \|" for rule in ("prepare", "train, itq", "evaluate, itq")],
    ),
    "memory networks": (["--networks", "resnet18"], [r"resnet18 45 4.0 224,"]),
    "precision": (
        ["--root", "{images}", "--model", "shufflenet_v2_x0_5", "--weights", "none", "--images", "80", "--edge", "32",
         "--bits", "16", "--device", "cpu"],
        [rf"\| {precision} \| {dtype} \| {NUMBER} \| {NUMBER} \| {NUMBER} \|"
         for precision in ("float32", "bfloat16") for dtype in ("float32", "float16")],
    ),
    "pseudo_queries": (
        ["--manifest", "{manifest}", "--features", "{features}", "--entry", ITQ, "--bits", "16", "--held-out", "2"],
        [rf"\{{.*itq.*\}} 16: {NUMBER} \(\d+ s\)"],
    ),
    "search": (
        ["--sizes", "2000", "--rounds", "1", "--queries", "50", "--threads", "1"],
        [*(rf"\| 2,000 \| {engine} \|(?: {NUMBER} \|){{11}}" for engine in ("flat", "ivf", "hnsw", "multihash")),
         rf"PROJECTION from 2,000 codes to 10\^9, flat: {NUMBER} ms a query by itself, {NUMBER} GB of codes"],
    ),
    "search rankings": (
        ["--rankings", "--rounds", "1", "--threads", "1"],
        [rf"\| {way} \| {NUMBER} \| {NUMBER} \|" for way in ("Hamming", "--asymmetric", "--rerank 100")],
    ),
    "serve": (
        ["--items", "500", "--model", "shufflenet_v2_x0_5", "--edge", "32", "--clients", "1", "--seconds", "0.2"],
        [rf"500 items, {name}, {clients} clients: {NUMBER} requests/s, p50 {NUMBER} ms, p99 .* ms, \d+ busy, 0 failed"
         for name in ("features", "image") for clients in (1, 4)],
    ),
    "share": (
        ["--device", "cpu", "--items", "128", "--dim", "16", "--hidden", "16", "--epochs", "1", "--rounds", "1",
         "--heads", "2", "--at-a-time", "1", "2"],
        [rf"2 at a time: {NUMBER} s a head, gain {NUMBER}"],
    ),
    "startup": (
        ["--rounds", "1", "--configfile", "{config}"],
        [rf"imports of extract +{NUMBER} s", rf"default run: \d+ jobs, {NUMBER} s wall", rf"wall / work +{NUMBER}"],
    ),
    "ties": (
        ["--manifest", "{manifest}", "{codes}"],
        [rf"\| lsh \| 16 \|(?: {NUMBER} \|){{7}}"],
    ),
    "train": (
        ["--items", "256", "--dim", "32", "--hidden", "32", "--epochs", "2", "--rounds", "1", "--threads", "1"],
        [r"\d cores?, .*\w", rf"shared loop +{NUMBER} ms a step, float32", rf"ratio +{NUMBER} \(rounds: {NUMBER}\)",
         r"curves differ by at most 0\.\d+ %", rf"peak \(.*\): {NUMBER}"],
    ),
    "train products": (["--products", "--repetitions", "1"], [rf"784 x 1280 to 3136: .* ratio {NUMBER}"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A finished run's files, and others that scripts take."""
    workflow = Workflow(tmp_path_factory.mktemp("benchmarks"))
    workflow(f"results/{RUN}/codes.h5")
    config = workflow.folder / "small.yaml"
    config.write_text(yaml.safe_dump(merged(TINY, {"run": {"methods": ["lsh"]}, "evaluation": {"features": False}})))
    features = workflow.path("features/digits/pixels")
    return {"manifest": workflow.path("manifests/digits.csv"), "features": features, "clean": features / "clean",
            "codes": workflow.path(f"{RUN}/codes.h5"), "config": config, "out": workflow.folder / "bytes"}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_prints_its_figures(root, places, make_images, name):
    arguments, patterns = SCRIPTS[name]
    paths = {**places, "images": make_images({"cat": 40, "dog": 40}) if "{images}" in arguments else ""}
    given = [str(paths[word[1:-1]]) if re.fullmatch(r"\{\w+\}", word) else word for word in arguments]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(root)}
    command = [sys.executable, str(root / "benchmarks" / f"{name.split()[0]}.py"), *given]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    for pattern in patterns:
        assert re.search(pattern, done.stdout), (pattern, done.stdout)


def test_every_script_is_here(root):
    scripts = {path.stem for path in (root / "benchmarks").glob("*.py")} - {"turns"}
    assert scripts == {name.split()[0] for name in SCRIPTS}
