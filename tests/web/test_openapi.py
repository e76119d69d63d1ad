"""Requests that schemathesis draws from what the API says of itself."""

import pytest
from hypothesis import HealthCheck, given, settings

from sdc.web.app import create_app

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

OPERATIONS = [("/api/search", "GET"), ("/api/search", "POST"), ("/api/encode", "POST"), ("/api/items/{id}", "GET")]
LIMITS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def schema(collections):
    return schemathesis.openapi.from_asgi("/api/openapi.json", create_app(collections))


def test_all_operations_are_tried(schema):
    operations = [each.ok() for each in schema.get_all_operations()]
    assert sorted((each.path, each.method.upper()) for each in operations) == sorted(OPERATIONS)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_answers_are_as_described(schema, path, method, mode):
    @LIMITS
    @given(schema[path][method].as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def check(case):
        # No schema says which bytes are an image, or that one of two fields is given.
        excluded = [positive_data_acceptance] if method == "POST" else []
        case.call_and_validate(excluded_checks=excluded)

    check()
