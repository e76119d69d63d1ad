"""Torch files that anybody wrote: tensors, lists and text, nothing else is loaded.

They are zip archives with checksums, which torch does not verify and this module does; files from before torch 1.6 are
pickles without, in which a byte that changed cannot be found.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdc.errors import SDCError
from sdc.storage.sources import WholeSource, check_memory

_ONLY_TENSORS = "save tensors with torch.save"


def is_torch(path: Path) -> bool:
    """Whether a file begins as those of torch do, old or new."""
    with open(path, "rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def read_torch(path: Path) -> WholeSource:
    """Read a torch file whole."""
    import torch

    size = path.stat().st_size
    check_memory(path, "it", size)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise ValueError("it is compressed, as torch never does")
            if damaged := archive.testzip():
                raise SDCError(f"{path}: {damaged} does not match its checksum; write it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        raise SDCError(
            f"{path}: holds something other than tensors, lists and text, or is damaged; nothing else is loaded, for a "
            f"pickle may call anything: {_ONLY_TENSORS}"
        ) from error

    def array(name: Any, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if value.dtype == torch.bfloat16:
            raise SDCError(f"{path}: {name} are bfloat16, which NumPy does not know; save tensor.float()")
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else value.layout
        if kind != torch.strided or value.device.type != "cpu":
            raise SDCError(f"{path}: {name} are {kind} on {value.device}; save a dense tensor of the CPU")
        if value.numel() * value.element_size() > size:
            raise SDCError(
                f"{path}: {name} are larger than the file, one number stands for many; save tensor.contiguous()"
            )
        return value.detach().resolve_conj().resolve_neg().numpy()

    if isinstance(content, Mapping):
        return WholeSource(path, {str(name): array(name, value) for name, value in content.items()})
    return WholeSource(path, array("features", content))
