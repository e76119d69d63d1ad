"""The health of codes: how even and how independent their bits are, how many codes are in use and how evenly."""

import functools

import numpy as np

ROWS = 2**14  # codes unpacked at a time; float32 counts to 2**24


class CodeHealth:
    """The bits of n codes, alone and in pairs, and the codes in use.

    Args:
        codes: Packed, shape ``(n, K / 8)``, uint8.
        bits: K, if the last byte is padded with zeros.

    Attributes:
        both: Codes in which two bits are set, shape ``(K, K)``, float64, whole numbers.
        shares: Share p of the codes in which each bit is set, shape ``(K,)``.
        live: Bits that are not the same in all codes, shape ``(K,)``, Boolean.
        buckets: How many items have each code in use, shape ``(U,)``; f is their share of all items.
    """

    def __init__(self, codes: np.ndarray, bits: int | None = None) -> None:
        self.bits = bits or 8 * codes.shape[1]
        self._size = len(codes)
        self.both = np.zeros((self.bits, self.bits))
        for start in range(0, len(codes), ROWS):
            block = np.unpackbits(codes[start : start + ROWS], axis=1, count=self.bits).astype(np.float32)
            self.both += block.T @ block
        self._ones = self.both.diagonal()
        self.live = (self._ones > 0) & (self._ones < len(codes))
        self.shares = self._ones / max(1, len(codes))
        whole = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1])))
        self.buckets = np.unique(whole, return_counts=True)[1]

    def __len__(self) -> int:
        return self._size

    @functools.cached_property
    def correlations(self) -> np.ndarray | None:
        """Absolute correlations of every two live bits, each twice; None if there are no two."""
        ones, live, n = self._ones, self.live, self._size
        if np.count_nonzero(live) < 2:
            return None
        deviations = np.sqrt(ones * (n - ones))[live]
        covariances = (n * self.both - np.outer(ones, ones))[np.ix_(live, live)]
        absolute = np.abs(covariances / np.outer(deviations, deviations))
        correlations: np.ndarray = absolute[~np.eye(len(absolute), dtype=bool)]
        return correlations

    def bit_entropy(self) -> float:
        """Mean entropy of a bit, at most 1."""
        return float((_surprise(self.shares) + _surprise(1 - self.shares)).mean())

    def gram_deviation(self) -> float:
        """‖BᵀB / n - I‖ / K, Frobenius, of the signs B uncentred, so that uneven bits add to it."""
        gram = (4 * self.both - 2 * np.add.outer(self._ones, self._ones)) / self._size + 1
        return float(np.linalg.norm(gram - np.eye(self.bits)) / self.bits)

    @functools.cached_property
    def entropy(self) -> float:
        """- sum of f log₂ f, in bits."""
        return float(_surprise(self.buckets / self._size).sum())

    @property
    def entropy_max(self) -> float:
        """min(K, log₂ n), the most it can be, in bits."""
        return min(float(self.bits), float(np.log2(self._size)))

    def columns(self) -> dict[str, list[float]]:
        """The columns of ``bits.csv``: ``bit`` from 0, and ``share`` of the codes in which it is set."""
        return {"bit": list(range(self.bits)), "share": self.shares.tolist()}


def _surprise(shares: np.ndarray) -> np.ndarray:
    """Each share's part of an entropy in bits: 0 for 0."""
    return -shares * np.log2(np.where(shares > 0, shares, 1))
