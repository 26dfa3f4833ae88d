"""Ids ascend with time: the order of insertion and the cursor of every list."""

import threading
import time
from uuid import RFC_4122, UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core import ids
from apps.core.ids import uuid7, uuid7s


def milliseconds(id: UUID) -> int:
    return id.int >> 80


def test_an_id_is_a_version_7_uuid_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    id = uuid7()
    assert (id.version, id.variant) == (7, RFC_4122)
    assert before <= milliseconds(id) <= time.time_ns() // 1_000_000 + 100


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=4))
def test_ids_ascend_whatever_the_bursts(bursts: list[int]) -> None:
    made = [id for count in bursts for id in uuid7s(count)]
    assert len(made) == sum(bursts)
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(id.version == 7 for id in made)


def test_a_burst_borrows_from_the_next_milliseconds_and_time_catches_up() -> None:
    burst = uuid7s(20_000)
    assert milliseconds(burst[-1]) - milliseconds(burst[0]) in {4, 5}
    assert uuid7() > burst[-1]


def test_a_clock_that_goes_back_does_not_turn_the_order(monkeypatch) -> None:
    first = uuid7()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert uuid7() > first


def test_threads_never_make_the_same_id() -> None:
    made: list[list[UUID]] = []
    threads = [threading.Thread(target=lambda: made.append(uuid7s(2000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for batch in made for id in batch}) == 16_000
    assert all(batch == sorted(batch) for batch in made)


def test_the_random_part_is_random() -> None:
    assert len({id.int & (1 << 62) - 1 for id in uuid7s(1000)}) == 1000
