"""What can go wrong, in domain words; the interfaces turn each into a status once."""

from django.utils.translation import gettext


class DomainError(Exception):
    """A request that the rules do not allow; the message is meant for people."""

    @property
    def message(self) -> str:
        return str(self)


class InvalidError(DomainError):
    """The input breaks a rule (422)."""


class NotFoundError(DomainError):
    """No such object in this organization (404)."""


class NotAllowedError(DomainError):
    """The person may not do this (403)."""

    def __init__(self, message: str = "Operation not allowed") -> None:
        super().__init__(message)


class SuspendedError(NotAllowedError):
    """Nobody gets into the organization at the moment (403); nothing is lost."""

    def __init__(self) -> None:
        super().__init__(
            "The organization is suspended. Nothing is lost; ask the operator of this host."
        )


class ConflictError(DomainError):
    """Something with this name or id exists already, or the state forbids it (409)."""


class ArchivedError(ConflictError):
    """The dataset is read-only (409)."""

    def __init__(self) -> None:
        super().__init__(gettext("The dataset is archived, and read-only until it is taken back."))


class LimitReachedError(DomainError):
    """The plan's limit is reached (403, code ``quota_exceeded``)."""
