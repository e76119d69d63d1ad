import re

import pytest

from sdc import registry
from sdc.errors import SDCError
from sdc.plan.ablations import ablation_run, has_heat_map, variant_entries, variants
from sdc.plan.checks import check_config

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


ABLATED = {
    "run": {**RUN, "methods": ["sdc"]},
    "preset": "paper",
    "methods": {"mine": {"type": "sdc", "hidden": 64}},
    "ablations": {
        "calibration": {"method": "sdc", "vary": {"calibration": ["beta(0.2,0.2)", "beta(5,5)", "linear"]}},
        "contrastive": {"vary": {"method": ["sdc", "sdc_simclr"]}},
        "depth": {"method": "sdc", "vary": [{"hidden": None}, {"hidden": 512, "hidden_layers": 2}, {"hidden": 4096}]},
        "law": {"method": "sdc", "settings": {"calibration": "beta({a},{b})"}, "vary": {"a": [0.2, 5], "b": [0.2, 5]}},
        "own": {"method": "mine", "vary": {"hidden": [64, 128]}},
    },
}


def test_ablations_are_methods_and_equal_settings_are_one():
    check_config(ABLATED)
    names = {name: [variant.method for variant in variants(ABLATED, name)] for name in ABLATED["ablations"]}
    assert names == {
        "calibration": ["sdc_calibration_beta_0p2_0p2", "sdc", "sdc_calibration_linear"],
        "contrastive": ["sdc", "sdc_simclr"],
        "depth": ["sdc_hidden_none", "sdc_hidden_512_hidden_layers_2", "sdc"],
        "law": [
            "sdc_calibration_beta_0p2_0p2", "sdc_calibration_beta_0p2_5", "sdc_calibration_beta_5_0p2", "sdc",
        ],
        "own": ["mine", "mine_hidden_128"],
    }  # fmt: skip
    entries = variant_entries(ABLATED)
    assert set(entries) == {name for methods in names.values() for name in methods} - {"sdc", "sdc_simclr", "mine"}
    assert entries["sdc_calibration_linear"] == {"type": "sdc", "preset": "paper", "calibration": "linear"}
    assert entries["mine_hidden_128"] == {"type": "sdc", "preset": "paper", "hidden": 128}
    # They pass as entries of the catalogue, and adding them changes nothing.
    added = {**ABLATED, "methods": {**ABLATED["methods"], **entries}}
    check_config(added)
    assert variant_entries(added) == entries
    for name, settings in entries.items():
        assert re.fullmatch("[a-z0-9_]+", name)
        registry.build("methods", name, settings)


def test_the_selection_of_an_ablation():
    run = ablation_run(ABLATED, "depth")
    assert run["methods"] == ["sdc_hidden_none", "sdc_hidden_512_hidden_layers_2", "sdc"]
    assert run["bits"] == RUN["bits"]
    # What a row does not set has its default.
    assert run["ablation"] == {
        "name": "depth", "varied": ["hidden", "hidden_layers"],
        "rows": [("sdc_hidden_none", [None, 1]), ("sdc_hidden_512_hidden_layers_2", [512, 2]), ("sdc", [4096, 1])],
    }  # fmt: skip
    assert [has_heat_map(ABLATED, name) for name in ("depth", "law", "calibration")] == [False, True, False]


@pytest.mark.parametrize(
    ("ablation", "message"),
    [
        ({"vary": {"epochs": [1]}}, r"ablations.x: key 'method' is missing"),
        ({"method": "sdk", "vary": {"epochs": [1]}}, r"ablations.x.method: 'sdk' is not known; .*did you mean 'sdc'"),
        ({"method": "sdc", "vary": {"epoch": [1]}}, r"ablations.x.epoch: unknown key .*did you mean 'epochs'"),
        ({"method": "sdc", "vary": {"epochs": [0]}}, r"ablations.x.epochs: 0 is not allowed; expected integer >= 1"),
        ({"method": "sdc", "vary": {"epochs": 3}}, r"ablations.x.vary.epochs: 3 is not allowed; expected a list"),
        (
            {"method": "sdc", "vary": {}},
            r"ablations.x.vary: \{\} is not allowed; expected a non-empty object or a non-empty array",
        ),
        ({"method": "sdc"}, r"ablations.x: key 'vary' is missing"),
        ({"method": "sdc", "varies": {}, "vary": {"epochs": [1]}}, r"ablations.x.varies: unknown key"),
        (
            {"method": "sdc", "vary": {"calibration": ["beta(5,5)", "normal"]}},
            r"ablations.x: calibration: 'normal' is not known; allowed: beta\(a,b\)",
        ),
        (
            {"method": "sdc", "settings": {"calibration": "beta({a},{c})"}, "vary": {"a": [1], "b": [2]}},
            r"ablations.x.settings.word in braces: 'c' is not known; allowed: a, b",
        ),
        ({"method": "sdc", "vary": {"anchor": ["clean"], "b": [2]}}, r"ablations.x.b: unknown key"),
    ],
)
def test_bad_ablations(ablation, message):
    with pytest.raises(SDCError, match=message):
        check_config({"run": RUN, "ablations": {"x": ablation}})


def test_two_methods_of_one_name():
    config = {"run": RUN, "methods": {"sdc_epochs_3": {"type": "itq"}}}
    config["ablations"] = {"x": {"method": "sdc", "vary": {"epochs": [3]}}}
    with pytest.raises(SDCError, match=r"ablations.x: sdc_epochs_3 would be the name of two methods: .*itq"):
        variant_entries(config)


def test_a_word_in_braces_that_a_variant_does_not_set_is_named():
    ablation = {"method": "sdc", "settings": {"calibration": "beta({a},5)"}, "vary": [{"a": 1}, {"hidden": 8}]}
    with pytest.raises(SDCError, match=r"ablations.x.settings.word in braces: 'a' is not known; allowed: hidden"):
        check_config({"run": {**RUN, "methods": ["sdc"]}, "ablations": {"x": ablation}})


def test_names_that_no_folder_may_have_are_refused():
    calibration = "scipy.norm(0, " + "0." + "3" * 190 + ")"
    ablation = {"method": "sdc", "vary": {"calibration": [calibration]}}
    with pytest.raises(SDCError, match=r"ablations.x: sdc_calibration_scipy.*… is too long a name for a folder; make"):
        check_config({"run": {**RUN, "methods": ["sdc"]}, "ablations": {"x": ablation}})
