"""``sdc datasets``: which datasets are there; and ``sdc datasets check``: what is wrong with one, all of it at once."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from sdc import registry
from sdc.datasets.base import Dataset, ImageFiles
from sdc.datasets.decode import decode
from sdc.datasets.problems import Problems
from sdc.errors import SDCError
from sdc.storage.manifest import Manifest

_log = logging.getLogger(__name__)
# How many of a kind of finding are named; the rest are counted.
_NAMED = 10
_KINDS = {
    "single": "One label an image",
    "multi": "Several labels an image, and those that share one are relevant",
    "any": "One label an image, or several",
    "instance": "Relevant images are listed for each query",
}
_SPLITS = ("query", "database", "train")
# EXIF's tag of how the camera was held, and the values that mean upright.
_ORIENTATION, _UPRIGHT = 0x0112, (0, 1)


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

    Args:
        action: Nothing lists all datasets; ``describe`` says what must lie where, which protocols there are, and what
            can be set; ``check`` checks.
        name: Of the dataset: registered, or an entry of the config; with ``describe``, all of them if not given.
        root: Where it lies, instead of what its settings say.
        settings: Of the entry, over those of the config.
        configfile: A config whose ``datasets`` to list, or among which to look for the name.
        json_: Print JSON instead of text.

    Returns:
        Exit status: 0 if all is well, or nothing was checked; 1 if the check found something.

    Raises:
        SDCError: If the name is unknown or a setting is.
    """
    entries = _entries(configfile)
    if action is None:
        listed = [_presence(name, entry) for name, entry in entries.items()]
        print(json.dumps(listed, indent=2) if json_ else _table(listed))
        return 0
    if action == "describe":
        names = list(registry.DATASETS) if name is None else [name]
        print("\n".join(describe(name, entries.get(name, {})) for name in names))
        return 0
    entry = {**entries.get(str(name), {}), **(settings or {}), **({"root": root} if root else {})}
    if name is None:
        raise SDCError("which dataset? sdc datasets check NAME")
    # Who asks what is there does not ask for more.
    report = check(str(name), {**entry, **_no_download(str(name), entry)})
    print(json.dumps(report, indent=2) if json_ else _text(report))
    return 1 if report["problems"] else 0


def _entries(configfile: Path | None) -> dict[str, dict[str, Any]]:
    """Settings by name: of the config's datasets, or of every registered one that needs none."""
    if configfile is None:
        return {name: {} for name in registry.DATASETS}
    import yaml

    try:
        config = yaml.safe_load(configfile.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SDCError(f"{configfile}: cannot be read ({error}); give a config as snakemake takes it") from error
    chosen: dict[str, dict[str, Any]] = {name: {} for name in config.get("run", {}).get("datasets", [])}
    return {**chosen, **{name: dict(entry or {}) for name, entry in config.get("datasets", {}).items()}}


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


def _table(listed: list[dict[str, Any]]) -> str:
    from tabulate import tabulate

    rows = [
        [
            item["name"],
            item["title"],
            item["labels"],
            item["root"] or "",
            "no: " + item["missing"][0] if item["missing"] else "yes" if item["downloaded"] else "will be downloaded",
        ]
        for item in listed
    ]
    return tabulate(rows, ["name", "title", "labels", "root", "there"], maxcolwidths=[None, None, None, None, 70])


def describe(name: str, settings: Mapping[str, Any]) -> str:
    """What must lie where, whence it comes, protocols with their counts, keys with their defaults, as Markdown."""
    from tabulate import tabulate

    dataset: Dataset = registry.build("datasets", name, settings)
    root = getattr(dataset, "root", "")
    lines = [f"### {dataset.title}: `{name}`", "", f"{_KINDS[dataset.label_kind]}; {dataset.source}.", ""]
    if dataset.on_disk:
        tree = [f"  {line}" for line in dataset.on_disk.splitlines()]
        lines += ["```", *([f"{root}/"] if root else []), *tree, "```", ""]
    if dataset.protocols:
        rows = [
            [f"`{key}`", *("" if (n := getattr(known, split)) is None else f"{n:,}" for split in _SPLITS), known.about]
            for key, known in dataset.protocols.items()
        ]
        lines += [tabulate(rows, ["protocol", *_SPLITS, ""], tablefmt="github", disable_numparse=True), ""]
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


def check(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that can be said of a dataset on disk; every image is decoded once.

    Args:
        name: Of the catalogue entry.
        settings: The entry.

    Returns:
        JSON values: ``problems``, a line each; ``protocol``, ``counts``, ``splits``; ``files`` (how many were decoded,
        cut short, of which mode, would be turned by EXIF); ``without_labels``; ``duplicates`` of queries in the
        database by content; ``histogram``, items by class and split.

    Raises:
        SDCError: If the name is unknown or a setting is.
    """
    dataset: Dataset = registry.build("datasets", name, settings)
    problems = Problems(gather=True)
    problems.lines += dataset.missing()
    report: dict[str, Any] = {"dataset": name, "settings": dataset.as_dict(), "source": dataset.source}
    try:
        manifest = dataset.scan(problems)
    except SDCError as error:
        problems.lines.append(str(error))
        return {**report, "problems": list(dict.fromkeys(problems.lines))}
    facts = manifest.facts
    known = dataset.protocols.get(getattr(dataset, "protocol", ""))
    report |= {
        "protocol": facts["protocol"],
        "counts": facts["counts"],
        "published": {key: getattr(known, key) for key in _SPLITS if getattr(known, key, None) is not None},
        "splits": facts["splits"],
        "dropped": {"count": facts["dropped_files"], "first": facts["dropped"][:_NAMED]},
    }
    contents, report["files"] = _look(dataset, manifest, problems)
    report["duplicates"] = _duplicates(manifest, contents, problems)
    unlabelled = manifest.labels.counts == 0
    report["without_labels"] = {split: int((unlabelled & getattr(manifest, split)).sum()) for split in _SPLITS}
    # In a multi-label set some images show none of what is labelled.
    if dataset.label_kind == "single":
        for split in ("query", "train"):
            if report["without_labels"][split]:
                first = manifest.paths[int(np.flatnonzero(unlabelled & getattr(manifest, split))[0])]
                problems(f"{report['without_labels'][split]} images of {split} have no label, the first: {first}")
    report["histogram"] = _histogram(manifest)
    # The same file may be named by more than one check.
    return {**report, "problems": list(dict.fromkeys(problems.lines))}


@dataclasses.dataclass(frozen=True)
class _Seen:
    """An item: the hash of its content; of a image file also its mode, and whether it is whole and upright."""

    content: bytes = b""
    mode: str = "RGB"
    truncated: bool = False
    turned: bool = False
    error: str = ""


def _look(dataset: Dataset, manifest: Manifest, problems: Problems) -> tuple[list[bytes], dict[str, Any]]:
    """The hash of every item's content, empty where there is none, and what was noticed of the files."""
    if dataset.vector_files():
        seen = _look_at_vectors(dataset, manifest, problems)
    else:
        look: Any
        if isinstance(dataset, ImageFiles):
            root = Path(dataset.root)
            look = lambda path: _look_at_file(root / path)  # noqa: E731
        else:
            open_image = dataset.opener()
            look = lambda path: _Seen(hashlib.sha256(open_image(path).tobytes()).digest())  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor() as pool:
            shown = tqdm(
                pool.map(look, manifest.paths), total=len(manifest), unit="image", desc="decoding", disable=None
            )
            seen = list(shown)
    unreadable = [item.error for item in seen if item.error]
    if unreadable:
        named = "; ".join(unreadable[:_NAMED])
        problems(
            f"{len(unreadable)} of {len(seen)} files cannot be decoded: {named}{'; …' * (len(unreadable) > _NAMED)}"
        )
    cut = [path for path, item in zip(manifest.paths, seen, strict=True) if item.truncated]
    if cut and getattr(dataset, "truncated", "fail") == "fail":
        problems(
            f"{len(cut)} JPEG files end too soon: {', '.join(cut[:_NAMED])}{', …' * (len(cut) > _NAMED)}; "
            "copy them again, or set truncated: load"
        )
    modes = collections.Counter(item.mode for item in seen if not item.error)
    files = {
        "looked_at": len(seen),
        "unreadable": {"count": len(unreadable), "first": unreadable[:_NAMED]},
        "truncated": {"count": len(cut), "first": cut[:_NAMED]},
        "modes": dict(modes.most_common()),
        "turned_by_exif": sum(item.turned for item in seen),
    }
    return [item.content for item in seen], files


def _look_at_vectors(dataset: Dataset, manifest: Manifest, problems: Problems) -> list[_Seen]:
    try:
        held = dataset.vectors(manifest)
    except SDCError as error:
        problems(str(error))
        held = None
    if held is None:
        return [_Seen(mode="vector")] * len(manifest)
    spans = (np.arange(start, min(start + 16384, len(manifest))) for start in range(0, len(manifest), 16384))
    return [_Seen(hashlib.sha256(row.tobytes()).digest(), mode="vector") for rows in spans for row in held.take(rows)]


def _look_at_file(path: Path) -> _Seen:
    from PIL import Image

    try:
        decoded = decode(path, truncated="load")
        with Image.open(path) as image:
            mode, held = image.mode, image.getexif().get(_ORIENTATION, 1)
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except (SDCError, OSError) as error:
        # A file that is not there was named by the scan.
        return _Seen() if not os.path.lexists(path) else _Seen(error=str(error).split("; fix")[0])
    return _Seen(content, mode, bool(decoded.info.get("truncated")), held not in _UPRIGHT)


def _duplicates(manifest: Manifest, contents: list[bytes], problems: Problems) -> dict[str, Any]:
    """Queries whose very content is in the database too: found at distance 0, they flatter every score."""
    held = {contents[row]: row for row in manifest.rows("database")[::-1] if contents[row]}
    pairs = [
        [manifest.paths[row], manifest.paths[held[contents[row]]]]
        for row in manifest.rows("query")
        if contents[row] in held
    ]
    if pairs:
        named = ", ".join(f"{query} = {twin}" for query, twin in pairs[:_NAMED])
        problems(f"{len(pairs)} queries have the same content as a database image (leakage): {named}")
    return {"count": len(pairs), "first": pairs[:_NAMED]}


def _histogram(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Items by class name and split."""
    names = manifest.facts["classes"]
    classes = max(len(names), 1 + int(manifest.labels.indices.max(initial=-1)))
    counted = {split: manifest.labels.take(manifest.rows(split)).histogram(classes) for split in _SPLITS}
    return {
        str(names[index] if index < len(names) else index): {split: int(counted[split][index]) for split in _SPLITS}
        for index in range(classes)
    }


def _text(report: Mapping[str, Any]) -> str:
    """The report for people: what is there, then what is wrong."""
    from tabulate import tabulate

    lines = [f"{report['dataset']}: {report.get('protocol', 'cannot be listed')}", f"source: {report['source']}"]
    if "counts" in report:
        published = report["published"]
        rows = [
            [split, report["counts"][split], published.get(split, ""), report["without_labels"][split] or ""]
            for split in _SPLITS
        ]
        lines += ["", tabulate(rows, ["split", "images", "published", "without label"])]
        lines += [f"{pair}: {fact}" for pair, fact in report["splits"].items()]
        files = report["files"]
        shown = ", ".join(f"{count} {mode}" for mode, count in files["modes"].items())
        lines += [
            "",
            f"looked at {files['looked_at']}: {shown}; {files['truncated']['count']} cut short, "
            f"{files['unreadable']['count']} unreadable, {files['turned_by_exif']} that EXIF would turn",
            f"dropped: {report['dropped']['count']}",
            f"queries whose content is in the database: {report['duplicates']['count']}",
            "",
            _classes(report["histogram"]),
        ]
    found = report["problems"]
    lines += [
        "",
        f"{len(found)} problem{'s' * (len(found) != 1)}" + ":" * bool(found),
        *(f"- {line}" for line in found),
    ]
    return "\n".join(lines)


def _classes(histogram: Mapping[str, Mapping[str, int]]) -> str:
    """A row per class; of many classes, the ten largest and the ten smallest."""
    from tabulate import tabulate

    ordered = sorted(histogram.items(), key=lambda item: -item[1]["database"])
    rows = [[name, *(counts[split] for split in _SPLITS)] for name, counts in ordered]
    if len(rows) > 2 * _NAMED + 1:
        rows = [*rows[:_NAMED], [f"… {len(rows) - 2 * _NAMED} more", "", "", ""], *rows[-_NAMED:]]
    return tabulate(rows, ["class", *_SPLITS]) if rows else "no classes"
