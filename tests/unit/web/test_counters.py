from prometheus_client import generate_latest

from sdc.web.counters import Counters


def test_what_is_counted_is_what_prometheus_reads():
    counters = Counters({'a "name"\n': 5})
    counters.count("/", 200, 0.003)
    counters.count("/", 200, 0.7)
    counters.count("other", 404, 100)
    lines = generate_latest(counters.registry).decode().splitlines()
    assert 'sdc_requests_total{route="/",status="200"} 2.0' in lines
    assert 'sdc_request_seconds_bucket{le="0.005",route="/"} 1.0' in lines
    assert 'sdc_request_seconds_bucket{le="+Inf",route="other"} 1.0' in lines
    assert 'sdc_index_items{index="a \\"name\\"\\n"} 5.0' in lines
    assert "sdc_requests_active 0.0" in lines


def test_servers_in_one_process_count_apart():
    one, two = Counters({}), Counters({})
    one.count("/", 200, 1)
    assert b'route="/"' not in generate_latest(two.registry)
