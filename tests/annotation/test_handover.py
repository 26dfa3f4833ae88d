"""Open work that changes hands."""

import pytest

from apps.annotation.distribution import claim
from apps.annotation.handover import hand_over, let_go, open_work
from apps.annotation.models import Lease, Response
from apps.annotation.services import save_response
from apps.core.errors import NotAllowedError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.models import Record, RecordTask
from apps.workspaces.models import Workspace
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_member, make_organization, make_records
from tests.meanwhile import overlapping

ANSWER = {"sentiment": {"value": "positive"}}


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    dataset = make_dataset(workspace)
    make_records(dataset, 6)
    return dataset


@pytest.fixture
def ana(workspace: Workspace, dataset: Dataset) -> Membership:
    """She has submitted one, drafted one, and holds two more."""
    ana = make_member(username="ana", workspace=workspace)
    submitted, drafted, *_rest = claim(dataset=dataset, annotator=ana, limit=4)
    for lease, status in ((submitted, "submitted"), (drafted, "draft")):
        save_response(record=lease.record, annotator=ana, status=status, values=ANSWER)
    return ana


def holders() -> list[str]:
    return sorted(Lease.objects.values_list("user__username", flat=True))


def open_slots() -> int:
    return RecordTask.objects.filter(open_slots__gt=0).count()


def test_given_back_it_is_everybodys(owner: Membership, ana: Membership) -> None:
    before = open_slots()
    assert open_work(member=ana).leases == 2
    moved = hand_over(actor=owner, giver=ana, heir=None)
    assert (moved.leases, moved.drafts, holders()) == (2, 0, [])
    assert open_slots() == before + 2
    assert Response.objects.filter(user=ana).count() == 2
    event = Event.objects.get(kind="member.work_handed_over")
    assert event.payload["changes"] == {"leases": [2, 0], "drafts": [0, 0]}


def test_an_heir_goes_on_with_it(
    owner: Membership, ana: Membership, workspace: Workspace, dataset: Dataset
) -> None:
    cy = make_member(username="cy", workspace=workspace)
    moved = hand_over(actor=owner, giver=ana, heir=cy)
    assert (moved.leases, moved.drafts, holders()) == (2, 1, ["cy", "cy"])
    assert Response.objects.get(user=cy).status == "draft"
    assert Response.objects.get(user=ana).status == "submitted"
    assert len(claim(dataset=dataset, annotator=cy, limit=9)) == 4
    record = Record.objects.get(id=Response.objects.get(user=cy).record_id)
    save_response(record=record, annotator=cy, status="submitted", values=ANSWER)


def test_what_the_heir_has_answered_or_may_not_see_stays(
    owner: Membership, ana: Membership, workspace: Workspace
) -> None:
    cy = make_member(username="cy", workspace=workspace)
    drafted = Response.objects.get(user=ana, status="draft")
    save_response(record=drafted.record, annotator=cy, status="submitted", values=ANSWER)
    assert hand_over(actor=owner, giver=ana, heir=cy).drafts == 0
    stranger = make_member(username="stranger")
    assert hand_over(actor=owner, giver=cy, heir=stranger).drafts == 0
    assert holders() == []
    assert Response.objects.filter(user=ana).count() == 2


def test_an_answer_outlives_its_author(
    owner: Membership, ana: Membership, workspace: Workspace
) -> None:
    cy = make_member(username="cy", workspace=workspace)
    let_go(actor=owner, member=ana, heir=cy)
    kept = Response.objects.get(status="submitted")
    assert kept.user.username == f"former-{ana.id}"
    assert (kept.values, holders()) == (ANSWER, ["cy", "cy"])


def test_an_annotator_hands_nothing_on(ana: Membership) -> None:
    with pytest.raises(NotAllowedError):
        hand_over(actor=ana, giver=ana, heir=None)


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_what_is_claimed_while_the_work_changes_hands_keeps_its_hold() -> None:
    """A hold that ended uncounted would keep its record from everybody."""
    organization = make_organization()
    with enter(organization.id):
        dataset, owner = make_dataset(min_submitted=1), make_member(role="owner")
        make_records(dataset, 2)
        ana = make_member(workspace=dataset.workspace)
        claim(dataset=dataset, annotator=ana)
    given = overlapping(
        organization.id,
        lambda: claim(dataset=dataset, annotator=ana, limit=2),
        lambda: hand_over(actor=owner, giver=ana, heir=None),
    )
    assert given.result().leases == 1
    with enter(organization.id):
        held = set(Lease.objects.values_list("record_id", flat=True))
        closed = RecordTask.objects.filter(open_slots=0).values_list("record_id", flat=True)
        assert (len(held), set(closed)) == (1, held)


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_what_is_drafted_while_the_work_changes_hands_stays() -> None:
    organization = make_organization()
    with enter(organization.id):
        dataset, owner = make_dataset(), make_member(role="owner")
        first, second = make_records(dataset, 2)
        ana, cy = (make_member(workspace=dataset.workspace) for _ in range(2))
        save_response(record=first, annotator=ana, status="draft", values=ANSWER)
    given = overlapping(
        organization.id,
        lambda: save_response(record=second, annotator=ana, status="draft", values=ANSWER),
        lambda: hand_over(actor=owner, giver=ana, heir=cy),
    )
    assert given.result().drafts == 1
    with enter(organization.id):
        drafts = Response.objects.values_list("record_id", "user_id")
        assert set(drafts) == {(first.id, cy.id), (second.id, ana.id)}
