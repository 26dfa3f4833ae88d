"""How often something may be done: buckets in Redis that fill up again over time.

A bucket holds ``burst`` tokens and gains ``rate`` a second. Its state is one number, the moment at
which it will be full again, so that a try is one round trip and Redis' clock is the only one.
While Redis is away nothing is counted, and nobody waits for it.
"""

import logging
import time
from dataclasses import dataclass
from functools import cache
from threading import Lock

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

TIMEOUT = 0.25  # seconds
MAX_STOCKS = 10_000
REST = 5.0  # seconds without a try after Redis was away

# Takes up to so many tokens as are wanted; returns how many, or less than 0: the microseconds to
# wait for one.
_TAKE = """
local interval, window, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local free = (now + window - full) / interval
if free < 1 then return -math.ceil((1 - free) * interval) end
local taken = math.min(wanted, math.floor(free))
full = full + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return taken
"""

logger = logging.getLogger(__name__)
_away_until = 0.0


class UncountedError(Exception):
    """Redis is away."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``burst`` at once, and ``rate`` a second in the long run; a rate of 0 is no limit."""

    rate: float
    burst: float


@dataclass(slots=True)
class _Stock:
    """Tokens fetched but not yet spent, and the moment at which they are worth nothing."""

    tokens: int
    until: float


_stocks: dict[str, _Stock] = {}
_lock = Lock()


def take(bucket: str, limit: Limit) -> float:
    """Take one token; returns 0, or the seconds until there is one. One round trip.

    Raises ``UncountedError`` while Redis is away; the caller knows what that means.
    """
    return max(0.0, -_ask(bucket, limit, 1) / 1_000_000)


def take_from_stock(bucket: str, limit: Limit) -> float:
    """As ``take``, for buckets of thousands: a hundredth of the burst is fetched at a time.

    It is spent in this process within a second, so that few calls cost a round trip.
    """
    now = time.monotonic()
    with _lock:
        stock = _stocks.get(bucket)
        if stock and stock.tokens and now < stock.until:
            stock.tokens -= 1
            return 0
    taken = _ask(bucket, limit, max(1, int(limit.burst // 100)))
    if taken > 1:
        with _lock:
            if len(_stocks) >= MAX_STOCKS:
                _stocks.clear()
            _stocks[bucket] = _Stock(taken - 1, now + 1)
    return max(0.0, -taken / 1_000_000)


def _ask(bucket: str, limit: Limit, wanted: int) -> int:
    """How many tokens were taken, or, below 0, how many microseconds to wait for one."""
    global _away_until
    if limit.rate <= 0:
        return wanted
    if time.monotonic() < _away_until:
        raise UncountedError
    interval = 1_000_000 / limit.rate
    arguments = [interval, interval * max(limit.burst, 1), wanted]
    try:
        return int(_script()(keys=[f"rate:{bucket}"], args=arguments))
    except redis.RedisError as error:
        _away_until = time.monotonic() + REST
        logger.warning("Rates are not counted, Redis is away: %s", error)
        raise UncountedError from error


def refill(bucket: str) -> None:
    """Make the bucket full again; while Redis is away, nothing."""
    _stocks.pop(bucket, None)
    try:
        _client(settings.REDIS_URL).delete(f"rate:{bucket}")
    except redis.RedisError as error:
        logger.warning("A bucket stays as it is, Redis is away: %s", error)


@cache
def _client(url: str) -> redis.Redis:
    """Its pool is safe to share between threads and to inherit by a fork."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )


def _script() -> Script:
    return _registered(settings.REDIS_URL)


@cache
def _registered(url: str) -> Script:
    return _client(url).register_script(_TAKE)
