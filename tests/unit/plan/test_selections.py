from sdc.plan.selections import selected_entries

RUN = {"datasets": ["digits"], "backbones": ["pixels"], "methods": ["lsh", "itq"], "bits": [16, 32], "seeds": [0, 1]}


def test_what_tables_must_know_of_a_selection():
    config = {
        "run": RUN,
        "preset": "code",
        "datasets": {"digits": {"query": 3}, "pets": {"type": "folder", "query": 3}},
    }
    run = {**RUN, "datasets": ["digits", "pets"], "backbones": ["pixels"], "methods": ["itq"]}
    entries = {"datasets": {"pets": {"type": "folder"}}, "backbones": {}, "methods": {"itq": {"preset": "code"}}}
    assert selected_entries(config, run) == entries
    # Views do not change a metric of a method that sees none: no table is made anew for them.
    config["datasets"]["digits"]["views"] = 3
    assert selected_entries(config, run) == entries
