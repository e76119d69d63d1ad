from sdc.web.bounded import Bounded


def test_what_was_not_asked_for_the_longest_goes_first():
    cache = Bounded[bytes](10, len)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"123")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"123")


def test_a_value_replaces_its_own_size():
    cache = Bounded[bytes](10, len)
    for _ in range(5):
        assert cache.put("a", b"12345678") == b"12345678"
    cache.put("b", b"12")
    assert cache.get("a") and cache.get("b")


def test_what_is_too_large_is_not_kept():
    cache = Bounded[bytes](3, len)
    assert cache.put("a", b"1234") == b"1234"
    assert cache.get("a") is None
