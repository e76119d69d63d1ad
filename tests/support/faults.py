"""What tests of faults share: seeds of trials, and a small run of every kind of artefact."""

import collections
import dataclasses
import os
import re
import zlib
from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets import make_gldv2
from tests.support.jobs import Job, call, numbers_only, planned
from tests.support.workflow import Workflow, timeless

# FAULTS_SEED=3 draws others; each trial has its own, so one category alone draws the same.
SEED = int(os.environ.get("FAULTS_SEED", "0"))

CONFIG = {
    "run": {"datasets": ["toys"], "backbones": ["pixels"], "methods": ["itq", "sdc"], "bits": [16], "seeds": [0, 1]},
    "datasets": {
        "toys": {"type": "folder", "root": "data/toys", "query": 3, "train": 8, "shards": 2},
        "pets": {"type": "folder", "root": "data/pets", "query": 3, "train": 8, "shards": 2},
        "places": {"type": "gldv2", "root": "data/places", "shards": 1},
    },
    "backbones": {"pixels": {"size": 6}, "wide": {"type": "pixels", "size": 8}},
    "methods": {"sdc": {"epochs": 1, "hidden": 8, "batch_size": 4}, "cibhash": {"epochs": 1, "batch_size": 4}},
}
RUN = "results/runs/toys/pixels/sdc/16bit/seed0/metrics.json"
INDEX, OTHER_INDEX = (RUN.replace("metrics.json", "index").replace("seed0", seed) for seed in ("seed0", "seed1"))
# What the config selects, and runs that differ from one of these in one thing each; two have listed relevance, and one
# trains on views. No table needs the indexes.
TARGETS = (
    INDEX,
    OTHER_INDEX,
    "results/report.html",
    "results/table1.csv",
    "results/tables/toys/16.csv",
    *(
        RUN.replace(*change)
        for change in (("16bit", "24bit"), ("pixels", "wide"), ("sdc", "cibhash"), ("toys", "pets"))
    ),
    "results/runs/places/pixels/sdc/16bit/seed0/metrics.json",
    "results/runs/places/pixels/sdc/16bit/seed1/metrics.json",
)


def sizes(short, full):
    """Mark a test that is told how many ``trials``: some in every run of the tests, many in ``make test-faults``."""
    return pytest.mark.parametrize("trials", [short, pytest.param(full, marks=pytest.mark.faults)])


def draw_of(category, trial):
    """The random generator of a trial of a category."""
    return np.random.default_rng([SEED, zlib.crc32(category.encode()), trial])


def make_data(folder):
    """The images of ``CONFIG`` below a folder."""
    generator = np.random.default_rng(0)
    for name in ("toys", "pets"):
        for shade, label in enumerate(("cat", "dog", "owl")):
            (folder / name / label).mkdir(parents=True)
            for number in range(12):
                _noise(generator, 60 * shade).save(folder / name / label / f"{number:02}.png")
    make_gldv2(folder / "places")
    for path in sorted((folder / "places").rglob("*.jpg")):
        _noise(generator, int(generator.integers(150))).save(path)


def _noise(generator, shade):
    return Image.fromarray((generator.integers(0, 100, (10, 12, 3)) + shade).astype(np.uint8))


class Finished:
    """A folder in which every planned job has run, and the content of every file there, by name."""

    def __init__(self, folder):
        self.folder = folder
        workflow = Workflow(folder)
        workflow.config = CONFIG
        self.jobs = planned(workflow, *TARGETS)

    def run(self):
        for job in self.jobs:
            for name in job.writes:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            ended = call(job, self.folder)
            assert ended.status == 0, f"{job.command}\n{ended.text}"

    def expected(self):
        """Every artefact without times, as ``Workflow.files`` names them; of figures the numbers alone."""
        return timeless({name.removeprefix("results/"): content for name, content in self.files().items()})

    def files(self):
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in (self.folder / "results").rglob("*")
            if path.is_file()
        }


def kind_of(name):
    """What an artefact is, whosever it is: ``codes.h5``, ``baseline pairs.csv``, ``shard of views``."""
    _, place, *rest = PurePosixPath(name).parts
    match place:
        case "manifests":
            return f"manifests/*.{rest[0].partition('.')[2]}"
        case "features":
            return f"{'record' if name.endswith('.json') else 'shard'} of {rest[2]}"
        case "runs":
            return rest[-1]
        case "baselines":
            return f"baseline {rest[-1]}"
        case _:
            end = ".record.json" if name.endswith(".record.json") else PurePosixPath(name).suffix
            return f"{place}/*{end}" if rest else f"*{end}"


@dataclasses.dataclass
class Bench:
    """A copy of a finished folder, which is as it was after each trial."""

    folder: object
    files: dict
    jobs: list

    def __post_init__(self):
        searches = [self._search(index) for index in (INDEX, OTHER_INDEX)]
        self.answers = {job: call(job, self.folder).text for job in searches}
        self.jobs = [*map(self._with_files, self.jobs), *searches]
        self.maker = {name: job for job in self.jobs for name in job.writes}
        self.jobs = [numbers_only(job) for job in self.jobs]
        # With a manifest whatever lies beside it is read.
        self.readers = collections.defaultdict(list)
        for job in self.jobs:
            for name in sorted({other for read in job.reads for other in self.beside(read)}):
                self.readers[job.rule, kind_of(name)].append((job, name))

    def _with_files(self, job):
        """A job whose output is a folder, with the files there instead."""
        writes = [name for made in job.writes for name in ([made] if made in self.files else self.below(made))]
        return dataclasses.replace(job, writes=tuple(writes))

    def _search(self, index):
        """A query of an index, no job of the pipeline; what it answers it prints."""
        features = next(
            name for name in self.files if re.fullmatch(r"results/features/toys/pixels/clean/0-.*\.h5", name)
        )
        arguments = ("search", "--index", index, "--features", f"{features}:features", "-k", "3", "--json")
        return Job("search", tuple(self.below(index)), (), arguments)

    def below(self, folder):
        """The files in a folder."""
        return [name for name in self.files if name.startswith(f"{folder}/")]

    def beside(self, name):
        if not name.startswith("results/manifests/"):
            return [name] if name in self.files else []
        stem = name.partition(".")[0]
        return [other for other in self.files if other.partition(".")[0] == stem]

    def made_with(self, name):
        """The files that the job which wrote a file wrote."""
        return self.maker[name].writes if name in self.maker else (name,)

    def trial(self, job, changes):
        """Run a job on changed files: its verdict, and the story of a bad one.

        Args:
            job: To run.
            changes: By name, content; None for a file that is missing.
        """
        for name in job.writes:
            (self.folder / name).unlink(missing_ok=True)
        for name, content in changes.items():
            self.put(name, content)
        around = {path.parent for path in map(self.folder.joinpath, job.writes)}
        known = {path for folder in around for path in folder.iterdir()}
        ended = call(job, self.folder)
        made = {name: (self.folder / name).read_bytes() for name in job.writes if (self.folder / name).exists()}
        if not (job.writes or ended.status):
            made["answer"] = ended.text
        for folder in around:
            for path in set(folder.iterdir()) - known - set(map(self.folder.joinpath, job.writes)):
                made[path.name] = b"left"
                path.unlink()
        self.restore({*changes, *(other for name in job.writes for other in self.made_with(name))})
        verdict = self._verdict(job, changes, ended, made)
        return verdict, f"{job.command}\n    exit {ended.status}: {ended.text.strip()[-600:]}"

    def reset(self):
        """Make the folder what it was, after Snakemake has run in it: its benchmark files are the report's too."""
        for path in (self.folder / "results").rglob("*"):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in self.files:
                path.unlink()
        self.restore(self.files)

    def restore(self, names):
        """Make some files what they were."""
        for name in names:
            self.put(name, self.files[name])

    def put(self, name, content):
        """Write a file, or remove it if there is no content."""
        if content is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            (self.folder / name).write_bytes(content)

    def _verdict(self, job, changes, ended, made):
        if ended.crashed:
            return "traceback"
        expected = {name: self.files[name] for name in job.writes} or {"answer": self.answers[job]}
        if ended.status == 0:
            return "harmless" if comparable(made) == comparable(expected) else "silent"
        if not comparable(made).items() <= comparable(expected).items():
            return "silent"  # half of it is there
        wrong = {other for name in changes for other in self.made_with(name)}
        line, command = ended.errors[0], re.search(r"(?:regenerate|make) it with: (.+)", ended.errors[0])
        named = any(f"{name}:" in line for name in wrong)
        # The files of an index are one target, their folder.
        target = command and command[1].split()[-1]
        right = command and any(name in command[1] or name.startswith(f"{target}/") for name in wrong)
        return "detected" if named and right else "unnamed"


def comparable(files):
    """Artefacts without times; of a page all, for nothing was measured."""
    short = {name.removeprefix("results/"): content for name, content in files.items()}
    return timeless(short) | {name: content for name, content in short.items() if name.endswith((".html", "cost.csv"))}
