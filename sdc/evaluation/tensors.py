"""Rankings of codes that are tensors already, on the device where they lie; everything else is as for arrays."""

from collections.abc import Iterator

import numpy as np
import torch

from sdc.errors import SDCError
from sdc.evaluation.ranking import Block
from sdc.evaluation.relevance import Relevance

BLOCK_PAIRS = 2**26  # of a query and an item at a time; each takes some 30 bytes


class Hamming:
    """Rankings by Hamming distance, for ``sdc.evaluation.scores.evaluate``.

    Distances are products of ±1: sums of up to 2048 ones are exact in float16, in which they are kept on a GPU.

    Args:
        queries, database: Packed codes on one device, shapes ``(Q, K / 8)`` and ``(N, K / 8)``, uint8.

    Raises:
        SDCError: If the code lengths or devices differ, or codes are longer than 2048 bits.
    """

    concurrent = False

    def __init__(self, queries: torch.Tensor, database: torch.Tensor) -> None:
        if queries.shape[1] != database.shape[1] or queries.device != database.device:
            where = [f"{8 * codes.shape[1]} bits on {codes.device}" for codes in (queries, database)]
            raise SDCError(f"codes differ: {' and '.join(where)}; they must be alike")
        self.size = len(database)
        self.bits: int | None = 8 * queries.shape[1]
        if self.bits > 2048:
            raise SDCError(f"codes of {self.bits} bits: up to 2048 are exact here; use arrays")
        self._queries, self._database = _signs(queries), _signs(database)

    def __len__(self) -> int:
        return len(self._queries)

    def blocks(self, relevance: Relevance, top: int, some: range | None = None) -> Iterator[Block]:
        """See ``sdc.evaluation.ranking.Ranking``."""
        some = some or range(len(self))
        step = max(1, BLOCK_PAIRS // self.size)
        for start in range(0, len(some), step):
            yield self._rank(relevance, top, some[start : start + step])

    def _rank(self, relevance: Relevance, top: int, queries: range) -> Block:
        width = 1 + (self.bits or 0)
        device = self._database.device
        products = self._queries[queries.start : queries.stop] @ self._database.T
        distances = ((self.bits or 0) - products).div_(2).long()
        levels = torch.from_numpy(np.stack([relevance.levels(query) for query in queries]).astype(np.int64)).to(device)
        rows = torch.arange(len(queries), device=device)[:, None]
        keys = (rows * relevance.depth + levels).mul_(width).add_(distances)
        counts = torch.bincount(keys.flatten(), minlength=len(queries) * relevance.depth * width)
        # Position breaks ties, so that the order is that of the database.
        order = distances.mul_(self.size).add_(torch.arange(self.size, device=device))
        first = order.topk(top, dim=1, largest=False).indices
        narrowest = np.min_scalar_type(relevance.depth - 1)
        return Block(
            counts.view(len(queries), relevance.depth, width).cpu().numpy(),
            levels.gather(1, first).cpu().numpy().astype(narrowest),
        )


def _signs(codes: torch.Tensor) -> torch.Tensor:
    """±1, shape ``(n, K)``, from packed codes."""
    if codes.dtype != torch.uint8:
        raise SDCError(f"codes must be packed uint8, got {codes.dtype}")
    shifts = torch.arange(7, -1, -1, device=codes.device, dtype=torch.uint8)
    bits = (codes[:, :, None] >> shifts & 1).flatten(1)
    return bits.to(torch.float16 if codes.is_cuda else torch.float32).mul_(2).sub_(1)
