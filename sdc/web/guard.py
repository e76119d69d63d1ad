"""What every request passes before the app: host, token, size, time, and how many there are at once."""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser

from sdc.web.counters import Counters

COOKIE = "sdc_token"
# Seconds in which the body of a request must have come.
BODY_SECONDS = 60
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# What needs no token, and what is answered however busy the server is.
_OPEN = ("/healthz", "/login", "/static/")
_ALWAYS = ("/healthz", "/metrics", "/static/")


def in_cookie(token: str) -> str:
    """What the cookie holds instead of the token itself."""
    return hmac.new(token.encode(), b"cookie of sdc serve", hashlib.sha256).hexdigest()


class Guard:
    """An ASGI app around another.

    Args:
        app: The other.
        counters: Told of each request.
        token: That requests must have, in ``Authorization: Bearer`` or the cookie; None for none.
        hosts: Which a request may name: another site's name may lead to this machine; None for any.
        limit: Of requests at once; one more is answered 503.
        max_bytes: Of a request's body.
        body_seconds: In which it must have come.
    """

    def __init__(
        self,
        app: Any,
        counters: Counters,
        *,
        token: str | None = None,
        hosts: Collection[str] | None = None,
        limit: int = 32,
        max_bytes: int = 10**6,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.app, self._counters = app, counters
        self._token, self._hosts, self._limit = token, hosts, limit
        self._max_bytes, self._body_seconds = max_bytes, body_seconds
        self._active = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        counted = not scope["path"].startswith(_ALWAYS)
        try:
            refused = self._refused(scope, counted)
            if refused is not None:
                await _refuse(answer, *refused)
                return
            self._now(counted)
            try:
                await self.app(scope, self._bounded(receive), answer)
            finally:
                self._now(-counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._counters.count(route, status, time.perf_counter() - began)

    def _now(self, more: int) -> None:
        self._active += more
        self._counters.active.set(self._active)

    def _refused(self, scope: Any, counted: bool) -> tuple[int, str, dict[str, str]] | None:
        headers = Headers(scope=scope)
        if self._hosts is not None and re.sub(r":\d*$", "", headers.get("host", "")).lower() not in self._hosts:
            return 400, "this server does not answer for that host; call it by the address it says", {}
        if self._token is not None and not scope["path"].startswith(_OPEN) and not self._has_token(headers):
            if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                return 303, "log in", {"Location": "/login"}
            return 401, "give the token of this server", {"WWW-Authenticate": "Bearer"}
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > self._max_bytes:
            return 413, self._too_large, {"Connection": "close"}
        if counted and self._active >= self._limit:
            return 503, "the server is busy; try again in a second", {"Retry-After": "1"}
        return None

    @property
    def _too_large(self) -> str:
        return f"the request is too large; send at most {self._max_bytes / 1e6:g} MB"

    def _has_token(self, headers: Headers) -> bool:
        token = self._token or ""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(), in_cookie(token).encode())

    def _bounded(self, receive: Any) -> Any:
        size, until, whole = 0, time.monotonic() + self._body_seconds, False

        async def next_part() -> Any:
            nonlocal size, whole
            if whole:  # what comes now is that the client has gone
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.001, until - time.monotonic()))
            except TimeoutError as error:
                raise HTTPException(408, "the request took too long to come; send it again") from error
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > self._max_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return next_part


async def _refuse(send: Any, status: int, detail: str, more: dict[str, str]) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
