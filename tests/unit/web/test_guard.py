import asyncio
import json

import pytest
from prometheus_client import generate_latest

from sdc.web.counters import Counters
from sdc.web.guard import COOKIE, Guard, in_cookie

SHARED = "a token of some length"


async def echo(scope, receive, send):
    """An app that reads its request's body and says how long it is."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(guard, path="/", method="GET", parts=(b"",), **headers):
    """Status, headers and body of one request."""
    return asyncio.run(asked(guard, path, method, parts, **headers))


async def asked(guard, path="/", method="GET", parts=(b"",), **headers):
    headers = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages[-1]["more_body"] = False
    answer = []

    async def receive():
        if messages[0]["body"] is None:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def send(message):
        answer.append(message)

    await guard({"type": "http", "path": path, "method": method, "headers": raw}, receive, send)
    start, body = answer
    return start["status"], {name.decode().lower(): value.decode() for name, value in start["headers"]}, body["body"]


def guard(app=echo, **options):
    return Guard(app, Counters({}), **options)


def test_every_answer_has_a_strict_policy():
    for path, options in (("/", {}), ("/", {"token": SHARED}), ("/", {"limit": 0})):
        _, headers, _ = ask(guard(**options), path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:8000", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200), ("evil.example", 400),
        ("127.0.0.1.evil.example:8000", 400), ("", 400),
    ],
)  # fmt: skip
def test_other_names_of_this_machine_are_refused(host, status):
    assert ask(guard(hosts={"127.0.0.1", "localhost", "[::1]"}), host=host)[0] == status


def test_a_token_is_asked_for():
    protected = guard(token=SHARED)
    assert ask(protected)[0] == 401
    assert ask(protected, authorization="Bearer another")[0] == 401
    assert ask(protected, authorization=f"Basic {SHARED}")[0] == 401
    assert ask(protected, authorization=f"Bearer {SHARED}")[0] == 200
    assert ask(protected, cookie=f"{COOKIE}={SHARED}")[0] == 401
    assert ask(protected, cookie=f"{COOKIE}={in_cookie(SHARED)}")[0] == 200
    status, headers, _ = ask(protected, accept="text/html,*/*")
    assert (status, headers["location"]) == (303, "/login")
    assert [ask(protected, path)[0] for path in ("/healthz", "/login", "/static/page.js", "/metrics")] == [
        200, 200, 200, 401,
    ]  # fmt: skip


def test_a_large_body_is_refused_by_its_length_and_while_it_comes():
    small = guard(max_bytes=10)
    assert ask(small, method="POST", content_length="11")[0] == 413
    assert ask(small, method="POST", content_length="9" * 5000)[0] == 413
    assert ask(small, method="POST", content_length="-1")[0] == 413
    assert ask(small, method="POST", parts=(b"12345", b"67890"))[2] == b"10"
    with pytest.raises(Exception, match="the request is too large"):
        ask(small, method="POST", parts=(b"12345", b"67890", b"1"))


def test_a_body_that_does_not_come_is_not_waited_for():
    with pytest.raises(Exception, match="took too long to come"):
        ask(guard(body_seconds=0.01), method="POST", parts=(b"1", None))


def test_a_burst_is_told_to_come_again():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    async def burst():
        limited = guard(slow, limit=3)
        answers = await asyncio.gather(*(asked(limited) for _ in range(12)), asked(limited, "/healthz"))
        return answers, await asked(limited)

    answers, after = asyncio.run(burst())
    statuses = [status for status, _, _ in answers]
    assert statuses == [200] * 3 + [503] * 9 + [200]
    assert answers[5][1]["retry-after"] == "1" and "busy" in json.loads(answers[5][2])["detail"]
    assert after[0] == 200


def test_an_app_that_fails_is_counted_and_leaves_its_place():
    async def failing(scope, receive, send):
        raise ValueError("a fault")

    counters = Counters({})
    broken = Guard(failing, counters, limit=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="a fault"):
            ask(broken)
    assert 'sdc_requests_total{route="other",status="500"} 3.0' in generate_latest(counters.registry).decode()
    assert "sdc_requests_active 0.0" in generate_latest(counters.registry).decode()
