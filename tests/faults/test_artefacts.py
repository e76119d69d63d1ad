"""Every artefact, damaged or another run's, before each job that reads it."""

import re
from pathlib import PurePosixPath

import pytest

from tests.support.damage import damaged
from tests.support.faults import CONFIG, draw_of, kind_of, sizes
from tests.support.jobs import call
from tests.support.workflow import Workflow, different, timeless

RULES = (
    "extract", "train", "encode", "evaluate", "evaluate_features",
    "aggregate", "aggregate_dataset", "aggregate_figures", "aggregate_thumbnails", "aggregate_report",
    "index", "search",
)  # fmt: skip


def read_by(bench, rule):
    """The kinds of artefacts that jobs of a rule read, each with the jobs and the files."""
    return [(kind, pairs) for (reader, kind), pairs in sorted(bench.readers.items()) if reader == rule]


@pytest.mark.parametrize("rule", RULES)
@sizes(2, 150)
def test_flips_cuts_and_edits(bench, tally, rule, trials):
    rows = []
    for kind, pairs in read_by(bench, rule):
        rows.append(tally(f"{kind}: flips, cuts, edits"))
        for trial in range(trials):
            draw = draw_of(f"{rule} {kind}", trial)
            job, name = pairs[int(draw.integers(len(pairs)))]
            what, content = damaged(bench.files[name], draw)
            verdict, story = bench.trial(job, {name: content})
            rows[-1].add(verdict, f"{name}: {what} (trial {trial})\n    {story}")
    for row in rows:
        row.check()


@pytest.mark.parametrize("rule", RULES)
@sizes(1, 60)
def test_another_runs_artefact_at_this_path(bench, tally, rule, trials):
    rows = []
    for kind, pairs in read_by(bench, rule):
        rows.append(tally(f"{kind}: another run's"))
        for trial in range(trials):
            draw = draw_of(f"{rule} another {kind}", trial)
            job, name = pairs[int(draw.integers(len(pairs)))]
            others = [one for one in bench.files if kind_of(one) == kind and bench.files[one] != bench.files[name]]
            if not others:
                continue
            other = others[int(draw.integers(len(others)))]
            changes = {name: bench.files[other]}
            # A query asks the folder that it names: another whole index there is what was meant.
            match draw.integers(3 if job.writes else 1):
                case 1:  # with all that its job wrote
                    by_kind = {kind_of(one): bench.files[one] for one in bench.made_with(other)}
                    changes |= {one: by_kind[kind_of(one)] for one in bench.made_with(name) if kind_of(one) in by_kind}
                case 2:  # with its whole folder
                    here, there = (str(PurePosixPath(one).parent) for one in (name, other))
                    moved = {here + one.removeprefix(there): one for one in bench.files if one.startswith(f"{there}/")}
                    changes |= {to: bench.files[one] for to, one in moved.items() if to in bench.files}
            changes = {to: content for to, content in changes.items() if to not in job.writes}
            verdict, story = bench.trial(job, changes)
            rows[-1].add(verdict, f"{other} as {', '.join(changes)} (trial {trial})\n    {story}")
    for row in rows:
        row.check()


@pytest.mark.faults
@pytest.mark.parametrize("rule", RULES)
def test_the_command_that_a_line_names_regenerates_the_file(bench, tally, rule):
    row = tally("remedies: the command in the line, as it stands")
    workflow = Workflow(bench.folder)
    workflow.config = CONFIG
    expected = timeless({name.removeprefix("results/"): content for name, content in bench.files.items()})
    for kind, pairs in read_by(bench, rule):
        job, name = pairs[0]
        for content in (None, bench.files[name][: len(bench.files[name]) // 2]):
            bench.put(name, content)
            ended = call(job, bench.folder)
            if not ended.status:
                bench.restore({name, *job.writes})
                continue
            target = re.search(r" it with: snakemake --cores 1 (?:--force )?(\S+)$", ended.errors[0])[1]
            outcome = workflow("--force", target, cores=1, expect=None)
            written = {one.removeprefix("results/"): (bench.folder / one).read_bytes() for one in bench.made_with(name)}
            wrong = different(written, expected)
            again = call(job, bench.folder)
            verdict = "traceback" if outcome.status or again.status else "silent" if wrong else "harmless"
            row.add(verdict, f"{kind}: {ended.errors[0]}\n{wrong} {outcome.text[-1000:]}\n{again.text[-600:]}")
            bench.reset()
    row.check()
