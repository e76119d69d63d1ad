from sdc import registry
from sdc.plan.networks import USUAL, networks


def test_every_network_is_in_the_table():
    assert sorted(networks()) == sorted(registry.TORCHVISION)
    assert all(0 < network.activations < 200 and network.edge >= 224 for network in (*networks().values(), USUAL))
