"""``sdc datasets``: which datasets are there, what one needs, and all problems of one at once."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sdc import registry
from sdc.datasets.base import Dataset
from sdc.datasets.check import check
from sdc.datasets.problems import said_once
from sdc.errors import SDCError
from sdc.plan import schema
from sdc.plan.config_files import check_keys
from sdc.settings import check as check_settings
from sdc.settings import check_name
from sdc.storage.manifest import SPLITS

_KINDS = {
    "single": "One label an image",
    "multi": "Several labels an image, and those that share one are relevant",
    "any": "One label an image, several, or none",
    "instance": "Relevant images are listed for each query",
}
# Classes printed at either end of a histogram.
_PRINTED = 10


def run(
    action: Literal["describe", "check"] | None = None,
    name: str | None = None,
    *,
    root: str | None = None,
    settings: Mapping[str, Any] | None = None,
    configfile: Path | None = None,
    json_: bool = False,
) -> int:
    """List datasets, or check one.

    Example:
        sdc datasets describe cifar10
        sdc datasets check folder --root photographs

    Args:
        action: Nothing lists all datasets; ``describe`` says what must lie where, which protocols there are, and what
            can be set; ``check`` checks.
        name: Of the dataset: registered, or an entry of the config; with ``describe``, all of them if not given.
        root: Where it lies, instead of what its settings say.
        settings: Of the entry, over those of the config.
        configfile: A config whose ``datasets`` to list, or among which to look for the name.
        json_: Print JSON instead of text.

    Returns:
        Exit status: 1 if the check reports problems, else 0.

    Raises:
        SDCError: If the name is unknown or a setting is.
    """
    entries = _entries(configfile)
    if name is not None and "type" not in (settings or {}):
        check_name("name", name, dict.fromkeys([*entries, *registry.DATASETS]), "")
    if action is None:
        datasets = [_presence(name, entry) for name, entry in entries.items()]
        print(json.dumps(datasets, indent=2) if json_ else _table(datasets))
        if configfile and not json_:
            print("", *said_once({each["name"]: each["missing"] for each in datasets}), sep="\n")
        return 0
    if action == "describe":
        names = list(registry.DATASETS) if name is None else [name]
        print("\n".join(describe(name, entries.get(name, {})) for name in names))
        return 0
    if name is None:
        raise SDCError("which dataset? sdc datasets check NAME")
    entry = {**entries.get(name, {}), **(settings or {}), **({"root": root} if root else {})}
    # A check downloads nothing.
    report = check(name, {**entry, **_no_download(name, entry)})
    print(json.dumps(report, indent=2) if json_ else _text(report))
    return 1 if report["problems"] else 0


def _entries(configfile: Path | None) -> dict[str, dict[str, Any]]:
    """Settings by name: of the config's datasets, or of every registered one, which needs none."""
    if configfile is None:
        return {name: {} for name in registry.DATASETS}
    import yaml

    try:
        config = yaml.safe_load(configfile.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SDCError(f"{configfile}: cannot be read ({error}); give a config as snakemake takes it") from error
    check_keys(configfile)
    known = schema.shape()["properties"]
    selected = {"type": "object", "properties": {"datasets": known["run"]["properties"]["datasets"]}}
    parts = {"type": "object", "properties": {"run": selected, "datasets": known["datasets"]}}
    check_settings(config, parts, where=str(configfile))
    entries = config.get("datasets", {})
    return {name: dict(entries.get(name, {})) for name in [*config.get("run", {}).get("datasets", []), *entries]}


def _no_download(name: str, entry: Mapping[str, Any]) -> dict[str, bool]:
    return {"download": False} if "download" in registry.entry_schema("datasets", name, entry)["properties"] else {}


def _presence(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    dataset: Dataset = registry.build("datasets", name, entry)
    here = registry.build("datasets", name, {**entry, **_no_download(name, entry)})
    return {
        "name": name,
        "title": dataset.title,
        "labels": dataset.label_kind,
        "protocols": list(dataset.protocols),
        "root": getattr(dataset, "root", None),
        "missing": dataset.missing(),
        "downloaded": not here.missing(),
        "on_disk": dataset.on_disk,
        "source": dataset.source,
    }


def _table(datasets: list[dict[str, Any]]) -> str:
    from tabulate import tabulate

    rows = [
        {
            **{column: each[column] or "" for column in ("name", "title", "labels", "root")},
            "there": "no" if each["missing"] else "yes" if each["downloaded"] else "will be downloaded",
            "source": each["source"].partition(";")[0],
        }
        for each in datasets
    ]
    return str(tabulate(rows, "keys"))


def describe(name: str, settings: Mapping[str, Any]) -> str:
    """Files and folders, source, protocols with their counts, keys with their defaults, as Markdown."""
    from tabulate import tabulate

    dataset: Dataset = registry.build("datasets", name, settings)
    root = getattr(dataset, "root", "")
    lines = [f"### {dataset.title}: `{name}`", "", f"{_KINDS[dataset.label_kind]}; {dataset.source}.", ""]
    if dataset.on_disk:
        tree = [f"  {line}" for line in dataset.on_disk.splitlines()]
        lines += ["```", *([f"{root}/"] if root else []), *tree, "```", ""]
    if dataset.protocols:
        rows = [
            [f"`{key}`", *("" if (n := getattr(known, split)) is None else f"{n:,}" for split in SPLITS), known.about]
            for key, known in dataset.protocols.items()
        ]
        lines += [tabulate(rows, ["protocol", *SPLITS, ""], tablefmt="github", disable_numparse=True), ""]
    if dataset.preprocessing:
        used = ", ".join(f"{key} {value}" for key, value in dataset.preprocessing.items())
        lines += [f"Preprocessing, where the backbone's entry says nothing: {used}.", ""]
    common = {field.name for field in dataclasses.fields(Dataset)} - {"seed", "map_at", "augmentation"}
    # JSON is YAML; plain words need no quotes.
    plain = re.compile(r"[\w./-]+")
    block = [
        f"    {key}: {value if isinstance(value, str) and plain.fullmatch(value) else json.dumps(value)}"
        for key, value in dataset.as_dict().items()
        if key not in common
    ]
    return "\n".join([*lines, "```yaml", "datasets:", f"  {name}:", *block, "```", ""])


def _text(report: Mapping[str, Any]) -> str:
    """The report for people: what is there, then the problems."""
    from tabulate import tabulate

    lines = [f"{report['dataset']}: {report.get('protocol', 'cannot be listed')}", f"source: {report['source']}"]
    if "counts" in report:
        published = report["published"]
        counts, unlabelled = report["counts"], report["without_labels"]
        rows = [[split, counts[split], published.get(split, ""), unlabelled[split] or ""] for split in SPLITS]
        lines += ["", tabulate(rows, ["split", "images", "published", "without label"])]
        lines += [f"{pair}: {fact}" for pair, fact in report["splits"].items()]
        files = report["files"]
        shown = ", ".join(f"{count} {mode}" for mode, count in files["modes"].items())
        lines += [
            "",
            f"looked at {files['looked_at']}: {shown}; {files['truncated']['count']} truncated, "
            f"{files['unreadable']['count']} unreadable, {files['turned_by_exif']} that EXIF would turn",
            f"dropped: {report['dropped']['count']}",
            f"queries whose content is in the database: {report['duplicates']['count']}",
            "",
            _classes(report["histogram"]),
        ]
    problems = [f"- {line}" for line in report["problems"]]
    summary = f"{len(problems)} problem{'s' * (len(problems) != 1)}" + ":" * bool(problems)
    return "\n".join([*lines, "", summary, *problems])


def _classes(histogram: Mapping[str, Mapping[str, int]]) -> str:
    """A row per class; of many classes, the ten largest and the ten smallest."""
    from tabulate import tabulate

    ordered = sorted(histogram.items(), key=lambda item: -item[1]["database"])
    rows = [[name, *(counts[split] for split in SPLITS)] for name, counts in ordered]
    if len(rows) > 2 * _PRINTED + 1:
        rows = [*rows[:_PRINTED], [f"… {len(rows) - 2 * _PRINTED} more", "", "", ""], *rows[-_PRINTED:]]
    return tabulate(rows, ["class", *SPLITS]) if rows else "no classes"
