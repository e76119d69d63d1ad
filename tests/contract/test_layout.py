"""One name everywhere: stage = rule = subcommand = module = test; and imports that run downwards only."""

import ast
import graphlib
import re

import pytest

from sdc import registry
from sdc.cli import COMMANDS

STAGES = {"prepare", "extract", "train", "encode", "evaluate", "index", "aggregate"}
TOOLS = {
    "datasets",
    "features",
    "compare",
    "score",
    "thumbnails",
    "encode_images",
    "edit_index",
    "search",
    "export",
    "duplicates",
    "serve",
    "methods",
    "backbones",
}
PACKAGES = {
    "plan",
    "storage",
    "stages",
    "tools",
    "datasets",
    "backbones",
    "methods",
    "evaluation",
    "report",
    "search",
    "web",
}
LAYOUT = """
Snakefile config.yaml configs profiles/default profiles/gpu profiles/slurm profiles/kubernetes profiles/container
workflow/rules/common.smk workflow/schemas sdc/cli.py sdc/__main__.py sdc/registry.py sdc/settings.py sdc/hamming.py
sdc/calibration.py sdc/plan/entries.py sdc/plan/cells.py sdc/plan/ablations.py sdc/plan/selections.py
sdc/plan/resources.py sdc/plan/checks.py sdc/storage/files.py sdc/storage/manifest.py sdc/storage/hdf5.py
sdc/storage/features.py sdc/storage/heads.py sdc/storage/codes.py sdc/datasets/base.py sdc/backbones/base.py
sdc/backbones/views.py sdc/backbones/extraction.py sdc/methods/data.py sdc/methods/base.py sdc/methods/training.py
sdc/evaluation/ranking.py sdc/evaluation/ties.py sdc/evaluation/landmarks.py sdc/evaluation/collapse.py
sdc/evaluation/significance.py sdc/report/page.py benchmarks tests/unit tests/contract tests/reference tests/workflow
examples docs results/README.md sdc/evaluation/relevance.py sdc/evaluation/metrics.py sdc/report/catalogue.py
sdc/report/figures sdc/report/tables sdc/datasets/problems.py sdc/datasets/decode.py sdc/datasets/draws.py
workflow/report sdc/search/index.py sdc/storage/index.py
"""

# Who may import whom: a package may import those below it, and none beside it.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"stages", "tools"},
    {"web"},
    {"report", "search"},
    {"evaluation", "methods", "backbones", "datasets"},
    {"storage"},
    {"plan"},
    {
        *(
            "hamming",
            "compiled",
            "calibration",
            "limits",
            "registry",
            "head",
            "devices",
            "settings",
            "errors",
            "labels",
        ),
        *("completion", "docstrings", "interrupts"),
    },
]


def rules(root):
    for path in (root / "workflow/rules").glob("*.smk"):
        # Rules that are made in a loop have their names from a table.
        pattern = r'^rule (\w+):|^use rule \w+ as (\w+)|^    "(aggregate\w*)": \('
        for name in re.findall(pattern, path.read_text(), re.MULTILINE):
            yield path.stem, next(filter(None, name)), path.read_text()


def test_stages_are_rules_subcommands_modules_and_tests(root):
    assert set(COMMANDS) == {name.replace("_", "-") for name in STAGES | TOOLS}
    assert {path.stem for path in (root / "sdc/tools").glob("[a-z]*.py")} == TOOLS
    assert {path.stem for path in (root / "sdc/stages").glob("[a-z]*.py")} == STAGES
    assert {path.stem for path in (root / "workflow/rules").glob("*.smk")} == STAGES | {"common"}
    assert {path.stem for path in (root / "tests/unit/stages").glob("test_*.py")} == {
        f"test_{stage}" for stage in STAGES
    }
    found = list(rules(root))
    # A stage may have more than one rule; then the others' names begin with its own.
    assert {name for _, name, _ in found} >= STAGES
    assert all(name == stage or name.startswith(f"{stage}_") for stage, name, _ in found)


def test_rules_call_their_own_subcommand_and_carry_their_name_in_log_and_benchmark(root):
    for stage, name, text in rules(root):
        assert f"python -m sdc {stage}" in text
        paths = re.findall(r'"results/(?:logs|benchmarks)/(\w+)/', text)
        assert name in paths, name
        assert all(path == stage or path.startswith(f"{stage}_") for path in paths)


def test_every_module_has_a_test(root):
    tested = {path.relative_to(root / "tests/unit").as_posix() for path in (root / "tests/unit").rglob("test_*.py")}
    # Nothing to run by itself: two exceptions, an abstract class, and the call of cli.main.
    exempt = {"errors.py", "backbones/base.py", "__main__.py"}
    modules = {path.relative_to(root / "sdc") for path in (root / "sdc").rglob("*.py") if path.stem != "__init__"}
    assert exempt < {module.as_posix() for module in modules}
    for module in modules:
        expected = (module.parent / f"test_{module.name}").as_posix()
        assert expected in tested or module.as_posix() in exempt, module


def level_of(module):
    top = module.split(".")[1]
    return next(index for index, names in enumerate(LEVELS) if top in names)


@pytest.fixture(scope="module")
def imports(root):
    """Which modules each module of ours imports: at its top, inside functions, or for types only."""
    paths = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (root / "sdc").rglob("*.py")
    }
    graph = {}
    for module, path in paths.items():
        graph[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module}: imports are absolute"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            # What is no module is something in the module before the last dot.
            graph[module] |= {name if name in paths else name.rpartition(".")[0] for name in names} & set(paths)
    return graph


def test_imports_run_downwards(imports):
    wrong = []
    for module, imported in ((module, imported) for module, names in imports.items() for imported in names):
        if "sdc" in (module, imported):
            continue
        same_package = module.split(".")[1] == imported.split(".")[1]
        up = level_of(imported) < level_of(module)
        beside = level_of(imported) == level_of(module) < len(LEVELS) - 1 and not same_package
        if up or beside or (module.startswith("sdc.stages.") and imported.startswith("sdc.stages")):
            wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_no_modules_import_each_other_in_a_circle(imports):
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_everything_lies_where_the_layout_says(root):
    packages = {path.parent.name for path in (root / "sdc").glob("*/__init__.py")}
    assert packages == PACKAGES
    for name in LAYOUT.split():
        assert (root / name).exists(), name
    assert {path.stem for path in (root / "envs").glob("*.yaml")} == {"features", "heads", "tables", "search"}


def test_tests_import_no_other_tests(root):
    for path in (root / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not [part for part in parts if part == "conftest" or part.startswith("test_")], path


def test_library_knows_nothing_of_snakemake(root):
    for path in (root / "sdc").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "snakemake" for name in names), path


@pytest.mark.parametrize("package", ["datasets", "methods"])
def test_every_module_is_registered(root, package):
    helpers = set(
        "__init__ arrays base check codewords data decode download draws instances linear list_dataset list_file "
        "locate losses optimisers pca pickles precision problems similarity trainable training vectors".split()
    )
    modules = {path.stem for path in (root / "sdc" / package).glob("*.py")} - helpers
    assert modules == {target.partition(":")[0].rpartition(".")[2] for target in registry.CATALOGUES[package].values()}


def test_backbones_are_torchvisions_classifiers_that_end_in_a_linear_layer():
    import torchvision.models

    listed = set(torchvision.models.list_models(module=torchvision.models))
    assert set(registry.TORCHVISION) == {name for name in listed if not name.startswith("squeezenet")}


def test_names_are_lower_case_words():
    for names in registry.CATALOGUES.values():
        assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


def test_nothing_tracked_names_a_machine_or_a_registry(root, python):
    import subprocess

    files = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout")
    hosts = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "/ro" + "ot/",
        "/wo" + "rk/",
        "--index" + "-url",
        "--extra-index" + "-url",
    ]
    for name in filter(None, files.stdout.split("\0")):
        text = (root / name).read_text(errors="replace") if (root / name).is_file() else ""
        assert not [host for host in hosts if host in text], name
