"""Who may change whom: roles in the organization and its workspaces, and leaving.

Nobody gives a role above their own, nor touches somebody who has one; the organization keeps an
owner. Who acts and who is changed are read anew under a lock, so that two changes at once take
turns and a role that was just lost gives nothing away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.events.log import emit
from apps.organizations.models import Invitation, Membership, Role
from apps.organizations.services import remove_member, update_member
from apps.workspaces.models import Workspace, WorkspaceMembership
from apps.workspaces.permissions import Action, check, role_in

RANK: Final[dict[str, int]] = {
    Role.ANNOTATOR: 0,
    Role.REVIEWER: 1,
    Role.ADMIN: 2,
    Role.OWNER: 3,
}

Places = Mapping[UUID, str | None]  # workspace → a role of its own, or None


@dataclass(frozen=True, slots=True)
class Pair:
    """Who acts, and on whom, as they are now."""

    actor: Membership
    member: Membership


def grantable(actor: Membership) -> list[str]:
    """The roles that the actor may give in the organization, the mightiest first."""
    return [role for role in Role.values if RANK[role] <= RANK[actor.role]]


def may_change(actor: Membership, member: Membership) -> bool:
    """Whether the member's role is not above the actor's."""
    return RANK[member.role] <= RANK[actor.role]


@transaction.atomic
def change_role(*, actor: Membership, member: Membership, role: str) -> Membership:
    """Give the member a role in the organization.

    Raises ``NotAllowedError`` above the actor's own, in the organization or in a workspace where
    the member's role follows; ``InvalidError`` for the last owner.
    """
    pair = lock(actor, member)
    check_grantable(pair.actor, role)
    _check_inherited(pair, role)
    return update_member(member=pair.member, changes={"role": role})


@transaction.atomic
def change_places(*, actor: Membership, member: Membership, places: Places) -> None:
    """Let the member into these of the actor's workspaces and no other; the rest stays as it is.

    Raises ``NotAllowedError`` for a role above the actor's in a workspace, given or taken away.
    """
    pair = lock(actor, member)
    seen = Workspace.objects.visible_to(pair.actor).values_list("id", flat=True)
    _move(pair, set(seen), places)


@transaction.atomic
def change_place(
    *, actor: Membership, member: Membership, workspace_id: UUID, places: Places
) -> None:
    """The same for one workspace, which ``places`` names or leaves out; the others stay."""
    pair = lock(actor, member)
    seen = Workspace.objects.visible_to(pair.actor).filter(pk=workspace_id)
    _move(pair, set(seen.values_list("id", flat=True)), places)


def _move(pair: Pair, among: set[UUID], places: Places) -> None:
    """What changes must not be above the actor, before or after; what stays may be."""
    held = WorkspaceMembership.objects.filter(membership=pair.member, workspace_id__in=among)
    before = {place.workspace_id: place.role for place in held}
    changed = {id for id in before.keys() | places.keys() if _word(before, id) != _word(places, id)}
    for now in (places, before):
        check_places(pair.actor, pair.member.role, {id: now[id] for id in changed & now.keys()})
    if changed:
        held.filter(workspace_id__in=changed).delete()
        WorkspaceMembership.objects.bulk_create(
            WorkspaceMembership(workspace_id=id, membership=pair.member, role=places[id])
            for id in sorted(changed & places.keys())
        )
        told = {str(id): [_word(before, id), _word(places, id)] for id in sorted(changed)}
        emit("member.places_changed", object_id=pair.member.id, payload={"changes": told})


@transaction.atomic
def deactivate(*, actor: Membership, member: Membership) -> None:
    """Let the member go: out of all workspaces, under a pseudonym; their answers stay.

    The invitation that brought them goes too, since it knows their e-mail.

    Raises ``NotAllowedError`` for somebody above the actor, ``InvalidError`` for the last owner.
    """
    pair = lock(actor, member)
    remove_member(member=pair.member)
    WorkspaceMembership.objects.filter(membership=pair.member).delete()
    Invitation.objects.filter(membership=pair.member).delete()


def lock(actor: Membership, member: Membership) -> Pair:
    """Both as they are now, with the owners, until the transaction ends.

    Raises ``NotAllowedError`` unless the actor manages people and the member is not above them,
    ``NotFoundError`` for a member who has left.
    """
    people = _lock({actor.pk, member.pk})
    found = people.get(actor.pk), people.get(member.pk)
    if found[0] is None:
        raise NotAllowedError
    check(found[0], Action.MANAGE_PEOPLE)
    if found[1] is None:
        raise NotFoundError(_("This person is no longer a member."))
    if not may_change(found[0], found[1]):
        raise NotAllowedError(_("This person’s role is above yours."))
    return Pair(found[0], found[1])


def lock_actor(actor: Membership) -> Membership:
    """The actor as they are now. Raises ``NotAllowedError`` unless they manage people."""
    found = _lock({actor.pk}).get(actor.pk)
    if found is None:
        raise NotAllowedError
    check(found, Action.MANAGE_PEOPLE)
    return found


def _lock(ids: set[UUID]) -> dict[UUID, Membership]:
    """In the order of their ids, as everywhere: two who change each other do not block."""
    rows = Membership.objects.active().filter(pk__in=ids)
    owners = Membership.objects.active().filter(role=Role.OWNER)
    held = (rows | owners).select_for_update(of=("self",), no_key=True).order_by("id")
    return {row.pk: row for row in held}


def check_grantable(actor: Membership, role: str) -> None:
    """Raise ``InvalidError`` for no role, ``NotAllowedError`` for one above the actor's."""
    if role not in RANK:
        raise InvalidError(_("There is no such role."))
    if RANK[role] > RANK[actor.role]:
        raise NotAllowedError(_("You cannot give a role above your own."))


def _check_inherited(pair: Pair, role: str) -> None:
    """Where the member's role follows the organization's, a higher one is given there too."""
    if RANK[role] <= RANK[pair.member.role] or pair.actor.role == Role.OWNER:
        return
    rows = WorkspaceMembership.objects.filter(membership=pair.member, role=None)
    for workspace_id in rows.values_list("workspace_id", flat=True):
        if RANK[role] > RANK[role_in(pair.actor, workspace_id) or Role.ANNOTATOR]:
            raise NotAllowedError(
                _("In one of their workspaces this would be above your own role.")
            )


def check_places(actor: Membership, role: str, places: Places) -> None:
    """The same for what a person with the role becomes in each workspace.

    Raises ``NotFoundError`` for a workspace that the actor does not see.
    """
    seen = set(Workspace.objects.visible_to(actor).values_list("id", flat=True))
    for workspace_id, own in places.items():
        if workspace_id not in seen:
            raise NotFoundError(_("There is no such workspace."))
        if own is not None and (own not in RANK or own == Role.OWNER):
            raise InvalidError(_("There is no such role."))
        if RANK[own or role] > RANK[role_in(actor, workspace_id) or Role.ANNOTATOR]:
            raise NotAllowedError(_("You cannot give a role above your own."))


def _word(places: Places, id: UUID) -> str | None:
    """``inherited`` for a place without a role of its own, None for no place."""
    return (places[id] or "inherited") if id in places else None
