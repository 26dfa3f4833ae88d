"""Counts that a process gathers and Redis keeps."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from apps.core import tallies

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def name() -> Iterator[str]:
    found = uuid4().hex
    tallies._next = 0.0
    yield found
    tallies._gathered.clear()
    tallies._next = 0.0
    tallies.take(found)


def test_what_is_counted_is_there_once_it_is_told(name: str) -> None:
    for _ in range(5):
        tallies.count(name)
    assert tallies.read(name) == 1, "the first is told at once, the others are gathered"
    tallies.tell()
    assert tallies.read(name) == 5


def test_who_takes_them_has_them_alone(name: str) -> None:
    tallies.put_back(name, 3)
    assert [tallies.take(name), tallies.take(name), tallies.read(name)] == [3, 0, 0]


def test_without_redis_they_are_gathered_on(name: str, settings: Any) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, NOWHERE
    tallies.count(name)
    tallies.count(name)
    assert (tallies.read(name), tallies.take(name)) == (0, 0)
    settings.REDIS_URL = there
    tallies.tell()
    assert tallies.read(name) == 2


def test_nobody_waits_twice_for_a_redis_that_is_away(name: str, settings: Any) -> None:
    settings.REDIS_URL = NOWHERE
    tallies.count(name)
    rested = tallies._next
    tallies.count(name)
    assert tallies._next == rested, "the second was gathered without a try"
