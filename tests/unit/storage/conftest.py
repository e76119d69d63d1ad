import tracemalloc

import pytest

from sdc.errors import SDCError


@pytest.fixture
def refused():
    """``refused(call, message)``: the call raises one line that matches, and takes no memory to speak of."""

    def check(call, message):
        tracemalloc.start()
        try:
            with pytest.raises(SDCError, match=message) as caught:
                call()
            assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
        finally:
            tracemalloc.stop()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 800

    return check
