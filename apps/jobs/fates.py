"""What becomes of an item in hand: done, put back, tried again later, or failed for good."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import uniform
from typing import Final

from apps.core.errors import DomainError
from apps.jobs.errors import FailedTryError, RetryLaterError, SteeringError
from apps.jobs.kinds import FREE, Work
from apps.jobs.models import ItemState

LONGEST_DELAY: Final = 60.0  # seconds
MAX_ERROR_LENGTH: Final = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Fate:
    """``delay`` in seconds until the item may be taken again, ``cost`` in USD."""

    state: ItemState
    error: str | None = None
    delay: float = 0.0
    is_failure: bool = False
    is_wait: bool = False
    cost: Decimal = FREE

    @property
    def is_for_good(self) -> bool:
        return self.state == ItemState.FAILED

    def costing(self, cost: Decimal) -> "Fate":
        return replace(self, cost=cost)


def done(cost: Decimal) -> Fate:
    return Fate(ItemState.DONE, cost=cost)


def put_back() -> Fate:
    """The item comes back without being blamed."""
    return Fate(ItemState.PENDING)


def put_off(seconds: float) -> Fate:
    """The item comes back later, without being blamed."""
    return Fate(ItemState.PENDING, delay=seconds, is_wait=True)


def failed(error: str) -> Fate:
    """For good, until people retry it."""
    return Fate(ItemState.FAILED, error=cut(error))


def tried_again(work: Work, error: str) -> Fate:
    """The item comes back after about 1, 2, 4 … seconds."""
    delay = min(LONGEST_DELAY, 2.0**work.failures) * uniform(0.5, 1.0)  # noqa: S311
    return Fate(ItemState.PENDING, error=cut(error), delay=delay, is_failure=True)


def after(work: Work, error: Exception, *, max_attempts: int) -> Fate:
    """The fate of an item that ended with an error of its kind."""
    if isinstance(error, RetryLaterError):
        if error.most is None or work.waits < error.most:
            return put_off(error.seconds)
        error = FailedTryError(str(error))
    if isinstance(error, SteeringError):
        return put_back()
    if isinstance(error, DomainError):
        return failed(error.message)
    if work.failures + 1 >= max_attempts:
        return failed(in_words(error))
    return tried_again(work, in_words(error))


def in_words(error: Exception) -> str:
    """The error for people: its message if it is meant for them, else its type too."""
    if isinstance(error, FailedTryError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def cut(error: str) -> str:
    """Short enough to keep, without the one character that PostgreSQL cannot."""
    return error[:MAX_ERROR_LENGTH].replace("\0", "\N{REPLACEMENT CHARACTER}")
