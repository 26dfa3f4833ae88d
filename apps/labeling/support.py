"""Support access: the operator sees an organization as a member of it does, and changes nothing.

The session names the access; each page asks whether it still lasts, and runs in a transaction that
PostgreSQL lets read only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import InternalError, connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from psycopg.errors import ReadOnlySqlTransaction

from apps.core.tenancy import enter
from apps.organizations.models import SupportAccess
from apps.organizations.operating import find_support

SUPPORT_KEY: Final = "support"  # in the session
SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


def is_on(request: HttpRequest) -> bool:
    return SUPPORT_KEY in request.session


def begin(request: HttpRequest, access: SupportAccess) -> None:
    """From now on this session's pages are those of the organization."""
    request.session[SUPPORT_KEY] = {
        "access": str(access.id),
        "organization": str(access.organization_id),
    }


def current_ids(request: HttpRequest) -> tuple[UUID, UUID] | None:
    """The organization's and the access' ids."""
    given = request.session.get(SUPPORT_KEY)
    return (UUID(given["organization"]), UUID(given["access"])) if given else None


def forget(request: HttpRequest) -> None:
    request.session.pop(SUPPORT_KEY, None)


@contextmanager
def looking(request: HttpRequest) -> Iterator[SupportAccess | None]:
    """Inside the organization, for reading; None when the access has ended."""
    found = current_ids(request)
    if found is None or not request.user.is_staff:
        yield None
        return
    organization_id, access_id = found
    with enter(organization_id):
        access = find_support(access_id, request.user.id)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield access


def is_a_write(error: InternalError) -> bool:
    """Whether the page wanted to store something."""
    return isinstance(error.__cause__, ReadOnlySqlTransaction)


def refuse() -> HttpResponse:
    """The page that says that support access only looks."""
    return HttpResponse(render_to_string("errors/support.html"), status=403)
