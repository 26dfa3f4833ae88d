"""Who must wait: callers by key or token and by organization, log-ins by address and by name."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.api.auth import caller
from apps.core.addresses import client_address
from apps.core.rate_limits import Limit, UncountedError, refill, take, take_from_stock
from apps.organizations import directory
from apps.organizations.pace import wait_of

if TYPE_CHECKING:
    from rest_framework.views import APIView


class BusyError(APIException):
    status_code = 503
    default_detail = "Log-in is not possible right now. Try again in a minute."


class CallerThrottle(BaseThrottle):
    """A bucket for each API key, or for each member's bearer tokens, and one for the organization.

    Open while Redis is away.
    """

    seconds = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        bucket = caller(request)
        if bucket is None:
            return True
        limit = Limit(settings.RATE_LIMIT_PER_SECOND, settings.RATE_LIMIT_BURST)
        try:
            self.seconds = take_from_stock(bucket, limit)
        except UncountedError:
            return True
        organization_id, _, _ = bucket.partition(":")
        self.seconds = self.seconds or wait_of(organization_id)
        return self.seconds == 0

    def wait(self) -> float:
        return self.seconds


def count_log_in(request: Request, name: str) -> None:
    """Count a try by the client's address and by the name it is for.

    Raises ``Throttled``, and ``BusyError`` while Redis is away: guessing goes uncounted nowhere.
    """
    count_address(request)
    tries = settings.LOGIN_LIMIT_PER_NAME
    _count(_name_bucket(name), Limit(tries / 300, tries))


def count_address(request: Request) -> None:
    """Count a try by the client's address only. Raises as ``count_log_in`` does."""
    tries = settings.LOGIN_LIMIT_PER_ADDRESS
    _count(f"login-address:{client_address(request.META)}", Limit(tries / 60, tries))


def _count(bucket: str, limit: Limit) -> None:
    try:
        wait = take(bucket, limit)
    except UncountedError as error:
        raise BusyError from error
    if wait:
        raise Throttled(wait)


def forgive_log_in(name: str) -> None:
    """The right password was given: earlier tries for the name no longer count."""
    refill(_name_bucket(name))


def _name_bucket(name: str) -> str:
    return f"login-name:{directory.digest(name.lower())[:32]}"
