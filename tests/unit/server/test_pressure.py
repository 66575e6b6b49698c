"""When requests take turns, and how many may wait: decided from lag, standing and rate."""

from server.front.pressure import (
    ENGAGE_LAG_S,
    ENGAGE_TICKS,
    INTERVAL_TICKS,
    LEAST_LIMIT,
    RELEASE_TICKS,
    Pressure,
)

TARGET_S = 0.5


def after(*ticks, target_s=TARGET_S):
    pressure = Pressure(target_s)
    for count, tick in ticks:
        for _ in range(count):
            pressure.tick(**{"lag_s": 0.0, "longest_s": 0.0, "served": 0, "waiting": 0, **tick})
    return pressure


HOT = {"lag_s": ENGAGE_LAG_S}
STANDING = {"lag_s": 0.01, "longest_s": 2 * TARGET_S, "served": 60, "waiting": 5000}


def test_one_late_tick_is_no_lag():
    assert not after((ENGAGE_TICKS - 1, HOT)).engaged
    assert not after(*[(1, HOT), (1, {})] * 10).engaged


def test_lag_that_lasts_makes_requests_take_turns():
    assert after((ENGAGE_TICKS, HOT)).engaged


def test_turns_end_when_nobody_has_waited_for_a_while():
    engaged = (ENGAGE_TICKS, HOT)

    assert after(engaged, (RELEASE_TICKS - 1, {})).engaged
    assert after(engaged, (2 * RELEASE_TICKS, {"waiting": 1})).engaged
    assert not after(engaged, (RELEASE_TICKS, {})).engaged


def test_a_burst_that_is_served_soon_enough_is_not_cut():
    assert after((INTERVAL_TICKS - 1, STANDING), (1, {})).limit is None


def test_a_standing_queue_is_cut_to_what_is_served_within_the_target():
    limit = after((50, STANDING)).limit

    assert limit in {499, 500}  # 60 in each 60 ms


def test_the_limit_follows_the_rate_and_has_a_least():
    slower = after((50, STANDING), (50, {**STANDING, "served": 6})).limit

    assert 0.1 * 500 <= slower <= 0.11 * 500
    assert after((50, {**STANDING, "served": 0})).limit == LEAST_LIMIT


def test_the_limit_goes_when_the_queue_is_short_again_and_not_before():
    standing = (INTERVAL_TICKS, STANDING)

    assert after(standing, (99, {"longest_s": 0.9 * TARGET_S})).limit is not None
    assert after(standing, (1, {"longest_s": 0.4 * TARGET_S})).limit is None


def test_without_a_target_nobody_is_turned_away():
    assert after((100, STANDING), target_s=0).limit is None
