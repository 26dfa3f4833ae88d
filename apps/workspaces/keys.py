"""Who sees which API keys, and may revoke them. Nobody makes a key for somebody else."""

from django.db.models import Case, QuerySet, When

from apps.core.errors import NotAllowedError
from apps.organizations.models import ApiKey, Membership
from apps.workspaces.people import may_change
from apps.workspaces.permissions import Action, may


def visible_to(member: Membership) -> QuerySet[ApiKey]:
    """Keys that were not revoked: one's own first; everybody's for those who manage people."""
    keys = ApiKey.objects.standing().filter(membership__is_active=True)
    if not may(member, Action.MANAGE_PEOPLE):
        keys = keys.filter(membership=member)
    mine = Case(When(membership=member, then=0), default=1)
    return keys.order_by(mine, "membership__username", "-id")


def is_revocable(member: Membership, key: ApiKey) -> bool:
    """One's own, or of somebody whose role is not above one's own; ``key.membership`` is read."""
    if key.membership_id == member.id:
        return True
    return may(member, Action.MANAGE_PEOPLE) and may_change(member, key.membership)


def check_revocable(member: Membership, key: ApiKey) -> None:
    """Raise ``NotAllowedError`` unless the member may revoke it."""
    if not is_revocable(member, key):
        raise NotAllowedError
