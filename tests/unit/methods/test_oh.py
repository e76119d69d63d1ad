import math

import pytest
import torch
from torch import nn

from sdc import OH
from sdc.methods.data import Batch, Training
from sdc.methods.training import train

METHOD = OH(bits=8, hidden=6, width=3, queue=7)


def made(method=METHOD, items=3):
    """A head, its auxiliary network, and a batch of two views of so many items, in float64."""
    torch.manual_seed(0)
    rows = torch.randn(2 * items, 4, dtype=torch.float64)
    head, network = method.build_head(4, 8).double(), method.build_auxiliary(Training(rows)).double()
    hidden = head[:-1](rows)
    return head, network, Batch(rows, head[-1](hidden), hidden, auxiliary=network)


def unit(row):
    length = math.sqrt(sum(value * value for value in row))
    return [value / length for value in row]


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def affine(layer, row):
    return [dot(w, row) + b for w, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)]


def encoded(below, code, output, row):
    """Code and continuous output of a row by an encoder's layers, in plain numbers."""
    hidden = [max(0.0, value) for value in affine(below, row)]
    return [float(value > 0) for value in affine(code, hidden)], unit(affine(output, hidden))


def mixture(code, output, queue):
    """What a code finds in a queue of pairs of code and output."""
    weights = [
        math.exp(dot(code, c) / 8 / 0.2 + dot([1 - x for x in code], [1 - x for x in c]) / 8 / 0.2) for c, _ in queue
    ]
    found = unit([sum(w * o[i] for w, (_, o) in zip(weights, queue, strict=True)) / sum(weights) for i in range(3)])
    return unit([a + 0.5 * b for a, b in zip(found, output, strict=True)])


def contrast(scores, right):
    return math.log(sum(math.exp(score / 0.2) for score in scores)) - scores[right] / 0.2


@pytest.mark.parametrize("start", ["drawn", "normal"])
def test_terms_are_those_of_a_plain_loop(start):
    head, network, batch = made(OH(bits=8, hidden=6, width=3, queue=7, start=start))
    queues = network["queues"]
    queue = list(zip(queues.codes.tolist(), queues.outputs.tolist(), strict=True))
    first, second = (rows.tolist() for rows in batch.features.chunk(2))
    query = [mixture(*encoded(head[0], head[2], network["output"], row), queue) for row in first]
    made_by_second = [encoded(*network["second"], row) for row in second]
    keys = [mixture(*pair, queue) for pair in made_by_second]
    later = [*made_by_second, *queue[:4]]
    others = [mixture(*encoded(head[0], head[2], network["output"], row), later) for row in second]
    negatives = queues.mixtures.tolist()
    terms = METHOD.loss(batch)
    assert terms["queue"].item() == pytest.approx(
        sum(contrast([dot(q, k), *(dot(q, n) for n in negatives)], 0) for q, k in zip(query, keys, strict=True)) / 3
    )
    assert terms["batch"].item() == pytest.approx(
        sum(contrast([dot(q, other) for other in others], i) for i, q in enumerate(query)) / 3
    )


def test_queues_start_as_codes_and_unit_vectors_or_as_public_code_has_them():
    drawn, normal = (made(OH(bits=8, width=1024, start=start))[1]["queues"] for start in ("drawn", "normal"))
    assert set(drawn.codes.ravel().tolist()) == {0, 1}
    assert drawn.codes.mean().item() == pytest.approx(0.5, abs=0.02)
    for rows in (drawn.outputs, drawn.mixtures):
        assert rows.norm(dim=1).numpy() == pytest.approx(1)
    assert normal.mixtures.norm(dim=1).mean().item() == pytest.approx(32, abs=0.2)
    assert normal.codes.std().item() == pytest.approx(1, abs=0.02)


def test_a_loss_changes_nothing_and_the_queues_take_what_came_last():
    head, network, batch = made()
    before = [queue.clone() for queue in network["queues"].buffers()]
    values = [sum(METHOD.loss(batch).values()).item() for _ in range(2)]
    assert values[0] == values[1]
    assert all(torch.equal(*pair) for pair in zip(before, network["queues"].buffers(), strict=True))
    with torch.no_grad():
        METHOD.follow(head, network, first=False)
    for old, new in zip(before, network["queues"].buffers(), strict=True):
        assert torch.equal(new[3:], old[:4])
        assert not torch.equal(new[:3], old[:3])


def test_more_items_than_a_queue_holds_fill_it():
    head, network, batch = made(items=9)
    METHOD.loss(batch)
    with torch.no_grad():
        METHOD.follow(head, network, first=False)
    assert [len(queue) for queue in network["queues"].buffers()] == [7, 7, 7]


def test_second_encoder_starts_as_the_first_and_follows_it():
    head, network, batch = made()
    METHOD.loss(batch)
    ours, followers = [*head.parameters(), *network["output"].parameters()], [*network["second"].parameters()]
    with torch.no_grad():
        METHOD.follow(head, network, first=True)
        assert all(torch.equal(*pair) for pair in zip(ours, followers, strict=True))
        before = [value.clone() for value in ours]
        for value in ours:
            value += 1
        METHOD.follow(head, network, first=False)
    for start, follower in zip(before, followers, strict=True):
        assert follower.numpy() == pytest.approx((0.999 * start + 0.001 * (start + 1)).numpy())


def test_only_first_views_by_the_learning_encoder_send_a_gradient():
    _, network, batch = made()
    logits = batch.logits.detach().requires_grad_()
    sum(METHOD.loss(Batch(batch.features, logits, batch.hidden, auxiliary=network)).values()).backward()
    assert logits.grad[:3].abs().sum() > 0
    assert logits.grad[3:].abs().max() == 0
    assert all(parameter.grad is None for parameter in network["second"].parameters())
    assert network["output"].weight.grad.abs().sum() > 0


def test_in_training_the_second_encoder_lags_behind(clustered):
    networks = []

    class Recorded(OH):
        def build_auxiliary(self, training):
            networks.append(super().build_auxiliary(training))
            return networks[-1]

    features, _ = clustered(32, 4)
    views = torch.from_numpy(features)[:, None].repeat(1, 2, 1)
    method = Recorded(bits=8, hidden=6, width=3, queue=7, epochs=2, batch_size=16, learning_rate=0.01)
    trained, _ = train(method, Training(torch.from_numpy(features), views=views))
    (second,) = (network["second"][0] for network in networks)
    torch.manual_seed(method.seed)
    begun = method.build_head(4, 8)
    moved = torch.from_numpy(trained.arrays["0.weight"]) - begun[0].weight
    lagging = second.weight - begun[0].weight
    assert moved.abs().max() > 0.01
    assert 0 < lagging.abs().max() < 0.01 * moved.abs().max()


def test_original_is_the_authors_code():
    method = OH.preset("original", bits=16)
    assert (method.learning_rate, method.batch_size, method.epochs, method.start) == (1e-5, 50, 200, "normal")


def test_parameter_count():
    head = OH().build_head(768, 64)
    assert sum(parameter.numel() for parameter in head.parameters()) == 768 * 2048 + 2048 + 2048 * 64 + 64
    assert [type(layer) for layer in head[1:2]] == [nn.ReLU]
