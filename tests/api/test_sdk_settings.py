"""The real client, unchanged, against a live server: people, workspaces, dataset settings."""

import uuid
from collections.abc import Iterator
from typing import Any

import argilla as rg
import pytest
from argilla._exceptions import (
    ArgillaCredentialsError,
    ConflictError,
    ForbiddenError,
    SettingsError,
)

from apps.core.tenancy import enter
from apps.datasets.models import GuidelinesVersion
from apps.organizations.services import create_api_key
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

LABELS = {"positive": "Positive", "negative": "Negative", "mixed": "Mixed", "none": "None of them"}


class Place:
    """An organization with an owner's client, and keys for others."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.organization = factories.make_organization("Sdk")
        self.client = self.join("owner")

    def join(self, role: str, username: str | None = None) -> rg.Argilla:
        with enter(self.organization.id):
            member = factories.make_member(role=role, username=username or role)
            key = create_api_key(member=member)[1]
        return rg.Argilla(api_url=self.url, api_key=key)


@pytest.fixture
def place(live_server: Any) -> Iterator[Place]:
    place = Place(live_server.url)
    yield place
    place.client.api.http_client.close()


def settings() -> rg.Settings:
    """All field, question and property types."""
    return rg.Settings(
        guidelines="Read the review, then answer.",
        fields=[
            rg.TextField(name="review", title="Review", use_markdown=True),
            rg.ImageField(name="poster", required=False),
            rg.ChatField(name="talk", required=False),
            rg.CustomField(name="card", template="<p>{{record.fields.card.a}}</p>", required=False),
        ],
        questions=[
            rg.LabelQuestion(name="sentiment", labels=LABELS, description="The whole of it."),
            rg.MultiLabelQuestion(
                name="genre",
                labels=["comedy", "drama", "horror", "other"],
                visible_labels=3,
                labels_order="suggestion",
                required=False,
            ),
            rg.RatingQuestion(name="quality", values=[0, 1, 2, 3, 4, 5], required=False),
            rg.RankingQuestion(name="order", values={"a": "Reply A", "b": "Reply B"}),
            rg.TextQuestion(name="comment", use_markdown=True, required=False),
            rg.SpanQuestion(
                name="names",
                field="review",
                labels=["person", "place"],
                allow_overlapping=True,
                required=False,
            ),
        ],
        metadata=[
            rg.TermsMetadataProperty(name="source", options=["web", "print", 3]),
            rg.IntegerMetadataProperty(name="words", min=0, max=500, title="Words"),
            rg.FloatMetadataProperty(name="share", visible_for_annotators=False),
        ],
        vectors=[rg.VectorField(name="text-vector", dimensions=8, title="Text")],
        distribution=rg.TaskDistribution(min_submitted=2),
        allow_extra_metadata=True,
    )


def plain(document: Any) -> Any:
    """Without what the server adds: ids, times, nulls."""
    if isinstance(document, list):
        return [plain(item) for item in document]
    if isinstance(document, dict):
        added = {"id", "dataset_id", "inserted_at", "updated_at"}
        return {
            key: plain(value)
            for key, value in document.items()
            if key not in added and value is not None
        }
    return document


def test_the_client_starts_with_a_key_and_not_without(place: Place) -> None:
    assert place.client.me.username == "owner"
    assert place.client.me.role == "owner"
    with pytest.raises(ArgillaCredentialsError):
        rg.Argilla(api_url=place.url, api_key="sw_unknown")


def test_a_path_prefix_and_extra_headers_do_no_harm(place: Place) -> None:
    key = place.client.api_key
    client = rg.Argilla(
        api_url=f"{place.url}/", api_key=key, headers={"Authorization": "Bearer hf_private"}
    )
    assert client.me.username == "owner"


def test_users_live_and_leave(place: Place) -> None:
    user = rg.User(
        username="ana", first_name="Ana", password="long enough", client=place.client
    ).create()
    assert place.client.users("ana").id == user.id
    assert [found.username for found in place.client.users] == ["owner", "ana"]
    with pytest.raises(ConflictError):
        rg.User(username="ana", password="long enough", client=place.client).create()
    user.role = "admin"
    user.update()
    assert place.client.users(id=user.id).role == "admin"
    user.delete()
    assert place.client.users("ana") is None


def test_a_given_id_is_kept(place: Place) -> None:
    id = uuid.uuid4()
    user = rg.User(username="ana", password="long enough", id=id, client=place.client).create()
    assert user.id == id


def test_a_reviewer_reads_as_an_annotator_and_stays_one_when_saved(place: Place) -> None:
    client = place.join("reviewer")
    assert client.me.role == "annotator"
    user = place.client.users("reviewer")
    user.last_name = "Lovelace"
    user.update()
    response = place.client.api.http_client.get(f"/api/v1/users/{user.id}").json()
    assert (response["stoneware_role"], response["last_name"]) == ("reviewer", "Lovelace")


def test_workspaces_and_their_people(place: Place) -> None:
    workspace = rg.Workspace(name="films", client=place.client).create()
    annotator = place.join("annotator")
    user = place.client.users("annotator")
    user.add_to_workspace(workspace)
    assert [found.username for found in workspace.users] == ["annotator"]
    assert [found.name for found in annotator.workspaces] == ["films"]
    assert [found.name for found in place.client.workspaces] == ["films"]
    user.remove_from_workspace(workspace)
    assert len(annotator.workspaces) == 0
    with pytest.raises(ConflictError):
        rg.Workspace(name="films", client=place.client).create()
    workspace.delete()
    assert place.client.workspaces("films") is None


def test_a_workspace_with_a_dataset_stays(place: Place) -> None:
    workspace = rg.Workspace(name="films", client=place.client).create()
    dataset = rg.Dataset("reviews", settings=settings(), client=place.client).create()
    with pytest.raises(ConflictError):
        workspace.delete()
    dataset.delete()
    workspace.delete()


def test_a_dataset_comes_back_as_it_was_made(place: Place) -> None:
    rg.Workspace(name="films", client=place.client).create()
    made = settings()
    rg.Dataset("reviews", workspace="films", settings=made, client=place.client).create()
    found = place.client.datasets("reviews", workspace="films")
    assert found is not None
    assert plain(found.settings.serialize()) == plain(made.serialize())
    assert [dataset.name for dataset in place.client.datasets] == ["reviews"]
    assert found.workspace.name == "films"
    assert found.distribution.min_submitted == 2


def test_settings_can_be_updated_after_publishing(place: Place) -> None:
    rg.Workspace(name="films", client=place.client).create()
    rg.Dataset("reviews", settings=settings(), client=place.client).create()
    found = place.client.datasets("reviews")
    found.settings.guidelines = "Read twice."
    found.settings.distribution = rg.TaskDistribution(min_submitted=3)
    found.settings.fields["review"].title = "The review"
    found.settings.fields["review"].use_markdown = False
    found.settings.questions["sentiment"].title = "How is it?"
    found.settings.questions["comment"].description = "A word or two."
    found.settings.metadata["words"].title = "Length"
    found.settings.metadata["words"].visible_for_annotators = False
    found.settings.vectors["text-vector"].title = "Meaning"
    found.settings.add(rg.TermsMetadataProperty(name="lang"))
    found.settings.add(rg.VectorField(name="image", dimensions=3))
    found.settings.metadata.remove("source")
    found.settings.update()

    again = place.client.datasets("reviews").settings
    assert again.guidelines == "Read twice."
    assert again.distribution.min_submitted == 3
    assert again.fields["review"].title == "The review"
    assert again.fields["review"].use_markdown is False
    assert again.questions["sentiment"].title == "How is it?"
    assert again.questions["comment"].description == "A word or two."
    assert [found.name for found in again.metadata] == ["words", "share", "lang"]
    assert again.metadata["words"].visible_for_annotators is False
    assert again.metadata["words"].title == "Length"
    assert [found.name for found in again.vectors] == ["text-vector", "image"]
    with enter(place.organization.id):
        versions = GuidelinesVersion.objects.order_by("number")
        assert [row.text for row in versions] == ["Read the review, then answer.", "Read twice."]


def test_an_annotator_may_read_settings_but_not_hidden_properties(place: Place) -> None:
    workspace = rg.Workspace(name="films", client=place.client).create()
    rg.Dataset("reviews", settings=settings(), client=place.client).create()
    annotator = place.join("annotator")
    place.client.users("annotator").add_to_workspace(workspace)
    found = annotator.datasets("reviews")
    assert [found.name for found in found.settings.metadata] == ["source", "words"]
    assert len(found.settings.questions) == 6


def test_a_refused_dataset_says_who_was_refused(place: Place) -> None:
    workspace = rg.Workspace(name="films", client=place.client).create()
    annotator = place.join("annotator")
    place.client.users("annotator").add_to_workspace(workspace)
    with pytest.raises(ForbiddenError, match="annotator"):
        rg.Dataset("mine", workspace="films", settings=settings(), client=annotator).create()


def test_a_draft_that_fails_is_taken_back_by_the_client(place: Place) -> None:
    rg.Workspace(name="films", client=place.client).create()
    wrong = settings()
    wrong.questions["names"].field = "nowhere"
    with pytest.raises(SettingsError):
        rg.Dataset("reviews", settings=wrong, client=place.client).create()
    assert place.client.datasets("reviews") is None


def test_guidelines_of_no_length_are_refused(place: Place) -> None:
    rg.Workspace(name="films", client=place.client).create()
    empty = settings()
    empty.guidelines = ""
    with pytest.raises(SettingsError):
        rg.Dataset("reviews", settings=empty, client=place.client).create()


def test_deleting_a_dataset_removes_it(place: Place) -> None:
    rg.Workspace(name="films", client=place.client).create()
    dataset = rg.Dataset("reviews", settings=settings(), client=place.client).create()
    dataset.delete()
    assert place.client.datasets("reviews") is None
    assert place.client.datasets(id=uuid.uuid4()) is None
