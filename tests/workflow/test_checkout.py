"""Where the checkout lies, and from where its Snakefile is used, is the user's to choose."""

import re
import tomllib


def test_checkout_whose_path_a_shell_would_misread(workflow, root):
    workflow.root = workflow.folder / """it's "mine" & $HOME"""
    workflow.root.symlink_to(root)
    workflow("results/runs/digits/pixels/lsh/16bit/seed0/metrics.json")
    assert workflow.path("runs/digits/pixels/lsh/16bit/seed0/metrics.json").is_file()


def test_workflow_is_a_module_of_another(workflow, root):
    (workflow.folder / "Snakefile").write_text(
        f'module sdc:\n    snakefile: "{root}/Snakefile"\n    config: config\n\nuse rule * from sdc\n\n'
        'rule copy:\n    input: "results/tables/digits/16.csv"\n'
        '    output: "copy.csv"\n    shell: "cp {input} {output}"\n'
    )
    workflow.configure({"run": {"methods": ["lsh"]}})
    workflow.root = workflow.folder
    assert workflow("copy.csv").jobs["copy"] == 1
    assert (workflow.folder / "copy.csv").read_text().splitlines()[1].startswith("digits,pixels,lsh,16")


def test_rules_of_a_module_may_have_other_names(workflow, root):
    (workflow.folder / "Snakefile").write_text(
        f'module sdc:\n    snakefile: "{root}/Snakefile"\n    config: config\n\nuse rule * from sdc as hash_*_codes\n'
    )
    workflow.root = workflow.folder
    assert "hash_evaluate_codes" in workflow("results/tables/digits/16.csv", "--dry-run").text


def test_snakefile_and_package_ask_for_the_same_snakemake(root):
    asked = re.search(r'min_version\("([\d.]+)"\)', (root / "Snakefile").read_text())[1]
    package = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"snakemake>={asked},<10" in package["workflow"]


def test_checkout_with_braces_is_refused(workflow, root):
    workflow.root = workflow.folder / "a {b}"
    workflow.root.symlink_to(root)
    outcome = workflow("--dry-run", expect=1)
    assert "a {b}: Snakemake takes braces in the path of a checkout for wildcards; move it elsewhere" in outcome.text
    assert "Traceback" not in outcome.text
