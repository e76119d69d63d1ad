"""What a shell completes; the script is made once, for it imports every command."""

import subprocess

import pytest

from sdc.cli import main


@pytest.fixture(scope="module")
def completed(tmp_path_factory, python):
    """``completed("sdc", "tr")``: what bash offers for the last of some words."""
    path = tmp_path_factory.mktemp("completion") / "sdc.bash"
    with open(path, "w") as file:
        subprocess.run([python, "-m", "sdc", "--print-completion", "bash"], stdout=file, check=True)

    def complete(*words):
        there = f'COMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words)}'
        line = f'source {path}; {there}; _shtab_sdc; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split()

    return complete


def test_words_are_completed(completed):
    assert {"prepare", "search", "encode-images"} <= {*completed("sdc")}
    assert {"cifar10", "digits"} <= {*completed("sdc", "prepare", "--dataset")}
    assert {"sdc", "itq"} <= {*completed("sdc", "train", "--method")}
    assert completed("sdc", "export") == ["onnx", "onnx-head", "faiss", "postgresql", "lancedb"]


def test_a_shell_that_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--print-completion", "fish"])
    assert "choose from" in capsys.readouterr().err
