"""Connections that end where a client keeps the server waiting; for the body of a request, the guard does that."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds in which the head of a request must have come, and an answer been taken; at most twice as long, in fact.
SECONDS = 15.0


class Connection(H11Protocol):
    """uvicorn's, which would wait for ever for a head that does not end."""

    seconds = SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.seconds, self._look, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self, before: Any) -> None:
        """End the connection if no request has been in work since the last look, which saw another."""
        request = self.cycle
        if request is before and (request is None or request.response_complete):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self.seconds, self._look, request)
