import subprocess

import pytest

from sdc.cli import main


def test_bad_input_is_one_line_and_status_2(tmp_path, caplog):
    status = main(
        ["prepare", "--dataset", "folder", "--settings", f'{{"root": "{tmp_path}/none"}}', "--out", f"{tmp_path}/m.csv"]
    )
    assert status == 2
    line = caplog.records[-1].getMessage()
    instead = f"{tmp_path}/none: not found; {tmp_path}/ holds nothing"
    assert line == f"sdc prepare: error: {instead}; set root to the folder of images"
    assert not list(tmp_path.iterdir())


def test_good_input_logs_arguments_and_seconds(tmp_path, caplog):
    caplog.set_level("INFO")
    assert main(["prepare", "--dataset", "digits", "--out", f"{tmp_path}/m.csv"]) == 0
    assert caplog.records[0].getMessage().startswith('sdc prepare 0.1.0 {"dataset": "digits"')
    assert caplog.records[-1].getMessage().startswith("done in ")


def test_output_that_cannot_be_written_is_one_line(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert main(["prepare", "--dataset", "digits", "--out", f"{tmp_path}/file/m.csv"]) == 2
    assert "file" in caplog.records[-1].getMessage()
    assert "\n" not in caplog.records[-1].getMessage()


@pytest.mark.parametrize(
    "arguments", [[], ["prepair"], ["prepare"], ["prepare", "--dataset", "digits", "--settings", "{", "--out", "x"]]
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: sdc" in capsys.readouterr().err


def test_module_and_console_script_are_the_same(python):
    for command in ([python, "-m", "sdc"], [str(__import__("pathlib").Path(python).parent / "sdc")]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "0.1.0"
