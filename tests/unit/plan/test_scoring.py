import typing

import pytest

from sdc.errors import SDCError
from sdc.plan import scoring


def test_defaults_are_among_what_is_allowed():
    assert scoring.RULE in typing.get_args(scoring.Rule)
    assert scoring.CONVENTION in typing.get_args(scoring.Convention)
    assert scoring.EVALUATION == {"ties": "expected", "convention": "standard", "features": True}


def test_what_a_config_may_not_say():
    with pytest.raises(SDCError, match=r"Evaluation.ties: 'median' is not known; allowed: expected, stable"):
        scoring.Evaluation(ties="median")
