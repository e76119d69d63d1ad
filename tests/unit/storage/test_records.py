import json

import pytest

from sdc.errors import StorageError
from sdc.storage.records import (
    check_identity,
    checksum_of,
    checksum_of_file,
    read_record,
    record_path,
    stage_record,
    write_record,
)

FACTS = {"dataset": "toys", "method": "sdc", "bits": 16, "seed": 0}


@pytest.fixture
def record(tmp_path):
    """The path of a record of one file."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    write_record(tmp_path / "train.record.json", "train", FACTS, [tmp_path / "a.csv"], {"manifest": "m"})
    return tmp_path / "train.record.json"


def test_checksums_are_xxh3_of_128_bits(tmp_path):
    # The test vector of the reference implementation for no input.
    assert checksum_of(b"") == "99aa06d3014798d86001c324468d497f"
    (tmp_path / "a").write_bytes(b"abc" * 700_000)
    assert checksum_of_file(tmp_path / "a") == checksum_of(b"abc" * 700_000)
    with pytest.raises(StorageError, match="b: no such file or folder"):
        checksum_of_file(tmp_path / "b")


def test_a_record_gives_back_what_its_job_noted(record):
    read = read_record(record, "train", {"method": "sdc", "bits": 16})
    assert read.facts == FACTS
    assert read.read(record.with_name("a.csv")) == b"x,y\n1,2\n"
    assert read.check(record.with_name("a.csv")) == checksum_of(b"x,y\n1,2\n")


def test_the_same_work_is_the_same_record(record, tmp_path):
    before = record.read_bytes()
    write_record(record, "train", FACTS, {"a.csv": checksum_of_file(tmp_path / "a.csv")}, {"manifest": "m"})
    assert record.read_bytes() == before


@pytest.mark.parametrize("content", ["x,y\n1,3\n", "x,y\n1,2", "", "x,y\r\n1,2\n"])
def test_a_file_that_changed_is_named(record, content):
    record.with_name("a.csv").write_text(content, newline="")
    read = read_record(record, "train")
    for reader in (read.read, read.check):
        with pytest.raises(StorageError, match=r"a.csv: does not match its checksum in train.record.json; regenerate"):
            reader(record.with_name("a.csv"))


def test_a_file_that_the_job_did_not_write_is_named(record):
    record.with_name("b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(StorageError, match=r"b.csv: does not match its checksum in train.record.json"):
        read_record(record, "train").read(record.with_name("b.csv"))


def test_missing_files_are_named(record):
    read = read_record(record, "train")
    record.with_name("a.csv").unlink()
    with pytest.raises(StorageError, match=r"a.csv: no such file or folder"):
        read.read(record.with_name("a.csv"))
    record.unlink()
    with pytest.raises(StorageError, match=r"train.record.json: no such file or folder"):
        read_record(record, "train")


def test_every_byte_of_a_record_counts_or_means_nothing(record):
    content = record.read_bytes()
    known = read_record(record, "train")
    refused = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        record.write_bytes(flipped)
        try:
            assert read_record(record, "train", FACTS) == known
        except StorageError as error:
            assert f"{record}: " in str(error)
            assert "regenerate it with: snakemake" in str(error)
            refused += 1
    assert refused > 0.8 * len(content)


@pytest.mark.parametrize(
    ("stage", "expect", "message"),
    [
        ("encode", {}, "is a record of train, expected one of encode"),
        ("train", {"method": "itq"}, "is of method sdc, expected itq"),
        ("train", {"bits": 32}, "is of bits 16, expected 32"),
        ("train", {"backbone": "vgg16"}, "is of backbone None, expected vgg16"),
    ],
)
def test_another_jobs_record_is_refused(record, stage, expect, message):
    with pytest.raises(StorageError, match=f"train.record.json: {message}; regenerate it with: snakemake"):
        read_record(record, stage, expect)


def test_records_of_other_versions_are_one_clear_line(record):
    record.write_text(json.dumps({"dataset": "toys", "counts": {}}))
    with pytest.raises(StorageError, match="was written by another version of sdc .schema None, this"):
        read_record(record, "train")


def test_hashes_are_explained_in_words():
    with pytest.raises(StorageError, match=r"a.h5: was made from another manifest; regenerate it with"):
        check_identity("a.h5", {"manifest_xxh3": "1"}, {"manifest_xxh3": "2"})


def test_names_of_records():
    assert record_path("f/0-of-1.h5").as_posix() == "f/0-of-1.record.json"
    assert stage_record("run", "encode").as_posix() == "run/encode.record.json"
