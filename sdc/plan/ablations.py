"""Ablations: the methods that vary one, and the selection of their table."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sdc import registry
from sdc.errors import SDCError
from sdc.plan.entries import canonical, entry
from sdc.settings import check, check_name

# Of an ablation, each a row of its table.
MOST_VARIANTS = 1000
# Of the name of a variant, which is that of a folder: file systems allow 255, and temporary names are longer.
LONGEST_NAME = 200


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


def variant_count(config: Mapping[str, Any], name: str) -> int:
    """How many methods an ablation compares."""
    vary = config["ablations"][name]["vary"]
    return math.prod(map(len, vary.values())) if isinstance(vary, Mapping) else len(vary)


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
    if (count := variant_count(config, name)) > MOST_VARIANTS:
        raise SDCError(f"ablations.{name}.vary: asks for {count:,} variants of {MOST_VARIANTS:,} at most; vary less")
    if isinstance(vary, Mapping):
        vary = [dict(zip(keys, values, strict=True)) for values in itertools.product(*vary.values())]
    return [_variant(config, f"ablations.{name}", spec, values, keys) for values in vary]


def _variant(
    config: Mapping[str, Any], where: str, spec: Mapping[str, Any], values: Mapping[str, Any], keys: Sequence[str]
) -> Variant:
    base = values.get("method", spec.get("method"))
    if base is None:
        raise SDCError(f"{where}: key 'method' is missing: which method is varied?")
    check_name("method", base, registry.names("methods", config), where)
    common, words = entry(config, "methods", base), set()

    def fill_in(braced: re.Match[str]) -> str:
        check_name("word in braces", braced[1], list(values), f"{where}.settings")
        words.add(braced[1])
        return str(values[braced[1]])

    settings = {
        key: re.sub(r"\{(\w+)\}", fill_in, setting) if isinstance(setting, str) else setting
        for key, setting in spec.get("settings", {}).items()
    }
    settings |= {key: value for key, value in values.items() if key != "method" and key not in words}
    check(settings, registry.entry_schema("methods", base, common), where=where)
    try:
        variant, usual = (registry.build("methods", base, {**common, **more}).as_dict() for more in (settings, {}))
    except SDCError as error:
        raise SDCError(f"{where}: {error}") from None
    changed = {key: value for key, value in sorted(variant.items()) if value != usual[key]}
    method = "_".join([base, *(f"{key}_{_word(value)}" for key, value in changed.items())])
    if len(method) > LONGEST_NAME:
        raise SDCError(f"{where}: {method[:60]}… is too long a name for a folder; make some of it an entry of methods")
    own = {**common, "type": common.get("type", base), **changed} if changed else None
    return Variant(method, own, tuple(values.get(key, variant.get(key)) for key in keys))


def _word(value: Any) -> str:
    """A value as part of a name: ``beta_0p2_0p2`` for ``beta(0.2,0.2)``, ``none`` for None."""
    text = str(value).lower().replace(".", "p").replace("-", "m")
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def variant_entries(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The catalogue entries of all ablations' variants, by name.

    Raises:
        SDCError: If two that differ would have one name.
    """
    entries: dict[str, dict[str, Any]] = {}
    for name in config.get("ablations", {}):
        for variant in variants(config, name):
            if variant.entry is None:
                continue
            known = entries.get(variant.method, config.get("methods", {}).get(variant.method, variant.entry))
            if known != variant.entry:
                raise SDCError(
                    f"ablations.{name}: {variant.method} would be the name of two methods: {canonical(known)} and "
                    f"{canonical(variant.entry)}; write one of them otherwise"
                )
            entries[variant.method] = variant.entry
    return entries


def ablation_run(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The selection of an ablation: the config's with the ablation's methods, and what each of these stands for."""
    rows = {variant.method: list(variant.values) for variant in variants(config, name)}
    ablation = {"name": name, "varied": varied(config, name), "rows": list(rows.items())}
    return {**config["run"], "methods": list(rows), "only": {}, "ablation": ablation}
