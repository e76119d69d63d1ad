import contextlib
import socket
import time

import pytest
import uvicorn

from sdc.web.connection import Connection
from tests.support.server import serving

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


class Hasty(Connection):
    seconds = 0.6


async def app(scope, receive, send):
    """Answers with as many bytes as the path says, after the body has come."""
    while (await receive()).get("more_body"):
        pass
    body = bytes(int(scope["path"][1:] or 0))
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port():
    config = uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_level="error", timeout_keep_alive=60)
    with serving(uvicorn.Server(config)) as number:
        yield number


def rest_of(client):
    """All that comes until the connection ends."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def test_a_head_that_does_not_end_ends_the_connection(port):
    whole = HEAD + b"\r\n"
    clients = {
        each: socket.create_connection(("127.0.0.1", port), timeout=10)
        for each in (b"", b"G", HEAD, whole, whole + HEAD)
    }
    for start, client in clients.items():
        client.sendall(start)
    for start, client in clients.items():
        with client:
            assert rest_of(client).count(b"HTTP/1.1 200") == start.count(b"\r\n\r\n")


def test_a_head_that_comes_drop_by_drop_ends_it_too(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, pytest.raises(OSError):
        client.sendall(HEAD)
        for _ in range(500):
            client.sendall(b"a: b\r\n")
            time.sleep(0.02)


def test_an_answer_that_is_not_taken_is_dropped(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /30000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1.5)
        assert 0 < len(rest_of(client)) < 30_000_000


def test_requests_in_work_and_one_after_the_other_go_on(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        time.sleep(1.5)
        client.sendall(b"x")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            client.sendall(HEAD + b"\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
