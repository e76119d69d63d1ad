"""What ``from sdc import NAME`` gives: to programs, to type checkers and to editors."""

import subprocess
import sys
from pathlib import Path

import pytest

import sdc
from sdc.registry import PUBLIC

STUB = Path(sdc.__file__).with_suffix(".pyi")


def stub():
    """``sdc/__init__.pyi``, from the registry."""
    lines = [target.replace(":", " import ") + f" as {name}" for name, target in PUBLIC.items()]
    return "\n".join(
        ["# Written by `make format` from sdc.registry.", *(f"from {line}" for line in sorted(lines)), "",
         "__version__: str", ""]
    )  # fmt: skip


def test_type_checkers_are_told_what_there_is():
    assert STUB.read_text() == stub()
    assert STUB.with_name("py.typed").exists()


def test_names_are_listed_and_given(python):
    names = "sorted(sdc.__all__) == sorted(name for name in dir(sdc) if name in sdc.__all__)"
    code = f"import sdc, sys; print({names}, *sys.modules)"
    text = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert text[0] == "True"
    assert not {"numpy", "torch"} & set(text)
    for name in PUBLIC:
        assert getattr(sdc, name).__name__ == name
    with pytest.raises(AttributeError, match="NoSuchThing"):
        sdc.NoSuchThing  # noqa: B018


@pytest.mark.heavy
def test_mistakes_are_seen_before_they_run(tmp_path, root):
    """Of a program that uses the package, checked as its author would."""
    lines = ["from sdc import SDC, NoSuchThing", "SDC(bits=64, seed=1)", 'SDC(bits="x")', "SDC(bit=64)"]
    program = tmp_path / "program.py"
    program.write_text("\n".join(lines))
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(root / ".mypy_cache"), str(program)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=root).stdout.splitlines()
    places = [line.removeprefix(f"{program}:").partition(":")[0] for line in said if line.startswith(str(program))]
    assert sorted({int(place) for place in places}) == [1, 3, 4]


if __name__ == "__main__":
    STUB.write_text(stub())
