"""Every number of every setting and option has limits, and wrong values of all kinds are refused by key."""

import datetime
import importlib
import inspect
import math
import time
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdc import cli, registry
from sdc.errors import SDCError
from sdc.limits import Range
from sdc.plan import schema, selections
from sdc.plan.ablations import variant_entries
from sdc.plan.checks import check_config
from sdc.settings import check, schema_of

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh"], "bits": [16], "seeds": [0]}
KEYWORDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
# By class, the catalogue and the first name it is registered by.
CLASSES = {
    registry.load(catalogue, name): (catalogue, name)
    for catalogue, known in registry.CATALOGUES.items()
    for name in reversed(known)
}


def numbers(node, outer=None):
    """Every schema of a number within a schema, with the limits that stand beside its anyOf."""
    limits = {**(outer or {}), **{key: node[key] for key in KEYWORDS if key in node}}
    if node.get("type") in ("integer", "number") and "anyOf" not in node:
        yield {**limits, "type": node["type"]}
    for each in node.values():
        for child in each.values() if isinstance(each, dict) else each if isinstance(each, list) else ():
            if isinstance(child, dict):
                yield from numbers(child, limits)
        if isinstance(each, dict):
            yield from numbers(each)


def test_every_number_of_a_config_has_both_limits():
    for name, definition in {**schema.whole()["$defs"], **schema.whole()["properties"]}.items():
        for number in numbers(definition):
            assert {"minimum", "exclusiveMinimum"} & set(number), (name, number)
            assert {"maximum", "exclusiveMaximum"} & set(number), (name, number)
    for cls in CLASSES:
        for key, node in schema_of(cls)["properties"].items():
            for number in numbers(node):
                assert {"minimum", "exclusiveMinimum"} & set(number), (cls, key)
                assert {"maximum", "exclusiveMaximum"} & set(number), (cls, key)


def alternatives(node):
    return [{**node, **one} for one in node["anyOf"]] if "anyOf" in node else [node]


def wrong_values(node):
    """Values that a schema of a setting with numbers does not allow."""
    kinds = alternatives(node)
    if any(kind.get("type") == "array" for kind in kinds):
        (kind,) = (kind for kind in kinds if kind.get("type") == "array")
        count = kind.get("minItems", 1)
        return [3, "text", {}, [], [None] * count, *([value] * count for value in wrong_values(kind["items"]))]
    wrong = ["text", "1e3", "16.0", True, [1], {}, {1: 2}, datetime.date(2020, 1, 1), b"1"]
    wrong += [math.nan, math.inf, -math.inf, -1e300, 1e300, -(10**400), 10**400]
    wrong += [] if any(kind.get("type") == "null" for kind in kinds) else [None]
    ranges = list(numbers(node))
    for number in ranges:
        step = number.get("multipleOf", 1)
        low = number.get("minimum", number.get("exclusiveMinimum"))
        high = number.get("maximum", number.get("exclusiveMaximum"))
        wrong += [low - 1, high + 1 if number["type"] == "integer" else 2.0 * high + 1]
        wrong += [number[limit] for limit in ("exclusiveMinimum", "exclusiveMaximum") if limit in number]
        if number["type"] == "integer":
            wrong += [low + 1] * (step > 1) + [float(low + step)] * (len(ranges) == 1) + [low + step + 0.5]
    # What one kind of number does not allow another may.
    several = len(ranges) > 1
    return [value for value in wrong if not (several and isinstance(value, int | float) and 0 < value <= 1)]


CASES = [(cls, key) for cls in CLASSES for key, node in schema_of(cls)["properties"].items() if any(numbers(node))]


@pytest.mark.parametrize(("cls", "key"), CASES, ids=[f"{cls.__name__}-{key}" for cls, key in CASES])
def test_wrong_numbers_are_refused_by_key(cls, key):
    catalogue, name = CLASSES[cls]
    required = {"model": name, "factory": "package:function", "name": "network"}
    required = {field: required[field] for field in required if field in schema_of(cls)["properties"]}
    for value in wrong_values(schema_of(cls)["properties"][key]):
        with pytest.raises(SDCError) as error:
            cls(**required, **{key: value})
        assert f"{cls.__name__}.{key}" in str(error.value)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1000
        if key not in registry.NOT_IN_CONFIG[catalogue]:
            with pytest.raises(SDCError) as error:
                registry.build(catalogue, "mine", {"type": name, key: value})
            assert f"{catalogue}.mine.{key}" in str(error.value)


@pytest.mark.parametrize("axis", RUN)
@pytest.mark.parametrize(
    "value",
    [None, 1, 16.0, 16.5, -1, True, math.nan, math.inf, "16", "a\n", "", "A", "a/b", "..", "a" * 101, "a\0", "\ud800",
     datetime.date(2020, 1, 1), {}, [1], {None: 1}],
)  # fmt: skip
def test_wrong_items_of_the_selection_are_refused(axis, value):
    for values in (value, [value], [*RUN[axis], value]):
        if axis == "seeds" and values in ([1], [0, 1]):
            continue
        with pytest.raises(SDCError, match=rf"^run\.{axis}"):
            check_config({"run": {**RUN, axis: values}})
    if not isinstance(value, dict | list) and value != "16" and axis not in ("bits", "seeds"):
        with pytest.raises(SDCError, match=rf"^{axis}\b"):
            check_config({"run": RUN, axis: {value: {"type": RUN[axis][0]}}})


def scalars():
    words = st.sampled_from("type preset sdc digits lsh 1e3 beta({a},{b}) {a} {b} 16.0 . .. / ~ a b \n".split(" "))
    dates = st.dates() | st.datetimes()
    return st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | dates | words | st.binary()


def anything():
    keys = st.text(max_size=3) | st.sampled_from("abcd") | st.integers() | st.none() | st.dates()
    inner = lambda values: st.lists(values, max_size=4) | st.dictionaries(keys, values, max_size=4)  # noqa: E731
    return st.recursive(scalars(), inner, max_leaves=12)


def plausible(node):
    """Values that a setting may well have."""
    kinds = []
    for kind in alternatives(node):
        if "enum" in kind:
            kinds.append(st.sampled_from(kind["enum"]))
        elif kind.get("type") == "integer":
            kinds.append(st.integers(kind["minimum"], kind["maximum"]))
        elif kind.get("type") == "number":
            kinds.append(st.floats(kind.get("minimum", 0), kind.get("maximum", 1)))
        elif kind.get("type") == "boolean":
            kinds.append(st.booleans())
        elif kind.get("type") == "array":
            kinds.append(st.lists(plausible(kind["items"]), max_size=4))
    return st.one_of(*kinds, anything())


def entries(catalogue):
    def fields(kind):
        properties = registry.entry_schema(catalogue, kind, {})["properties"]
        values = {key: plausible(node) for key, node in properties.items() if key != "type"}
        return st.fixed_dictionaries({"type": st.just(kind)}, optional=values) | st.fixed_dictionaries(
            {}, optional=values
        )

    kinds = sorted(name for where, name in CLASSES.values() if where == catalogue)
    names = st.sampled_from([*kinds, "mine"])
    return st.dictionaries(names, st.sampled_from(kinds).flatmap(fields) | anything(), max_size=2) | anything()


def configs():
    names = {
        axis: st.lists(st.sampled_from(sorted(registry.CATALOGUES[axis])), max_size=3) for axis in registry.CATALOGUES
    }
    axes = {**names, "bits": st.lists(st.integers(1, 8).map(lambda n: 8 * n)), "seeds": st.lists(st.integers(0, 9))}
    run = {axis: st.just(RUN[axis]) | values | anything() for axis, values in axes.items()}
    only = st.dictionaries(st.sampled_from(["pixels", "vgg16"]), names["methods"]) | anything()
    settings_of = schema_of(registry.load("methods", "sdc"))["properties"]
    values = st.fixed_dictionaries({}, optional={key: plausible(node) for key, node in settings_of.items()})
    vary = st.fixed_dictionaries(
        {}, optional={key: st.lists(plausible(node), max_size=5) for key, node in [*settings_of.items(), ("a", {})]}
    )
    ablation = st.fixed_dictionaries(
        {"vary": vary | st.lists(values | anything(), max_size=3) | anything()},
        optional={"method": st.sampled_from(["sdc", "mine"]) | anything(), "settings": values | anything()},
    )
    whole = {
        "run": st.just(RUN) | st.fixed_dictionaries(run, optional={"only": only}) | anything(),
        **{catalogue: entries(catalogue) for catalogue in registry.CATALOGUES},
        "preset": st.sampled_from(registry.PRESETS) | anything(),
        "evaluation": st.fixed_dictionaries({}, optional={"ties": st.just("stable"), "features": anything()})
        | anything(),
        "report": st.fixed_dictionaries({}, optional={"retrieval": st.just(["lsh"]) | anything()}) | anything(),
        "ablations": st.dictionaries(st.sampled_from("abc"), ablation | anything(), max_size=2) | anything(),
    }
    required = {"run": whole.pop("run")}
    return st.fixed_dictionaries(required, optional=whole) | anything()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs())
def test_any_config_is_planned_at_once_or_refused_in_one_line(config):
    began = time.perf_counter()
    try:
        check_config(config)
    except SDCError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 3000
    else:
        config = {**config, "methods": {**config.get("methods", {}), **variant_entries(config)}}
        run = selections.selection(config, "everything", {})
        assert selections.inputs(config, run, selections.Reads())
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bits": list(range(8, 4097, 8)), "seeds": list(range(1000))},
            r"run: .* are 512,000 runs, and at most 100,000",
        ),
        ({"seeds": list(range(1001))}, r"run.seeds: .* of at most 1000"),
    ],
)
def test_selections_that_nobody_could_plan_are_refused(change, message):
    with pytest.raises(SDCError, match=message):
        check_config({"run": {**RUN, **change}})


def test_shards_that_nobody_could_plan_are_refused():
    change = {"seeds": list(range(1000)), "bits": [16, 32]}
    check_config({"run": {**RUN, **change}, "datasets": {"digits": {"shards": 500}}})
    with pytest.raises(SDCError, match=r"run: 2,000 runs would read 20,000,000 shards, and at most 1,000,000"):
        check_config({"run": {**RUN, **change}, "datasets": {"digits": {"shards": 10_000}}})


def test_ablations_that_nobody_could_plan_are_refused():
    vary = {"batch_size": list(range(2, 102, 2)), "epochs": list(range(1, 51))}
    with pytest.raises(SDCError, match=r"ablations.big.vary: asks for 2,500 variants of 1,000 at most; vary less"):
        check_config({"run": RUN, "ablations": {"big": {"method": "sdc", "vary": vary}}})


def test_configs_without_end_are_refused():
    endless = {}
    endless["root"] = endless
    bomb = ["a"]
    for _ in range(30):
        bomb = [bomb] * 10
    for value in (endless, bomb, list(range(200_000))):
        with pytest.raises(SDCError, match=r"datasets.digits: holds more than 100,000 values, or 20 levels of them"):
            check_config({"run": RUN, "datasets": {"digits": value}})
    with pytest.raises(SDCError, match=r"datasets.folder.root: 'a+… \([\d,]+ characters\) is too long"):
        check_config({"run": RUN, "datasets": {"folder": {"root": "a" * 10**6}}})


def parameters(command):
    module = importlib.import_module(f"sdc.{cli.COMMANDS[command].parent.name}.{cli.COMMANDS[command].stem}")
    return list(inspect.signature(module.run, eval_str=True).parameters.values())


def leaves(hint):
    """The types of one value of a parameter, without None and words."""
    if typing.get_origin(hint) is typing.Annotated or not typing.get_args(hint):
        return [hint]
    if typing.get_origin(hint) is typing.Literal:
        return []
    return [leaf for part in typing.get_args(hint) for leaf in leaves(part)]


def limits_of(hint):
    return [note for leaf in leaves(hint) for note in getattr(leaf, "__metadata__", ()) if isinstance(note, Range)]


def flag_of(name):
    """``-k`` for one letter, else ``--name``."""
    return "-" * min(2, len(name)) + name.rstrip("_").replace("_", "-")


def arguments(command, **changed):
    """Words for a command: something for what it requires, and what is changed."""
    words = []
    for parameter in parameters(command):
        flag = flag_of(parameter.name)
        optional = parameter.default is not parameter.empty or type(None) in typing.get_args(parameter.annotation)
        if parameter.name in changed:
            words += [f"{flag}={changed[parameter.name]}"]
        elif not optional:
            kinds = leaves(parameter.annotation)
            words_of = typing.get_args(parameter.annotation) if not kinds else ()
            text = str(limits[0].minimum) if (limits := limits_of(parameter.annotation)) else "{}"
            text = words_of[0] if words_of else text
            positional = (
                cli.COMMANDS[command].parent.name == "tools" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            )
            words += [text] if positional else [flag, text]
    return [command, *words]


def test_every_number_of_a_command_has_limits():
    for command in cli.COMMANDS:
        for parameter in parameters(command):
            if typing.get_origin(parameter.annotation) is not typing.get_origin(typing.Mapping[str, int]):
                bare = {int, float} & set(leaves(parameter.annotation))
                assert not bare, f"{command} --{parameter.name}: give it limits of sdc.limits"


OPTIONS = [
    (command, each.name) for command in cli.COMMANDS for each in parameters(command) if limits_of(each.annotation)
]


@pytest.mark.parametrize(("command", "name"), OPTIONS, ids=["-".join(option) for option in OPTIONS])
def test_numbers_of_a_command_are_refused_beyond_their_limits(command, name, tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.chdir(tmp_path)
    (parameter,) = (each for each in parameters(command) if each.name == name)
    (limits,) = limits_of(parameter.annotation)
    flag = flag_of(name)
    odd = [limits.minimum + 1] if limits.multiple_of > 1 else []
    for value in (limits.minimum - 1, limits.maximum + 1, -(10**30), *odd):
        caplog.clear()
        assert cli.main(arguments(command, **{name: value})) == 2
        (record,) = caplog.records
        assert record.getMessage() == f"sdc {command}: error: {flag}: {value} is not allowed; give {limits}"
    for value in ("", "1.0", "16.0", "nan", "1e3", "none"):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments(command, **{name: value}))
        assert stop.value.code == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"sdc {command}: error: argument {flag}: ")
    assert not list(tmp_path.iterdir())


def test_checks_read_json_schema_more_strictly_than_it_is():
    for value in (16.0, True, "16"):
        with pytest.raises(SDCError, match=rf"^x: {value!r} is not allowed; expected integer"):
            check({"x": value}, {"properties": {"x": {"type": "integer"}}})
    with pytest.raises(SDCError, match=r"^x: 'a\\n' is not allowed; expected string matching"):
        check({"x": "a\n"}, {"properties": {"x": {"type": "string", "pattern": "^a$"}}})
