from sdc.limits import Range, Seed
from sdc.settings import schema_of_type


def test_ranges_say_their_limits_to_people_and_schemas():
    assert str(Range(8, 4096, 8)) == "8 to 4096, a multiple of 8"
    assert str(Range(0, 1)) == "0 to 1"
    assert Range(8, 4096, 8).keywords == {"minimum": 8, "maximum": 4096, "multipleOf": 8}
    assert Range(0, 1).keywords == {"minimum": 0, "maximum": 1}
    assert schema_of_type(Seed) == {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}


def test_ranges_hold_their_limits():
    assert [value for value in range(-8, 33) if Range(8, 24, 8).holds(value)] == [8, 16, 24]
