"""A map of codes: a place in the plane for each, near codes near each other."""

import numpy as np

from sdc import hamming
from sdc.storage.index import Map

# Codes on a map, whose others are left out; and codes that t-SNE places, by which the others are.
MOST, _LANDMARKS = 100_000, 1000
# Landmarks whose places a code's is the mean of.
_NEAR = 5
_BLOCK = 2**11


def map_of(codes: np.ndarray, most: int = MOST) -> Map:
    """Draw the map of codes; the same codes give the same map.

    Some of the distinct codes are landmarks, which t-SNE places. Every code lies at the mean of the nearest landmarks'
    places, each of which weighs half as much for every bit that it is farther away. So equal codes are one point.

    Args:
        codes: Shape ``(n, bits / 8)``, uint8; one or more.
        most: How many are on it; of more, a sample.
    """
    generator, rows = np.random.default_rng(0), np.arange(len(codes))
    if len(codes) > most:
        rows = np.sort(generator.choice(len(codes), most, replace=False))
    sample = np.asarray(codes[rows])
    landmarks = np.unique(sample, axis=0)
    if len(landmarks) > _LANDMARKS:
        landmarks = landmarks[np.sort(generator.choice(len(landmarks), _LANDMARKS, replace=False))]
    places = _between(sample, landmarks, _placed(landmarks))
    # One scale for both axes.
    low, high = places.min(axis=0), places.max(axis=0)
    middle, size = (low + high) / 2, (high - low).max() or 1
    return Map(rows, np.round(((places - middle) / size + 0.5) * np.iinfo(np.uint16).max).astype(np.uint16))


def _placed(landmarks: np.ndarray) -> np.ndarray:
    """Places of distinct codes, shape ``(n, 2)``."""
    if len(landmarks) < 2:
        return np.zeros((len(landmarks), 2))
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    bits = hamming.unpack(landmarks).astype(np.float32)
    # With one thread: sums depend on how many there are, and a thousand points leave more of them idle.
    with threadpool_limits(1):
        tsne = TSNE(perplexity=min(30, (len(bits) - 1) / 3), init="pca", max_iter=500, random_state=0)
        return tsne.fit_transform(bits).astype(np.float64)


def _between(codes: np.ndarray, landmarks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places of codes by those of landmarks, shape ``(n, 2)``."""
    result, near = np.zeros((len(codes), 2)), min(_NEAR, len(landmarks))
    for low in range(0, len(codes), _BLOCK):
        distances = hamming.distances(landmarks, codes[low : low + _BLOCK]).T.astype(np.int64)
        # Of equally near ones the first: with their numbers, no two are equal.
        keys = np.partition(distances * len(landmarks) + np.arange(len(landmarks)), near - 1)[:, :near]
        bits, which = np.divmod(keys, len(landmarks))
        weights = 0.5 ** (bits - bits.min(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        result[low : low + _BLOCK] = (places[which] * weights[..., None]).sum(axis=1)
    return result
