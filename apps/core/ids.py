"""Identifiers: time-ordered ones (UUID version 7, RFC 9562), and those that texts name."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last_tick = 0


def uuid7() -> UUID:
    """A new id, greater than every id this process made before."""
    return uuid7s(1)[0]


def uuid7s(count: int) -> list[UUID]:
    """``count`` new ids in ascending order.

    The 60 bits after the version are one counter: milliseconds and a 12-bit sequence. A burst
    of more than 4096 ids a millisecond borrows from the next one, so order always holds.
    """
    global _last_tick
    with _lock:
        first = max((time.time_ns() // 1_000_000) << 12, _last_tick + 1)
        _last_tick = first + count - 1
    noise = os.urandom(8 * count)
    return [_compose(first + n, noise[8 * n : 8 * n + 8]) for n in range(count)]


def read_id(text: str) -> UUID | None:
    """The id in an address or a form; None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _compose(tick: int, noise: bytes) -> UUID:
    random_bits = int.from_bytes(noise) & (1 << 62) - 1
    return UUID(int=tick >> 12 << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 2 << 62 | random_bits)
