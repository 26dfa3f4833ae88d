"""People as their pages show them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from apps.annotation.models import Annotator
from apps.console.member_forms import INHERITED, place_choices
from apps.datasets.models import Dataset
from apps.organizations.models import Invitation, Membership, Role
from apps.workspaces import permissions
from apps.workspaces.models import InvitedPlace, Workspace, WorkspaceMembership
from apps.workspaces.people import RANK, grantable, may_change
from apps.workspaces.permissions import Action

PAGE: Final = 50
QUOTAS: Final = 100  # datasets shown at once
MOST_NEWCOMERS: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A member of the table. ``roles`` are those that may be given; empty for none."""

    member: Membership
    places: Sequence[tuple[str, Any]]
    factor: str
    roles: Sequence[tuple[str, Any]] = ()
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class InvitationRow:
    invitation: Invitation
    places: Sequence[tuple[str, Any]]
    state: str  # open, expired, or void: the inviter has left
    may_act: bool


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody in a workspace. ``choices`` are empty where the actor may change nothing."""

    member: Membership
    role: Any
    chosen: str
    choices: Sequence[tuple[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class QuotaRow:
    dataset: Dataset
    place: Annotator | None = field(default=None)


def find_members(text: str) -> QuerySet[Membership]:
    """Active members by name, username or e-mail, in the order of their names."""
    found = Membership.objects.active().select_related("user")
    if text:
        found = found.filter(
            Q(first_name__icontains=text)
            | Q(last_name__icontains=text)
            | Q(username__icontains=text)
            | Q(user__email__icontains=text)
        )
    return found.order_by("first_name", "username", "id")


def former_members() -> QuerySet[Membership]:
    """Those who have left, the latest first."""
    return Membership.objects.filter(is_active=False).order_by("-updated_at", "id")[:PAGE]


def member_rows(actor: Membership, members: Sequence[Membership]) -> list[Row]:
    """With workspaces that the actor sees. Two queries, three unless the actor is an owner."""
    places, factors = _places(actor, members), second_factors(members)
    return [_row(actor, one, places[one.id], factors.get(one.id, "")) for one in members]


def _row(actor: Membership, one: Membership, places: list[tuple[str, Any]], factor: str) -> Row:
    roles = [(role, Role(role).label) for role in grantable(actor)]
    return Row(one, places, factor, roles if may_change(actor, one) else (), one.role == Role.OWNER)


def _places(actor: Membership, members: Iterable[Membership]) -> dict[UUID, list[tuple[str, Any]]]:
    found: dict[UUID, list[tuple[str, Any]]] = defaultdict(list)
    rows = WorkspaceMembership.objects.filter(
        membership__in=members, workspace__in=Workspace.objects.visible_to(actor)
    ).select_related("workspace")
    own = {one.id: one.role for one in members}
    for row in rows.order_by("workspace__name"):
        role = row.role or own[row.membership_id]
        found[row.membership_id].append((row.workspace.name, Role(role).label))
    return found


def second_factors(members: Sequence[Membership]) -> dict[UUID, str]:
    """In words, by membership; those without any are left out. One query."""
    accounts = {one.user_id: one.id for one in members if one.user_id}
    rows = Authenticator.objects.filter(user__in=list(accounts))
    kinds: dict[UUID, set[str]] = defaultdict(set)
    for user_id, kind in rows.values_list("user_id", "type"):
        kinds[accounts[user_id]].add(kind)
    words = {"webauthn": _("passkey"), "totp": _("code app")}
    found = {id: [word for kind, word in words.items() if kind in of] for id, of in kinds.items()}
    return {id: ", ".join(told) for id, told in found.items() if told}


def invitation_rows(actor: Membership) -> list[InvitationRow]:
    """Those that wait, the newest first, with workspaces that the actor sees. Three queries.

    One into a workspace that the actor does not see is for others to handle.
    """
    waiting = list(Invitation.objects.waiting().select_related("invited_by").order_by("-sent_at"))
    seen = set(Workspace.objects.visible_to(actor).values_list("id", flat=True))
    rows = InvitedPlace.objects.filter(invitation__in=waiting).select_related("workspace")
    places: dict[UUID, list[InvitedPlace]] = defaultdict(list)
    for row in rows.order_by("workspace__name"):
        places[row.invitation_id].append(row)
    return [_invitation_row(actor, one, places[one.id], seen) for one in waiting]


def _invitation_row(
    actor: Membership, one: Invitation, places: Sequence[InvitedPlace], seen: set[UUID]
) -> InvitationRow:
    shown = [place for place in places if place.workspace_id in seen]
    named = [(place.workspace.name, Role(place.role or one.role).label) for place in shown]
    may_act = one.role in grantable(actor) and len(shown) == len(places)
    return InvitationRow(one, named, _state(one), may_act)


def _state(invitation: Invitation) -> str:
    if invitation.is_expired:
        return "expired"
    return "open" if invitation.invited_by.is_active else "void"


def quota_rows(actor: Membership, member: Membership) -> list[QuotaRow]:
    """The datasets that the actor manages and the member answers, with the member's own quotas.

    Two queries, and those of their roles.
    """
    for one in (actor, member):
        permissions.remember_roles(one)
    visible = Dataset.objects.visible_to(actor).select_related("workspace").order_by("name")
    datasets = [
        one
        for one in visible[:QUOTAS]
        if permissions.may(actor, Action.MANAGE_DATASET, one.workspace_id)
        and permissions.may(member, Action.ANSWER, one.workspace_id)
    ]
    rows = Annotator.objects.filter(user=member, dataset__in=datasets)
    places = {place.dataset_id: place for place in rows}
    return [QuotaRow(one, places.get(one.id)) for one in datasets]


def workspace_rows(actor: Membership) -> list[tuple[Workspace, int, int]]:
    """Workspaces by name with the number of their people, owners aside, and datasets.

    Three queries.
    """
    found = list(Workspace.objects.visible_to(actor).order_by("name"))
    people = _count(_within(found))
    datasets = _count(Dataset.objects.visible_to(actor).filter(workspace__in=found))
    return [(one, people.get(one.id, 0), datasets.get(one.id, 0)) for one in found]


def _within(workspaces: Sequence[Workspace]) -> QuerySet[WorkspaceMembership]:
    rows = WorkspaceMembership.objects.filter(workspace__in=workspaces)
    return rows.filter(membership__is_active=True)


def _count(rows: QuerySet[Any]) -> dict[UUID, int]:
    counted = rows.order_by().values_list("workspace_id").annotate(n=Count("pk"))
    return dict(counted)


def people_of(workspace: Workspace) -> QuerySet[WorkspaceMembership]:
    """Those who were let in, in the order of their names."""
    rows = _within([workspace]).select_related("membership")
    return rows.order_by("membership__first_name", "membership__username", "id")


def person_rows(
    workspace: Workspace, actor: Membership, rows: Iterable[WorkspaceMembership]
) -> list[PersonRow]:
    """One query for the actor's role at most."""
    return [_person_row(workspace, actor, row) for row in rows]


def _person_row(workspace: Workspace, actor: Membership, row: WorkspaceMembership) -> PersonRow:
    member, chosen = row.membership, row.role or INHERITED
    role = row.role or member.role
    mine = permissions.role_in(actor, workspace.id) or Role.ANNOTATOR
    changes = may_change(actor, member) and RANK[role] <= RANK[mine]
    choices = place_choices(actor, workspace, chosen) if changes else ()
    return PersonRow(member, Role(role).label, chosen, choices)


def newcomers(workspace: Workspace, actor: Membership) -> list[Membership]:
    """Members whom the actor may let in; owners are in every workspace."""
    within = _within([workspace]).values("membership")
    outside = Membership.objects.active().exclude(role=Role.OWNER).exclude(pk__in=within)
    ordered = outside.order_by("first_name", "username")[:MOST_NEWCOMERS]
    return [one for one in ordered if may_change(actor, one)]
