"""Entity tags of settings: what is known is not sent again, what changed is not overwritten."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from apps.core.tenancy import enter
from apps.datasets.models import Dataset, MetadataProperty, VectorSettings
from apps.datasets.services import lock_dataset
from apps.organizations.services import create_api_key
from apps.workspaces.models import Workspace
from tests.api.conftest import OVERHEAD, Api, Cast
from tests.factories import make_dataset, make_member, make_organization
from tests.meanwhile import waiting

KINDS = ("dataset", "field", "question", "property", "vector")
STALE = '"0123456789abcdef0123456789abcdef"'
GONE = {"detail": "The object was changed meanwhile: its ETag is no longer that of If-Match."}


@dataclass
class Things:
    """The address of one object of each kind, all in one draft."""

    cast: Cast
    paths: dict[str, str]
    dataset: Dataset

    def change(self, kind: str, text: str) -> dict[str, Any]:
        return {"guidelines": text} if kind == "dataset" else {"title": text}


def make_draft(workspace: Workspace | None = None) -> Dataset:
    """With a field and a question, so that both can be deleted."""
    dataset = make_dataset(workspace)
    Dataset.objects.filter(pk=dataset.pk).update(status="draft")
    return dataset


@pytest.fixture
def things(cast: Cast) -> Things:
    with cast.inside():
        dataset = make_draft(cast.workspace)
        settings = {"type": "terms", "values": None}
        hidden = MetadataProperty.objects.create(
            dataset=dataset, number=1, name="p", title="P", settings=settings
        )
        vector = VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
        paths = {
            "dataset": f"/datasets/{dataset.id}",
            "field": f"/fields/{dataset.fields.get().id}",
            "question": f"/questions/{dataset.questions.get().id}",
            "property": f"/metadata-properties/{hidden.id}",
            "vector": f"/vectors-settings/{vector.id}",
        }
    return Things(cast, paths, dataset)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_stands_for_what_is_read(things: Things, kind: str) -> None:
    path, admin = things.paths[kind], things.cast["admin_in"]
    first = admin.get(path)
    tag = first["ETag"]
    assert (first.status_code, tag[0], tag[-1], len(tag)) == (200, '"', '"', 34)
    assert things.cast["annotator_in"].get(path)["ETag"] == tag
    changed = admin.patch(path, things.change(kind, "Another"))
    assert changed["ETag"] == admin.get(path)["ETag"] != tag


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_reader_knows_is_not_sent(things: Things, kind: str) -> None:
    path, admin = things.paths[kind], things.cast["admin_in"]
    tag = admin.get(path)["ETag"]
    for known in (tag, f"W/{tag}", f"{STALE}, {tag}", "*"):
        answer = admin.get(path, **{"If-None-Match": known})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag), known
    for unknown in (STALE, "", "nonsense", '"', tag.strip('"')):
        assert admin.get(path, **{"If-None-Match": unknown}).status_code == 200, unknown
    assert admin.get("/datasets/x", **{"If-None-Match": "*"}).status_code == 422
    stranger = things.cast["stranger"].get(path, **{"If-None-Match": tag})
    assert stranger.status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_tag_stops_a_write(things: Things, kind: str) -> None:
    path, admin = things.paths[kind], things.cast["admin_in"]
    old = admin.get(path)["ETag"]
    assert admin.patch(path, things.change(kind, "Mine"), **{"If-Match": old}).status_code == 200
    for stale in (old, STALE, f"W/{admin.get(path)['ETag']}", "nonsense", ""):
        answer = admin.patch(path, things.change(kind, "Yours"), **{"If-Match": stale})
        assert (answer.status_code, answer.json()) == (412, GONE), stale
        answer = admin.delete(path, **{"If-Match": stale})
        assert (answer.status_code, answer.json()) == (412, GONE), stale
    assert "Mine" in admin.get(path).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_tag_or_none_lets_it_through(things: Things, kind: str) -> None:
    path, admin = things.paths[kind], things.cast["admin_in"]
    assert admin.patch(path, things.change(kind, "One")).status_code == 200
    for given in ("*", f"{STALE}, {{tag}}", "{tag}"):
        tag = given.format(tag=admin.get(path)["ETag"])
        assert admin.patch(path, things.change(kind, given), **{"If-Match": tag}).status_code == 200
    tag = admin.get(path)["ETag"]
    assert admin.delete(path, **{"If-Match": tag}).status_code == 200
    assert admin.get(path).status_code == 404
    assert admin.delete(path, **{"If-Match": tag}).status_code == 404


def test_a_tag_of_another_object_is_stale(things: Things) -> None:
    admin = things.cast["admin_in"]
    tag = admin.get(things.paths["field"])["ETag"]
    answer = admin.patch(things.paths["question"], {"title": "X"}, **{"If-Match": tag})
    assert answer.status_code == 412


def test_permission_and_schema_come_first(things: Things) -> None:
    path = things.paths["field"]
    header = {"If-Match": STALE}
    assert things.cast["annotator_in"].patch(path, {"title": "X"}, **header).status_code == 403
    assert things.cast["stranger"].patch(path, {"title": "X"}, **header).status_code == 404
    assert things.cast["admin_in"].patch(path, {"title": ""}, **header).status_code == 422


def test_answers_that_make_something_carry_its_tag(things: Things) -> None:
    admin = things.cast["admin_in"]
    body = {"name": "more", "title": "More", "settings": {"type": "text"}}
    made = admin.post(f"/datasets/{things.dataset.id}/fields", body)
    assert made["ETag"] == admin.get(f"/fields/{made.json()['id']}")["ETag"]


def test_a_hidden_property_is_not_read_by_annotators(things: Things) -> None:
    path = things.paths["property"]
    things.cast["admin_in"].patch(path, {"visible_for_annotators": False})
    assert things.cast["annotator_in"].get(path).status_code == 403
    assert things.cast["reviewer_in"].get(path).status_code == 200


def test_without_the_header_nothing_costs_more(
    things: Things, django_assert_num_queries: Any
) -> None:
    path, owner = things.paths["field"], things.cast["owner"]
    owner.patch(path, {"title": "A"})
    with django_assert_num_queries(OVERHEAD + 1):
        owner.get(path)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_read_the_same_one_writes() -> None:
    """The second waits for the first, and then finds its tag stale."""
    organization = make_organization()
    with enter(organization.id):
        key = create_api_key(member=make_member(role="owner"))[1]
        dataset = make_draft()
        path = f"/fields/{dataset.fields.get().id}"
    tag = Api(key).get(path)["ETag"]
    statuses: list[int] = []

    def write() -> None:
        headers = {"If-Match": tag}
        statuses.append(Api(key).patch(path, {"title": "Mine"}, **headers).status_code)
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(3)]
    with enter(organization.id):
        lock_dataset(dataset)  # until all of them have looked
        for writer in writers:
            writer.start()
        _wait_for(lambda: waiting() == len(writers))
    for writer in writers:
        writer.join(timeout=20)
    assert sorted(statuses) == [200, 412, 412]


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        threading.Event().wait(0.025)
    raise AssertionError("It did not come to that.")
