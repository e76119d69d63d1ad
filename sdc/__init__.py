"""Unsupervised hashing of images: short binary codes that retrieve well.

``from sdc import SDC, ITQ, LSH`` gives the methods, ``from sdc import SDCLoss`` the loss for end-to-end training, and
``from sdc import Encoder`` and ``from sdc import Index`` what turns new images into codes and what searches these. All
are imported on first use, so that ``import sdc`` costs nothing.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    import importlib

    from sdc.registry import METHODS

    places = {target.rpartition(":")[2]: target.rpartition(":")[0] for target in METHODS.values()}
    places |= {"SDCLoss": "sdc.methods.losses", "Encoder": "sdc.search.encoder", "Index": "sdc.search.index"}
    if name not in places:
        raise AttributeError(f"module 'sdc' has no attribute {name!r}")
    return getattr(importlib.import_module(places[name]), name)
