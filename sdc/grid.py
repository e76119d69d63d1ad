"""What a config asks for: cells, shards, file names. Pure functions that the Snakefile calls."""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sdc import registry
from sdc.errors import SDCError
from sdc.settings import check

# Settings of a dataset that its manifest does not depend on: changing them prepares nothing anew.
LATER_SETTINGS = (
    "shards", "map_at", "precision_at", "views", "augmentation", "truncated", "orientation", "train_on", "recentre",
)  # fmt: skip
# Kinds of features: of the pictures themselves, or of augmented views of the training pictures.
KINDS = ("clean", "views", "views_asymmetric", "tokens")


class Cell(NamedTuple):
    """One run: a method with a code length and a seed on the features of a dataset by a backbone."""

    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int

    @property
    def folder(self) -> str:
        """The run's directory below ``results/``."""
        return f"runs/{self.dataset}/{self.backbone}/{self.method}/{self.bits}bit/seed{self.seed}"


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check a whole config: its shape by the schema, its names and settings by the registry.

    Raises:
        SDCError: One line with key, value, what is allowed and the nearest name.
    """
    check(config, schema)
    for catalogue in registry.CATALOGUES:
        entries = config.get(catalogue, {})
        for name, entry in entries.items():
            check(entry, registry.entry_schema(catalogue, name, entry), where=f"{catalogue}.{name}")
        names = sorted({*registry.CATALOGUES[catalogue], *entries})
        allowed = {"type": "array", "items": {"enum": names}}
        check(config["run"], {"properties": {catalogue: allowed}}, where="run")
    selected = {axis: {"enum": list(config["run"][axis])} for axis in ("backbones", "methods")}
    for backbone, methods in config["run"].get("only", {}).items():
        check({"only": backbone}, {"properties": {"only": selected["backbones"]}}, where="run")
        check({backbone: methods}, {"properties": {backbone: {"items": selected["methods"]}}}, where="run.only")
    check(config.get("report", {}), {"properties": {"retrieval": {"items": selected["methods"]}}}, where="report")
    _check_combinations({**config, "methods": {**config.get("methods", {}), **variant_entries(config)}})


def _check_combinations(config: Mapping[str, Any]) -> None:
    """Check that backbones take what the datasets hold, and that methods can be trained on it."""
    sources = {name: trained_on(config, name) for name in (*config["run"]["datasets"], *config.get("datasets", {}))}
    held = {dataset: _build(config, "datasets", dataset) for dataset in datasets_used(config)}
    for backbone in config["run"]["backbones"]:
        taker = _build(config, "backbones", backbone)
        for dataset, made in held.items():
            check_kinds(dataset, made, backbone, taker)
    selections = [config["run"], *(ablation_run(config, name) for name in config.get("ablations", {}))]
    every = itertools.chain.from_iterable(map(cells, selections))
    runs = dict.fromkeys((sources[cell.dataset], cell.backbone, cell.method) for cell in every)
    for dataset, backbone, method in runs:
        if held[dataset].vector_files():
            training_kinds(config, dataset, backbone, method)


def entry(config: Mapping[str, Any], catalogue: str, name: str) -> dict[str, Any]:
    """The catalogue entry of a name: what the config says of it, or nothing for the defaults.

    A ``preset`` of the config is that of every method that does not name its own.
    """
    common = {"preset": config["preset"]} if catalogue == "methods" and "preset" in config else {}
    return {**common, **config.get(catalogue, {}).get(name, {})}


def cells(run: Mapping[str, Any]) -> list[Cell]:
    """All runs of a selection, in the order of its lists.

    Args:
        run: ``{datasets, backbones, methods, bits, seeds}``, a list each; and ``only``: by backbone, the methods to
            which it is limited.
    """
    axes = (run[axis] for axis in ("datasets", "backbones", "methods", "bits", "seeds"))
    only = run.get("only", {})
    every = (Cell(*values) for values in itertools.product(*axes))
    return [cell for cell in every if cell.method in only.get(cell.backbone, [cell.method])]


def computed(cell: Cell, run: Mapping[str, Any]) -> Cell:
    """The run whose metrics a cell of a selection has: its own, or the first seed's if its method is run ``once``."""
    return cell._replace(seed=run["seeds"][0]) if cell.method in run.get("once", ()) else cell


def baseline(dataset: str, backbone: str) -> str:
    """The folder below ``results/`` of what exact cosine on a dataset's features gives."""
    return f"baselines/{dataset}/{backbone}"


def run_once(config: Mapping[str, Any]) -> list[str]:
    """The selected methods in which nothing is random: one run stands for all seeds."""
    return [name for name in config["run"]["methods"] if not _build(config, "methods", name).random]


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as one JSON string that depends on nothing but their values."""
    return json.dumps(settings, sort_keys=True)


def _build(config: Mapping[str, Any], catalogue: str, name: str) -> Any:
    return _built(catalogue, name, canonical(entry(config, catalogue, name)))


# Every job of a plan asks for the same few entries.
@functools.lru_cache(maxsize=4096)
def _built(catalogue: str, name: str, settings: str) -> Any:
    return registry.build(catalogue, name, json.loads(settings))


def manifest_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The settings of a dataset that its manifest depends on."""
    return {key: value for key, value in entry(config, "datasets", dataset).items() if key not in LATER_SETTINGS}


def backbone_settings(config: Mapping[str, Any], dataset: str, backbone: str) -> dict[str, Any]:
    """The catalogue entry of a backbone; where it says nothing of preprocessing, what the dataset's protocol does."""
    settings = entry(config, "backbones", backbone)
    made = _build(config, "datasets", dataset)
    known = registry.entry_schema("backbones", backbone, settings)["properties"]
    return {**{key: value for key, value in made.preprocessing.items() if key in known}, **settings}


def missing(config: Mapping[str, Any], dataset: str) -> list[str]:
    """What a dataset needs and is not where it should be, a line each that says where that is."""
    lines: list[str] = _build(config, "datasets", dataset).missing()
    return lines


def evaluation_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """How a dataset is scored: ``map_at`` (items, or None for all), ``precision_at``, ``ties`` and ``convention``."""
    made = _build(config, "datasets", dataset)
    chosen = {"ties": "expected", "convention": "standard", **config.get("evaluation", {})}
    chosen.pop("features", None)
    return {"map_at": made.map_at, "precision_at": list(made.precision_at), **chosen}


def shard_count(config: Mapping[str, Any], dataset: str) -> int:
    """How many shards the features of a dataset are cut into."""
    return int(_build(config, "datasets", dataset).shards)


def view_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """What the views of a dataset depend on: ``views`` (how many of a picture), ``augmentation`` and ``view_seed``."""
    made = _build(config, "datasets", dataset)
    return {"views": made.views, "augmentation": made.augmentation, "view_seed": made.seed}


def decoding_settings(config: Mapping[str, Any], dataset: str) -> dict[str, str]:
    """How the picture files of a dataset are read, where not as usual: features depend on it, the manifest does not."""
    made = _build(config, "datasets", dataset)
    usual = {"truncated": "fail", "orientation": "ignore"}
    return {key: value for key, default in usual.items() if (value := getattr(made, key, default)) != default}


def training_kinds(config: Mapping[str, Any], dataset: str, backbone: str, method: str) -> dict[str, str]:
    """The kinds of features that the training of a method reads.

    Args:
        config: The whole config.
        dataset, backbone, method: Names of catalogue entries.

    Returns:
        The kind by what the train stage takes it as: ``features`` always, and ``views`` or ``tokens``. Where a backbone
        has no tokens, views take their place: a picture of one part.

    Raises:
        SDCError: If it needs views, and the dataset holds no pictures to make them of.
    """
    hashing, network = _build(config, "methods", method), _build(config, "backbones", backbone)
    kinds = {"features": "clean"}
    if "tokens" in hashing.requires and network.has_tokens:
        kinds["tokens"] = "tokens"
    if "views" in hashing.requires or ("tokens" in hashing.requires and not network.has_tokens):
        asymmetric = getattr(hashing, "augmentation", "contrastive") == "asymmetric"
        scans = view_settings(config, dataset)["augmentation"] == "scans"
        kinds["views"] = "views_asymmetric" if asymmetric and not scans else "views"
    if len(kinds) > 1 and _build(config, "datasets", dataset).vector_files():
        raise SDCError(
            f"methods.{method}: trains on augmented views, which needs pictures, and datasets.{dataset} holds vectors; "
            "leave one of them out"
        )
    return kinds


def shard_names(shards: int) -> list[str]:
    """File stems of all shards: ``0-of-1``; ``00-of-12`` to ``11-of-12``."""
    width = len(str(shards - 1))
    return [f"{shard:0{width}}-of-{shards}" for shard in range(shards)]


def shard_range(shard: int, shards: int, rows: int) -> tuple[int, int]:
    """First row of a shard and one past its last; sizes differ by one row at most."""
    return rows * shard // shards, rows * (shard + 1) // shards


def check_kinds(dataset: str, held: Any, backbone: str, taker: Any) -> None:
    """Check that a backbone takes what a dataset holds: pictures, or vectors made elsewhere.

    Args:
        dataset, backbone: Names of the catalogue entries.
        held, taker: What they are.

    Raises:
        SDCError: If it takes the other.
    """
    if held.vector_files() and taker.takes == "pictures":
        raise SDCError(f"datasets.{dataset} holds vectors; its backbone is imported, not {backbone}")
    if taker.takes == "vectors" and not held.vector_files():
        raise SDCError(f"backbones.{backbone} takes vectors, and datasets.{dataset} holds pictures; choose a network")


def vector_files(config: Mapping[str, Any], dataset: str) -> list[str]:
    """The files of a dataset that holds vectors; none if it holds pictures."""
    files: list[str] = _build(config, "datasets", dataset).vector_files()
    return files


def trained_on(config: Mapping[str, Any], dataset: str) -> str:
    """The dataset whose training items make the heads of a dataset: its own name, or what its ``train_on`` says.

    Raises:
        SDCError: If that is unknown, itself, or uses the heads of a third.
    """
    other: str | None = _build(config, "datasets", dataset).train_on
    if other is None:
        return dataset
    names = sorted({*registry.DATASETS, *config.get("datasets", {})})
    check({"train_on": other}, {"properties": {"train_on": {"enum": names}}}, where=f"datasets.{dataset}")
    if other == dataset:
        raise SDCError(f"datasets.{dataset}.train_on: is {dataset} itself; name another dataset or leave it out")
    third = _build(config, "datasets", other).train_on
    if third is not None:
        raise SDCError(f"datasets.{dataset}.train_on: {other} itself has train_on: {third}; name {third}")
    return other


def datasets_used(config: Mapping[str, Any]) -> list[str]:
    """The selected datasets, then those whose heads they use."""
    selected = config["run"]["datasets"]
    return list(dict.fromkeys((*selected, *(trained_on(config, dataset) for dataset in selected))))


def head_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Of a dataset that uses heads of another: ``train_on`` and ``recentre``; else nothing."""
    made = _build(config, "datasets", dataset)
    return {"train_on": made.train_on, "recentre": made.recentre} if made.train_on else {}


def weights_file(settings: Mapping[str, Any]) -> str | None:
    """The state dict that a backbone's ``weights`` names, if it names a file."""
    weights = str(settings.get("weights", ""))
    return weights if "/" in weights or Path(weights).suffix in (".pth", ".pt") else None


def state_dict(config: Mapping[str, Any], backbone: str) -> str | None:
    """The file that a backbone reads, if its entry names one; of one that takes vectors, ``weights`` is but words."""
    settings = entry(config, "backbones", backbone)
    return weights_file(settings) if _build(config, "backbones", backbone).takes == "pictures" else None


def selected_entries(config: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What tables must know of everything a selection names, by catalogue and name; nothing where all is by default.

    That is the settings of methods; of datasets and backbones, whose settings metrics repeat as far as they matter,
    just their ``type``: a key that changes no metric then makes no table anew.
    """
    made: dict[str, dict[str, Any]] = {}
    for catalogue in registry.CATALOGUES:
        found = {name: entry(config, catalogue, name) for name in run[catalogue]}
        if catalogue != "methods":
            found = {name: {"type": held["type"]} for name, held in found.items() if "type" in held}
        made[catalogue] = {name: held for name, held in found.items() if held}
    return made


def instance_datasets(config: Mapping[str, Any]) -> list[str]:
    """The selected datasets whose relevance is listed, not a shared label."""
    return [name for name in config["run"]["datasets"] if _build(config, "datasets", name).label_kind == "instance"]


# Ablations


class Variant(NamedTuple):
    """A method as an ablation varies it.

    Attributes:
        method: Name of its catalogue entry: the varied method's own, where nothing differs from that.
        entry: The entry; None where it is the method's own.
        values: Of what is varied, as the config has it, or by default.
    """

    method: str
    entry: dict[str, Any] | None
    values: tuple[Any, ...]


def varied(config: Mapping[str, Any], name: str) -> list[str]:
    """The keys that an ablation varies, in order."""
    vary = config["ablations"][name]["vary"]
    return list(vary if isinstance(vary, Mapping) else dict.fromkeys(itertools.chain.from_iterable(vary)))


def has_heat_map(config: Mapping[str, Any], name: str) -> bool:
    """Whether an ablation is of all values of one setting with all values of another."""
    vary = config["ablations"][name]["vary"]
    return isinstance(vary, Mapping) and len(vary) == 2


def variants(config: Mapping[str, Any], name: str) -> list[Variant]:
    """The methods of an ablation, in the order of its lists.

    ``vary`` is a list of values by key, whose product is taken, or a list of what to set, one by one. A key is one of
    the method's settings, or ``method`` itself, or a word in braces within ``settings``, which hold for all variants:
    ``{method: sdc, settings: {calibration: "beta({a},{b})"}, vary: {a: [1, 5], b: [1, 5]}}``.

    Variants with the same settings have the same name, ``sdc_batch_size_128``, and so the same runs, also those of
    different ablations.

    Raises:
        SDCError: If there is no method, or it has no such setting, or a setting no such value; names the key.
    """
    spec, keys = config["ablations"][name], varied(config, name)
    vary = spec["vary"]
    if isinstance(vary, Mapping):
        vary = [dict(zip(keys, values, strict=True)) for values in itertools.product(*vary.values())]
    return [_variant(config, f"ablations.{name}", spec, values, keys) for values in vary]


def _variant(
    config: Mapping[str, Any], where: str, spec: Mapping[str, Any], values: Mapping[str, Any], keys: Sequence[str]
) -> Variant:
    base = values.get("method", spec.get("method"))
    if base is None:
        raise SDCError(f"{where}: key 'method' is missing: which method is varied?")
    names = sorted({*registry.METHODS, *config.get("methods", {})})
    check({"method": base}, {"properties": {"method": {"enum": names}}}, where=where)
    common, words = entry(config, "methods", base), set()

    def filled_in(key: str, setting: Any) -> Any:
        if not isinstance(setting, str):
            return setting
        found = re.findall(r"\{(\w+)\}", setting)
        for word in found:
            check(
                {"word in braces": word}, {"properties": {"word in braces": {"enum": list(keys)}}}, f"{where}.settings"
            )
        words.update(found)
        return re.sub(r"\{(\w+)\}", lambda word: str(values[word[1]]), setting)

    settings = {key: filled_in(key, setting) for key, setting in spec.get("settings", {}).items()}
    settings |= {key: value for key, value in values.items() if key != "method" and key not in words}
    check(settings, registry.entry_schema("methods", base, common), where=where)
    try:
        made, usual = (registry.build("methods", base, {**common, **more}).as_dict() for more in (settings, {}))
    except SDCError as error:
        raise SDCError(f"{where}: {error}") from None
    changed = {key: value for key, value in sorted(made.items()) if value != usual[key]}
    method = "_".join([base, *(f"{key}_{_word(value)}" for key, value in changed.items())])
    own = {**common, "type": common.get("type", base), **{key: made[key] for key in changed}} if changed else None
    return Variant(method, own, tuple(values.get(key, made.get(key)) for key in keys))


def _word(value: Any) -> str:
    """A value as part of a name: ``beta_0p2_0p2`` for ``beta(0.2,0.2)``, ``none`` for None."""
    text = str(value).lower().replace(".", "p").replace("-", "m")
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def variant_entries(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The catalogue entries of all ablations' variants, by name.

    Raises:
        SDCError: If two that differ would have one name.
    """
    made: dict[str, dict[str, Any]] = {}
    for name in config.get("ablations", {}):
        for variant in variants(config, name):
            if variant.entry is None:
                continue
            known = made.get(variant.method, config.get("methods", {}).get(variant.method, variant.entry))
            if known != variant.entry:
                raise SDCError(
                    f"ablations.{name}: {variant.method} would be the name of two methods: {canonical(known)} and "
                    f"{canonical(variant.entry)}; write one of them otherwise"
                )
            made[variant.method] = variant.entry
    return made


def ablation_run(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The selection of an ablation: the config's with the ablation's methods, and what each of these stands for."""
    rows = {variant.method: list(variant.values) for variant in variants(config, name)}
    ablation = {"name": name, "varied": varied(config, name), "rows": list(rows.items())}
    return {**config["run"], "methods": list(rows), "only": {}, "ablation": ablation}


def narrowed(run: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """A selection with some lists narrowed to one value: ``narrowed(run, bits=64)``."""
    return {**run, **{axis: [value] for axis, value in fixed.items()}}


# What a job needs of a machine


class Needs(NamedTuple):
    """What a scheduler is asked for: MB of memory and minutes, rather too many than too few."""

    megabytes: int
    minutes: int


# What is assumed of a dataset until its manifest is there.
USUAL_COUNTS = {"images": 100_000, "query": 5_000, "database": 100_000, "train": 10_000}


def needs(
    stage: str, wildcards: Mapping[str, str], counts: Mapping[str, int], sizes: Mapping[str, int], threads: int
) -> Needs:
    """What a job of a stage needs, by counts and dimensions.

    Memory is that of libraries, CUDA and Snakemake beside what grows with the data; minutes are those of a slow core.

    Args:
        stage: Name of the rule.
        wildcards: Of the job.
        counts: Of the dataset: ``images``, ``query``, ``database`` and ``train``; what is missing is assumed.
        sizes: Bytes by path of the inputs that are there. The dimension of features is known from nothing else.
        threads: Of the job.
    """
    known = {**USUAL_COUNTS, **counts}
    images, trained, pairs = known["images"], known["train"], known["query"] * known["database"]
    codes = images * int(wildcards.get("bits", 0)) / 8
    clean = sum(size for path, size in sizes.items() if "/clean/" in path)
    views = sum(size for path, size in sizes.items() if "/features/" in path) - clean
    if stage == "prepare":
        megabytes, minutes = 2_000.0, 60 + images / 10_000
    elif stage == "extract":
        made = images if wildcards["kind"] == "clean" else 10 * trained
        megabytes, minutes = 4_000 + 1_000 * threads, 30 + made / int(wildcards["shards"]) / threads / 120
    elif stage == "train":
        # Twice the rows in float32, which may be stored in half of that; and a table of the pairs that SDC+ compares.
        held = 4 * (clean * trained / images + views) + 24 * min(trained, 16_384) ** 2
        megabytes, minutes = 4_000 + held / 1e6, 20 + trained / 250
    elif stage == "encode":
        megabytes, minutes = 2_000 + 4 * codes / 1e6, 10 + images / 50_000
    elif stage == "evaluate":
        megabytes, minutes = 1_500 + 1_000 * threads + 4 * codes / 1e6, 10 + pairs / 6e8
    elif stage == "evaluate_features":
        megabytes, minutes = 2_500 + 8 * clean * known["query"] / images / 1e6, 10 + pairs / 6e7
    else:
        raise AssertionError(stage)
    megabytes += images / 5_000  # the manifest
    return Needs(math.ceil(megabytes / 100) * 100, math.ceil(minutes))
