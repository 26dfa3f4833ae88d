"""How often something may be done: buckets in Redis that fill up again over time.

A bucket holds ``burst`` tokens and gains ``rate`` a second. Its state is one number, the moment at
which it will be full again, so that a try is one round trip and Redis' clock is the only one.
While Redis is away nothing is counted, and nobody waits for it.
"""

import logging
import time
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

TIMEOUT = 0.25  # seconds
REST = 5.0  # seconds without a try after Redis was away

# Returns the microseconds to wait, 0 when the token was taken.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + tonumber(ARGV[1])
local wait = full - now - tonumber(ARGV[2])
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""

logger = logging.getLogger(__name__)
_away_until = 0.0


class UncountedError(Exception):
    """Redis is away."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``burst`` at once, and ``rate`` a second in the long run."""

    rate: float
    burst: float


def take(bucket: str, limit: Limit) -> float:
    """Take one token; returns 0, or the seconds until there is one. One round trip.

    Raises ``UncountedError`` while Redis is away; the caller knows what that means.
    """
    global _away_until
    if time.monotonic() < _away_until:
        raise UncountedError
    microseconds = 1_000_000 / limit.rate
    try:
        wait = _script()(keys=[f"rate:{bucket}"], args=[microseconds, microseconds * limit.burst])
    except redis.RedisError as error:
        _away_until = time.monotonic() + REST
        logger.warning("Rates are not counted, Redis is away: %s", error)
        raise UncountedError from error
    return int(wait) / 1_000_000


def refill(bucket: str) -> None:
    """Make the bucket full again; while Redis is away, nothing."""
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
