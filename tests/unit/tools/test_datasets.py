import json

import pytest

from sdc import registry
from sdc.cli import main
from sdc.errors import SDCError
from sdc.tools.datasets import run


@pytest.fixture
def folder(make_images):
    return make_images({"cat": 6, "dog": 6})


def test_status_says_it(folder, capsys, caplog, tmp_path):
    options = ["--settings", '{"query": 2, "train": 2}']
    assert main(["datasets", "check", "folder", "--root", str(folder), *options]) == 0
    text = capsys.readouterr().out
    assert "0 problems" in text
    assert "cat" in text
    (folder / "cat/0000.png").write_bytes(b"x")
    assert main(["datasets", "check", "folder", "--root", str(folder), "--json", *options]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert main(["datasets", "check", "cats"]) == 2
    assert "'cats' is not known; allowed: digits, " in caplog.text
    (tmp_path / "my.yaml").write_text(f"datasets: {{pets: {{type: folder, root: {folder}, query: 1, train: 1}}}}")
    assert main(["datasets", "check", "pets", "--configfile", str(tmp_path / "my.yaml")]) == 1
    assert "pets: per-class draw" in capsys.readouterr().out


def test_list_says_what_is_there(capsys, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["datasets"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[2:]] == [*registry.DATASETS]
    (tmp_path / "my.yaml").write_text(
        f"run: {{datasets: [digits]}}\ndatasets: {{pets: {{type: folder, root: {folder}}}}}"
    )
    assert main(["datasets", "--json", "--configfile", str(tmp_path / "my.yaml")]) == 0
    listed = {item["name"]: item["missing"] for item in json.loads(capsys.readouterr().out)}
    assert listed == {"digits": [], "pets": []}
    entries = ", ".join(f"part{number}: {{type: folder, root: nowhere}}" for number in range(12))
    (tmp_path / "twelve.yaml").write_text(f"datasets: {{{entries}}}")
    assert main(["datasets", "--configfile", str(tmp_path / "twelve.yaml")]) == 0
    table, _, lacking = capsys.readouterr().out.strip().partition("\n\n")
    assert len(table.splitlines()) == 14
    assert lacking.startswith("datasets.part0, part1, ")
    assert lacking.count("nowhere: no such file or folder") == 1
    assert "\n" not in lacking


def test_which_dataset_to_check_must_be_said(caplog):
    assert main(["datasets", "check"]) == 2
    assert "which dataset?" in caplog.records[-1].getMessage()


def test_every_dataset_is_described_as_in_the_documentation(root, capsys):
    assert main(["datasets", "describe"]) == 0
    text = capsys.readouterr().out
    for name in registry.DATASETS:
        assert f"`{name}`" in text
    assert (root / "docs/datasets.md").read_text().endswith(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"c.yaml: \[1\] is not allowed; expected object"),
        ("run: 3", r"c.yaml.run: 3 is not allowed; expected object"),
        ("run: {datasets: digits}", r"c.yaml.run.datasets: 'digits' is not allowed; expected a list"),
        ("datasets: {digits: 3}", r"c.yaml.datasets.digits: 3 is not allowed; expected object"),
        (
            "datasets: {2020-01-01: {}}",
            r"c.yaml.datasets: key datetime.date\(2020, 1, 1\) is no text",
        ),
        ("datasets: {}\ndatasets: {}", r"c.yaml: key 'datasets' in line 1 is there again in line 2; leave one out"),
        (
            "datasets: {digits: {query: .nan}}",
            r"c.yaml.datasets.digits.query: nan is not allowed",
        ),
        ("[" * 10_000, r"c.yaml: cannot be read \(.*recursion"),
    ],
)
def test_configs_that_are_none_are_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(SDCError, match=message):
        run(configfile=tmp_path / "c.yaml")


def test_a_config_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SDCError, match=r"c.yaml: cannot be read"):
        run(configfile=tmp_path / "c.yaml")
