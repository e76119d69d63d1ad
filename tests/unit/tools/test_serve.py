import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from sdc import Index
from sdc.cli import main

SHARED = "a token of some length"


def save(folder, **facts):
    Index.build(np.random.default_rng(0).integers(0, 256, (30, 2)).astype(np.uint8), facts=facts).save(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--host", "10.0.0.1"], "--host 10.0.0.1: other machines reach it; give --token, or --insecure"),
        (["--host", "example.org"], "--host example.org: other machines reach it; give --token, or --insecure"),
        (["--token", "short"], "--token: give at least 16 printable ASCII characters"),
        (["--token", "with a\nline and more"], "--token: give at least 16 printable ASCII characters"),
        (["--index", "none"], "none: no such file or folder"),
        (["--index", "a", "b"], "--index: the indexes are of different images"),
        (["--port", "65536"], "--port: 65536 is not allowed; give 0 to 65535"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, caplog, options, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SDC_TOKEN", raising=False)
    save("a", images_xxh3="1")
    save("b", images_xxh3="2")
    assert main(["serve", *options, *([] if "--index" in options else ["--index", "a"])]) == 2
    message = caplog.records[-1].getMessage()
    assert message.startswith(f"sdc serve: error: {line}") and "\n" not in message


def test_a_port_that_is_taken_is_one_line(tmp_path, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--index", save(tmp_path / "a"), "--port", str(port)]) == 2
    message = caplog.records[-1].getMessage()
    assert message.startswith(f"sdc serve: error: --host 127.0.0.1 --port {port}: cannot be listened at (")


def test_what_is_missing_is_one_line(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "sdc.web.app", raising=False)
    assert main(["serve", "--index", save(tmp_path / "a")]) == 2
    assert "pip install 'sdc-hashing[web]'" in caplog.records[-1].getMessage()


def test_sigterm_lets_a_request_in_work_end(tmp_path):
    """Two seconds and more: a server of its own starts, and the request is half sent."""
    command = [sys.executable, "-m", "sdc", "serve", "--index", save(tmp_path / "a"), "--port", "0"]
    environment = {**os.environ, "SDC_TOKEN": SHARED}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert "not ranked by cosine" in server.stderr.readline()
            port = re.fullmatch(r"http://127\.0\.0\.1:(\d+) shows a 16 bits\n", server.stderr.readline())[1]
            client = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
            body = b"token=" + SHARED.replace(" ", "+").encode()
            head = f"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            client.sendall(head.encode() + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body[:3])
            time.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            client.sendall(body[3:])
            assert client.recv(100).startswith(b"HTTP/1.1 303")
            client.close()
            assert server.wait(30) == -signal.SIGTERM
            assert server.stderr.read() == "sdc serve: interrupted (SIGTERM)\n"
        finally:
            server.kill()
