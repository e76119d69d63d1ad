"""Values that settings and options of commands share: their types, and the limits of these.

An upper limit is far above what anybody uses: a number with a slipped zero is refused at once, and not after hours or
with the machine's last memory.
"""

from pathlib import Path
from typing import Annotated, NamedTuple


class Range(NamedTuple):
    """Limits of a number, both inclusive."""

    minimum: float
    maximum: float
    multiple_of: int = 1

    def __str__(self) -> str:
        """For people: ``8 to 4096, a multiple of 8``."""
        return f"{self.minimum} to {self.maximum}" + f", a multiple of {self.multiple_of}" * (self.multiple_of > 1)

    def holds(self, value: int) -> bool:
        """Whether a value is allowed."""
        return self.minimum <= value <= self.maximum and value % self.multiple_of == 0

    @property
    def keywords(self) -> dict[str, float]:
        """For JSON Schema."""
        limits = {"minimum": self.minimum, "maximum": self.maximum, "multipleOf": self.multiple_of}
        return limits if self.multiple_of > 1 else {"minimum": self.minimum, "maximum": self.maximum}


# Codes fill bytes. At 4,096 bits they have more of these than 128 features in float32.
LENGTHS = range(8, 4097, 8)
Bits = Annotated[int, Range(LENGTHS[0], LENGTHS[-1], LENGTHS.step)]
# Codes of others may be of any length, as long as distances fit in 16 bits.
AnyBits = Annotated[int, Range(1, 65_535)]
# What NumPy's legacy generator takes.
Seed = Annotated[int, Range(0, 2**32 - 1)]
# Each is a file and a job: of a hundred million images, each of the most shards still has ten thousand.
Shards = Annotated[int, Range(1, 10_000)]
Shard = Annotated[int, Range(0, 9_999)]
# Training holds all views of its items in memory: 256 of 10,000 items in 4,096 dimensions are 42 GB.
Views = Annotated[int, Range(2, 256)]
# Items of a ranking, or images of a class: a manifest of more does not fit in memory.
Items = Annotated[int, Range(1, 10**9)]
# Images of a forward pass, or items of a training step.
BatchSize = Annotated[int, Range(1, 65_536)]
# Threads: beyond some thousands Linux has no room for more.
Threads = Annotated[int, Range(1, 1024)]
# Of an image in RGB: beyond, it has more than 2^31 numbers.
Megapixels = Annotated[int, Range(1, 700)]

# What a command writes. It is refused before any work where it is something else already, or cannot be made.
OUTPUT_FILE, OUTPUT_FOLDER = "file to write", "folder to write"
OutputFile = Annotated[Path, OUTPUT_FILE]
OutputFolder = Annotated[Path, OUTPUT_FOLDER]
