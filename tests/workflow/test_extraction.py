"""Whatever happens to an extraction, the next run makes the features of an undisturbed one, or says what is wrong."""

import functools
import os

import pytest

from tests.support.workflow import Workflow, jobs_of, power_cut, until

SHARDS = [f"results/features/digits/pixels/clean/{shard}-of-3.h5" for shard in range(3)]


@pytest.fixture(scope="module")
def extracted(shared_folder):
    """A workflow whose features are extracted, undisturbed; and their bytes."""
    shared_folder(*SHARDS)
    return shared_folder, features(shared_folder)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return sharded(Workflow(tmp_path_factory.mktemp("extracted")))


def sharded(workflow):
    workflow.configure({"datasets": {"digits": {"shards": 3}}})
    return workflow


def features(workflow):
    return {path: (workflow.folder / path).read_bytes() for path in SHARDS}


def test_killed_again_and_again(workflow, extracted):
    sharded(workflow)
    locks = workflow.folder / ".snakemake/locks"
    for moment in (
        lambda process: locks.exists() and any(locks.iterdir()),
        lambda process: jobs_of(process, "sdc extract"),
        lambda process: any((workflow.folder / path).exists() for path in SHARDS),
    ):
        process = workflow.start(*SHARDS)
        until(functools.partial(moment, process), process, workflow.folder / "log.txt")
        power_cut(process)
        for path, content in extracted[1].items():
            found = workflow.folder / path
            assert not found.exists() or found.read_bytes() == content  # whole or not there
        workflow("--unlock")
    workflow(*SHARDS)
    assert features(workflow) == extracted[1]
    assert not list(workflow.folder.rglob("*.part"))


def test_second_run_on_the_same_folder_is_refused_and_the_first_ends_well(workflow, extracted):
    sharded(workflow)
    process = workflow.start(*SHARDS)
    log, locks = workflow.folder / "log.txt", workflow.folder / ".snakemake/locks"
    until(lambda: locks.exists() and any(locks.iterdir()), process, log)
    second = workflow(*SHARDS, expect=1)
    assert "Error: Directory cannot be locked." in second.text
    assert "Traceback" not in second.text
    assert process.wait() == 0, log.read_text()
    assert features(workflow) == extracted[1]


def test_shard_edited_by_a_byte_is_refused_and_the_command_that_is_named_mends_it(extracted):
    workflow, expected = extracted
    path = workflow.folder / SHARDS[1]
    content, times = bytearray(expected[SHARDS[1]]), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    target = "results/runs/digits/pixels/lsh/16bit/seed0/codes.h5"
    refused = workflow(target, expect=1)
    line = next(line for line in refused.text.splitlines() if "1-of-3.h5: is damaged" in line)
    assert "Traceback" not in refused.text
    command = line.rpartition("regenerate it with: snakemake --cores 1 ")[2].split()
    assert command == ["--force", SHARDS[1]]
    workflow(SHARDS[1], "--force")
    assert features(workflow) == expected
    workflow(target)


def test_pooled_tokens_make_no_other_kind_anew(workflow):
    folder = "results/features/digits/resnet18"
    targets = [f"{folder}/{kind}/0-of-1.h5" for kind in ("clean", "views", "tokens")]
    settings = []
    for tokens in ({}, {"tokens": 3}):
        workflow.configure({"backbones": {"resnet18": {"weights": "none", **tokens}}})
        planned = workflow("--dry-run", "--printshellcmds", *targets)
        settings.append([line for line in planned.text.splitlines() if "python -m sdc extract" in line])
    before, after = (sorted(lines) for lines in settings)
    changed = [line for line in after if line not in before]
    assert len(after) == 3
    assert len(changed) == 1
    assert "--kind tokens" in changed[0]
    assert '"tokens": 3' in changed[0]
