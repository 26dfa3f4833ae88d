"""Acts of the operator inside an organization: found or 404, done there, refused in words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from django.db.models import Model

from apps.core.addresses import client_address
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.events.log import Origin, acting_as
from apps.operator.access import OperatorRequest
from apps.organizations.models import Organization

STATUSES: Final = {ConflictError: 409, InvalidError: 422}


@contextmanager
def acting(request: OperatorRequest) -> Iterator[None]:
    """What happens in the block is told as the operator's, in the log of the organization."""
    with acting_as(Origin(address=client_address(request.META), operator=str(request.user))):
        yield


@contextmanager
def inside(request: OperatorRequest, organization_id: UUID) -> Iterator[Organization]:
    """The organization, entered by the operator. Raises ``NotFoundError`` when there is none."""
    with enter(organization_id), acting(request):
        found = Organization.objects.filter(id=organization_id).first()
        if found is None:
            raise NotFoundError("No such organization.")
        yield found


def find(model: type[Any], id: UUID) -> Any:
    """The row in the entered organization. Raises ``NotFoundError``."""
    row: Model | None = model.objects.filter(id=id).first()
    if row is None:
        raise NotFoundError("No such row.")
    return row


def refusal(act: Callable[[], object]) -> tuple[str, int]:
    """Do it; why it was refused, and the status, or nothing and 200."""
    try:
        act()
    except (ConflictError, InvalidError) as error:
        return error.message, STATUSES[type(error)]
    return "", 200
