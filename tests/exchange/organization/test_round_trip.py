"""An organization out, in under another slug, and out again: the same but for what is said."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current, enter
from apps.datasets.services import create_vector_settings, update_dataset
from apps.events import seals
from apps.events.models import Event
from apps.exchange.organization.export import describe_organization, export_organization
from apps.exchange.organization.job import (
    find_file,
    forget_exports,
    newest_exports,
    start_organization_export,
)
from apps.exchange.organization.restore import import_organization
from apps.exchange.organization.tables import BLANKED, LEFT_OUT, exported
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.services import create_provider
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key, remove_member
from apps.webhooks.services import create_webhook
from tests import factories
from tests.core.test_tenancy_twins import fill

pytestmark = [
    pytest.mark.alone,  # seals wait for every older transaction of the server
    pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"]),
]

HOSTILE = '=1+1\\n\t"quoted" \\u0041 \u2028 naïve 🎩 </script>'
PROVIDER_KEY = "sk-a-secret-of-the-provider"


@pytest.fixture
def acme(settings: Any, tmp_path: Path) -> Organization:
    """With people, answers, suggestions, vectors, versions, jobs, a provider and a webhook."""
    settings.OUTBOUND_ALLOW = [*settings.OUTBOUND_ALLOW]
    settings.EXPORTS_DIR = tmp_path / "exports"
    organization = factories.make_organization()
    with enter(organization.id):
        _fill()
    seals.seal(organization_id=organization.id)
    return organization


def _fill() -> None:
    workspace = factories.make_workspace()
    email = f"olga-{current().hex[-8:]}@example.com"
    olga = factories.make_member(
        role="owner", username="olga", email=email, password="long enough", workspace=workspace
    )
    bo = factories.make_member(username="bo", password="long enough", workspace=workspace)
    create_api_key(member=olga)
    dataset = factories.make_dataset(workspace, questions=("sentiment", "quality", "comment"))
    create_vector_settings(dataset=dataset, name="v", title="V", dimensions=3)
    records = factories.make_records(dataset, 30, metadata={"text": HOSTILE})
    for record in records[:7]:
        for member in (olga, bo):
            values = {"sentiment": {"value": "positive"}, "comment": {"value": HOSTILE}}
            save_response(record=record, annotator=member, status="submitted", values=values)
    update_dataset(dataset=dataset, changes={"guidelines": HOSTILE}, author=olga)
    create_provider(name="p", base_url="https://93.184.216.34/v1", api_key=PROVIDER_KEY)
    create_webhook(url="https://93.184.216.34/hook", events=["record.created"])
    Job.objects.create(kind="suggest_few_shot", state="running", total=4, done=1)
    remove_member(member=factories.make_member())


def rows(organization: UUID, table: str) -> list[dict[str, Any]]:
    """What the table holds, without the organization's id and what an import says is new."""
    new = {
        "event": {"xact"},
        "organization": {"id", "slug"},
        "webhook": {"enabled", "disabled_reason"} | set(BLANKED["webhook"]),
        "membership": {"user_id"},
    }
    ours = {"organization_id", *new.get(table, set()), *BLANKED.get(table, {})}
    column = "id" if table == "organization" else "organization_id"
    with enter(organization), connection.cursor() as cursor:
        statement = f'SELECT to_jsonb(t)::text FROM "{table}" t WHERE "{column}" = %s'  # noqa: S608
        cursor.execute(statement, [organization])
        found = [json.loads(text) for (text,) in cursor.fetchall()]
    kept = [{name: row[name] for name in row if name not in ours} for row in found]
    return sorted(kept, key=str)


def names() -> list[str]:
    return [table.name for table in exported()]


@pytest.mark.parametrize("suffix", ["", ".zip"])
def test_what_comes_back_is_what_went_out(acme: Organization, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"acme{suffix}"
    manifest = export_organization(organization_id=acme.id, target=target)
    made = import_organization(path=target, slug="acme-again")
    assert made.rows > 100
    assert manifest["files"]["record"]["rows"] == 30
    different = {"event", "event_seal", "job", "job_item"}
    for table in names():
        if table not in different:
            assert rows(made.organization_id, table) == rows(acme.id, table), table
    with enter(made.organization_id):
        imported = Event.objects.get(kind="organization.imported")
        assert imported.payload["event_log"]["head"] == manifest["event_log"]["head"]
    before = rows(acme.id, "event")
    after = [row for row in rows(made.organization_id, "event") if row["kind"] != imported.kind]
    assert after == before
    seals.seal(organization_id=made.organization_id)
    assert seals.verify(organization_id=made.organization_id).is_valid


def test_export_import_export_gives_the_same_files(acme: Organization, tmp_path: Path) -> None:
    first = export_organization(organization_id=acme.id, target=tmp_path / "one")
    made = import_organization(path=tmp_path / "one", slug="acme-once-more")
    second = export_organization(organization_id=made.organization_id, target=tmp_path / "two")
    new = {"event", "event_seal", "organization", "membership", "accounts", "webhook", "job"}
    assert {"record", "response", "record_search", "guidelines_version"} <= set(first["files"])
    for name, facts in first["files"].items():
        if name not in new:
            assert second["files"][name] == facts, name


def test_everything_there_is_goes_along(tmp_path: Path) -> None:
    """A row in every table, whatever it holds."""
    organization = factories.make_organization()
    with enter(organization.id):
        fill("twin")
    export_organization(organization_id=organization.id, target=tmp_path / "all")
    made = import_organization(path=tmp_path / "all", slug="all-of-it")
    for table in names():
        if table not in {"event_seal", "job", "job_item"}:
            count = len(rows(organization.id, table)) + (table == "event")
            assert len(rows(made.organization_id, table)) == count, table


def test_people_find_their_accounts(acme: Organization, tmp_path: Path) -> None:
    export_organization(organization_id=acme.id, target=tmp_path / "acme")
    made = import_organization(path=tmp_path / "acme", slug="acme-people")
    with enter(acme.id):
        olga = Membership.objects.get(username="olga")
    with enter(made.organization_id):
        again = Membership.objects.get(username="olga")
        bo = Membership.objects.select_related("user").get(username="bo")
        assert again.user_id == olga.user_id
        assert bo.user is not None
        assert not bo.user.has_usable_password()
        assert Job.objects.get().state == "cancelled"


def test_no_secret_leaves(acme: Organization, tmp_path: Path) -> None:
    with enter(acme.id):
        _, key = create_api_key(member=Membership.objects.get(username="olga"))
    with connections["operator"].cursor() as cursor:
        cursor.execute("SELECT digest FROM api_key UNION ALL SELECT password FROM user_account")
        hidden = [row[0] for row in cursor.fetchall() if row[0]]
        cursor.execute("SELECT encode(sealed_key, 'hex') FROM llm_provider")
        hidden += [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT encode(sealed_secret, 'hex') FROM webhook")
        hidden += [row[0] for row in cursor.fetchall()]
    export_organization(organization_id=acme.id, target=tmp_path / "acme")
    content = "".join(path.read_text() for path in (tmp_path / "acme").iterdir())
    for secret in [key, PROVIDER_KEY, *hidden]:
        assert secret not in content


SUSPICIOUS = ("secret", "sealed", "digest", "token", "password", "fingerprint")
HARMLESS = {"draft.digest", "gold_set.digest", "event_seal.sealed_at"}


def test_a_column_that_sounds_secret_is_blanked(db: None) -> None:
    """A new one must be named in ``tables``."""
    found = {
        f"{table.name}.{column}"
        for table in exported()
        for column in table.columns
        if any(word in column for word in SUSPICIOUS) and column not in BLANKED.get(table.name, {})
    }
    tokens = {name for name in found if "tokens" in name}
    assert found - tokens - HARMLESS == set()
    assert "api_key" in LEFT_OUT


HARMS = {
    "a changed line": lambda f: (f / "record.jsonl").write_bytes(
        (f / "record.jsonl").read_bytes().replace(b"30", b"31", 1) + b"{}\n"
    ),
    "a missing file": lambda f: (f / "response.jsonl").unlink(),
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "no JSON": lambda f: (f / "manifest.json").write_text("[" * 10),
    "another version": lambda f: (f / "manifest.json").write_text(
        (f / "manifest.json").read_text().replace('"version": 1', '"version": 99')
    ),
    "a foreign table": lambda f: (f / "manifest.json").write_text(
        (f / "manifest.json").read_text().replace('"record":', '"../../etc/passwd":')
    ),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=list(HARMS))
def test_a_broken_export_makes_nothing(acme: Organization, tmp_path: Path, harm: Any) -> None:
    export_organization(organization_id=acme.id, target=tmp_path / "acme")
    harm(tmp_path / "acme")
    with pytest.raises(InvalidError):
        import_organization(path=tmp_path / "acme", slug="acme-broken")
    with connections["operator"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM organization WHERE slug = 'acme-broken'")
        assert cursor.fetchone() == (0,)


def test_an_archive_that_unfolds_to_far_too_much_is_refused(tmp_path: Path) -> None:
    """Read by its own figures, before a byte of it is unfolded."""
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 20 * 2**20)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(InvalidError, match="unfolds to"):
        import_organization(path=bomb)


def test_a_slug_is_used_once(acme: Organization, tmp_path: Path) -> None:
    export_organization(organization_id=acme.id, target=tmp_path / "acme")
    with pytest.raises(ConflictError):
        import_organization(path=tmp_path / "acme")
    with pytest.raises(InvalidError):
        import_organization(path=tmp_path / "acme", slug="admin")
    with pytest.raises(ConflictError):
        export_organization(organization_id=acme.id, target=tmp_path / "acme")


def test_the_commands(acme: Organization, tmp_path: Path, capsys: Any) -> None:
    target = str(tmp_path / "acme.zip")
    call_command("export_organization", "--slug", acme.slug, "--to", target, "--json")
    out = json.loads(capsys.readouterr().out)
    assert zipfile.ZipFile(target).testzip() is None
    with enter(acme.id):
        told = Event.objects.get(kind="organization.exported")
        assert told.payload == {"rows": out["rows"]}
    call_command("import_organization", "--from", target, "--slug", "acme-command", "--json")
    made = json.loads(capsys.readouterr().out)
    assert made["slug"] == "acme-command"
    assert made["rows"] <= out["rows"]
    with pytest.raises(CommandError, match="exists already"):
        call_command("import_organization", "--from", target, "--slug", acme.slug)


def test_the_job_leaves_a_file_for_a_week(acme: Organization, settings: Any) -> None:
    with enter(acme.id):
        job = start_organization_export(created_by=Membership.objects.get(username="olga"))
        with pytest.raises(ConflictError):
            start_organization_export(created_by=Membership.objects.get(username="olga"))
    while run_slice(organization_id=acme.id, job_id=job.id):
        pass
    with enter(acme.id):
        (done,) = newest_exports(5)
        path = find_file(done)
        assert path is not None
        assert done.params["bytes"] == path.stat().st_size
        assert done.params["rows"] > 100
        event = Event.objects.get(kind="organization.exported")
        assert event.actor_id == done.created_by_id
    assert forget_exports() == 0
    os.utime(path, (1, 1))
    assert forget_exports() == 1
    with enter(acme.id):
        assert find_file(done) is None


def test_a_description_is_the_manifest_of_what_would_be_written(acme: Organization) -> None:
    told = describe_organization(organization_id=acme.id)
    assert told["files"]["response"]["rows"] == 14
