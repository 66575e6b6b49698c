from server.embedded.promotion import Position, most_advanced


def test_the_standby_with_the_most_wal_is_promoted():
    assert most_advanced({"b": Position(1, 100), "c": Position(1, 101)}) == "c"


def test_a_newer_timeline_counts_more_than_any_amount_of_wal_on_an_older_one():
    assert most_advanced({"b": Position(1, 900), "c": Position(2, 100)}) == "c"


def test_of_equal_standbys_the_first_by_name_is_promoted():
    assert most_advanced({"c": Position(1, 7), "b": Position(1, 7)}) == "b"
