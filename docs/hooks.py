"""What MkDocs makes beside the pages in docs/: the front page from README.md, and the reference from the code."""

from __future__ import annotations

import csv
import html
import inspect
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from mkdocs.structure.files import File

from sdc import cli, registry
from sdc.docstrings import description, section, summary
from sdc.plan import schema

ROOT = Path(__file__).resolve().parents[1]
# Pages that lie elsewhere in the repository.
ELSEWHERE = {"index.md": "README.md"} | {
    f"{name.lower()}.md": f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    pages = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in ELSEWHERE.items()}
    reference = {"cli": commands, "config": keys, "python": python, "artefacts": artefacts, "metrics": metrics}
    pages |= {f"reference/{name}.md": make() for name, make in reference.items()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links lead to pages of the site; what is in the repository alone is named without a link."""
    source = Path(ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    page_of = {source: name for name, source in ELSEWHERE.items()}

    def place(target: str) -> str | None:
        path = os.path.normpath(source.parent / target)
        name = page_of.get(path) or (path[len("docs/") :] if path.startswith("docs/") else None)
        if name is None or files.get_file_from_path(name) is None:
            return "reference/artefacts.md" if path == "results/README.md" else None
        return name

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        if "//" in target or not target:
            return match[0]
        name = place(target)
        return text if name is None else f"[{text}]({relative(name, page)}{anchor or ''})"

    def image(match: re.Match[str]) -> str:
        name = place(match[2])
        return f'{match[1]}="{match[2] if name is None else relative(name, page)}"'

    markdown = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", link, markdown)
    return re.sub(r'(src|srcset)="([^":]+)"', image, markdown)


def relative(name: str, page: Any) -> str:
    """A file of docs/ as a page links to it."""
    return os.path.relpath(name, Path(page.file.src_uri).parent)


def table(head: list[str], rows: Iterator[list[Any]]) -> str:
    """A Markdown table."""

    def shown(cell: Any) -> str:
        text = str(cell).replace("|", "\\|").replace("\n", " ")
        return text if "`" in text else html.escape(text, quote=False)

    cells = (list(map(shown, row)) for row in [head, *rows])
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def commands() -> str:
    """Every command's help."""
    with mock.patch.dict(os.environ, COLUMNS="110"):
        parts = [f"# Command line\n\nWhat `sdc` prints.\n\n```\n{cli.overview().format_help()}```\n"]
        for name in cli.COMMANDS:
            parts.append(f"## sdc {name}\n\n```\n{cli.parser_of(name).format_help()}```\n")
    return "\n".join(parts)


def keys() -> str:
    """Every key, from the schema that configs are checked by."""
    known = schema.whole()

    def resolved(value: Any) -> dict[str, Any]:
        while "$ref" in value:
            node: Any = known
            for key in value["$ref"][2:].split("/"):
                node = node[key]
            value = node
        return value

    def fields_of(properties: Mapping[str, Any]) -> str:
        fields = {key: resolved(value) for key, value in properties.items() if key != "type"}
        rows = (
            [f"`{key}`", f"`{json.dumps(field['default'])}`" if "default" in field else "", allowed(field),
             field.get("description", "")]
            for key, field in fields.items()
        )  # fmt: skip
        return table(["key", "default", "allowed", "what it is"], rows) if fields else "No keys.\n"

    def allowed(field: Mapping[str, Any]) -> str:
        if "enum" in field:
            return ", ".join(f"`{value}`" for value in field["enum"])
        kinds = [allowed(resolved(each)) for each in field["anyOf"]] if "anyOf" in field else []
        kind = field.get("type", "")
        if kind == "array" and "items" in field:
            kind = f"list of {allowed(resolved(field['items']))}"
        kinds += [" or ".join(kind) if isinstance(kind, list) else kind] if kind else []
        limits = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
        return ", ".join(
            [" or ".join(kinds), *(text.format(field[key]) for key, text in limits.items() if key in field)]
        )

    parts = [
        "# Config\n\nA config is YAML; `--configfile my.yaml` overlays `config.yaml`: mappings merge, lists are "
        "replaced. Unknown keys are refused. Editors complete it by `workflow/schemas/config.schema.json`.\n"
    ]
    for name, part in known["properties"].items():
        if name not in registry.CATALOGUES:
            inside = part.get("properties") or part.get("additionalProperties", {}).get("properties")
            parts += [f"## `{name}`\n\n{part.get('description', '')}\n", fields_of(inside or {name: part})]
    for catalogue, kinds in registry.CATALOGUES.items():
        parts.append(f"## `{catalogue}`\n\nBy name; an entry of a new name says by `type` which of these it is.\n")
        for target in dict.fromkeys(kinds.values()):
            names = [name for name in kinds if kinds[name] == target]
            cls = registry.load(catalogue, names[0])
            title = f"{cls.__name__}" if len(names) > 1 else names[0]
            listed = f" Types: {', '.join(f'`{name}`' for name in names)}.\n" if len(names) > 1 else ""
            fields = known["$defs"][f"{catalogue}.{cls.__name__}.fields"]["properties"]
            parts.append(f"### {title}\n\n{summary(cls.__doc__)}.{listed}\n\n{fields_of(fields)}")
    return "\n".join(parts)


def python() -> str:
    """What ``from sdc import …`` gives, from signatures and docstrings."""
    from sdc import SDC, Encoder, Index, SDCLoss

    methods = ", ".join(f"`{target.partition(':')[2]}`" for target in registry.METHODS.values())
    parts = [f"# Python\n\nMethods: {methods}. All have the face of `SDC`; their settings are the keys of the "
             "[config](config.md#methods).\n"]  # fmt: skip
    for cls in (SDC, SDCLoss, Encoder, Index):
        parts.append(f"## {cls.__name__}\n\n{description(cls.__doc__)}\n")
        if cls is not SDC:
            parts.append(arguments(cls.__doc__, ("Args", "Attributes")))
        for name, member in inspect.getmembers(cls):
            function = getattr(member, "__func__", member)
            ours = (getattr(function, "__module__", "") or "").startswith("sdc.") and inspect.isroutine(function)
            if name == "forward" or (ours and not name.startswith("_") and function.__doc__ and name not in INTERNAL):
                signature = re.sub(r"\bsdc\.[\w.]+\.|'", "", str(inspect.signature(member)))
                parts.append(f"### {cls.__name__}.{name}\n\n```python\n{name}{signature}\n```\n")
                parts += [f"{description(function.__doc__)}\n", arguments(function.__doc__, ("Args", "Raises"))]
                returns = "".join(section(function.__doc__, "Returns").values())
                parts.append(f"Returns: {returns}.\n" * bool(returns))
    return "\n".join(part for part in parts if part)


# What methods give to the training loop.
INTERNAL = ("as_dict", "build_auxiliary", "build_head", "fit_head", "follow", "head_input", "loss", "pair_targets")


def arguments(docstring: str | None, titles: tuple[str, ...]) -> str:
    """Sections of a docstring as lists."""
    lines = [f"- `{name}`: {text}." for title in titles for name, text in section(docstring, title).items()]
    return "\n".join(lines) + "\n" * bool(lines)


def artefacts() -> str:
    """results/README.md, and the columns of a run's files as the stages write them, of the digits."""
    text = (ROOT / "results/README.md").read_text(encoding="utf-8").replace("# What lies where", "# Artefacts")
    with tempfile.TemporaryDirectory() as folder:
        heads = dict(columns(Path(folder)))
    rows = ([f"`{name}`", ", ".join(f"`{column}`" for column in names)] for name, names in heads.items())
    text = text.replace("](../docs/", "](../")
    return f"{text}\n## Columns\n\nOf CSV files, and arrays and attributes of HDF5 files.\n\n" + table(
        ["file", "columns"], rows
    )


def columns(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Make a small run, and read what is in its files."""
    import h5py

    from sdc.stages import encode, evaluate, extract, prepare, train

    manifest, shard, head = folder / "digits.csv", folder / "shards/0-of-1.h5", folder / "head.safetensors"
    prepare.run("digits", {}, manifest)
    extract.run(manifest, "pixels", {}, shard=0, shards=1, out=shard, device="cpu")
    short = {"epochs": 1}
    train.run(manifest, shard.parent, 1, "sdc", short, 8, 0, out=head, curve=folder / "curve.csv", device="cpu")
    encode.run(manifest, shard.parent, 1, head, folder / "codes.h5")
    evaluate.run(manifest, folder / "metrics.json", folder / "codes.h5", jobs=1)
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            yield path.name.replace("digits", "{dataset}"), next(csv.reader(file))
    for path in (shard, folder / "codes.h5"):
        with h5py.File(path) as file:
            yield path.name.replace("0-of-1", "{shard}-of-{shards}"), [*file, *(f"@{name}" for name in file.attrs)]


def metrics() -> str:
    """The catalogue."""
    from sdc.evaluation.metrics import FORMULAS, METRICS

    what = {"RankedQueries": "Ranked queries", "FoundNeighbours": "Exact cosine neighbours",
            "HammingPairs": "Pairs by Hamming distance", "FeaturePairs": "Pairs of features",
            "CodeHealth": "Codes and their bits"}  # fmt: skip
    parts = [
        "# Metrics\n\nNames are keys of `metrics.json`. c_k of the first k items are relevant, T in all; of items at "
        "distance d, n_d at it and N_d nearer; p and u are the shares of positive and negative pairs at a similarity "
        "s, m and v their means and variances; of bits, p is the share of codes that set one; of codes, f the share of "
        "the n items with one of U codes. More: [evaluation](../evaluation.md#definitions).\n"
    ]
    better = {True: ", higher is better", False: ", lower is better", None: ""}
    for of in dict.fromkeys(metric.of.__name__ for metric in METRICS):
        rows = []
        for metric in (metric for metric in METRICS if metric.of.__name__ == of):
            least, most = ("" if bound is None else f"{bound}" for bound in metric.bounds)
            bounds = f" {least} to {most}" if most else f" from {least}" if least else ""
            unit = metric.unit + bounds + better[metric.higher_is_better]
            rows.append([f"`{metric.name}`", metric.label, *FORMULAS.get(metric.name, ("", "")), unit])
        parts.append(f"## {what.get(of, of)}\n")
        parts.append(table(["name", "what it is", "formula", "source", "unit"], iter(rows)))
    return "\n".join(parts)
