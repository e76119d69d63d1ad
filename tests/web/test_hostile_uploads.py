"""Uploads that mean harm, to a server over its socket: each is answered with 200 or 4xx, soon, and in little memory."""

import contextlib
import io
import json
import re
import socket
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sdc.web.uploads import FORMATS

HEAD = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'


def file_of(kind="PNG", size=(30, 20), **options):
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *chunks):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.class", "a")
    return content.getvalue()


def ask(port, body, length=None, leave=False):
    """Status and detail of the answer to a form, sent as it is; no status if the connection just ends.

    ``leave`` says that nothing more will come.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        size = b"Content-Length: %d\r\n" % (len(body) if length is None else length)
        kind = b"Content-Type: multipart/form-data; boundary=x\r\n"
        # What is refused by its head is not read to its end.
        with contextlib.suppress(OSError):
            client.sendall(b"POST /api/encode HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + kind + size)
            client.sendall(b"\r\n" + body)
            if leave:
                client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while part := client.recv(2**16):
                answer += part
    status = re.match(rb"HTTP/1.1 (\d+)", answer)
    return (int(status[1]) if status else None), answer.partition(b"\r\n\r\n")[2].decode()


@contextlib.contextmanager
def growth():
    """By how many MB the most memory of this process, which the server runs in, has grown meanwhile."""
    refs, result = Path("/proc/self/clear_refs"), []
    try:
        refs.write_text("5")
    except OSError:
        pytest.skip("this system does not measure the most memory of a while")
    peak = lambda name: int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e3  # noqa: E731
    before = peak("VmRSS")
    yield result
    result.append(peak("VmHWM") - before)


# Of 9 x 9 in colour.
PIXELS = chunk(b"IDAT", zlib.compress(bytes(9 * 28)))
HARM = {
    "a bomb": (png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), 422, "too many pixels"),
    "a smaller bomb": (png(9_000, 9_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), 422, "81.0 megapixels"),
    "a bomb in a text": (
        png(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2 * 10**8))), PIXELS),
        422, "no image that can be read",
    ),
    "a bomb in a profile": (
        png(9, 9, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2 * 10**8))), PIXELS),
        422, "",
    ),
    "an SVG": (SVG, 422, "no image that can be read"),
    "an SVG that says XML": (b'<?xml version="1.0"?>\n<!DOCTYPE svg>' + SVG, 422, "no image that can be read"),
    "a script": (b"GIF89a=1;alert(1)//", 422, "image"),
    "a PNG with a ZIP": (file_of() + zipped(), 422, "is HTML, PHP, PDF or ZIP, too"),
    "a JPEG with HTML": (file_of("JPEG", comment=b"<html><script>alert(1)</script>"), 422, "is HTML"),
    "a GIF with PHP": (file_of("GIF") + b"<?php system($_GET['a']);", 422, "is HTML"),
    "nothing": (b"", 422, ""),
    "zeros": (bytes(10**7), 422, "no image that can be read"),
    "too many bytes": (bytes(32 * 10**6 + 1), 413, "the image is too large"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARM)
def test_harm_is_refused(port, name):
    content, status, detail = HARM[name]
    ask(port, HEAD + file_of() + TAIL)
    spent = time.process_time()
    with growth() as grown:
        actual, text = ask(port, HEAD + content + TAIL)
    assert actual == status and detail in text, text
    # Of the processor, for other tests run beside; the form itself is held once more in parts.
    assert time.process_time() - spent < 1
    assert grown[0] < 40 + 4 * len(content) / 1e6


@pytest.mark.parametrize("length", [2 * 10**9, 10**19])
def test_two_gigabytes_are_refused_by_their_length(port, length):
    began = time.perf_counter()
    status, text = ask(port, HEAD, length)
    assert status == 413 and "the request is too large" in text and time.perf_counter() - began < 5


@pytest.mark.parametrize("change", [-30, -1, 1, 30])
def test_a_wrong_length_is_a_bad_request_and_nobody_elses_trouble(port, change):
    body = HEAD + file_of() + TAIL
    status, _ = ask(port, body, len(body) + change, leave=True)
    # Of one that is too short, the end of the form may not be missed.
    assert status in (None, 400, 422) or (status == 200 and change in (-1, 1))
    assert ask(port, body)[0] == 200


FILES = [file_of(kind, size=(24, 16)) for kind in FORMATS]


@settings(max_examples=150, deadline=None)
@given(
    content=st.sampled_from(FILES),
    cut=st.none() | st.integers(0, 400),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=5),
    tail=st.binary(max_size=20) | st.sampled_from(FILES),
)
def test_damaged_files_are_images_or_refused(port, content, cut, changes, tail):
    damaged = bytearray(content[:cut])
    for place, part in changes:
        place %= len(damaged) + 1
        damaged[place : place + len(part)] = part
    spent = time.process_time()
    status, text = ask(port, HEAD + bytes(damaged) + tail + TAIL)
    assert status in (200, 400, 422), text
    assert time.process_time() - spent < 1
    json.loads(text)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", HEAD, HEAD[:-2]]), st.sampled_from([b"", TAIL]))
def test_forms_that_are_none_are_refused(port, content, head, tail):
    status, text = ask(port, head + content + tail)
    assert status in (400, 422), text
    json.loads(text)
