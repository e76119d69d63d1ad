"""Unsupervised hashing of images: short binary codes that retrieve well.

``from sdc import SDC, ITQ, LSH`` gives the methods, ``from sdc import SDCLoss`` the loss for end-to-end training, and
``from sdc import Encoder`` and ``from sdc import Index`` what turns new images into codes and what searches these. All
are imported on first use, so that ``import sdc`` costs nothing.
"""

from typing import Any

from sdc.registry import PUBLIC

__version__ = "0.2.0"
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    import pkgutil

    if name not in PUBLIC:
        raise AttributeError(f"module 'sdc' has no attribute {name!r}")
    return pkgutil.resolve_name(PUBLIC[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
