"""How far behind a replica is in time, told from where its primary was when."""

from hypothesis import given
from hypothesis import strategies as st

from router.live.lag import MAX_SAMPLES, Trail, lag_s
from router.live.replicas import Standing


def trail(*positions, timeline=1):
    made = Trail()
    for at, lsn in positions:
        made.note(at, timeline, lsn)
    return made


def lag(made, lsn, at, replayed_s=0.0):
    return lag_s(made, Standing(lsn=lsn, probed_at=at, replayed_s=replayed_s))


def test_a_replica_that_shows_everything_has_no_lag():
    assert lag(trail((1.0, 100), (2.0, 200)), lsn=200, at=2.5) == 0.0


def test_the_lag_of_one_that_stands_still_is_the_age_of_what_it_misses_first():
    made = trail((1.0, 100), (2.0, 200), (3.0, 300))

    assert lag(made, lsn=100, at=3.5) == 1.5
    assert lag(made, lsn=250, at=3.5) == 0.5


def test_an_idle_primary_lets_no_lag_grow():
    made = trail(*((float(second), 100) for second in range(3600)))

    assert lag(made, lsn=100, at=3600.0, replayed_s=3600.0) == 0.0


def test_the_first_write_after_an_idle_hour_makes_no_lag_of_an_hour():
    made = trail((0.0, 100), (3600.0, 100), (3600.25, 200))

    assert lag(made, lsn=100, at=3600.5, replayed_s=3600.0) == 0.25


def test_what_the_primary_did_after_a_replica_was_asked_is_not_held_against_it():
    assert lag(trail((1.0, 100), (2.0, 200)), lsn=100, at=1.9) == 0.0


def test_what_lies_before_our_own_time_only_the_replica_can_tell():
    made = trail((10.0, 500), (11.0, 600))

    assert lag(made, lsn=100, at=11.0, replayed_s=70.0) == 70.0
    assert lag(made, lsn=100, at=11.0, replayed_s=None) == 1.0
    assert lag(Trail(), lsn=100, at=11.0, replayed_s=70.0) == 70.0


def test_a_promotion_begins_anew():
    made = trail((1.0, 100), (2.0, 200))
    made.note(3.0, 2, 150)

    assert lag(made, lsn=150, at=3.5) == 0.0
    assert made.as_of(200) == 3.0


def test_what_a_replica_shows_is_at_least_as_of_a_time():
    made = trail((1.0, 100), (1.5, 100), (2.0, 200))

    assert [made.as_of(lsn) for lsn in (99, 100, 199, 200, 999)] == [None, 1.5, 1.5, 2.0, 2.0]


@given(st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 50)), min_size=1, max_size=60))
def test_a_delayed_replica_is_as_late_as_its_delay(steps):
    """It shows what the primary had a second ago; probes see both together."""
    delay_s, now, lsn, history, made = 1.0, 10.0, 1000, [(0.0, 1000)], Trail()
    made.note(now, 1, lsn)
    for step_s, written in steps:
        now += step_s
        lsn += written
        history.append((now, lsn))
        made.note(now, 1, lsn)
        shown = max(position for at, position in history if at <= now - delay_s)

        assert lag(made, shown, now) <= delay_s + 1e-9
        as_of = made.as_of(shown)
        assert as_of is None or shown >= max(
            position for at, position in history if at <= as_of or at == 0.0
        )


def test_a_long_trail_reaches_back_to_its_beginning():
    made = trail(*((float(n), n) for n in range(1, 20 * MAX_SAMPLES)))

    assert lag(made, lsn=1, at=20.0 * MAX_SAMPLES) > 19 * MAX_SAMPLES
    assert made.looks_back_to(1)
    assert not made.looks_back_to(0)
