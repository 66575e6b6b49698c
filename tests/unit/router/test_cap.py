"""The cap of a process: never more, and what comes free goes to who waits."""

from router.live.cap import ConnectionCap


class TwinPool:
    """A pool as the cap sees it, whose connections close at once."""

    def __init__(self, cap, idle=0, waiting=0):
        self.cap, self.idle, self.waiting, self.granted = cap, idle, waiting, 0
        cap.join(self)

    def spare_one(self):
        self.idle -= 1
        self.cap.release()

    def grant(self):
        if not self.waiting:
            return False
        self.waiting -= 1
        self.granted += 1
        return True


def test_no_more_than_the_most_are_claimed():
    cap = ConnectionCap(2)

    assert [cap.claim() for _ in range(3)] == [True, True, False]
    cap.release()
    assert cap.claim()


def test_without_a_most_everything_is_granted():
    cap = ConnectionCap(0)

    assert all(cap.claim() for _ in range(1000))


def test_the_pool_with_most_idle_ones_makes_room_for_who_waits():
    cap = ConnectionCap(3)
    few, many, wanting = TwinPool(cap, 1), TwinPool(cap, 2), TwinPool(cap, waiting=1)
    assert [cap.claim() for _ in range(3)] == [True] * 3

    cap.short = 1
    cap.make_room()

    assert (few.idle, many.idle, wanting.granted, cap.open) == (1, 1, 1, 3)


def test_pools_take_turns_at_what_comes_free():
    cap = ConnectionCap(4)
    pools = [TwinPool(cap, waiting=4) for _ in range(2)]
    for _ in range(4):
        cap.claim()
    cap.short = 8

    for _ in range(4):
        cap.release()

    assert [pool.granted for pool in pools] == [2, 2]
    assert cap.open == 4


def test_a_pool_that_left_is_neither_asked_nor_given_to():
    cap = ConnectionCap(1)
    gone = TwinPool(cap, idle=1, waiting=1)
    cap.leave(gone)
    cap.claim()
    cap.short = 1

    cap.make_room()
    cap.release()

    assert (gone.idle, gone.granted, cap.open) == (1, 0, 0)
