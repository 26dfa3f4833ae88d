"""The audit log and the organization's data, over plain HTTP."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.console import audit_words
from apps.core.tenancy import enter
from apps.datasets.services import update_dataset
from apps.events import seals
from apps.events.log import Origin, acting_as, emit
from apps.events.models import Event, EventCheck
from apps.exchange.organization import deletion
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key, update_member
from apps.workspaces.models import Workspace
from tests import factories

pytestmark = pytest.mark.django_db

AUDIT, DATA = "/settings/audit/", "/settings/data/"
SignIn = Callable[[Membership], Client]


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_change_says_who_what_before_and_after(
    client: Client, olga: Membership, workspace: Workspace
) -> None:
    bo = factories.make_member(username="bo", first_name="Bo")
    with acting_as(Origin(olga.id, None, "192.0.2.7")):
        update_member(member=bo, changes={"role": "reviewer"})
        dataset = factories.make_dataset(workspace, name="reviews")
        update_dataset(dataset=dataset, changes={"name": "films"})
    page = text(client.get(AUDIT))
    for part in ("changed a member", "<del>annotator</del>", "<ins>reviewer</ins>", "192.0.2.7"):
        assert part in page
    assert "<del>reviews</del> → <ins>films</ins>" in page
    assert "olga" in page


def test_the_pages_tell_where_a_request_comes_from(client: Client, olga: Membership) -> None:
    client.post(f"{AUDIT}keep/", {"days": "400"}, REMOTE_ADDR="198.51.100.9")
    event = Event.objects.get(kind="audit.retention_set")
    assert (event.actor_id, event.address) == (olga.id, "198.51.100.9")
    assert event.request_id
    assert event.payload == {"changes": {"days": [None, 400]}}
    assert "Kept for 400 days" in text(client.get(AUDIT))


def test_a_key_is_named(olga: Membership, client: Client) -> None:
    row, key = create_api_key(member=olga, name="ci")
    headers = {"X-Argilla-Api-Key": key}
    created = Client(headers=headers).post(
        "/api/v1/workspaces", {"name": "made-by-key"}, content_type="application/json"
    )
    assert created.status_code == 201
    event = Event.objects.get(kind="workspace.created", payload__name="made-by-key")
    assert (event.actor_id, event.key_id, event.address) == (olga.id, row.id, "127.0.0.1")
    assert f"{row.prefix}…" in text(client.get(f"{AUDIT}?by=keys"))


def test_a_forged_address_counts_nothing(client: Client, settings: Any) -> None:
    def address(given: str) -> str | None:
        client.post(
            f"{AUDIT}keep/",
            {"days": str(30 + Event.objects.count())},
            REMOTE_ADDR="10.0.0.1",
            headers={"X-Forwarded-For": given},
        )
        return Event.objects.filter(kind="audit.retention_set").latest("id").address

    assert address("203.0.113.1") == "10.0.0.1"
    settings.TRUSTED_PROXIES = 1
    assert address("203.0.113.1, 198.51.100.2") == "198.51.100.2"


def told(olga: Membership, count: int, kind: str = "test.told") -> None:
    with acting_as(Origin(olga.id)):
        for number in range(count):
            emit(kind, payload={"name": f"thing-{number:03}"})


def test_pages_go_back_and_forth(client: Client, olga: Membership) -> None:
    told(olga, 120)
    first = client.get(f"{AUDIT}?kind=test")
    assert "thing-119" in text(first)
    assert "thing-069" not in text(first)
    second = client.get(f"{AUDIT}?kind=test&before={first.context['older']}")
    assert "thing-069" in text(second)
    third = client.get(f"{AUDIT}?kind=test&before={second.context['older']}")
    assert len(third.context["rows"]) == 20
    assert third.context["older"] is None
    back = client.get(f"{AUDIT}?kind=test&after={third.context['newer']}")
    assert [row.event.id for row in back.context["rows"]] == [
        row.event.id for row in second.context["rows"]
    ]
    assert first.context["newer"] is None


def found(client: Client, query: str) -> list[str]:
    return [row.event.payload.get("name", "") for row in client.get(AUDIT + query).context["rows"]]


def test_filters_find_what_they_say(client: Client, olga: Membership) -> None:
    told(olga, 1)
    request = uuid4().hex
    emit("test.other", payload={"name": "other"})
    emit("response.created", payload={"name": "daily"})
    assert "daily" not in found(client, "")
    assert "daily" in found(client, "?kind=all")
    assert found(client, "?kind=response") == ["daily"]
    assert found(client, f"?by={olga.id}&kind=test") == ["thing-000"]
    assert found(client, "?by=nobody&kind=test") == ["other"]
    assert found(client, "?q=olga&kind=test") == ["thing-000"]
    assert found(client, f"?q={request}") == []
    tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
    assert found(client, f"?kind=test&since={tomorrow}") == []
    assert len(found(client, f"?kind=test&until={tomorrow}")) == 2
    for nonsense in ("?span=x&by=y&since=z&before=q", "?q=%00&kind=%00", "?until=9999-12-31"):
        assert client.get(AUDIT + nonsense).status_code == 200


def test_rows_cost_no_queries(client: Client, olga: Membership) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(AUDIT).status_code == 200
        return len(queries)

    cost()
    before = cost()
    told(olga, 40)
    for _ in range(5):
        factories.make_member()
    assert cost() <= before
    assert before <= 20


HOSTILE = ("=HYPERLINK(1)", "<img src=x onerror=alert(1)>", "{{ 7*7 }}", "'\" onmouseover=x ")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_inert(client: Client, olga: Membership, name: str) -> None:
    with acting_as(Origin(olga.id, None, name[:60])):
        emit("test.hostile", payload={"name": name, "changes": {name: [name, name]}})
    page = text(client.get(AUDIT))
    assert "<img src=x" not in page
    assert '" onmouseover' not in page


def lines(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


# What looks like a kind of event and is none: columns, tasks, what Stripe sends.
NOT_OF_EVENTS = {"p", "s", "payment_intent", "llms", "quality", "postgres"}
KIND = re.compile(r"""["']([a-z_]+\.[a-z_]*(?:ed|set|done|in|again|began|over|due))["']""")


def test_payloads_are_told_in_words() -> None:
    told = audit_words.told({"kind": "organization_export", "done": 1, "failed": 0, "total": 1})
    assert told == ["export of the whole organization", "1 done", "1 in all"]
    changes = {"plan": [["starter", "monthly"], ["base", "monthly"]], "days": [None, 400]}
    assert audit_words.changed({"changes": changes}) == [
        ("plan", "starter, monthly", "base, monthly"),
        ("days", "nothing", "400"),
    ]


def test_every_kind_of_event_has_its_words() -> None:
    sources = [path for path in Path("apps").rglob("*.py") if "migrations" not in path.parts]
    found = {kind for path in sources for kind in KIND.findall(path.read_text())}
    known = {kind for kind in found if kind.partition(".")[0] not in NOT_OF_EVENTS}
    assert len(known) > 90
    assert known - set(audit_words.DID) == set()
    assert {kind.partition(".")[0] for kind in audit_words.DID} <= set(audit_words.GROUPS) | {
        "subscription"
    }


@pytest.mark.django_db(transaction=True)
def test_files_hold_all_that_is_found(settings: Any) -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        olga = factories.make_member(role="owner", username="olga")
        told(olga, 3)
        with acting_as(Origin(olga.id, None, "=1+1")):
            emit("test.told", payload={"name": "=cmd()"})
    client = Client()
    assert olga.user is not None
    client.force_login(olga.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    given = client.get(f"{AUDIT}log.jsonl?kind=test")
    assert "attachment" in given["Content-Disposition"]
    rows = [json.loads(line) for line in lines(given).splitlines()]
    assert [row["payload"]["name"] for row in rows] == [
        "=cmd()",
        "thing-002",
        "thing-001",
        "thing-000",
    ]
    assert rows[0]["actor"] == "olga"
    table = list(csv.DictReader(io.StringIO(lines(client.get(f"{AUDIT}log.csv?kind=test")))))
    assert table[0]["address"] == "'=1+1"
    assert json.loads(table[0]["payload"])["name"] == "=cmd()"
    assert client.get(f"{AUDIT}log.exe").status_code == 404
    with enter(organization.id):
        exported = Event.objects.filter(kind="audit.exported")
        assert exported.count() == 2


@pytest.mark.parametrize(
    ("role", "sees", "manages"),
    [("owner", 200, 302), ("admin", 200, 403), ("reviewer", 403, 403), ("annotator", 403, 403)],
)
def test_who_may_what(
    organization: Organization, sign_in: SignIn, role: str, sees: int, manages: int
) -> None:
    factories.make_member(role="owner")
    client = sign_in(factories.make_member(role=role))
    assert client.get(AUDIT).status_code == sees
    assert client.get(f"{AUDIT}log.csv").status_code == sees
    assert client.get(DATA).status_code == (200 if manages == 302 else 403)
    assert client.post(f"{AUDIT}keep/", {"days": "90"}).status_code == manages
    assert client.post(f"{DATA}delete/", {"name": "wrong"}).status_code in {422, 403}
    assert client.post(f"{DATA}export/").status_code == manages
    assert Client().get(AUDIT).status_code == 302


@pytest.mark.parametrize("days", ["29", "-1", "x", "1e3", "٣٠", "99999999999"])
def test_a_wrong_span_is_said_to_be_wrong(client: Client, days: str) -> None:
    response = client.post(f"{AUDIT}keep/", {"days": days})
    assert response.status_code == (302 if days == "٣٠" else 422)


def test_the_badge_says_how_the_check_went(client: Client, organization: Organization) -> None:
    assert "Not checked yet" in text(client.get(AUDIT))
    EventCheck.objects.create(checked_at=timezone.now(), events=48_210)
    assert "Chain intact, 48,210 entries" in text(client.get(AUDIT))
    problem = "an event under seal 7 was changed"
    EventCheck.objects.create(checked_at=timezone.now(), events=3, problem=problem)
    page = text(client.get(AUDIT))
    assert "Chain broken" in page
    assert problem in page
    assert seals.retention() is None


# --- Data -----------------------------------------------------------------------------------------


def test_an_export_is_ordered_and_fetched(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path
    assert client.post(f"{DATA}export/").status_code == 302
    assert client.post(f"{DATA}export/").status_code == 409
    page = client.get(DATA)
    assert "running" in text(page)
    ((job, _file),) = page.context["exports"]
    assert client.get(f"{DATA}exports/{job.id}/").status_code == 404
    assert client.get(f"{DATA}exports/{uuid4()}/").status_code == 404


def test_the_name_must_be_typed(client: Client, organization: Organization) -> None:
    response = client.post(f"{DATA}delete/", {"name": "acme "[:2]})
    assert response.status_code == 422
    assert "That is not the organization’s name." in text(response)
    assert Organization.objects.get(id=organization.id).deletion_due_at is None


def test_a_frozen_organization_lets_nobody_in_until_an_owner_takes_it_back(
    client: Client, olga: Membership, organization: Organization, sign_in: SignIn
) -> None:
    bo = sign_in(factories.make_member(username="bo"))
    key = create_api_key(member=olga)[1]
    script = Client(headers={"X-Argilla-Api-Key": key})
    assert client.post(f"{DATA}delete/", {"name": organization.name}).status_code == 302
    for path in ("/", DATA, AUDIT, "/datasets/"):
        refused = client.get(path)
        assert refused.status_code == 403
        assert "will be deleted" in text(refused)
        assert "Keep the organization" in text(refused)
    assert "Keep the organization" not in text(bo.get("/"))
    assert bo.post(f"{DATA}keep/").status_code == 403
    answer = script.get("/api/v1/me")
    assert answer.status_code == 403
    made = script.post("/api/v1/workspaces", {"name": "x"}, content_type="application/json")
    assert made.status_code == 403
    assert client.post(f"{DATA}export/").status_code == 403
    assert client.post(f"{DATA}keep/").status_code == 302
    assert client.get("/").status_code == 200
    assert script.get("/api/v1/me").status_code == 200
    kinds = Event.objects.filter(kind__startswith="organization.deletion").order_by("id")
    assert [event.kind for event in kinds] == [
        "organization.deletion_asked",
        "organization.deletion_cancelled",
    ]
    assert kinds[0].actor_id == olga.id
    assert timedelta(days=30) == deletion.WAIT
