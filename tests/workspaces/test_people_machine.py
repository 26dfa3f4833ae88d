"""Members, roles, invitations and quotas against a plain-Python model, after every step."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.annotation.distribution import claim
from apps.annotation.models import Annotator
from apps.annotation.quotas import set_quotas
from apps.annotation.services import save_response
from apps.core.errors import (
    ConflictError,
    DomainError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
)
from apps.organizations import directory
from apps.organizations.models import Membership
from apps.organizations.services import create_api_key
from apps.users.models import User
from apps.workspaces import invitations, people
from apps.workspaces.models import WorkspaceMembership
from tests.factories import make_dataset, make_member, make_records, make_workspace

RANK = {"annotator": 0, "reviewer": 1, "admin": 2, "owner": 3}
MAILBOXES = 4
VALUES = {"sentiment": {"value": "mixed"}}
roles = st.sampled_from(list(RANK))
own_roles = st.sampled_from([None, "admin", "reviewer", "annotator"])
numbers = st.integers(0, 1000)


@dataclass
class Person:
    """``place`` is the role in the one workspace: absent, inherited or its own."""

    id: UUID
    role: str
    active: bool = True
    place: str | None = "absent"
    key: str = ""
    mailbox: str = ""
    quota: int | None = None
    answers: int = 0

    @property
    def here(self) -> int:
        """The rank in the workspace; below all for a stranger."""
        if self.role == "owner":
            return 3
        return -1 if self.place == "absent" else RANK[self.place or self.role]

    @property
    def manages(self) -> bool:
        return self.active and RANK[self.role] >= RANK["admin"]


@dataclass
class Offer:
    """An invitation, with the tokens of earlier mails."""

    id: UUID
    token: str
    mailbox: str
    role: str
    place: str | None
    by: UUID
    waits: bool = True
    old: list[str] = field(default_factory=list)


class Office(RuleBasedStateMachine):
    """Each run lives in a savepoint of its own, which is taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    @initialize(others=st.lists(roles, min_size=1, max_size=4))
    def begin(self, others: list[str]) -> None:
        self.workspace = make_workspace()
        self.dataset = make_dataset(self.workspace, min_submitted=1)
        make_records(self.dataset, 12)
        self.users = [
            User.objects.create_user(f"{uuid4().hex[:12]}@example.com") for _ in range(MAILBOXES)
        ]
        self.offers: list[Offer] = []
        self.people: dict[UUID, Person] = {}
        for role in ["owner", *others]:
            member = make_member(role=role)
            key = create_api_key(member=member)[1]
            self.people[member.id] = Person(member.id, role, key=key)

    def pick(self, number: int) -> Person:
        return list(self.people.values())[number % len(self.people)]

    def load(self, person: Person) -> Membership:
        """As some page may have loaded them long ago: nothing in it may count but the id."""
        return Membership.objects.get(pk=person.id)

    def owners(self) -> list[UUID]:
        return [p.id for p in self.people.values() if p.active and p.role == "owner"]

    def expects(self, act: Any, error: type[DomainError] | None) -> Any:
        if error is None:
            return act()
        with pytest.raises(error), transaction.atomic():
            act()
        return None

    def refusal(self, actor: Person, member: Person) -> type[DomainError] | None:
        if not actor.manages:
            return NotAllowedError
        if not member.active:
            return NotFoundError
        return NotAllowedError if RANK[member.role] > RANK[actor.role] else None

    @rule(actor=numbers, member=numbers, role=roles)
    def give_role(self, actor: int, member: int, role: str) -> None:
        by, of = self.pick(actor), self.pick(member)
        error = self.refusal(by, of)
        if error is None and RANK[role] > RANK[by.role]:
            error = NotAllowedError
        follows = of.place is None and RANK[role] > RANK[of.role]
        if error is None and follows and RANK[role] > by.here:
            error = NotAllowedError
        if error is None and role != "owner" and self.owners() == [of.id]:
            error = InvalidError
        self.expects(
            lambda: people.change_role(actor=self.load(by), member=self.load(of), role=role), error
        )
        if error is None:
            of.role = role

    @rule(actor=numbers, member=numbers, own=own_roles, there=st.booleans())
    def give_place(self, actor: int, member: int, own: str | None, there: bool) -> None:
        by, of = self.pick(actor), self.pick(member)
        error = self.refusal(by, of)
        wanted = own if there else "absent"
        if error is None and by.here < 0:
            # A workspace that one does not see is neither given nor taken.
            error = NotFoundError if there else None
            wanted = of.place
        elif error is None:
            given = RANK[own or of.role] if there else -1
            taken = RANK[of.place or of.role] if of.place != "absent" else -1
            above = max(given, taken) > by.here
            error = NotAllowedError if above and wanted != of.place else None
        places = {self.workspace.id: own} if there else {}
        self.expects(
            lambda: people.change_places(actor=self.load(by), member=self.load(of), places=places),
            error,
        )
        if error is None:
            of.place = wanted

    @rule(actor=numbers, member=numbers)
    def let_go(self, actor: int, member: int) -> None:
        by, of = self.pick(actor), self.pick(member)
        error = self.refusal(by, of)
        if error is None and self.owners() == [of.id]:
            error = InvalidError
        self.expects(lambda: people.deactivate(actor=self.load(by), member=self.load(of)), error)
        if error is None:
            of.role, of.active, of.place, of.mailbox = "annotator", False, "absent", ""

    def taken(self, mailbox: str) -> bool:
        members = {p.mailbox for p in self.people.values() if p.active}
        return mailbox in members | {offer.mailbox for offer in self.offers if offer.waits}

    @rule(actor=numbers, box=st.integers(0, MAILBOXES - 1), role=roles, own=own_roles)
    def invite(self, actor: int, box: int, role: str, own: str | None) -> None:
        by, mailbox = self.pick(actor), str(self.users[box].email)
        error: type[DomainError] | None = None
        if not by.manages or RANK[role] > RANK[by.role]:
            error = NotAllowedError
        elif by.here < 0:
            error = NotFoundError
        elif RANK[own or role] > by.here:
            error = NotAllowedError
        elif self.taken(mailbox):
            error = InvalidError
        made = self.expects(
            lambda: invitations.invite(
                actor=self.load(by),
                emails=[mailbox.upper()],
                role=role,
                places={self.workspace.id: own},
            ),
            error,
        )
        if made:
            (one,) = made
            self.offers.append(Offer(one.invitation.id, one.token, mailbox, role, own, by.id))

    def is_above(self, offer: Offer, by: Person) -> bool:
        return RANK[offer.place or offer.role] > by.here

    @precondition(lambda self: self.offers)
    @rule(number=numbers, box=st.integers(0, MAILBOXES - 1), right=st.booleans(), old=st.booleans())
    def accept(self, number: int, box: int, right: bool, old: bool) -> None:
        offer = self.offers[number % len(self.offers)]
        token = offer.old[0] if old and offer.old else offer.token
        known = {str(user.email): user for user in self.users}
        user = known[offer.mailbox] if right else self.users[box]
        by = self.people[offer.by]
        error: type[DomainError] | None = None
        if not offer.waits or not by.active or token != offer.token:
            error = NotFoundError
        elif user.email != offer.mailbox:
            error = NotAllowedError
        elif any(p.mailbox == offer.mailbox and p.active for p in self.people.values()):
            error = ConflictError
        elif not by.manages or RANK[offer.role] > RANK[by.role] or self.is_above(offer, by):
            error = NotFoundError
        member = self.expects(
            lambda: invitations.accept(invitation_id=offer.id, token=token, user=user), error
        )
        if member:
            offer.waits = False
            key = create_api_key(member=member)[1]
            self.people[member.id] = Person(
                member.id, offer.role, place=offer.place, key=key, mailbox=offer.mailbox
            )

    @precondition(lambda self: self.offers)
    @rule(number=numbers, actor=numbers, away=st.booleans())
    def send_again_or_revoke(self, number: int, actor: int, away: bool) -> None:
        offer, by = self.offers[number % len(self.offers)], self.pick(actor)
        error: type[DomainError] | None = None
        if not by.manages:
            error = NotAllowedError
        elif not offer.waits:
            error = NotFoundError
        elif RANK[offer.role] > RANK[by.role]:
            error = NotAllowedError
        elif by.here < 0:
            error = NotFoundError
        elif RANK[offer.place or offer.role] > by.here:
            error = NotAllowedError
        act = invitations.revoke if away else invitations.send_again
        sent = self.expects(lambda: act(actor=self.load(by), invitation_id=offer.id), error)
        if error is None and away:
            offer.waits = False
        elif sent:
            offer.old.append(offer.token)
            offer.token, offer.by = sent.token, by.id

    @rule(member=numbers, quota=st.integers(0, 3) | st.none())
    def set_quota(self, member: int, quota: int | None) -> None:
        person = self.pick(member)
        set_quotas(
            dataset=self.dataset, annotator=self.load(person), daily_quota=quota, total_quota=None
        )
        person.quota = quota

    @rule(member=numbers)
    def answer(self, member: int) -> None:
        person = self.pick(member)
        left = None if person.quota is None else max(person.quota - person.answers, 0)
        leases = claim(dataset=self.dataset, annotator=self.load(person), limit=1)
        assert not (leases and left == 0)
        for lease in leases:
            save_response(
                record=lease.record,
                annotator=self.load(person),
                status="submitted",
                values=VALUES,
            )
            person.answers += 1

    @invariant()
    def an_owner_stays(self) -> None:
        if hasattr(self, "people"):
            assert Membership.objects.active().filter(role="owner").exists()
            assert self.owners()

    @invariant()
    def everybody_is_what_the_model_says(self) -> None:
        if not hasattr(self, "people"):
            return
        rows = Membership.objects.values_list("id", "role", "is_active")
        assert set(rows) == {(p.id, p.role, p.active) for p in self.people.values()}
        places = WorkspaceMembership.objects.filter(workspace=self.workspace)
        assert dict(places.values_list("membership_id", "role")) == {
            p.id: p.place for p in self.people.values() if p.place != "absent"
        }

    @invariant()
    def a_token_is_good_while_it_waits_and_a_key_while_one_is_here(self) -> None:
        if not hasattr(self, "people"):
            return
        for offer in self.offers:
            assert (directory.find_invitation(offer.token) is not None) == offer.waits
            assert all(directory.find_invitation(token) is None for token in offer.old)
        for person in self.people.values():
            assert (directory.find_api_key(person.key) is not None) == person.active

    @invariant()
    def answers_and_quotas_stay(self) -> None:
        if not hasattr(self, "people"):
            return
        for place in Annotator.objects.filter(dataset=self.dataset):
            person = self.people[place.user_id]
            assert (place.submitted_today, place.daily_quota) == (person.answers, person.quota)


@pytest.mark.usefixtures("organization")
def test_whatever_people_do_to_each_other() -> None:
    run_state_machine_as_test(
        Office,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],  # add Phase.shrink to find the shortest way to a failure
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
