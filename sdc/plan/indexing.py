"""Which engine an index of codes has, and with which settings: what a config may say, and what holds by default."""

import dataclasses
import math
from typing import Annotated, Literal

from sdc.errors import SDCError
from sdc.limits import Range
from sdc.settings import Settings

Engine = Literal["auto", "flat", "ivf", "hnsw", "multihash"]

# Codes up to which `auto` compares all of them: exact, and some milliseconds a query.
FLAT_UP_TO = 1_000_000
# The settings of each engine.
SETTINGS: dict[str, tuple[str, ...]] = {
    "flat": (), "ivf": ("nlist", "nprobe"), "hnsw": ("links", "ef_construction", "ef_search"),
    "multihash": ("tables", "key_bits", "flips"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Indexing(Settings):
    """How an index of codes is searched; a setting that is not given goes by the number of codes.

    Attributes:
        engine: ``flat`` compares every code; ``ivf`` those in the lists whose centres are nearest; ``hnsw`` follows the
            links of a graph; ``multihash`` looks up parts of the code in tables; ``auto``: ``flat`` up to a million
            codes, else ``ivf``.
        nlist: Of ``ivf``, how many lists.
        nprobe: Of ``ivf``, how many lists a query looks into.
        links: Of ``hnsw``, links of each code.
        ef_construction: Of ``hnsw``, candidates that are looked at where a code is put in.
        ef_search: Of ``hnsw``, candidates that a query looks at.
        tables: Of ``multihash``, how many parts of the code have a table.
        key_bits: Of ``multihash``, the length of each part.
        flips: Of ``multihash``, by how many bits a part may differ from the query's.
    """

    engine: Engine = "auto"
    nlist: Annotated[int, Range(1, 2**20)] | None = None
    nprobe: Annotated[int, Range(1, 2**20)] | None = None
    links: Annotated[int, Range(2, 256)] | None = None
    ef_construction: Annotated[int, Range(1, 65_536)] | None = None
    ef_search: Annotated[int, Range(1, 65_536)] | None = None
    tables: Annotated[int, Range(1, 512)] | None = None
    key_bits: Annotated[int, Range(1, 60)] | None = None
    flips: Annotated[int, Range(0, 8)] | None = None

    def chosen(self, count: int, bits: int) -> "Indexing":
        """The engine and all of its settings for so many codes of so many bits.

        Raises:
            SDCError: If a setting is one of another engine, or the tables need more bits than there are.
        """
        engine = self.engine
        if engine == "auto":
            engine = "flat" if count <= FLAT_UP_TO else "ivf"
        # Lists about as long as there are many of them; FAISS asks for at least 39 codes each to find their centres.
        nlist = min(2 ** math.ceil(math.log2(max(count, 1)) / 2), max(1, count // 39))
        # A key for each code: shorter ones give long lists, longer ones empty lists.
        key_bits = min(bits, max(4, min(24, math.ceil(math.log2(max(count, 1))))))
        key_bits = self.key_bits or key_bits
        usual = {
            "nlist": nlist, "nprobe": min(32, nlist), "links": 16, "ef_construction": 40, "ef_search": 64,
            "tables": max(1, min(64, bits // key_bits)), "key_bits": key_bits, "flips": 1,
        }  # fmt: skip
        given = {name: value for name, value in self.as_dict().items() if name != "engine" and value is not None}
        wrong = [name for name in given if name not in SETTINGS[engine]]
        if wrong and self.engine != "auto":
            owner = next(name for name, settings in SETTINGS.items() if wrong[0] in settings)
            raise SDCError(f"index.{wrong[0]}: is a setting of {owner}, and the engine is {engine}; leave it out")
        values = {name: given.get(name, usual[name]) for name in SETTINGS[engine]}
        if engine == "multihash" and values["tables"] * values["key_bits"] > bits:
            product = f"{values['tables']} tables of {values['key_bits']} bits"
            raise SDCError(f"index: {product} need more than the {bits} bits of the codes; lower one of the two")
        return Indexing(engine=engine, **values)

    def settings(self) -> dict[str, int]:
        """The settings that are given, without the engine."""
        return {name: value for name, value in self.as_dict().items() if name != "engine" and value is not None}
