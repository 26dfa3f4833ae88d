"""A copy from a running server, which here is our own: it speaks the same API."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from apps.annotation.models import Annotator
from apps.core.ids import uuid7
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import load_schema
from apps.exchange.argilla import client
from apps.exchange.models import CopiedObject
from apps.organizations.models import ApiKey, Membership, Organization
from apps.organizations.services import create_api_key
from apps.records.models import Record
from apps.records.services import delete_records
from apps.workspaces.models import Workspace, WorkspaceMembership
from apps.workspaces.services import add_workspace_member
from tests import factories
from tests.exchange.between import Between, stand_between
from tests.exchange.conftest import export_lines, import_lines, rich_dataset
from tests.exchange.test_memory import database_url
from tests.exchange.test_round_trip import FULL

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
RECORDS = 45
COUNTS = {"records": RECORDS, "responses": 3 * 9, "suggestions": 6 * 9, "vectors": 9}


@dataclass
class World:
    """A source with people, ``reviews/films`` and a draft; an empty target."""

    source: Organization
    target: Organization
    films: Dataset
    keys: dict[str, str]
    between: Between

    @property
    def url(self) -> str:
        return self.between.url

    def arguments(self, *more: str, key: str = "owner", url: str | None = None) -> list[str]:
        return [
            *("import_argilla", "--url", url or self.url, "--api-key", self.keys.get(key, key)),
            *("--organization", self.target.slug, "--json", *more),
        ]

    def run(self, *more: str, **options: str) -> dict[str, Any]:
        """The answer of the command, which must say that all is well."""
        out = io.StringIO()
        call_command(*self.arguments(*more, **options), stdout=out, stderr=io.StringIO())
        return dict(json.loads(out.getvalue()))

    def fail(self, *more: str, **options: str) -> tuple[CommandError, dict[str, Any]]:
        """What the command says when not all is well."""
        out = io.StringIO()
        with pytest.raises(CommandError) as caught:
            call_command(*self.arguments(*more, **options), stdout=out, stderr=io.StringIO())
        return caught.value, json.loads(out.getvalue() or "{}")

    def copied(self, name: str = "films") -> Dataset:
        with enter(self.target.id):
            return Dataset.objects.select_related("workspace").get(name=name)

    def offsets(self) -> list[int]:
        """Where the pages of ``films`` that were asked for began."""
        pages = [one for one in self.between.asked if f"{self.films.id}/records" in one]
        return [int(one.partition("offset=")[2].partition("&")[0]) for one in pages]

    def count(self) -> int:
        with enter(self.target.id):
            return Record.objects.count()


def fill(films: Dataset) -> None:
    """Every fifth record has everything; ids of all kinds."""
    rows = []
    for number in range(RECORDS):
        full = {**FULL, "id": f"full {number}"}
        rows.append(full if number % 5 == 0 else {"id": str(number), "fields": {"text": "t 👩‍🚀"}})
    assert not import_lines(films, *rows).rejects


@pytest.fixture
def world(live_server: Any) -> Any:
    source, target = factories.make_organization("Source"), factories.make_organization("Target")
    keys = {}
    with enter(source.id):
        reviews, private = factories.make_workspace("reviews"), factories.make_workspace("private")
        for name, role in (("olga", "owner"), ("anna", "annotator"), ("ben", "admin")):
            person = factories.make_member(role=role, username=name, first_name=name.title())
            keys[role] = create_api_key(member=person)[1]
            add_workspace_member(workspace=reviews, member=person)
        factories.make_member(role="reviewer", username="cleo", workspace=private)
        films = rich_dataset(
            reviews, name="films", guidelines="Be kind.", min_submitted=2, metadata={"a": [1]}
        )
        fill(films)
        draft = factories.make_dataset(private, name="draft", questions=["genre"])
        Dataset.objects.filter(id=draft.id).update(status=DatasetStatus.DRAFT)
    with stand_between(live_server.url) as between:
        yield World(source, target, films, keys, between)


def settings_of(dataset: Dataset) -> dict[str, Any]:
    """Everything but ids and times."""
    with enter(dataset.organization_id):
        schema = load_schema(dataset)
        names = ("name", "status", "guidelines", "allow_extra_metadata", "metadata")
        return {
            **{name: getattr(dataset, name) for name in (*names, "min_submitted")},
            "fields": [(p.name, p.title, p.required, p.settings) for p in schema.fields.values()],
            "questions": [
                (q.name, q.title, q.description, q.required, q.settings)
                for q in (rule.question for rule in schema.questions.values())
            ],
            "properties": [
                (p.name, p.title, p.settings, p.visible_for_annotators)
                for p in schema.properties.values()
            ],
            "vectors": [(v.name, v.title, v.dimensions) for v in schema.vectors.values()],
        }


def lines_of(dataset: Dataset) -> list[dict[str, Any]]:
    lines = sorted(export_lines(dataset), key=lambda line: str(line["id"]))
    for line in lines:
        line["responses"].sort(key=lambda response: response["user"])
    return lines


def inserted_at_of(dataset: Dataset) -> dict[str, Any]:
    with enter(dataset.organization_id):
        rows = Record.objects.filter(dataset=dataset).in_order()
        return dict(rows.values_list("external_id", "inserted_at"))


# --- Everything ----------------------------------------------------------------------------------
def test_everything_comes_over(world: World) -> None:
    answer = world.run()
    assert answer["created"] == {
        "workspaces": 2,
        "users": 4,
        "memberships": 4,
        "datasets": 2,
    }
    assert answer["skipped"] == 0
    assert answer["renamed"] == []
    [report] = answer["datasets"]
    assert (report["there"], report["here"], report["differences"]) == (COUNTS, COUNTS, [])
    assert settings_of(world.copied()) == settings_of(world.films)
    assert lines_of(world.copied()) == lines_of(world.films)
    assert list(inserted_at_of(world.copied()).items()) == list(inserted_at_of(world.films).items())
    assert world.copied("draft").status == DatasetStatus.DRAFT
    assert world.copied("draft").workspace.name == "private"


def test_people_keep_role_name_and_workspaces_but_no_key(world: World) -> None:
    answer = world.run()
    assert sorted(answer["accounts_without_password"]) == ["anna", "ben", "cleo", "olga"]
    with enter(world.target.id):
        people = dict(Membership.objects.values_list("username", "role"))
        places = WorkspaceMembership.objects.values_list("workspace__name", "membership__username")
        assert set(places) == {
            *(("reviews", name) for name in ("olga", "anna", "ben")),
            ("private", "cleo"),
        }
        assert not ApiKey.objects.exists()
        assert not Membership.objects.get(username="anna").user.has_usable_password()
        assert Membership.objects.get(username="anna").first_name == "Anna"
        assert Annotator.objects.count() == 3
    assert people == {"olga": "owner", "anna": "annotator", "ben": "admin", "cleo": "reviewer"}


def test_new_passwords_are_written_once_and_work(world: World, tmp_path: Any) -> None:
    file = tmp_path / "passwords"
    assert world.run("--passwords", str(file))["accounts_without_password"] == []
    assert file.stat().st_mode & 0o777 == 0o600
    told = dict(line.split("\t") for line in file.read_text().splitlines())
    with enter(world.target.id):
        for name, password in told.items():
            assert Membership.objects.get(username=name).user.check_password(password)
    world.run("--passwords", str(file))
    assert len(file.read_text().splitlines()) == len(told) == 4


def test_who_is_here_already_stays_as_they_are(world: World) -> None:
    with enter(world.target.id):
        factories.make_member(role="owner", username="anna", password=factories.PASSWORD)
        factories.make_workspace("reviews")
    answer = world.run()
    assert (answer["created"]["users"], answer["created"]["workspaces"]) == (3, 1)
    with enter(world.target.id):
        anna = Membership.objects.get(username="anna")
        assert anna.role == "owner"
        assert anna.user.check_password(factories.PASSWORD)
    assert lines_of(world.copied()) == lines_of(world.films)


def test_a_second_run_brings_what_was_added_and_doubles_nothing(world: World) -> None:
    world.run()
    world.between.asked.clear()
    assert world.run()["created"] == {}
    assert world.offsets() == [RECORDS - 1]
    with enter(world.source.id):
        import_lines(world.films, {**FULL, "id": "late"})
    [report] = world.run()["datasets"]
    assert report["here"]["records"] == report["there"]["records"] == RECORDS + 1
    assert lines_of(world.copied()) == lines_of(world.films)


def test_later_work_here_is_named_and_stays_until_a_start_from_the_start(world: World) -> None:
    world.run()
    changed = {"id": "full 0", "fields": {"text": "changed here"}}
    with enter(world.target.id):
        import_lines(world.copied(), changed, {"id": "new here", "fields": {"text": "x"}})
    error, answer = world.fail()
    assert error.returncode == 3
    assert answer["datasets"][0]["differences"] == [f"records: {RECORDS} there, {RECORDS + 1} here"]
    assert changed["fields"] in [line["fields"] for line in lines_of(world.copied())]
    world.fail("--from-start")
    here = [line for line in lines_of(world.copied()) if line["id"] != "new here"]
    assert here == lines_of(world.films)


def test_workspaces_and_datasets_can_be_chosen(world: World) -> None:
    assert world.run("--workspace", "private")["datasets"] == []
    with enter(world.target.id):
        assert [one.name for one in Workspace.objects.all()] == ["private"]
        assert [one.username for one in Membership.objects.all()] == ["cleo"]
    world.run("--dataset", "films")
    with enter(world.target.id):
        assert Membership.objects.count() == 4
    assert lines_of(world.copied()) == lines_of(world.films)


# --- What is in the way --------------------------------------------------------------------------
def test_names_that_are_not_allowed_here_are_changed(world: World) -> None:
    def rename(target: str, answer: Any) -> Any:
        status, document = answer
        for item in document["items"] if target.startswith("/api/v1/me/workspaces") else ():
            item["name"] = {"reviews": "Our Team/ÄÖ", "private": "Our-Team"}[item["name"]]
        return status, document

    world.between.rules.append(rename)
    assert world.run()["renamed"] == ["workspace 'Our Team/ÄÖ' is 'Our-Team-2'"]
    assert world.copied().workspace.name == "Our-Team-2"
    assert world.run()["renamed"] == []


def test_parts_that_cannot_be_kept_are_left_out_and_named(world: World, tmp_path: Any) -> None:
    stranger = str(uuid7())

    def spoil(target: str, answer: Any) -> Any:
        status, document = answer
        for item in document["items"] if "limit" in target else ():
            if item["external_id"] == "full 0":
                item["responses"][0]["user_id"] = stranger
                item["suggestions"][0]["value"] = "no such label"
                item["metadata"]["year"] = "1999"
                item["vectors"]["v"] = [1]
            if item["external_id"] == "1":
                item["fields"] = {"other": "field"}
            if item["external_id"] == "2":
                item["fields"]["text"] = "nul \0"
        return status, document

    world.between.rules.append(spoil)
    file = tmp_path / "skipped.jsonl"
    error, answer = world.fail("--skipped", str(file))
    assert error.returncode == 3
    assert "\n" not in str(error)
    told = {one["what"]: one["reason"] for one in answer["first_skipped"]}
    assert answer["skipped"] == len(told) == 6
    assert [json.loads(line) for line in file.read_text().splitlines()] == answer["first_skipped"]
    assert told[f"response of {stranger!r} of record 'full 0'"] == "the server has no such user"
    assert "not a valid label" in told["suggestion for 'sentiment' of record 'full 0'"]
    assert "not an integer" in told["metadata 'year' of record 'full 0'"]
    assert "3 elements" in told["vector 'v' of record 'full 0'"]
    assert "missing required value" in told["record '1'"]
    assert "cannot be stored" in told["record '2'"]
    assert answer["datasets"][0]["differences"] == [
        f"records: {RECORDS} there, {RECORDS - 2} here",
        "responses: 27 there, 26 here",
        "suggestions: 54 there, 53 here",
        "vectors: 9 there, 8 here",
        "6 left out, in this run or before",
    ]
    world.between.rules.clear()
    error, answer = world.fail()
    assert "6 left out, in this run or before" in answer["datasets"][0]["differences"]
    [report] = world.run("--from-start")["datasets"]
    assert report["here"] == COUNTS
    assert lines_of(world.copied()) == lines_of(world.films)


def test_null_values_and_absent_relations_are_nothing(world: World) -> None:
    def spoil(target: str, answer: Any) -> Any:
        status, document = answer
        for item in document["items"] if "limit" in target else ():
            for response in item["responses"]:
                if response["status"] == "discarded":
                    response["values"] = None
            if item["external_id"] == "1":
                item["metadata"] = None
                del item["responses"], item["suggestions"], item["vectors"]
            if item["external_id"] == "2":
                item["external_id"] = None
        return status, document

    world.between.rules.append(spoil)
    [report] = world.run()["datasets"]
    assert report["here"] == COUNTS
    with enter(world.source.id):
        source_id = Record.objects.get(external_id="2").id
    with enter(world.target.id):
        assert Record.objects.filter(external_id=str(source_id)).exists()


def test_another_dataset_of_the_name_is_left_alone(world: World) -> None:
    with enter(world.target.id):
        factories.make_dataset(factories.make_workspace("reviews"), name="films")
    error, answer = world.fail()
    assert error.returncode == 3
    assert answer["first_skipped"][0]["where"] == "reviews/films"
    assert "with other fields or questions" in answer["first_skipped"][0]["reason"]
    assert world.count() == 0


def test_settings_beyond_our_limits_leave_the_dataset_out(world: World) -> None:
    def spoil(target: str, answer: Any) -> Any:
        if "fields" in target:
            answer[1]["items"][0]["settings"] = {"type": "table"}
        return answer

    world.between.rules.append(spoil)
    _, answer = world.fail()
    assert {one["what"] for one in answer["first_skipped"]} == {"the dataset"}
    assert "field 'text'" in answer["first_skipped"][0]["reason"]
    with enter(world.target.id):
        assert not Dataset.objects.exists()


def test_records_of_a_draft_are_named(world: World) -> None:
    def unpublish(target: str, answer: Any) -> Any:
        if target == "/api/v1/me/datasets":
            for item in answer[1]["items"]:
                item["status"] = "draft"
        return answer

    world.between.rules.append(unpublish)
    _, answer = world.fail()
    assert answer["first_skipped"][0]["what"] == f"{RECORDS} records"
    world.between.rules.clear()
    world.run()
    assert lines_of(world.copied()) == lines_of(world.films)


# --- Bad moments ---------------------------------------------------------------------------------
def test_bad_moments_of_the_server_are_waited_for(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(client, "PAUSES", (0.01,) * 3)
    bad = {"count": 0}

    def stumble(target: str, answer: Any) -> Any:
        bad["count"] += 1
        if bad["count"] % 3 == 1:
            return 503, {"detail": "busy"}
        return None if bad["count"] % 3 == 2 else answer

    world.between.rules.append(stumble)
    world.between.page_size = 10
    [report] = world.run()["datasets"]
    assert report["here"] == COUNTS


def test_a_server_that_stays_away_ends_the_run_and_the_next_one_goes_on(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(client, "PAUSES", (0.01,))
    world.between.page_size = 10
    world.between.rules.append(lambda t, a: (500, {}) if "offset=29" in t else a)
    error, _ = world.fail()
    assert error.returncode == 1
    assert "does not answer GET /datasets/" in str(error)
    assert "status 500" in str(error)
    assert world.count() == 30
    world.between.rules.clear()
    world.between.asked.clear()
    [report] = world.run()["datasets"]
    assert (report["there"], report["here"]) == (COUNTS, COUNTS)
    assert world.offsets() == [29, 39, RECORDS - 1]
    assert lines_of(world.copied()) == lines_of(world.films)


def test_records_that_shifted_between_pages_are_found_in_a_second_look(world: World) -> None:
    world.between.page_size = 10

    def shift(target: str, answer: Any) -> Any:
        """The second page gives what the first gave, as equal times of insertion allow."""
        if "offset=9&" in target and "first" not in world.between.__dict__:
            world.between.__dict__["first"] = True
            return 200, {**answer[1], "items": [answer[1]["items"][0], *first]}
        return answer

    path = f"/api/v1/datasets/{world.films.id}/records"
    includes = "include=responses&include=suggestions&include=vectors"
    key = {"X-Argilla-Api-Key": world.keys["owner"]}
    first = world.between.answer(f"{path}?offset=0&limit=10&{includes}", key)[1]["items"]
    world.between.rules.append(shift)
    [report] = world.run()["datasets"]
    assert (report["there"], report["here"], report["differences"]) == (COUNTS, COUNTS, [])


def delete_first(films: Dataset, count: int) -> None:
    with enter(films.organization_id):
        rows = Record.objects.filter(dataset=films).in_order()
        delete_records(dataset=films, ids=list(rows.values_list("id", flat=True)[:count]))


def test_what_was_added_is_found_although_as_much_was_deleted(world: World) -> None:
    world.run()
    delete_first(world.films, 2)
    with enter(world.source.id):
        import_lines(world.films, *({**FULL, "id": f"late {number}"} for number in range(2)))
    error, answer = world.fail()
    assert error.returncode == 3
    assert answer["datasets"][0]["differences"] == [
        f"records: the server says {RECORDS}, and gave {RECORDS + 2} over all runs"
    ]
    here, there = lines_of(world.copied()), lines_of(world.films)
    assert [line for line in here if line in there] == there


@pytest.mark.parametrize("more", [[], ["--from-start"]])
def test_deletions_while_records_are_copied_hide_none(world: World, more: list[str]) -> None:
    world.between.page_size = 10

    def delete(target: str, answer: Any) -> Any:
        if "offset=9&" in target:
            world.between.rules.clear()
            delete_first(world.films, 5)
        return answer

    world.between.rules.append(delete)
    world.fail(*more)
    assert world.offsets().count(0) == 2
    here, there = lines_of(world.copied()), lines_of(world.films)
    assert (len(here), len(there)) == (RECORDS, RECORDS - 5)
    assert [line for line in here if line in there] == there


def test_records_that_never_rest_end_the_copy_and_are_told_of(world: World) -> None:
    def shuffle(target: str, answer: Any) -> Any:
        if f"{world.films.id}/records" in target:
            answer[1]["items"].reverse()
        return answer

    world.between.rules.append(shuffle)
    error, answer = world.fail()
    assert error.returncode == 3
    assert "records shifted again and again" in answer["datasets"][0]["differences"][-1]
    assert world.offsets().count(0) == 4


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_copy_that_is_stopped_goes_on_where_it_was(world: World, signal_number: int) -> None:
    world.between.page_size = 10
    running: list[subprocess.Popen[str]] = []

    def stop(target: str, answer: Any) -> Any:
        if "offset=19" in target:
            os.kill(running[0].pid, signal_number)
        return answer

    world.between.rules.append(stop)
    running.append(
        subprocess.Popen(
            [sys.executable, "manage.py", *world.arguments()],
            env={**os.environ, "DATABASE_URL": database_url()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A suite in the background of a shell ignores the signal, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    )
    _, err = running[0].communicate(timeout=60)
    if signal_number == signal.SIGINT:
        assert running[0].returncode == 130
        assert "The same command goes on from here." in err
        assert "Traceback" not in err
    assert world.count() == 20
    world.between.rules.clear()
    world.between.asked.clear()
    [report] = world.run()["datasets"]
    assert (report["there"], report["here"], report["differences"]) == (COUNTS, COUNTS, [])
    assert world.offsets() == [19, 29, 39, RECORDS - 1]
    assert lines_of(world.copied()) == lines_of(world.films)
    with enter(world.target.id):
        assert Membership.objects.count() == 4
        assert Workspace.objects.count() == 2


def test_lines_tell_of_progress_where_there_is_no_terminal(world: World) -> None:
    err, out = io.StringIO(), io.StringIO()
    arguments = [one for one in world.arguments() if one != "--json"]
    call_command(*arguments, stdout=out, stderr=err)
    assert f"reviews/films: {RECORDS} of {RECORDS} records\n" in err.getvalue()
    assert "\r" not in err.getvalue()
    assert f"reviews/films: {RECORDS} records, 27 responses" in out.getvalue()


def test_a_bar_shows_progress_on_a_terminal(world: World) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "manage.py", *world.arguments()],
            env={**os.environ, "DATABASE_URL": database_url()},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        shown = screen.read(10_000).decode()
    assert f"\r[{'#' * 30}] reviews/films: {RECORDS} of {RECORDS} records" in shown


# --- What ends it --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("annotator", "is of 'anna', who is annotator; an owner's is needed"),
        ("admin", "is of 'ben', who is admin; an owner's is needed"),
        ("sw_wrong", "does not know this API key"),
        ("", "must be printable ASCII"),
        ("a\r\nb: c", "must be printable ASCII"),
    ],
)
def test_a_key_that_may_not_is_told_in_one_line(world: World, key: str, reason: str) -> None:
    error, _ = world.fail(key=key)
    assert (error.returncode, "\n" in str(error)) == (1, False)
    assert reason in str(error)
    with enter(world.target.id):
        assert not Membership.objects.exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("http://nowhere.invalid", "cannot be reached"),
        ("ftp://example.org", "is no address"),
        ("http://h:99999999", "is no address"),
        ("http://[::1", "is no address"),
        ("http://user@example.org", "is no address"),
        ("example.org", "is no address"),
    ],
)
def test_an_address_without_a_server_is_told_in_one_line(
    world: World, url: str, reason: str
) -> None:
    error, _ = world.fail(url=url)
    assert (error.returncode, "\n" in str(error)) == (1, False)
    assert reason in str(error)


@pytest.mark.parametrize(
    ("status", "document", "reason"),
    [
        (404, {"detail": "Not Found"}, "There is no Argilla 2 server"),
        (302, {}, "redirects to"),
        (200, b"<html>", "is no JSON"),
        (200, [], "answers GET /me strangely"),
        (200, {"id": "x", "username": "y", "role": "owner"}, "strangely: id"),
        (200, b"[" * 100_000, "is no JSON"),
    ],
)
def test_another_kind_of_server_is_told_in_one_line(
    world: World, status: int, document: Any, reason: str
) -> None:
    world.between.rules.append(lambda target, answer: (status, document))
    error, _ = world.fail()
    assert (error.returncode, "\n" in str(error)) == (1, False)
    assert reason in str(error)


def test_names_that_the_server_has_not_are_told(world: World) -> None:
    error, _ = world.fail("--workspace", "nowhere")
    assert "has no workspace 'nowhere'; there are: private, reviews" in str(error)
    error, _ = world.fail("--workspace", "private", "--dataset", "films")
    assert "has no dataset 'films'; there are: draft" in str(error)


def test_what_was_copied_has_a_known_kind(organization: Organization) -> None:
    with pytest.raises(IntegrityError, match="copied_object_kind_known"):
        CopiedObject.objects.create(kind="record", source_id=uuid7(), target_id=uuid7())
