"""Counts of what happens too often for a row each, kept in Redis until somebody takes them.

A process gathers its counts and tells Redis every two seconds, with the next count, and as it ends;
what a killed process had gathered is lost. While Redis is away a process goes on gathering.
"""

import atexit
import logging
import time
from collections import Counter
from functools import cache
from threading import Lock
from typing import Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

SPAN: Final = 2.0  # seconds between two times that a process tells
REST: Final = 30.0  # seconds without a try after Redis was away
TIMEOUT: Final = 0.25  # seconds

logger = logging.getLogger(__name__)
_lock = Lock()
_gathered: Counter[str] = Counter()
_next = 0.0


def count(name: str) -> None:
    """One more of the name."""
    with _lock:
        _gathered[name] += 1
        if time.monotonic() < _next:
            return
    tell()


def tell() -> None:
    """Tell Redis what was gathered. One round trip, none for nothing."""
    global _next
    with _lock:
        _next = time.monotonic() + SPAN
        given = dict(_gathered)
        _gathered.clear()
    if not given:
        return
    try:
        pipe = _client(settings.REDIS_URL).pipeline(transaction=True)
        for name, n in given.items():
            pipe.incrby(_key(name), n)
        pipe.execute()
    except redis.RedisError as error:
        with _lock:
            _gathered.update(given)
            _next = time.monotonic() + REST
        logger.warning("Tallies wait, Redis is away: %s", error)


def read(name: str) -> int:
    """How many there are; 0 while Redis is away."""
    try:
        return int(_client(settings.REDIS_URL).get(_key(name)) or 0)
    except redis.RedisError:
        return 0


def take(name: str) -> int:
    """How many there are, which whoever takes them must keep; 0 while Redis is away."""
    try:
        return int(_client(settings.REDIS_URL).getdel(_key(name)) or 0)
    except redis.RedisError:
        return 0


def put_back(name: str, n: int) -> None:
    """What was taken and could not be kept."""
    with _lock:
        _gathered[name] += n
    tell()


def _key(name: str) -> str:
    return f"tally:{name}"


@cache
def _client(url: str) -> redis.Redis:
    """Its pool is safe to share between threads and to inherit by a fork."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )


atexit.register(tell)
