"""``sdc serve``: a page, and a JSON API, that show what a code finds."""

import ipaddress
import logging
import os
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from sdc import interrupts
from sdc.errors import SDCError
from sdc.limits import Range
from sdc.storage.sources import External

# Characters of a token; a shorter one can be guessed.
_TOKEN = 16
# Seconds that requests in work have to end after SIGTERM.
_DRAIN = 10
_log = logging.getLogger(__name__)


def run(
    *,
    index: Sequence[Path],
    host: str = "127.0.0.1",
    port: Annotated[int, Range(0, 65_535)] = 8000,
    token: str | None = None,
    insecure: bool = False,
    limit: Annotated[int, Range(1, 1000)] = 32,
    cache: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    external: External = "refuse",
) -> int:
    """Serve a page that shows the neighbours of an image, and the same as JSON, until it is interrupted.

    Example:
        sdc serve --index index --port 8000

    Args:
        index: Folders of indexes of the same images, shown side by side.
        host: Address to listen at. One that other machines reach takes a token.
        port: Port to listen at; 0 is any that is free.
        token: What requests must have as a bearer token, and people type in: at least 16 characters. By default what
            the environment's ``SDC_TOKEN`` says.
        insecure: Serve without a token to whoever reaches the address.
        limit: How many requests are in work at once; others are told to try again.
        cache: Cached features for the cosine, if not below the same ``results/``: a folder of shards, or a file whose
            rows are ids.
        weights: The backbone's weights, if they are not where they were in training: a file, or a published name.
        device: ``auto`` (the environment's ``SDC_DEVICE``, else the best there is), ``cpu``, ``cuda``, ``cuda:N`` or
            ``mps``.
        external: HDF5 files that lead to data in other files: ``refuse`` them, or ``follow`` them.

    Returns:
        Exit status 0.

    Raises:
        SDCError: If an index cannot be served, or the address is open to others without a token.
    """
    token = token or os.environ.get("SDC_TOKEN") or None
    if token is not None and (len(token) < _TOKEN or not token.isascii() or not token.isprintable()):
        raise SDCError(f"--token: give at least {_TOKEN} printable ASCII characters")
    here = _is_loopback(host)
    if not here and token is None and not insecure:
        raise SDCError(f"--host {host}: other machines reach it; give --token, or --insecure if all may search")
    try:
        import uvicorn

        from sdc.web.app import create_app
        from sdc.web.connection import Connection
    except ImportError as error:
        raise SDCError(
            f"needs FastAPI, uvicorn, python-multipart and prometheus-client ({error}); pip install 'sdc-hashing[web]'"
        ) from error
    from sdc.web.collection import Collection

    collections = [Collection(folder, weights, device, cache, external) for folder in index]
    of_images = {str(each.index.facts.get("images_xxh3")) for each in collections}
    if len(of_images) > 1:
        raise SDCError("--index: the indexes are of different images; serve those of one dataset together")
    names = Counter(each.name for each in collections)
    for folder, each in zip(index, collections, strict=True):
        if names[each.name] > 1:
            each.name += f" ({folder})"
    # Without a token, a name of another site that leads here must not be answered to.
    hosts = {"127.0.0.1", "localhost", "[::1]", host} if here and token is None else None
    app = create_app(collections, token, hosts, limit)
    config = uvicorn.Config(
        app, loop="asyncio", http=Connection, ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=_DRAIN, timeout_keep_alive=15,
        limit_concurrency=1000 + limit,
    )  # fmt: skip
    # What strangers send that is no form is theirs to know.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    with _listening(host, port) as listener, interrupts.unhurried():
        place = f"[{host}]" if ":" in host else host
        shown = ", ".join(each.name for each in collections)
        _log.info("http://%s:%d shows %s", place, listener.getsockname()[1], shown)
        uvicorn.Server(config).run([listener])
    return 0


def _listening(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Connections inherit it. Without, an answer's second packet waits 40 ms for the first to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        what = error.strerror or str(error)
        raise SDCError(f"--host {host} --port {port}: cannot be listened at ({what}); give others") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
