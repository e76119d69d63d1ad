import numpy as np

from sdc import SDCPlus, SDCPlusFeatures
from sdc.methods.similarity import diffusion, neighbour_graph


def test_without_views_neighbours_stand_in_for_them(clustered, caplog):
    features = clustered(200, 12)[0] + 3
    settings = {"bits": 16, "epochs": 2, "batch_size": 32}
    plain = SDCPlus(**settings).fit(features)
    assert "each item is paired with its 4 nearest neighbours" in caplog.text
    caplog.clear()
    named = SDCPlusFeatures(**settings).fit(features)
    assert not caplog.text
    similar = diffusion(neighbour_graph(features, 30, 0.5), 0.9)
    np.fill_diagonal(similar, -np.inf)
    nearest = np.argsort(-similar, axis=1)[:, :4]
    viewed = SDCPlus(**settings).fit(features, views=features[nearest])
    for method in (plain, named):
        assert np.array_equal(method.encode(features), viewed.encode(features))
        assert [row["loss"] for row in method.curve] == [row["loss"] for row in viewed.curve]
