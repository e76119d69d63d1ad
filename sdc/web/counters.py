"""What the server counts, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Counters:
    """Requests by the app's routes, never by what was asked for; how long they took; and the items of each index."""

    def __init__(self, items: Mapping[str, int]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sdc_requests", "Requests that have ended.", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "sdc_request_seconds", "From request to the end of the answer.", ("route",), registry=self.registry
        )
        self.active = Gauge("sdc_requests_active", "Requests in work.", registry=self.registry)
        sizes = Gauge("sdc_index_items", "Items of an index.", ("index",), registry=self.registry)
        for name, count in items.items():
            sizes.labels(name).set(count)

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request has ended."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)
