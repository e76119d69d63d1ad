"""The report: one HTML page that needs nothing but itself, from tables, figures and what is known of the runs.

Sorting and filtering take the forty lines of plain JavaScript in the template: the libraries for tables that come as
Python packages bring half a megabyte of script into every page, and a notebook into the environment.
"""

import contextlib
import dataclasses
import html
import importlib.metadata
import io
import json
import os
import platform
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdc import __version__, devices
from sdc.plan.selections import benchmarks, pairs
from sdc.report import catalogue, theme
from sdc.report.benchmarks import Measured, read_benchmarks
from sdc.report.runs import Runs
from sdc.report.summary import summary
from sdc.storage.records import read_record, record_path

CITATION = """@inproceedings{ng2023sdc,
  title     = {Unsupervised Hashing with Similarity Distribution Calibration},
  author    = {Kam Woh Ng and Xiatian Zhu and Jiun Tian Hoe and Chee Seng Chan and Tianyu Zhang and Yi-Zhe Song and
               Tao Xiang},
  booktitle = {British Machine Vision Conference (BMVC)},
  year      = {2023}
}"""
_RULES = ("ties", "denominator", "convention")
_RELEVANCE = {"instance": "listed", "none": "unknown: there are no labels, and nothing that needs them was measured"}


@dataclasses.dataclass(frozen=True)
class Part:
    """A table (``html``) or a figure (``svg``, a whole file) of the page; ``data`` is the CSV file of its numbers."""

    id: str
    title: str
    html: str = ""
    svg: str = ""
    caption: str = ""
    alternative: str = ""
    data: str = ""


def of_runs(runs: Runs, folder: Path, embed: Sequence[Path], config: Mapping[str, Any]) -> str:
    """The page of a selection.

    Args:
        runs: Of the selection.
        folder: In which ``figures/{dataset}/{backbone}/`` lie.
        embed: Tables (``.html``) and figures of ablations (``.svg``).
        config: The whole config.
    """
    groups = {}
    failed = {(cell.dataset, cell.backbone) for cell in runs.missing}
    for dataset, backbone in pairs(runs.selection):
        paths = {e: folder / e.path.format(dataset=dataset, backbone=backbone) for e in catalogue.entries("pair")}
        groups[f"{dataset}, {backbone}"] = [
            figure(entry, path, f"{dataset}-{backbone}")
            for entry, path in paths.items()
            if (dataset, backbone) not in failed or path.with_suffix(".svg").exists()
        ]
    parts = [embedded(path) for path in embed]
    groups["Ablations"] = [part for part in parts if part.svg]
    sidecars = {dataset: runs.results / f"manifests/{dataset}.json" for dataset in runs.selection["datasets"]}
    measured = {
        stage: read_benchmarks(runs.results / path for path in paths)
        for stage, paths in benchmarks(config, runs.selection).items()
    }
    return render(
        summary=summary(runs),
        tables=[part for part in parts if part.html],
        groups={title: group for title, group in groups.items() if group},
        facts=facts([run.metrics for run in runs.distinct]),
        manifests={
            dataset: read_record(path, "prepare", {"dataset": dataset}).facts
            for dataset, path in sidecars.items()
            if path.exists() or dataset not in {name for name, _ in failed}
        },
        stages=costs(measured),
        gaps=[{**c._asdict(), "method": theme.title(c.method), "reason": why} for c, why in runs.missing.items()],
        config=json.dumps(dict(config), indent=2) if config else "",
    )


def render(
    tables: Sequence[Part],
    groups: Mapping[str, Sequence[Part]],
    facts: Mapping[str, Any],
    manifests: Mapping[str, Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]] = (),
    config: str = "",
    summary: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        tables, groups: Tables in their order; figures by the title of their section.
        facts: See ``facts``.
        stages: See ``costs``.
        manifests: The sidecar of each dataset's manifest.
        gaps: Runs without a result: ``dataset, backbone, method, bits, seed`` and the ``reason``.
        config: As JSON.
        summary: Sentences that come first.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sdc.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("report.html").render(
        title="Hashing report" + (", incomplete" if gaps else ""),
        about=f"sdc {facts.get('sdc', '')}: {', '.join(manifests)}. Everything on this page is inside this file.",
        summary=summary,
        tables=tables,
        groups=[
            {"id": re.sub(r"\W+", "-", title).strip("-").lower(), "title": title, "figures": map(_figure, parts)}
            for title, parts in groups.items()
        ],
        facts=facts,
        datasets=[_dataset(name, sidecar) for name, sidecar in manifests.items()],
        stages=stages,
        gaps=gaps,
        config=config,
        citation=CITATION,
    )


def embedded(path: Path) -> Part:
    """A table (``.html``) or a figure (``.svg``) that has no caption of its own."""
    text = _read(path)
    name, where = path.stem.replace("_", " "), f"{path.parent.name}-{path.stem}"
    if path.suffix == ".svg":
        data = path.with_suffix(".csv")
        numbers = _read(data) if data.exists() else ""
        return Part(f"figure-{where}", name, svg=text, alternative=f"{name}; its table has the numbers", data=numbers)
    title = re.search(r"<title>(.*?)</title>", text)
    inner = text.partition("<body>")[2].rpartition("</body>")[0].strip()
    return Part(f"table-{where}", html.unescape(title[1]) if title else name, html=inner)


def figure(entry: catalogue.Entry, path: Path, where: str) -> Part:
    """A figure and its numbers, from its files (``path`` without suffix); its id on the page begins with ``where``."""
    import pandas as pd

    data = _read(path.with_suffix(".csv"))
    return Part(
        f"{where}-{entry.name}", entry.title, caption=entry.caption,
        alternative=entry.module.alternative(pd.read_csv(io.StringIO(data))),
        svg=_read(path.with_suffix(".svg")), data=data,
    )  # fmt: skip


def _read(path: Path) -> str:
    """A table or figure, as it was made."""
    return read_record(record_path(path), "aggregate").read(path).decode()


def facts(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Versions, this machine, how many runs, and by what rules they were scored."""
    names = ("numpy", "torch", "torchvision", "scikit-learn", "snakemake")
    versions = {distribution.name.lower(): distribution.version for distribution in importlib.metadata.distributions()}
    rules = {key: ", ".join(dict.fromkeys(str(run[key]) for run in runs if key in run)) for key in _RULES}
    return {
        "sdc": ", ".join(dict.fromkeys(run["version"] for run in runs)) or __version__,
        "runs": str(len(runs)),
        **{what: value for what, value in rules.items() if value},
        "this machine": f"{platform.platform()}, {_processor()}, {os.cpu_count()} cores, {devices.count_gpus()} GPUs",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {versions[name]}" for name in names if name in versions),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if model:
            return model[1]
    return platform.processor() or platform.machine()


def inline(svg: str, name: str, alternative: str) -> str:
    """An SVG file as an element of a page, sized by the page and in its colours.

    Args:
        svg: The file.
        name: What its ids shall begin with.
        alternative: Words for those who do not see it.
    """
    root, _, rest = svg[svg.index("<svg") :].partition(">")
    size = re.search(r'viewBox="[^"]*"', root)
    rest = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", rest, flags=re.DOTALL)
    # Groups are named, and counted, in each figure by itself; only what is referred to needs its name.
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', rest))
    rest = re.sub(r' id="([\w.-]+)"', lambda own: f' id="{name}-{own[1]}"' if own[1] in used else "", rest)
    rest = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', rest).replace("url(#", f"url(#{name}-")
    rest = rest.replace("xlink:href=", "href=")
    return f'<svg {size[0] if size else ""} role="img" aria-label="{html.escape(alternative)}">{rest.strip()}'


def costs(measured: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """How many jobs each stage had, and what they took: seconds, and MB of memory at the peak."""
    rows = []
    for name, jobs in measured.items():
        seconds = [job.seconds for job in jobs]
        peaks = [job.megabytes for job in jobs if job.megabytes is not None]
        if seconds:
            shown = {"seconds": f"{sum(seconds):,.1f}", "longest": f"{max(seconds):,.1f}"}
            rows.append({"name": name, "jobs": len(jobs), **shown, "memory": f"{max(peaks):,.0f}" if peaks else "–"})
    return rows


def _figure(part: Part) -> dict[str, Any]:
    return {
        **vars(part),
        "svg": inline(part.svg, part.id, part.alternative),
        "file": f"{part.id}.csv",
        "link": "data:text/csv;charset=utf-8," + urllib.parse.quote(part.data, safe=",.-+"),
        "rows": max(0, part.data.count("\n") - 1),
    }


def _dataset(name: str, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    dropped = list(sidecar["dropped"])[:100]
    facts = {
        "protocol": sidecar["protocol"],
        "counts": ", ".join(f"{count:,} {what}" for what, count in sidecar["counts"].items()),
        "relevance": _RELEVANCE.get(sidecar["label_kind"], "a shared label"),
        "classes": len(sidecar["classes"]),
        "queries and database": sidecar["splits"]["query and database"],
        "training items": sidecar["splits"]["train"],
        "seed of the split": sidecar["seed"],
        "dropped files": sidecar["dropped_files"],
        **{f"SHA-256 of {what}": value for what, value in sidecar["sources"].items()},
    }
    return {"title": name, "facts": facts, "dropped": dropped, "more": sidecar["dropped_files"] - len(dropped)}
