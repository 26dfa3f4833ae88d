"""What a kind's code raises to steer its job; a ``DomainError`` fails the item at once.

Any other error fails the try: the item comes back later, as often as its kind allows.
"""

from apps.core.errors import DomainError


class SteeringError(Exception):
    """Not a failure of the item: the job itself must change its course."""


class AbandonJobError(SteeringError):
    """What the job works on is gone: cancel it. The message tells people why."""


class BrokenChainError(SteeringError):
    """An item failed on which all later ones depend: the job fails with it."""


class PauseJobError(SteeringError):
    """Going on is pointless until somebody acts, e.g. tops up a budget: pause the job."""


class RetryLaterError(SteeringError):
    """Try this item again in ``seconds``; it does not count as a failure.

    It does, if the item has been put off ``most`` times already.
    """

    def __init__(self, message: str, *, seconds: float, most: int | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.most = most


class FailedTryError(Exception):
    """This try failed, the next one may not: as an unforeseen error, but in words for people."""


class LostError(Exception):
    """The lease or the run belongs to somebody else by now: throw the work away."""


class UnknownKindError(DomainError):
    """No installed app offers this kind of job."""
