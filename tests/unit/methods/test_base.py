import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sdc
from sdc import (
    DPN,
    ITQ,
    LSH,
    NSH,
    SDC,
    SSDH,
    WCH,
    BiHalf,
    CIBHash,
    GreedyHash,
    OrthoHash,
    SDCSimCLR,
    registry,
)
from sdc.errors import SDCError
from sdc.storage.heads import read_head


def test_public_face(clustered, tmp_path):
    features, _ = clustered(200, 20)
    method = SDC(bits=16, seed=3, epochs=2, hidden=32)
    codes = method.fit(features).encode(features[:7])
    assert (codes.shape, codes.dtype) == ((7, 2), np.uint8)
    assert len(method.curve) == 2
    method.save(tmp_path / "head.safetensors")
    loaded = SDC.load(tmp_path / "head.safetensors")
    assert loaded == method
    assert np.array_equal(loaded.encode(features[:7]), codes)
    metadata = read_head(tmp_path / "head.safetensors").metadata
    assert metadata["method"] == "sdc"
    assert (metadata["bits"], metadata["seed"], metadata["dim"]) == (16, 3, 20)
    assert metadata["hyper_parameters"]["epochs"] == 2
    with pytest.raises(SDCError, match="is a head of SDC, not of ITQ"):
        ITQ.load(tmp_path / "head.safetensors")


def test_encode_before_fit():
    with pytest.raises(SDCError, match="LSH is not fitted yet; call fit first"):
        LSH().encode(np.ones((2, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_must_be_finite(bad):
    features = np.ones((70, 8), np.float32)
    features[3, 2] = bad
    for method in (LSH(bits=8), SDC(bits=8)):
        with pytest.raises(SDCError, match="NaN or infinity"):
            method.fit(features)


def test_large_but_finite_features_are_taken():
    assert LSH(bits=8).fit(np.diag(np.full(4, 3e38, np.float32))).head.dim == 4


@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("method", [LSH(bits=8), SDC(bits=8)], ids=["closed form", "trained"])
def test_features_that_are_all_equal_are_refused(method, tensor):
    features = torch.full((70, 4), 0.3) if tensor else np.full((70, 4), 0.3)
    with pytest.raises(SDCError, match="all 70 training features are equal; check the images and the backbone"):
        method.fit(features)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (DPN, r"DPN needs labels: fit\(X, y\) with class indices"),
        (CIBHash, r"CIBHash needs views: fit\(X, views=...\) of shape \(n, V, dim\) with V >= 2"),
        (WCH, r"WCH needs tokens: fit\(X, tokens=...\) of shape .* or views=..."),
    ],
)
def test_what_a_method_requires_must_be_there(clustered, method, message):
    with pytest.raises(SDCError, match=message):
        method(bits=8).fit(clustered(70, 8)[0])


@pytest.mark.parametrize("method", [CIBHash, WCH])
def test_one_view_is_not_enough(clustered, method):
    features, _ = clustered(70, 8)
    with pytest.raises(SDCError, match=rf"have shape \(70, 1, .*8\); {method.__name__} needs fit"):
        method(bits=8).fit(features, views=features[:, None])


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (DPN, {"labels": np.arange(69) % 3}, "69 labels for 70 features; there must be one for each"),
        (CIBHash, {"views": np.ones((71, 2, 8))}, "71 views for 70 features"),
        (WCH, {"tokens": np.ones((71, 2, 3, 8))}, "71 tokens for 70 features"),
    ],
)
def test_counts_must_agree(clustered, method, given, message):
    with pytest.raises(SDCError, match=message):
        method(bits=8).fit(clustered(70, 8)[0], **given)


def test_views_must_be_finite(clustered):
    features, _ = clustered(70, 8)
    views = np.stack([features, features], axis=1)
    views[3, 1, 2] = np.nan
    with pytest.raises(SDCError, match="views hold NaN or infinity"):
        CIBHash(bits=8).fit(features, views=views)


def test_labels_are_ignored_where_they_are_not_required(clustered):
    features, labels = clustered(70, 8)
    assert np.array_equal(
        LSH(bits=8).fit(features, labels).encode(features), LSH(bits=8).fit(features).encode(features)
    )


@pytest.mark.parametrize("name", registry.METHODS)
def test_every_preset_of_every_method_can_be_built(name):
    method = registry.load("methods", name)
    assert method.preset("paper") == method()
    for preset in registry.PRESETS:
        built = method.preset(preset, bits=16, seed=3)
        assert (built.bits, built.seed) == (16, 3)


def test_presets_are_merged_over_those_of_the_bases():
    # From the loop, from SDC, from SDCSimCLR.
    assert SDCSimCLR.preset_values("code") == {"weight_decay": 1e-5, "hidden": "dim", "clamp_targets": True}
    loop = {"epochs": 20, "batch_size": 256, "decay_after": 0.5}
    assert SDC.preset_values("instance") == {**loop, "hidden": None, "quantisation": 0.01}
    assert BiHalf.preset_values("instance") == {**loop, "gamma": 0.1}
    assert LSH.preset_values("instance") == {}
    # The method's own word counts, where both say something.
    assert NSH.preset("code").learning_rate == 1e-5
    assert OrthoHash.preset("instance").epochs == 10


def test_presets_are_overridden_key_by_key():
    method = GreedyHash.preset("original", epochs=300)
    assert (method.epochs, method.optimiser, method.batch_size) == (300, "sgd", 32)


def test_presets_of_the_publications():
    dropout = [method.preset("original").feature_dropout for method in (GreedyHash, BiHalf, CIBHash)]
    assert dropout == [0.5] * 3
    assert SSDH.preset("original").adam_epsilon == 1
    assert WCH.preset("original").schedule == "cosine"
    assert (WCH.preset("code").weights, NSH.preset("code").contrast) == ("public", "double")


def test_unknown_preset_is_named_with_the_nearest():
    with pytest.raises(SDCError, match=r"SDC.preset: 'papers' is not known; allowed: .*; did you mean 'paper'"):
        SDC.preset("papers")


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_features_must_be_a_matrix(shape):
    with pytest.raises(SDCError, match=r"features must have shape \(n, dim\)"):
        LSH(bits=8).fit(np.ones(shape))


def test_bits_and_hyper_parameters_are_checked():
    with pytest.raises(SDCError, match=r"LSH.bits: 12 is not allowed; expected integer >= 8, <= 4096, a multiple of 8"):
        LSH(bits=12)
    with pytest.raises(TypeError, match="betta"):
        SDC(betta=5)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sdc.Nothing  # noqa: B018


# Checks of scikit-learn's that methods do not pass, and why.
_OTHERWISE = dict.fromkeys(
    ["check_estimators_empty_data_messages", "check_fit2d_1sample", "check_fit2d_predict1d", "check_complex_data",
     "check_n_features_in_after_fitting", "check_dtype_object"],
    "refused, in words of our own",
) | {
    "check_fit_score_takes_y": "the second argument of fit is called labels",
    "check_do_not_raise_errors_in_init_or_set_params": "a value that is not allowed is refused at once",
}  # fmt: skip


def test_scikit_learn_takes_it_for_a_transformer():
    results = check_estimator(LSH(bits=8), expected_failed_checks=_OTHERWISE, on_skip=None)
    assert {result["check_name"] for result in results if result["status"] == "failed"} == set()


def test_pipelines_and_searches_of_scikit_learn(clustered):
    features, labels = clustered(120, 20)
    pipeline = make_pipeline(StandardScaler(), ITQ(bits=16), KNeighborsClassifier(1, metric="hamming"))
    search = GridSearchCV(pipeline, {"itq__bits": [8, 16], "itq__iterations": [0, 5]}, cv=2).fit(features, labels)
    assert search.best_score_ > 0.5
    fitted = search.best_estimator_["itq"]
    assert (fitted.n_features_in_, fitted.head.dim) == (20, 20)
    assert clone(fitted) == fitted and not hasattr(clone(fitted), "n_features_in_")


def test_settings_change_by_name_and_only_to_what_is_allowed():
    method = SDC(bits=16)
    assert method.set_params(bits=32, epochs=3) is method
    assert (method.bits, method.get_params()["epochs"], method) == (32, 3, SDC(bits=32, epochs=3))
    for wrong in ({"bits": 12}, {"epoch": 3}):
        with pytest.raises(SDCError, match=r"SDC.bits: 12 is not allowed|SDC.epoch: unknown key|SDC: .*epoch"):
            method.set_params(**wrong)
    assert method == SDC(bits=32, epochs=3)


def test_rows_of_numbers_however_they_are_held():
    rows = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    codes = ITQ(bits=8).fit(rows).encode(rows)
    frame = pandas.DataFrame(rows)
    held = [rows.tolist(), frame, frame.astype(object), torch.from_numpy(rows), rows.astype(np.float64)]
    for given in held:
        assert np.array_equal(ITQ(bits=8).fit(given).encode(given), codes)
    signs = ITQ(bits=8).fit_transform(rows)
    assert np.array_equal(np.packbits(signs > 0, axis=1), codes) and set(np.unique(signs)) == {-1, 1}
    assert LSH(bits=8).fit((rows > 0).tolist()).head.dim == 16


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([[1.0, 2.0], [3.0]], "features are no matrix of numbers .*rows of numbers, of one length"),
        (pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), "features are no matrix of numbers .*x"),
        (np.array([["1", "2"]]), "features are of type <U1, not numbers"),
        (np.ones((2, 2)) * 1j, "features are complex"),
        (scipy.sparse.eye(3).tocsr(), r"features are a sparse csr_matrix; give features.toarray\(\)"),
        ([1.0, 2.0], r"features must have shape \(n, dim\)"),
    ],
)
def test_what_is_no_matrix_is_said(given, problem):
    with pytest.raises(SDCError, match=problem):
        LSH(bits=8).fit(given)
