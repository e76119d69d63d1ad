"""The command line; ``python tests/unit/test_cli.py`` writes what its ``--help`` says to ``cli_help.txt``."""

import argparse
import contextlib
import io
import itertools
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from sdc.cli import COMMANDS, main, parser_of

HELP = Path(__file__).with_name("cli_help.txt")


def every_help():
    """What ``--help`` prints, of ``sdc`` and of each command."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for command in ([], *([name] for name in sorted(COMMANDS))):
            print(f"$ sdc {' '.join([*command, '--help'])}")
            with contextlib.suppress(SystemExit):
                main([*command, "--help"])
            print()
    return printed.getvalue()


def test_options_are_those_that_were_promised():
    # Where lines break is for each version of Python to say.
    again = "what --help says has changed; if that is meant, run python tests/unit/test_cli.py"
    assert "".join(every_help().split()) == "".join(HELP.read_text().split()), again


def test_help_imports_no_torch_and_only_the_chosen_command(python):
    for command in COMMANDS:
        program = f"import sys; from sdc.cli import parser_of; parser_of({command!r}); print(*sys.modules)"
        modules = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.split()
        chosen = f"sdc.{COMMANDS[command].parent.name}.{COMMANDS[command].stem}"
        assert {name for name in modules if name.startswith(("sdc.stages.", "sdc.tools."))} == {chosen}
        assert "torch" not in modules


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("evaluate --manifest m --out x", {"map_at": [1000], "ties": "expected", "jobs": None, "codes": None}),
        (
            "evaluate --manifest m --out x --map-at 5 all --precision-at 1 2",
            {"map_at": [5, "all"], "precision_at": [1, 2]},
        ),
        ("evaluate --out x --manifest m.csv", {"manifest": Path("m.csv"), "out": Path("x")}),
        ("prepare --dataset digits --out x", {"dataset": "digits", "settings": {}}),
        ('prepare --dataset digits --out x --settings {"query":3}', {"settings": {"query": 3}}),
        ("aggregate --results r --selection {} --make x y --out a b", {"out": [Path("a"), Path("b")], "embed": []}),
        ("encode --manifest m --features f --shards 2 --head h --out c --recentre", {"recentre": True, "shards": 2}),
        ("features info some/folder --json", {"action": "info", "folder": Path("some/folder"), "json_": True}),
        ("compare a b", {"first": Path("a"), "second": Path("b")}),
        ("datasets", {"action": None, "name": None, "json_": False}),
        ("datasets check digits --root r", {"action": "check", "name": "digits", "root": "r"}),
    ],
)
def test_arguments_become_values_of_the_parameters_types(arguments, options):
    words = arguments.split()
    parsed = vars(parser_of(words[0]).parse_args(words[1:]))
    assert {name: parsed[name] for name in options} == options


@pytest.mark.parametrize(
    "arguments", ["evaluate --out x --map-at none", "features --json", "features see f", "evaluate --out x --ties no"]
)
def test_values_of_another_type_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert "error: " in capsys.readouterr().err


def test_bad_input_is_one_line_and_status_2(tmp_path, caplog):
    status = main(
        ["prepare", "--dataset", "folder", "--settings", f'{{"root": "{tmp_path}/none"}}', "--out", f"{tmp_path}/m.csv"]
    )
    assert status == 2
    line = caplog.records[-1].getMessage()
    instead = f"{tmp_path}/none: no such file or folder; {tmp_path}/ holds nothing"
    assert line == f"sdc prepare: error: {instead}; set root to the folder of images"
    assert not list(tmp_path.iterdir())


def test_good_input_logs_arguments_and_seconds(tmp_path, caplog):
    caplog.set_level("INFO")
    assert main(["prepare", "--dataset", "digits", "--out", f"{tmp_path}/m.csv"]) == 0
    assert caplog.records[0].getMessage().startswith('sdc prepare 0.2.0 {"dataset": "digits"')
    assert caplog.records[-1].getMessage().startswith("done in ")


def test_output_that_cannot_be_written_is_one_line(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert main(["prepare", "--dataset", "digits", "--out", f"{tmp_path}/file/m.csv"]) == 2
    assert "file" in caplog.records[-1].getMessage()
    assert "\n" not in caplog.records[-1].getMessage()


def test_null_is_no_object_where_one_is_expected(tmp_path, caplog):
    for name in ("m.json", "r.csv"):
        (tmp_path / name).touch()
    files = ["--facts", f"{tmp_path}/m.json", "--retrieved", f"{tmp_path}/r.csv", "--out", f"{tmp_path}/t.png"]
    assert main(["thumbnails", *files, "--expect", "null"]) == 2
    assert "--expect: null is not allowed; give a JSON object, such as {}" in caplog.records[-1].getMessage()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--settings", "[1]"], "--settings: [1] is not allowed; give a JSON object, such as {}"),
        (["--settings", "3"], "--settings: 3 is not allowed; give a JSON object, such as {}"),
        (["--settings", '{"query": NaN}'], "--settings.query: nan is not allowed; give a finite number"),
        (["--settings", '{"query": 1e999}'], "--settings.query: inf is not allowed; give a finite number"),
        (
            ["--settings", '{"root": "a\\u0000"}'],
            r"--settings.root: 'a\x00' is not allowed; take out the NUL character",
        ),
        (["--out", "here"], "--out here: is a folder; name a file"),
        (["--out", "here/"], "--out here: is a folder; name a file"),
        (["--out", "file/m.csv"], "--out file/m.csv: {cwd}/file is no folder; name another place"),
        (
            ["--out", "n" * 300],
            "--out: '" + "n" * 149 + "… (302 characters) is too long; at most 255 bytes between slashes",
        ),
    ],
)
def test_values_are_refused_in_one_line_before_any_work(arguments, message, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    words = {"--dataset": "digits", "--out": "m.csv"} | dict([arguments])
    caplog.set_level("INFO")
    assert main(["prepare", *itertools.chain.from_iterable(words.items())]) == 2
    (record,) = caplog.records
    assert record.getMessage().startswith(f"sdc prepare: error: {message.replace('{cwd}', str(tmp_path))}")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "here"}


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["prepare", "--dataset", "digits", "--out", f"{tmp_path}/a/m.csv"]) == 2
    end = f"{tmp_path} cannot be written to; make it writable, or name another place"
    assert caplog.records[-1].getMessage().endswith(end)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "digits", "--dataset", "mnist"], "argument --dataset: is given twice; leave one out"),
        (["--out", ""], "argument --out: is empty"),
        (["--dataset="], "argument --dataset: is empty"),
        (["--dataste", "digits"], "sdc prepare: error: --dataste is no option; allowed: --help, --dataset, "),
        (["--dataste", "digits"], "; did you mean '--dataset'?"),
        (["--settings", '{"a": 1, "a": 2}'], "is not valid JSON (key 'a' is there twice)"),
        (["--settings", "[" * 10_000], "is not valid JSON (maximum recursion depth exceeded"),
    ],
)
def test_options_are_refused_by_name(arguments, message, capsys):
    words = [] if arguments[0].startswith("--dataset") else ["--dataset", "digits"]
    words += [] if arguments[0] == "--out" else ["--out", "m.csv"]
    with pytest.raises(SystemExit) as stop:
        main(["prepare", *words, *arguments])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("sdc")
    assert message in last


@pytest.mark.parametrize(
    "arguments", [[], ["prepair"], ["prepare"], ["prepare", "--dataset", "digits", "--settings", "{", "--out", "x"]]
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: sdc" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["prepare", "prepare digits", "prepare --out m.csv --datasets digits"])
def test_errors_show_the_usage_of_the_command(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert "usage: sdc prepare " in capsys.readouterr().err


def test_unknown_commands_list_the_known(capsys):
    with pytest.raises(SystemExit):
        main(["prepair", "--dataset", "digits"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("sdc: error: 'prepair' is no command; allowed: aggregate, ")
    assert line.endswith("thumbnails; did you mean 'prepare'?")
    with pytest.raises(SystemExit):
        main(["--verbose", "prepare"])
    assert "--verbose is no option; allowed: --help, --version" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_ends_with_examples_of_the_command(command):
    ending = parser_of(command).format_help().partition("\nexample:\n")[2]
    lines = ending.replace("\\\n", "").splitlines()
    assert lines
    for line in lines:
        name, own, *words = shlex.split(line)
        assert (name, own) == ("sdc", command)
        parser_of(command).parse_args(words)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_defaults_are_shown_where_there_are_some(command):
    for action in parser_of(command)._actions:
        some = action.default is not False and action.default not in (None, [], {}, argparse.SUPPRESS)
        assert ("default: " in action.help) == some, action.dest


MISSING = {
    "prepare": "--dataset digits --out out --images gone.images.csv",
    "extract": "--manifest gone.csv --backbone pixels --shard 0 --shards 1 --out out",
    "train": "--manifest gone.csv --features f --shards 1 --method lsh --bits 16 --seed 0 --out out --curve c",
    "encode": "--manifest gone.csv --features f --shards 1 --head h --out out",
    "evaluate": "--manifest gone.csv --codes c --out out",
    "index": "--manifest gone.csv --codes c --head h --out out",
    "aggregate": "--results gone --selection {} --make table1 --out out",
    "compare": "gone.csv gone.csv",
    "datasets": "check digits --configfile gone.yaml",
    "duplicates": "gone --radius 2 --out out",
    "edit-index": "merge gone gone",
    "encode-images": "gone.safetensors gone.jpg --out out.h5",
    "export": "faiss gone --out out",
    "features": "info gone",
    "score": "--query-codes gone.npy --database-codes d.npy --query-labels q.txt --database-labels d.txt --out out",
    "search": "gone.jpg --index gone",
    "serve": "--index gone",
    "thumbnails": "--facts gone.json --retrieved r.csv --out out",
}


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"methods", "backbones"}))
def test_a_missing_file_is_said_to_be_missing(command, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    assert main([command, *MISSING[command].split()]) == 2
    line = caplog.records[-1].getMessage()
    assert re.search(r"error: gone\S*: no such file or folder; \./ holds nothing; ", line)
    assert "regenerate" not in line


def test_module_and_console_script_are_the_same(python):
    for command in ([python, "-m", "sdc"], [str(Path(python).parent / "sdc")]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "0.2.0"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "120"
    HELP.write_text(every_help())
