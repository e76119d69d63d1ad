import pytest
import yaml

from sdc.errors import SDCError
from sdc.plan.config_files import check_keys


def test_shipped_configs_have_no_key_twice(root):
    for path in [root / "config.yaml", *(root / "configs").glob("*.yaml")]:
        check_keys(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: {bits: [16]}\nmethods: {}\nrun: {}\n", "'run' in line 1 is there again in line 3; leave one out"),
        (
            "methods:\n sdc:\n  epochs: 3\n  hidden: 5\n  epochs: 4\n",
            "'epochs' in line 3 is there again in line 5",
        ),
        ('a:\n- b: 1\n- {"b": 2,\n   b: 3}\n', "'b' in line 3 is there again in line 4"),
        ("a: {b: 1, b: 1}", "'b' in line 1 is there again in line 1"),
        ('{"a": 1,\n "a": 2}', "'a' in line 1 is there again in line 2"),
    ],
)
def test_a_key_that_is_there_twice_is_named_with_its_lines(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(SDCError, match=rf"^{tmp_path}/c.yaml: key {message}"):
        check_keys(tmp_path / "c.yaml")


@pytest.mark.parametrize("text", ["", "a", "- a\n- a\n", "a: &a [*a]\n", "x: &x {b: 1}\nz: {<<: *x, b: 2}\n"])
def test_other_files_pass(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    check_keys(tmp_path / "c.yaml")


def test_aliases_are_followed_once(tmp_path):
    lines = ["a0: &a0 {b: 1}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    check_keys(tmp_path / "c.yaml")
    with pytest.raises(yaml.YAMLError):
        (tmp_path / "d.yaml").write_text("a: [")
        check_keys(tmp_path / "d.yaml")
