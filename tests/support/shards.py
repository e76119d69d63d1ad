"""Sets of feature shards of known numbers."""

import numpy as np

from sdc.plan.shards import shard_names, shard_range
from sdc.registry import FEATURES_VERSION
from sdc.storage.features import FEATURES_SCHEMA
from sdc.storage.hdf5 import writing_h5


def write_shards(folder, shards=3, rows=10, dim=4, **changes):
    features = np.random.default_rng(0).standard_normal((rows, dim)).astype(np.float32)
    for shard, name in enumerate(shard_names(shards)):
        start, stop = shard_range(shard, shards, rows)
        attributes = {
            "schema": FEATURES_SCHEMA, "images_xxh3": "m", "backbone": "b", "rows": rows,
            "features_version": FEATURES_VERSION,
            "shard": shard, "start": start, "stop": stop, **changes.get(name, {}),
        }  # fmt: skip
        with writing_h5(folder / f"{name}.h5", attributes) as writer:
            writer.create("row", (stop - start,), np.int64)
            writer.append(row=np.arange(start, stop))
            writer.create("features", (stop - start, dim), np.float32)
            for row in range(start, stop):
                writer.append(features=features[row : row + 1])
    return features


def write_views(folder, rows=((1, 2), (), (7, 9)), shards=3, **changes):
    """Shards of two views, of some rows only; and what they hold."""
    count = sum(map(len, rows))
    views = np.random.default_rng(0).standard_normal((count, 2, 3)).astype(np.float16)
    written = 0
    for shard, name in enumerate(shard_names(shards)):
        start, stop = shard_range(shard, shards, 10)
        attributes = {
            "schema": FEATURES_SCHEMA, "images_xxh3": "m", "backbone": "b", "rows": 10, "kind": "views",
            "features_version": FEATURES_VERSION, "shard": shard, "start": start, "stop": stop, "views": 2,
            **changes.get(name, {}),
        }  # fmt: skip
        held = views[written : written + len(rows[shard])]
        written += len(held)
        with writing_h5(folder / f"{name}.h5", attributes) as writer:
            # A shard without rows knows no width.
            arrays = {"row": np.array(rows[shard], np.int64), "features": held if len(held) else np.zeros((0, 2, 0))}
            for array, values in arrays.items():
                writer.write(**{array: values})
    return views
