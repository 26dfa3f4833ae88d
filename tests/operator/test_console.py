"""The console's pages over all organizations."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.db import IntegrityError, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.billing.models import Invoice
from apps.billing.services import begin_subscription
from apps.core.embedded.backups.reports import reported
from apps.core.embedded.errors import EmbeddedError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.exchange.organization.deletion import ask_for_deletion, delete_organization
from apps.jobs import kinds
from apps.jobs.models import ItemState, Job, JobItem
from apps.labeling.work import JOB_NAMES
from apps.llms.models import LedgerEntry
from apps.organizations.models import (
    Announcement,
    DeletionCertificate,
    Membership,
    Organization,
    RecordVolume,
)
from apps.organizations.services import create_api_key
from apps.organizations.volume import set_plan
from apps.users.models import User
from apps.webhooks.models import Webhook, WebhookDelivery
from tests import factories
from tests.operator.conftest import EVERYWHERE, signed_in

pytestmark = EVERYWHERE


def failed_job(organization: Organization) -> Job:
    now = timezone.now()
    with enter(organization.id):
        job = Job.objects.create(
            kind="suggest",
            state="failed",
            total=2,
            done=1,
            failed=1,
            started_at=now,
            planned_at=now,
            finished_at=now,
            error_sample=[{"seq": 1, "error": "The provider refuses the key."}],
        )
        JobItem.objects.create(
            job=job, seq=1, payload={}, state="failed", attempts=3, error="No label."
        )
    return job


def dead_delivery(organization: Organization, *, enabled: bool = True) -> WebhookDelivery:
    with enter(organization.id):
        webhook = Webhook.objects.create(
            url="https://hooks.example/x",
            events=["record.created"],
            sealed_secret=b"x",
            enabled=enabled,
        )
        delivery: WebhookDelivery = WebhookDelivery.objects.create(
            webhook=webhook,
            type="record.created",
            body="{}",
            status="dead",
            attempts=9,
            status_code=500,
            error="Internal error",
        )
    return delivery


def test_health_shows_parts_and_queues(console: Client, acme: Organization) -> None:
    def waiting() -> dict[str, int]:
        return {row["queue"]: row["waiting"] for row in console.get("/operator/").context["queues"]}

    before = waiting()
    with enter(acme.id):
        Job.objects.create(kind="suggest", queue="interactive")
        RecordVolume.objects.update(records=2_460_000)
    assert waiting() == before | {"interactive": before["interactive"] + 1}
    assert console.get("/operator/").context["is_ready"]


def test_organizations_are_found_with_plan_usage_and_activity(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    owner = member_of(acme)
    other = factories.make_organization("Other")
    with enter(acme.id):
        RecordVolume.objects.update(records=800, record_limit=1000)

    def found(**query: str) -> list[str]:
        rows = console.get("/operator/organizations/", query).context["rows"]
        return [row["slug"] for row in rows if row["slug"] in {acme.slug, other.slug}]

    assert sorted(found()) == sorted([acme.slug, other.slug])
    assert found(q=acme.slug.upper()) == [acme.slug]
    assert owner.user is not None
    assert found(q=str(owner.user.email)) == [acme.slug]
    assert found(q="100%_nothing") == []
    assert found(q="\0") == found()
    assert found(order="records")[0] == acme.slug
    assert found(order="nonsense; DROP TABLE job")
    row = next(
        row
        for row in console.get("/operator/organizations/", {"q": acme.slug}).context["rows"]
        if row["slug"] == acme.slug
    )
    assert (row["records"], row["record_limit"], row["share"], row["members"]) == (800, 1000, 80, 1)
    assert row["active_at"] is not None


def test_the_limit_of_an_organization_is_set(console: Client, acme: Organization) -> None:
    path = f"/operator/organizations/{acme.id}/limit/"
    assert console.post(path, {"limit": "500"}).status_code == 302
    with enter(acme.id):
        assert RecordVolume.objects.get().record_limit == 500
        event = Event.objects.get(kind="organization.limit_changed")
        assert event.payload["changes"] == {"record_limit": [None, 500]}
    for wrong in ("-1", "many", "1e6", "9" * 40, "٣"):
        assert console.post(path, {"limit": wrong}).status_code == 422, wrong
    assert console.post(path, {"limit": ""}).status_code == 302
    with enter(acme.id):
        assert RecordVolume.objects.get().record_limit is None
    assert console.post(f"/operator/organizations/{uuid4()}/limit/").status_code == 404


def test_a_failed_job_is_queued_again(console: Client, acme: Organization) -> None:
    job = failed_job(acme)
    rows = console.get("/operator/jobs/?state=dead").context["rows"]
    row = next(row for row in rows if row["id"] == job.id)
    assert (row["error"], row["steps"]) == ("The provider refuses the key.", ("retry",))
    path = f"/operator/organizations/{acme.id}/jobs/{job.id}/"
    assert console.post(f"{path}retry/").status_code == 302
    with enter(acme.id):
        assert Job.objects.get().state == "queued"
        assert JobItem.objects.get().state == ItemState.PENDING
    assert console.post(f"{path}retry/").status_code == 409
    assert console.post(f"{path}cancel/").status_code == 302
    with enter(acme.id):
        assert Job.objects.get().state == "cancelled"
    assert console.post(f"{path}explode/").status_code == 404
    other = factories.make_organization("Other")
    wrong = f"/operator/organizations/{other.id}/jobs/{job.id}/resume/"
    assert console.post(wrong).status_code == 404


def test_a_dead_message_is_sent_again(console: Client, acme: Organization) -> None:
    delivery = dead_delivery(acme)
    assert delivery.id in [
        row["id"] for row in console.get("/operator/deliveries/").context["rows"]
    ]
    path = f"/operator/organizations/{acme.id}/deliveries/{delivery.id}/"
    assert console.post(path).status_code == 302
    with enter(acme.id):
        row = WebhookDelivery.objects.get()
        assert (row.status, row.failures) == ("pending", 0)
    off = factories.make_organization("Off")
    delivery = dead_delivery(off, enabled=False)
    path = f"/operator/organizations/{off.id}/deliveries/{delivery.id}/"
    answer = console.post(path)
    assert answer.status_code == 409
    assert "disabled" in answer.content.decode()


def test_spend_by_organization_and_errors(console: Client, acme: Organization) -> None:
    now = timezone.now()
    with enter(acme.id):
        for kind, usd, error in (
            ("call", Decimal("1.25"), None),
            ("hit", 0, None),
            ("failed", 0, "429 too many requests"),
        ):
            LedgerEntry.objects.create(
                id=uuid4(),
                inserted_at=now,
                kind=kind,
                key=b"k",
                provider_id=uuid4(),
                model="tiny",
                usd=usd,
                error=error,
            )
    page = console.get("/operator/spend/")
    row = next(row for row in page.context["rows"] if row["slug"] == acme.slug)
    assert (row["usd"], row["calls"], row["hits"], row["failed"]) == (Decimal("1.25"), 1, 1, 1)
    assert "429 too many requests" in page.content.decode()
    before = (now.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    earlier = console.get("/operator/spend/", {"month": before}).context["rows"]
    assert acme.slug not in [row["slug"] for row in earlier]
    assert console.get("/operator/spend/?month=nonsense").status_code == 200


def test_backups_are_read_from_their_reports(
    console: Client, tmp_path: Path, settings: Any
) -> None:
    settings.BACKUP_DIR = tmp_path / "none"
    page = console.get("/operator/backups/").content.decode()
    assert "There is no backup of this instance" in page
    assert page.count("None yet.") == 2
    settings.BACKUP_DIR = tmp_path
    good = {"kind": "backup", "started_at": "2026-05-01T01:00:00Z", "bytes": 2048, "ok": True}
    (tmp_path / "one.json").write_text(json.dumps(good | {"finished_at": "2026-05-01T01:05:00Z"}))
    drill = {"kind": "drill", "started_at": "2026-05-02T01:00:00Z", "detail": "<b>12 of 12</b>"}
    (tmp_path / "two.json").write_text(json.dumps(drill))
    for number, text in enumerate(("", "[]", "{}", '{"kind": 1}', '{"started_at": 3}', "\xff")):
        (tmp_path / f"bad-{number}.json").write_bytes(text.encode("latin-1"))
    answer = console.get("/operator/backups/")
    assert [one.name for one in answer.context["backups"]] == ["one"]
    assert [one.name for one in answer.context["drills"]] == ["two"]
    assert "<b>12" not in answer.content.decode()


def test_what_runs_report_is_what_the_page_shows(
    console: Client, tmp_path: Path, settings: Any
) -> None:
    settings.BACKUP_DIR = tmp_path
    page = console.get("/operator/backups/").content.decode()
    assert "<code>manage.py backup</code> makes one" in page
    with reported(tmp_path, "2026-05-01T01-00-00Z", kind="backup") as outcome:
        assert "not finished" in console.get("/operator/backups/").content.decode()
        outcome.ok, outcome.bytes, outcome.detail = True, 2048, "full in 2 s"
    page = console.get("/operator/backups/").content.decode()
    assert "full in 2 s" in page
    assert "<code>manage.py restore_drill</code> restores the newest one" in page
    with (
        pytest.raises(EmbeddedError),
        reported(tmp_path, "2026-05-02T01-00-00Z-drill", kind="drill"),
    ):
        raise EmbeddedError("base/5/1259 is damaged.")
    page = console.get("/operator/backups/")
    assert [(one.ok, one.detail) for one in page.context["drills"]] == [
        (False, "base/5/1259 is damaged.")
    ]
    assert 'class="note warn"' not in page.content.decode()


def test_a_deleted_organization_leaves_a_certificate_that_can_be_checked(
    console: Client, acme: Organization
) -> None:
    assert (
        "No organization has been deleted yet" in console.get("/operator/deleted/").content.decode()
    )
    with enter(acme.id):
        ask_for_deletion(organization=acme, typed_name=acme.name)
        Organization.objects.update(deletion_due_at=timezone.now())
    delete_organization(organization_id=acme.id)
    page = console.get("/operator/deleted/")
    ((one, genuine),) = page.context["rows"]
    assert (one.slug, genuine) == (acme.slug, True)
    file = console.get(f"/operator/deleted/{one.id}/")
    assert json.loads(file.content)["organization"]["slug"] == acme.slug
    assert file["Content-Disposition"] == f'attachment; filename="deletion-{acme.slug}.json"'
    DeletionCertificate.objects.using("operator").update(text=one.text + " ")
    assert "changed since" in console.get("/operator/deleted/").content.decode()
    assert console.get(f"/operator/deleted/{uuid4()}/").status_code == 404


def test_an_announcement_stands_on_the_pages_it_is_for(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    Announcement.objects.all().delete()
    ours, theirs = member_of(acme).user, member_of(factories.make_organization("Other")).user
    assert ours is not None
    assert theirs is not None
    until = (timezone.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    given = {"text": "Maintenance at 22:00 <b>", "level": "warn", "ends": until}
    everybody = console.post("/operator/announcements/", given)
    only = given | {"text": "Only for Acme", "audience": str(acme.id), "level": "bad"}
    assert everybody.status_code == console.post("/operator/announcements/", only).status_code
    assert everybody.status_code == 302
    later = given | {"text": "Not yet", "starts": until, "ends": until.replace("-", "-")}
    assert console.post("/operator/announcements/", later).status_code == 422
    page = signed_in(ours).get("/datasets/").content.decode()
    assert page.index("Only for Acme") < page.index("Maintenance at 22:00 &lt;b&gt;")
    page = signed_in(theirs).get("/datasets/").content.decode()
    assert "Only for Acme" not in page
    assert "Maintenance at 22:00" in page
    for row in Announcement.objects.all():
        path = f"/operator/announcements/{row.id}/end/"
        assert console.post(path).status_code == 302
        assert console.post(path).status_code == 404
    assert "Maintenance" not in signed_in(theirs).get("/datasets/").content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": ""},
        {"text": "x" * 501},
        {"level": "loud"},
        {"ends": ""},
        {"ends": "tomorrow"},
        {"ends": "2000-01-01T00:00"},
        {"ends": "9999-12-31T23:59"},
        {"audience": "nonsense"},
        {"audience": "0192f0c0-0000-7000-8000-000000000001"},
        {"text": "a\0b"},
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(
    console: Client, wrong: dict[str, str]
) -> None:
    until = (timezone.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    given = {"text": "Hello", "level": "note", "ends": until}
    before = Announcement.objects.count()
    answer = console.post("/operator/announcements/", given | wrong)
    assert answer.status_code == 422
    assert Announcement.objects.count() == before


def test_the_database_states_the_rules_of_announcements() -> None:
    now = timezone.now()
    good = {"text": "x", "starts_at": now, "ends_at": now + timedelta(hours=1)}
    bad = {
        "announcement_text_given": {"text": ""},
        "announcement_ends": {"ends_at": now},
        "announcement_level_known": {"level": "loud"},
    }
    for name, values in bad.items():
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Announcement.objects.create(**{**good, **values})


def test_a_locked_account_gets_in_nowhere(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    owner = member_of(acme)
    with enter(acme.id):
        key = create_api_key(member=owner)[1]
    user = owner.user
    assert user is not None
    browser, api = signed_in(user), Client(headers={"X-Argilla-Api-Key": key})
    assert browser.get("/datasets/").status_code == 200
    assert api.get("/api/v1/me").status_code == 200
    assert console.post(f"/operator/users/{user.pk}/lock/").status_code == 302
    assert browser.get("/datasets/").status_code == 302
    assert api.get("/api/v1/me").status_code == 401
    assert console.post(f"/operator/users/{user.pk}/unlock/").status_code == 302
    assert api.get("/api/v1/me").status_code == 200
    with enter(acme.id):
        kinds = Event.objects.filter(kind__startswith="account.").values_list("kind", flat=True)
        assert list(kinds.order_by("id")) == ["account.locked", "account.unlocked"]


def test_a_lost_second_factor_is_reset(
    console: Client, acme: Organization, member_of: Callable[..., Membership]
) -> None:
    user = member_of(acme).user
    assert user is not None
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    rows = console.get("/operator/users/", {"q": str(user.email)}).context["rows"]
    assert [(row["id"], row["factors"], row["places"]) for row in rows] == [(user.pk, 1, acme.slug)]
    path = f"/operator/users/{user.pk}/reset-factor/"
    refused = console.post(path, {"word": "yes"})
    assert refused.status_code == 422
    assert "type the word exactly" in refused.content.decode()
    assert Authenticator.objects.filter(user_id=user.pk).exists()
    assert console.post(path, {"word": "Reset"}).status_code == 302
    assert not Authenticator.objects.filter(user_id=user.pk).exists()
    with enter(acme.id):
        assert Event.objects.filter(kind="account.second_factor_reset").exists()


def test_nobody_does_it_to_themselves(console: Client, operator: User) -> None:
    for act in ("lock", "reset-factor"):
        assert console.post(f"/operator/users/{operator.pk}/{act}/").status_code == 409
    assert User.objects.get(pk=operator.pk).is_active
    assert console.post(f"/operator/users/{uuid4()}/lock/").status_code == 404


def test_a_transfer_settles_an_invoice_and_an_error_is_void(console: Client) -> None:
    organization = factories.make_organization("Payer")
    with enter(organization.id):
        set_plan(organization=organization, plan="starter")
        begin_subscription(organization=organization)
        (invoice,) = Invoice.objects.all()
    path = f"/operator/organizations/{organization.id}/invoices/{invoice.id}/"
    assert invoice.name in console.get("/operator/invoices/").content.decode()
    for wrong in (
        {},
        {"state": "open"},
        {"state": "nonsense"},
        {"state": "paid", "reference": "\0"},
    ):
        assert console.post(path, wrong).status_code == 422
    assert console.post(path, {"state": "paid", "reference": "TR 77"}).status_code == 302
    again = console.post(path, {"state": "void"})
    assert again.status_code == 409
    assert "settled already" in again.content.decode()
    assert invoice.name not in console.get("/operator/invoices/").content.decode()
    assert "TR 77" in console.get("/operator/invoices/?state=all").content.decode()
    stranger = f"/operator/organizations/{factories.make_organization().id}/invoices/{invoice.id}/"
    assert console.post(stranger, {"state": "paid"}).status_code == 404
    with enter(organization.id):
        assert Event.objects.filter(kind="invoice.paid").exists()


def test_the_plan_of_an_organization_is_set(console: Client, acme: Organization) -> None:
    path = f"/operator/organizations/{acme.id}/plan/"
    assert console.post(path, {"plan": "nonsense"}).status_code == 422
    assert console.post(path, {}).status_code == 422
    assert console.post(path, {"plan": "base"}).status_code == 302
    assert console.post(path, {"plan": "base"}).status_code == 302
    page = console.get(f"/operator/organizations/{acme.id}/")
    assert (page.context["row"]["plan"], page.context["row"]["record_limit"]) == ("base", 3_000_000)
    with enter(acme.id):
        (told,) = Event.objects.filter(kind="organization.plan_set")
    assert told.payload["changes"] == {"plan": ["self_hosted", "base"]}


def test_the_operator_s_limit_ends_a_grace(console: Client, acme: Organization) -> None:
    with enter(acme.id):
        later = timezone.now() + timedelta(days=9)
        RecordVolume.objects.update(record_limit=10, former_limit=1000, former_until=later)
    console.post(f"/operator/organizations/{acme.id}/limit/", {"limit": "20"})
    with enter(acme.id):
        volume = RecordVolume.objects.get()
    assert (volume.record_limit, volume.former_limit, volume.former_until) == (20, None, None)


def test_jobs_of_a_suspended_organization_rest(console: Client, acme: Organization) -> None:
    def counts() -> tuple[int, int]:
        rows = {row["queue"]: row for row in console.get("/operator/").context["queues"]}
        return rows["interactive"]["waiting"], rows["interactive"]["paused"]

    waiting, paused = counts()
    with enter(acme.id):
        Job.objects.create(kind="suggest", queue="interactive")
    assert counts() == (waiting + 1, paused)
    with enter(acme.id):
        Organization.objects.update(suspended_at=timezone.now(), suspended_reason="x")
    assert counts() == (waiting, paused + 1)
    assert "rests: suspended" in console.get("/operator/jobs/").content.decode()


def test_every_kind_of_job_has_a_name() -> None:
    ours = {name for name, (path, _) in kinds._paths.items() if path.startswith("apps.")}
    assert len(ours) > 25
    assert ours - set(JOB_NAMES) == set()


PAGES = ("", "organizations/", "users/", "jobs/?state=all", "deliveries/", "invoices/?state=all")


@pytest.mark.parametrize("page", [*PAGES, "deleted/", "spend/", "backups/", "announcements/"])
def test_a_page_asks_as_often_for_many_as_for_one(
    console: Client, member_of: Callable[..., Membership], page: str
) -> None:
    def add(name: str) -> None:
        organization = factories.make_organization(name)
        member_of(organization)
        failed_job(organization)
        dead_delivery(organization)

    def statements() -> int:
        with (
            CaptureQueriesContext(connections["default"]) as own,
            CaptureQueriesContext(connections["operator"]) as all_,
        ):
            assert console.get(f"/operator/{page}").status_code == 200
        return len(own) + len(all_)

    add("One")
    statements()  # what is remembered while the process runs
    before = statements()
    for name in ("Two", "Three", "Four"):
        add(name)
    assert statements() == before <= 10
