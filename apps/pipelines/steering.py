"""What an error of a provider or a budget means for the item and its job."""

from apps.jobs.errors import FailedTryError, PauseJobError, RetryLaterError
from apps.llms.budgets import BudgetReachedError
from apps.llms.errors import PausingError, TransientError


def steer(error: Exception) -> Exception:
    """The error in the terms of jobs.

    No credit, no access or no budget left pauses the job. A provider that says when to come back
    is obeyed without blame; one that fails without a word is tried again, later and later. All
    else is passed on: a ``DomainError`` fails the item.
    """
    if isinstance(error, PausingError | BudgetReachedError):
        return PauseJobError(error.message)
    if isinstance(error, TransientError):
        if error.seconds is not None:
            return RetryLaterError(error.message, seconds=error.seconds)
        return FailedTryError(error.message)
    return error
