"""How many requests does `sdc serve` answer in a second, how long does each take, and what of four times as many?

    python benchmarks/serve.py [--items 1000000] [--model resnet50] [--clients 4] [--seconds 10]

A server of its own, on loopback, of an index of random codes of 64 bits, is asked by so many clients at once, each of
which sends its next request when the last is answered: for the page of any item, with its map, histogram and 20
neighbours; for the ten neighbours of features; then for those of a JPEG file of 320 x 240, which it encodes on the CPU.
The server's limit is twice the clients; then come four times as many, so that half of them are too many. A client that
is told to try again waits a tenth of a second. Clients are threads of this process, on the same machine.

Prints requests/s that were answered, p50 and p99 of their milliseconds, how many were told to try again (503), how many
failed, and the most memory that the server took until then.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import machine
import numpy as np
from PIL import Image

from sdc import LSH, Index, registry
from sdc.search.map import map_of

BUSY_SECONDS = 0.1


def make_index(folder: Path, items: int, model: str, edge: int) -> int:
    """Write an index of random codes whose head takes a backbone's features; returns how many these are."""
    settings = {"type": model, "weights": "none", "resize": edge, "crop": edge, "precision": "float32"}
    backbone = registry.build("backbones", model, settings)
    generator = np.random.default_rng(0)
    dim = backbone.module().to("cpu").eval()(backbone.scaler()(pixels(edge))).shape[1]
    head = LSH(bits=64).fit(generator.standard_normal((200, dim)).astype(np.float32)).head
    identity = {"backbone": model, "backbone_settings": settings, "weights": backbone.weights_id(), "decoding": {}}
    identity |= {"transform": backbone.transform_id(), "features_version": registry.FEATURES_VERSION}
    head = dataclasses.replace(head, metadata={**head.metadata, **identity})
    codes = generator.integers(0, 256, (items, 8), np.uint8)
    index = Index.build(codes, head=head, labels=(str(row % 10) for row in range(items)))
    index.map = map_of(codes)
    index.save(folder)
    return dim


def pixels(edge: int):  # noqa: ANN201
    """One black image, as networks take it."""
    import torch

    return torch.zeros(1, edge, edge, 3, dtype=torch.uint8)


def form(name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """A form of one field, and the headers that say so."""
    kind = '; filename="a.jpg"' if name == "image" else ""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


def ask(port: int, clients: int, seconds: float, request: tuple, items: int) -> str:
    """Ask with so many clients for so long; the figures as a line.

    The request is method, path, body and headers; ``{item}`` in the path is any item.
    """
    method, path, body, headers = request
    took: list[float] = []
    others: list[int] = []
    until = time.perf_counter() + seconds

    def client() -> None:
        connection, generator = http.client.HTTPConnection("127.0.0.1", port, timeout=120), random.Random(0)  # noqa: S311
        while (began := time.perf_counter()) < until:
            try:
                connection.request(method, path.format(item=generator.randrange(items)), body, headers)
                answer = connection.getresponse()
                answer.read()
            except OSError:
                connection.close()
                others.append(0)
                continue
            if answer.status == 200:
                took.append(time.perf_counter() - began)
            else:
                others.append(answer.status)
                time.sleep(BUSY_SECONDS)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = 1000 * np.quantile(took, (0.5, 0.99)) if took else (np.nan, np.nan)
    busy = others.count(503)
    rate = len(took) / seconds
    speed = f"{rate:.1f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return f"{clients} clients: {speed}, {busy} busy, {len(others) - busy} failed"


def peak(process: int) -> float:
    """The most memory of a process so far, MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3  # type: ignore[index]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--edge", type=int, default=224, help="of the images that the network sees, in pixels")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    print(machine.describe())
    generator, image = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (240, 320, 3), np.uint8)).save(image, "JPEG")
    with tempfile.TemporaryDirectory() as folder:
        dim = make_index(Path(folder) / "index", options.items, options.model, options.edge)
        features = json.dumps(generator.standard_normal(dim).round(4).tolist()).encode()
        command = [
            "-m",
            "sdc",
            "serve",
            "--index",
            f"{folder}/index",
            "--port",
            "0",
            "--limit",
            str(2 * options.clients),
        ]
        with subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr
            lines = []
            while not (port := re.match(r"http://[\d.]+:(\d+)", (lines or [""])[-1])):
                lines.append(server.stderr.readline())
                assert lines[-1], lines
            requests = {"page": ("GET", "/?item={item}", None, {"Accept": "text/html"})}
            for name, content in (("features", features), ("image", image.getvalue())):
                requests[name] = ("POST", "/api/search?k=10", *form(name, content))
            for name, request in requests.items():
                ask(int(port[1]), 1, 0.1, request, options.items)  # the first loads what it needs
                for clients in (options.clients, 4 * options.clients):
                    figures = ask(int(port[1]), clients, options.seconds, request, options.items)
                    print(f"{options.items:,} items, {name}, {figures}, {peak(server.pid):,.0f} MB", flush=True)
            server.terminate()


if __name__ == "__main__":
    main()
