"""What the server counts, as Prometheus reads it."""

import bisect
import threading
from collections import Counter, defaultdict

# Upper limits in seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counters:
    """Requests by route and status, and how long they took. Routes are the app's, never the request's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS) + 1))
        self.active = 0

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request has ended."""
        with self._lock:
            self._requests[route, status] += 1
            self._seconds[route] += seconds
            self._buckets[route][bisect.bisect_left(_BUCKETS, seconds)] += 1

    def text(self, items: dict[str, int]) -> str:
        """All of it, with the number of items of each index by its name."""
        lines = ["# HELP sdc_requests_total Requests that have ended.", "# TYPE sdc_requests_total counter"]
        with self._lock:
            for (route, status), number in sorted(self._requests.items()):
                lines.append(f"sdc_requests_total{{{_label('route', route)},{_label('status', status)}}} {number}")
            lines += ["# HELP sdc_request_seconds From request to the end of the answer."]
            lines += ["# TYPE sdc_request_seconds histogram"]
            for route, buckets in sorted(self._buckets.items()):
                name, total = _label("route", route), 0
                for limit, number in zip((*_BUCKETS, "+Inf"), buckets, strict=True):
                    total += number
                    lines.append(f"sdc_request_seconds_bucket{{{name},{_label('le', limit)}}} {total}")
                lines.append(f"sdc_request_seconds_sum{{{name}}} {self._seconds[route]:.6f}")
                lines.append(f"sdc_request_seconds_count{{{name}}} {total}")
        lines += ["# HELP sdc_requests_active Requests in work.", "# TYPE sdc_requests_active gauge"]
        lines += [f"sdc_requests_active {self.active}"]
        lines += ["# HELP sdc_index_items Items of an index.", "# TYPE sdc_index_items gauge"]
        lines += [f"sdc_index_items{{{_label('index', name)}}} {number}" for name, number in items.items()]
        return "\n".join(lines) + "\n"


def _label(name: str, value: object) -> str:
    escaped = str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'
