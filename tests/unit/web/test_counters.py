from sdc.web.counters import Counters


def test_text_is_prometheus():
    counters = Counters()
    counters.count("/", 200, 0.003)
    counters.count("/", 200, 0.7)
    counters.count("other", 404, 100)
    lines = counters.text({'a "name"\n': 5}).splitlines()
    assert 'sdc_requests_total{route="/",status="200"} 2' in lines
    assert 'sdc_request_seconds_bucket{route="/",le="0.005"} 1' in lines
    assert 'sdc_request_seconds_bucket{route="/",le="1.0"} 2' in lines
    assert 'sdc_request_seconds_bucket{route="other",le="10.0"} 0' in lines
    assert 'sdc_request_seconds_bucket{route="other",le="+Inf"} 1' in lines
    assert 'sdc_request_seconds_sum{route="/"} 0.703000' in lines
    assert 'sdc_index_items{index="a \\"name\\"\\n"} 5' in lines
    assert "sdc_requests_active 0" in lines
