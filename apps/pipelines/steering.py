"""What an error of a provider or a budget means for the item and its job."""

from typing import Final

from apps.jobs.errors import FailedTryError, PauseJobError, RetryLaterError
from apps.llms.budgets import BudgetReachedError
from apps.llms.calls import InFlightError
from apps.llms.errors import NoTurnError, PausingError, TransientError

SHORTEST_WAIT: Final = 1.0  # seconds, however soon a provider wants to be asked again
MOST_WAITS: Final = 100  # times that a provider may put an item off before that is a failure


def steer(error: Exception) -> Exception:
    """The error in the terms of jobs.

    No credit, no access or no budget left pauses the job. A provider that says when to come back
    is obeyed without blame, though not for ever; one that fails without a word is tried again,
    later and later. All else is passed on: a ``DomainError`` fails the item.
    """
    if isinstance(error, PausingError | BudgetReachedError):
        return PauseJobError(error.message)
    if isinstance(error, TransientError):
        if error.seconds is not None:
            was_asked = not isinstance(error, InFlightError | NoTurnError)
            seconds = max(error.seconds, SHORTEST_WAIT)
            most = MOST_WAITS if was_asked else None
            return RetryLaterError(error.message, seconds=seconds, most=most)
        return FailedTryError(error.message)
    return error
