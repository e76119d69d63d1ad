"""How runs are scored where a dataset or the config says nothing else, and what a config may say."""

import dataclasses
from typing import Literal

from sdc.settings import Settings

# How items at equal distances stand: the mean over all their orders, or as in the database.
Rule = Literal["expected", "stable"]
# Which queries count and what divides AP: standard, or as the released code does.
Convention = Literal["standard", "official"]

RULE: Rule = "expected"
CONVENTION: Convention = "standard"
MAP_AT = 1000  # R of mAP@R, items
PRECISION_AT = (1, 5, 10, 100)  # K of precision@K, items
NEIGHBOURS_AT = (1, 10, 100)  # K of neighbour_recall@K, items

# Words of codes to be compared, and two more a pair for the rest: from here on, compiled passes save more than their
# import takes.
COMPILED_WORDS = 150_000_000


def compiling_pays(queries: int, items: int, bits: int) -> bool:
    """Whether so many codes are ranked by compiled passes, which take libraries of their own."""
    return queries * items * (-(-bits // 64) + 2) >= COMPILED_WORDS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Settings):
    """How runs are scored and what the tables print.

    Attributes:
        ties: Which mAP the tables print: ``expected`` over all orders of equal distances, or ``stable``, as in
            the database.
        convention: Of queries without relevant items and of denominators; ``official`` is the released code's.
        features: Exact cosine on the features: as a row of the tables, and whose neighbours codes should find.
    """

    ties: Rule = RULE
    convention: Convention = CONVENTION
    features: bool = True


EVALUATION = {field.name: field.default for field in dataclasses.fields(Evaluation)}
