"""What a provider's refusal means for the call, the job, and the next attempt."""

from typing import Final

from apps.core.errors import DomainError

LONGEST_WAIT: Final = 600.0  # seconds that a provider may tell us to wait


class ProviderError(DomainError):
    """A call failed; the message says how, in the provider's words where it has some."""


class TransientError(ProviderError):
    """It may succeed later: 408, 409, 425, 5xx, too late, or the line broke.

    ``seconds`` is how long the provider asks to wait, None where it does not say.
    """

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class NoTurnError(TransientError):
    """Its turn did not come in time: nothing was sent."""


class RateLimitedError(TransientError):
    """Too many calls or tokens (429)."""


class PausingError(ProviderError):
    """No other call will fare better until somebody does something: the job should pause."""


class QuotaError(PausingError):
    """The provider's account has no credit left."""


class CredentialError(PausingError):
    """The key is missing, wrong, or not allowed to do this (401, 403)."""


class SetupError(PausingError):
    """There is no such model or address, or requests must not go there."""


class RefusedError(ProviderError):
    """This call will never succeed as it is: too long, malformed, against a policy (400, 422)."""
