import dataclasses
import io
import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from sdc import SDC, WCH, CIBHash
from sdc.errors import SDCError
from sdc.methods import training
from sdc.methods.base import TrainedMethod
from sdc.methods.data import Training
from sdc.methods.training import Batches, Centring, export_head, learning_rate, token_means, train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe(TrainedMethod):
    """Records the batches it sees; its loss has a bottom."""

    def build_head(self, dim, bits):
        return nn.Sequential(nn.Linear(dim, bits))

    def loss(self, batch):
        self.__dict__.setdefault("batches", []).append(batch)
        return {"first": batch.logits.square().mean(), "second": 0 * batch.logits.sum()}


class TwoViews(Probe):
    requires = ("features", "views")


class Asymmetric(TwoViews):
    augmentation = "asymmetric"


class Tokens(Probe):
    requires = ("features", "tokens")


def numbered(items, views=None, patches=None):
    """Training items whose every number says item * 100 + view * 10 + patch."""
    item, view, patch = np.mgrid[:items, : views or 1, : patches or 1] * np.array([100, 10, 1])[:, None, None, None]
    rows = torch.from_numpy((item + view + patch).astype(np.float32))[..., None].repeat(1, 1, 1, 3)
    return Training(
        rows[:, 0, 0],
        views=rows[:, :, 0] if views and not patches else None,
        tokens=rows if patches else None,
    )


def same(one, other):
    return one.layers == other.layers and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays
    )


def test_every_epoch_is_a_new_permutation_without_the_incomplete_batch():
    epochs = []
    for _ in range(2):
        probe = Probe(bits=8, epochs=3, batch_size=4)
        train(probe, numbered(10))
        assert [len(batch.features) for batch in probe.batches] == [4] * 6
        for batch in probe.batches:
            assert (batch.features[:, 0] / 100).tolist() == batch.index.tolist()
        steps = [batch.index.tolist() for batch in probe.batches]
        epochs.append([steps[0] + steps[1], steps[2] + steps[3], steps[4] + steps[5]])
    assert all(len(set(epoch)) == 8 for epoch in epochs[0])
    assert len({tuple(epoch) for epoch in epochs[0]}) == 3
    assert epochs[0] == epochs[1]


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("kind", [TwoViews, Asymmetric], ids=lambda kind: kind.__name__)
def test_two_distinct_views_of_each_item(kind, views):
    batches = Batches(kind(bits=8, batch_size=64), numbered(130, views))
    pairs = []
    for index, rows in batches:
        assert rows.shape == (128, 3)
        first, second = (rows[:, 0].int().reshape(2, 64) // 10).unbind()
        assert (first // 10).tolist() == (second // 10).tolist() == index.tolist()
        pairs += zip((first % 10).tolist(), (second % 10).tolist(), strict=True)
    assert len(pairs) == 128
    allowed = {(a, b) for a in range(views) for b in range(views) if a != b}
    if kind is Asymmetric:
        allowed = {(a, b) for a, b in allowed if (a % 2, b % 2) == (0, 1)}
    assert set(pairs) == allowed


def test_clean_anchor_is_the_item_itself():
    training = numbered(130, 3)
    training = dataclasses.replace(training, features=training.features - 5)  # unlike any view
    seen = set()
    for index, rows in Batches(TwoViews(bits=8, batch_size=64, anchor="clean"), training):
        assert torch.equal(rows[:64], training.features[index])
        items, views = (rows[64:, 0].int() // 10 // 10).tolist(), (rows[64:, 0].int() // 10 % 10).tolist()
        assert items == index.tolist()
        seen |= set(views)
    assert seen == {0, 1, 2}


def test_draws_of_views_belong_to_the_seed_and_change_with_the_epoch():
    def epochs(seed):
        batches = Batches(TwoViews(bits=8, batch_size=8, seed=seed), numbered(20, 4))
        return [[rows.tolist() for _, rows in batches] for _ in range(2)]

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert first == again
    assert first != other
    assert first[0] != first[1]


def test_tokens_arrive_with_their_patches_and_enter_the_head_as_their_mean():
    training = numbered(8, 2, 3)
    training = dataclasses.replace(training, tokens=training.tokens.half())
    method = Tokens(bits=8, epochs=1, batch_size=4)
    train(method, training)
    batch = method.batches[0]
    assert (batch.features.shape, batch.features.dtype) == ((8, 3, 3), torch.float32)
    assert torch.equal(batch.hidden, batch.features.mean(dim=1))
    assert (batch.features[0, :, 0] % 10).tolist() == [0, 1, 2]


def test_batch_has_what_the_loss_needs():
    training = dataclasses.replace(numbered(8), labels=torch.eye(8))
    method = Probe(bits=8, epochs=1, batch_size=4)
    train(method, training)
    batch = method.batches[0]
    assert torch.equal(batch.labels, torch.eye(8)[batch.index])
    assert torch.equal(batch.hidden, batch.features)
    assert batch.logits.requires_grad
    assert batch.auxiliary is None
    assert batch.generator is not None


def test_curve_has_every_term_and_the_schedule():
    _, curve = train(Probe(bits=8, epochs=10, batch_size=4, learning_rate=0.1), Training(torch.ones(8, 3)))
    assert list(curve[0]) == ["epoch", "loss", "first", "second", "learning_rate", "seconds"]
    assert [row["learning_rate"] for row in curve] == pytest.approx([0.1] * 8 + [0.01] * 2)
    assert curve[-1]["loss"] < curve[0]["loss"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epochs": 5}, [1, 1, 1, 1, 0.1]),
        ({"epochs": 6, "decay_after": 0.34, "decay_factor": 0.5}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"epochs": 3, "decay_factor": 1.0}, [1, 1, 1]),
        ({"epochs": 1, "decay_after": 0.1}, [1]),
        ({"epochs": 4, "schedule": "cosine"}, [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_learning_rates(settings, expected):
    method = Probe(learning_rate=2.0, **settings)
    assert [learning_rate(method, epoch) / 2 for epoch in range(method.epochs)] == pytest.approx(expected)


def test_a_rate_may_fall_from_step_to_step():
    method = Probe(bits=8, epochs=2, batch_size=4, learning_rate=2.0, schedule="cosine_steps")
    assert [learning_rate(method, progress) / 2 for progress in (0, 0.5, 1, 1.5)] == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    # The curve has that of an epoch's last step.
    _, curve = train(method, Training(torch.ones(8, 3)))
    assert [row["learning_rate"] / 2 for row in curve] == pytest.approx(
        [(1 + math.sqrt(0.5)) / 2, (1 - math.sqrt(0.5)) / 2]
    )


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_optimisers_are_torchs(optimiser):
    settings = {"learning_rate": 0.1, "weight_decay": 0.01, "batch_size": 4, "epochs": 3, "decay_factor": 1.0}
    method = Probe(bits=8, optimiser=optimiser, momentum=0.5, adam_epsilon=0.1, **settings)
    features = torch.ones(4, 3)
    trained, _ = train(method, Training(features))
    torch.manual_seed(0)
    head = method.build_head(3, 8)
    shared = {"lr": 0.1, "weight_decay": 0.01}
    stepper = {
        "adam": lambda: torch.optim.Adam(head.parameters(), eps=0.1, **shared),
        "sgd": lambda: torch.optim.SGD(head.parameters(), momentum=0.5, **shared),
    }[optimiser]()
    for _ in range(3):
        stepper.zero_grad()
        head(features).square().mean().backward()
        stepper.step()
    assert trained.arrays["0.weight"] == pytest.approx(head[0].weight.detach().numpy(), abs=1e-6)


def test_training_is_reproducible_and_leaves_the_global_state_alone(clustered):
    training = Training(torch.from_numpy(clustered(128, 8)[0]))
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    heads = [train(SDC(bits=8, hidden=16, epochs=2, seed=seed), training)[0] for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(heads[0], heads[1])
    assert not same(heads[0], heads[2])


def test_auxiliary_modules_are_trained_with_the_head():
    class WithAuxiliary(Probe):
        def build_auxiliary(self, training):
            self.__dict__["made"] = nn.Linear(3, 1)
            return self.__dict__["made"]

        def loss(self, batch):
            return {"gap": (batch.auxiliary(batch.features) - 1).square().mean() + batch.logits.square().mean()}

    method = WithAuxiliary(bits=8, epochs=100, batch_size=4, learning_rate=0.1)
    train(method, Training(torch.ones(4, 3)))
    assert method.made(torch.ones(3)).item() == pytest.approx(1, abs=0.1)


def test_what_follows_the_head_does_so_before_the_first_step_and_after_each():
    class Followed(Probe):
        def follow(self, head, auxiliary, *, first):
            seen = self.__dict__.setdefault("seen", [])
            seen.append((first, len(self.__dict__.get("batches", [])), head[0].weight.detach().clone()))

    method = Followed(bits=8, epochs=2, batch_size=4, learning_rate=0.1)
    train(method, Training(torch.ones(8, 3)))
    assert [(first, batches) for first, batches, _ in method.seen] == [
        (True, 0),
        *((False, step) for step in (1, 2, 3, 4)),
    ]
    assert not torch.equal(method.seen[0][2], method.seen[1][2])


def test_feature_dropout_hides_other_parts_of_each_row_in_each_step():
    method = Probe(bits=8, epochs=2, batch_size=100, feature_dropout=0.25)
    train(method, Training(torch.ones(100, 40)))
    seen = [batch.features for batch in method.batches]
    assert seen[0].unique().tolist() == pytest.approx([0, 4 / 3])
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(seen[0][0], seen[0][1])
    assert not torch.equal(seen[0], seen[1])
    # Head and targets see the same.
    assert torch.equal(method.batches[0].hidden, seen[0])


def test_feature_dropout_belongs_to_the_seed(clustered):
    training = Training(torch.from_numpy(clustered(128, 8)[0]))
    settings = {"bits": 8, "hidden": 16, "epochs": 2}
    one, again, without = (train(SDC(feature_dropout=dropout, **settings), training)[0] for dropout in (0.5, 0.5, 0.0))
    assert same(one, again)
    assert not same(one, without)


def test_bfloat16_gives_almost_the_same_codes(clustered):
    features = clustered(256, 8)[0]
    settings = {"bits": 64, "hidden": 32, "epochs": 3}
    heads = [SDC(precision=precision, **settings).fit(features).head for precision in ("float32", "bfloat16")]
    assert not same(*heads)
    assert heads[1].arrays["0.weight"].dtype == np.float32
    codes = [np.unpackbits(head.encode(features)) for head in heads]
    assert (codes[0] != codes[1]).mean() < 0.05


def test_best_needs_a_score():
    with pytest.raises(SDCError, match="select: best needs a score"):
        train(Probe(bits=8, batch_size=4, select="best"), Training(torch.ones(8, 3)))


def test_best_is_the_head_that_scored_highest():
    scores, heads = iter([0.2, 0.9, 0.5, 0.9]), []

    def score(head):
        heads.append(head)
        return next(scores)

    method = Probe(bits=8, epochs=7, batch_size=4, learning_rate=0.1, select="best", select_every=2)
    head, curve = train(method, Training(torch.ones(8, 3)), score=score)
    # After epochs 2, 4 and 6, and after the last; of equals the first.
    assert len(heads) == 4
    assert len(curve) == 7
    assert same(head, heads[1])
    assert not same(heads[1], heads[2])
    assert head.metadata["selected"] == "the best of evaluations on the test queries every 2 epochs: epoch 4"


def test_looking_at_heads_does_not_change_training():
    features = np.random.default_rng(0).standard_normal((64, 6)).astype(np.float32)
    settings = {"bits": 8, "hidden": 12, "epochs": 4, "batch_size": 16}
    looked = SDC(select="best", select_every=1, **settings)
    ranks = iter(range(4))
    # The last is the best.
    best = looked.fit(features, score=lambda head: next(ranks)).head
    last = SDC(**settings).fit(features).head
    assert same(best, last)
    assert best.metadata["selected"].endswith("epoch 4")
    assert "selected" not in last.metadata


def test_fewer_items_than_a_batch():
    with pytest.raises(SDCError, match="10 training items are fewer than one batch of 64; lower batch_size"):
        train(SDC(bits=8), Training(torch.ones(10, 3)))


def test_loss_that_stops_being_finite_names_term_epoch_and_rate():
    class Broken(Probe):
        def loss(self, batch):
            steps = self.__dict__.setdefault("steps", [])
            steps.append(batch)
            factor = float("nan") if len(steps) == 4 else 1.0
            return {"good": batch.logits.mean(), "bad": batch.logits.mean() * factor}

    with pytest.raises(
        SDCError, match="bad became nan in epoch 1, step 1, at learning rate 0.0001; lower learning_rate"
    ):
        train(Broken(bits=8, batch_size=4), Training(torch.ones(8, 3)))


def test_centring_gives_mean_zero_and_the_length_of_standard_rows(clustered):
    features = torch.from_numpy(clustered(300, 16)[0]) + 5
    rows = Centring.of(features)(features)
    assert rows.mean(dim=0) == pytest.approx([0] * 16, abs=1e-5)
    assert rows.norm(dim=1).mean().item() == pytest.approx(4)


def test_centred_inputs_enter_the_head_and_not_the_loss():
    features = torch.arange(12.0).reshape(4, 3)
    method = Probe(bits=8, epochs=1, batch_size=4, inputs="centred")
    train(method, Training(features))
    batch = method.batches[0]
    assert torch.equal(batch.features, features[batch.index])
    assert batch.hidden == pytest.approx(Centring.of(features)(batch.features))


def modules():
    """Heads of every kind, in training mode, with weights and statistics that are no longer those of the start."""
    torch.manual_seed(0)
    kinds = {
        "sdc": SDC(hidden=32).build_head(8, 16),
        "sdc linear": SDC(hidden=None).build_head(8, 16),
        "relu": CIBHash(hidden=32).build_head(8, 16),
        "layer norm": WCH(hidden=32).build_head(8, 16),
        "no bias": nn.Sequential(nn.Linear(8, 16, bias=False)),
    }
    for module in kinds.values():
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5)
    return kinds


@pytest.mark.parametrize("centred", [False, True], ids=["raw", "centred"])
@pytest.mark.parametrize("kind", list(modules()))
def test_exported_head_gives_the_logits_and_the_signs_of_the_module(clustered, kind, centred):
    features = torch.from_numpy(clustered(256, 8)[0]) + 2
    module = modules()[kind]
    centring = Centring.of(features) if centred else None
    rows = features if centring is None else centring(features)
    if kind == "layer norm" and centred:
        with pytest.raises(TypeError, match="no layer for LayerNorm"):
            export_head(module, centring)
        return
    module(rows)  # batch statistics
    expected = module.eval().double()(rows.double()).detach().numpy()
    head = export_head(module, centring)
    assert head.logits(features.numpy()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert all(array.dtype == np.float32 for array in head.arrays.values())
    # Stored in float32, so only a logit this close to zero may change sides.
    clear = abs(expected) > 1e-5
    bits = np.unpackbits(head.encode(features.numpy()), axis=1).astype(bool)
    assert clear.mean() > 0.99
    assert np.array_equal(bits[clear], (expected > 0)[clear])


def test_batch_norm_leaves_no_layer_behind():
    assert export_head(modules()["sdc"].eval()).layers == ("linear", "gelu", "linear")
    assert export_head(modules()["layer norm"].eval()).layers == ("layernorm", "linear", "relu", "linear")


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.GELU(approximate="tanh")])
def test_layers_that_heads_do_not_know(layer):
    with pytest.raises(TypeError, match=f"no layer for {type(layer).__name__}"):
        export_head(nn.Sequential(nn.Linear(2, 8), layer))


def test_weights_that_have_decayed_to_almost_nothing_are_zero_in_the_head():
    # A processor multiplies subnormal numbers many times slower than others.
    module = torch.nn.Sequential(torch.nn.Linear(3, 8))
    with torch.no_grad():
        module[0].weight[:, 0] = 1e-40
    weight = export_head(module).arrays["0.weight"]
    assert (weight[:, 0] == 0).all()
    assert np.array_equal(weight[:, 1:], module[0].weight[:, 1:].detach().numpy())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_token_means(dtype, tolerance):
    tokens = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    means = token_means(tokens)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, tokens.float().mean(dim=1), atol=tolerance, rtol=tolerance)


def test_progress_is_a_line_now_and_then(clustered, caplog, monkeypatch):
    features, _ = clustered(40, 8)
    few = {"bits": 8, "batch_size": 8, "hidden": None}
    with caplog.at_level("INFO"):
        # However many epochs there are: the first, the last, and one every few seconds.
        SDC(**few, epochs=50).fit(features)
        assert [line.partition(":")[0] for line in caplog.messages] == ["epoch 1 of 50", "epoch 50 of 50"]
        for line in caplog.messages:
            assert re.search(r": loss [\d.]+ \((\w+ [\d.e-]+, )+\w+ [\d.e-]+\); \d+\.\d s, about \d+ s left$", line)
        caplog.clear()
        SDC(**few, epochs=5).fit(features, progress=False)
        assert not caplog.messages
        monkeypatch.setattr(training, "_EVERY", 0)
        SDC(**few, epochs=5).fit(features)
        assert len(caplog.messages) == 5


def test_progress_is_a_bar_on_a_terminal(clustered, caplog, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(training, "_DELAY", 0)
    with caplog.at_level("INFO"):
        SDC(bits=8, batch_size=8, hidden=None, epochs=5).fit(clustered(40, 8)[0])
    assert "SDC:   0%" in terminal.getvalue()
    assert not caplog.messages
