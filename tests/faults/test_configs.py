"""Configs and options that nobody meant: a plan, or one line that names the key."""

import copy
import datetime
import math
import signal

import hypothesis
import hypothesis.strategies as st
import pytest

from sdc import plan, registry
from sdc.errors import SDCError
from sdc.plan import checks, schema
from sdc.report import targets
from tests.support.faults import CONFIG, SEED, draw_of, sizes
from tests.support.jobs import call
from tests.support.workflow import merged

SECONDS = 20  # after which planning hangs

WORDS = ("", "a\n", "../x", "nan", "none", "auto", "all", "sdc", "{x}", "a b", "ä", "itq", "toys", "folder")
NUMBERS = (0, -1, 16.0, 2.0, 1e300, math.nan, math.inf, -math.inf, 10**8, 2**70)
THINGS = ([], {}, [None], {"a": {}}, datetime.date(2026, 1, 1), None, True)
ODD = st.sampled_from((*WORDS, *NUMBERS, *THINGS)) | st.integers() | st.floats() | st.text(max_size=8)
VALUES = ODD | st.lists(ODD, max_size=3) | st.dictionaries(st.text(max_size=6), ODD, max_size=3)
TYPED = {
    "integer": st.integers(-2, 5000),
    "number": st.floats(-1, 2) | st.integers(0, 100),
    "boolean": st.booleans(),
    "string": st.sampled_from(WORDS),
}


def keys_of(shape, place=()):
    """Every key that a schema knows, as a path from the top, with values of its type and others."""
    for key, value in shape.get("properties", {}).items():
        types = (one.get("type", ()) for one in (value, *value.get("anyOf", ())))
        names = {name for some in types for name in ([some] if isinstance(some, str) else some)}
        typed = [TYPED[name] for name in sorted(names & TYPED.keys())]
        typed += [st.sampled_from(value["enum"])] if "enum" in value else []
        yield (*place, key), st.one_of(*typed, VALUES) if typed else VALUES
        yield from keys_of(value, (*place, key))


@pytest.fixture(scope="module")
def places():
    """Where a config may have values: everything that the schema of the whole and of the entries here knows."""
    found = [*keys_of(schema.shape())]
    for catalogue in registry.CATALOGUES:
        entries = CONFIG.get(catalogue, {})
        for name in {*registry.names(catalogue, {}), *entries}:
            shape = registry.entry_schema(catalogue, name, entries.get(name, {}))
            found += keys_of(shape, (catalogue, name))
    return found


def planned(config):
    """What the Snakefile plans of a config before its rules."""
    checks.check_config(config)
    config.setdefault("methods", {}).update(plan.ablations.variant_entries(config))
    for dataset in plan.entries.datasets_used(config):
        plan.entries.build_entry(config, "datasets", dataset).missing()
        plan.shards.shard_count(config, dataset)
    return targets.everything(config)


def of_place(place):
    """A path with a value for it."""
    return st.tuples(st.just(place[0]), place[1])


def _late(*_):
    raise TimeoutError(f"planning took more than {SECONDS} s")


@sizes(60, 3000)
def test_random_configs(tally, places, trials):
    row = tally("random configs")

    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=trials, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.lists(st.sampled_from(places).flatmap(of_place), min_size=1, max_size=3))
    def change(changes):
        config = copy.deepcopy(CONFIG)
        for place, value in changes:
            for key in reversed(place):
                value = {key: value}
            config = merged(config, value)
        signal.signal(signal.SIGALRM, _late)
        signal.alarm(SECONDS)
        try:
            planned(config)
            verdict, story = "harmless", ""
        except SDCError as error:
            story = str(error)
            verdict = "unnamed" if "\n" in story or not any(place[-1] in story for place, _ in changes) else "detected"
        except Exception as error:
            verdict, story = "traceback", repr(error)
        finally:
            signal.alarm(0)
        row.add(verdict, f"{changes}: {story}")

    change()
    row.check()


OPTIONS = (
    "",
    "-1",
    "0",
    "9",
    "1e9",
    "nan",
    "16.0",
    "[1]",
    "{}",
    "null",
    '{"a": 1}',
    "'",
    "a\nb",
    "/",
    "9" * 30,
    "auto",
)


@sizes(12, 600)
def test_random_options(bench, tally, trials):
    row = tally("random options")
    stages = sorted({job.stage for job in bench.jobs})
    for trial in range(trials):
        draw = draw_of("options", trial)
        jobs = [job for job in bench.jobs if job.stage == stages[trial % len(stages)]]
        job = jobs[int(draw.integers(len(jobs)))]
        words = list(job.arguments)
        values = [place for place, word in enumerate(words) if place > 1 and not word.startswith("--")]
        # Paths are what other trials are about.
        values = [place for place in values if "/" not in words[place]]
        if not values:
            continue
        place = values[int(draw.integers(len(values)))]
        words[place] = str(draw.choice(OPTIONS))
        ended = call(job.with_arguments(words), bench.folder)
        verdict = "traceback" if ended.crashed else "detected" if ended.status else "harmless"
        bench.restore(job.writes)
        row.add(verdict, f"trial {trial}: {words}\n    exit {ended.status}: {ended.text[-600:]}")
    row.check()
