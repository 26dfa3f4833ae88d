"""Writes to datasets and their parts, without HTTP; two writers at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from apps.core.errors import ArchivedError, ConflictError, InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import (
    Dataset,
    Field,
    GuidelinesVersion,
    MetadataProperty,
    Question,
    VectorSettings,
)
from apps.datasets.services import (
    archive_dataset,
    create_dataset,
    create_field,
    create_property,
    create_question,
    create_vector_settings,
    delete_dataset,
    delete_field,
    delete_property,
    delete_vector_settings,
    publish_dataset,
    trash_dataset,
    update_dataset,
    update_field,
    update_question,
    update_vector_settings,
)
from apps.datasets.settings import (
    LabelQuestion,
    LabelQuestionChange,
    SpanQuestion,
    TermsProperty,
    TextField,
    TextFieldChange,
    TextQuestion,
)
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace
from tests import factories

TEXT = TextField(type="text")
QUESTION = TextQuestion(type="text")
TERMS = TermsProperty(type="terms")


@pytest.fixture
def draft(workspace: Workspace) -> Dataset:
    return create_dataset(workspace=workspace, name="films")


def test_guidelines_are_versioned_with_their_author(
    workspace: Workspace, owner: Membership
) -> None:
    dataset = create_dataset(workspace=workspace, name="a", guidelines="One", author=owner)
    assert dataset.guidelines_version == 1
    dataset = update_dataset(dataset=dataset, changes={"guidelines": "Two"}, author=owner)
    dataset = update_dataset(dataset=dataset, changes={"name": "b"}, author=owner)
    assert dataset.guidelines_version == 2
    versions = GuidelinesVersion.objects.filter(dataset=dataset).order_by("number")
    assert [(row.number, row.text, row.author_id) for row in versions] == [
        (1, "One", owner.id),
        (2, "Two", owner.id),
    ]


def test_a_draft_without_guidelines_has_no_version(draft: Dataset) -> None:
    assert draft.guidelines_version == 0
    assert not GuidelinesVersion.objects.exists()


def test_names_are_unique_within_workspace_or_dataset(draft: Dataset, workspace: Workspace) -> None:
    with pytest.raises(ConflictError, match="films"):
        create_dataset(workspace=workspace, name="films")
    create_field(dataset=draft, name="x", title="X", settings=TEXT)
    with pytest.raises(ConflictError, match="Field with name `x`"):
        create_field(dataset=draft, name="x", title="X", settings=TEXT)
    create_question(dataset=draft, name="x", title="X", settings=QUESTION)  # another kind


def test_publishing_rules(draft: Dataset) -> None:
    with pytest.raises(InvalidError, match="without fields"):
        publish_dataset(dataset=draft)
    create_field(dataset=draft, name="x", title="X", settings=TEXT)
    create_question(dataset=draft, name="optional", title="X", settings=QUESTION)
    with pytest.raises(InvalidError, match="without required questions"):
        publish_dataset(dataset=draft)
    create_question(dataset=draft, name="x", title="X", settings=QUESTION, required=True)
    published = publish_dataset(dataset=draft)
    with pytest.raises(InvalidError, match="already published"):
        publish_dataset(dataset=draft)
    with pytest.raises(InvalidError, match="published"):
        create_field(dataset=draft, name="y", title="Y", settings=TEXT)
    with pytest.raises(InvalidError, match="published"):
        delete_field(field=Field.objects.get(dataset=published))


def test_numbers_of_properties_are_never_used_twice(draft: Dataset) -> None:
    numbers = []
    for name in ("a", "b", "a"):
        property = create_property(dataset=draft, name=name, title=name, settings=TERMS)
        numbers.append(property.number)
        if name == "a":
            delete_property(property=property)
    assert numbers == [1, 2, 3]


def test_a_change_is_laid_over_what_is_stored_now(draft: Dataset) -> None:
    field = create_field(dataset=draft, name="x", title="X", settings=TEXT)
    stale = Field.objects.select_related("dataset").get(pk=field.pk)
    update_field(field=field, title="New")
    change = TextFieldChange(type="text", use_markdown=True)
    assert update_field(field=stale, settings=change).title == "New"


def test_what_was_deleted_meanwhile_does_not_come_back(draft: Dataset) -> None:
    settings = create_vector_settings(dataset=draft, name="v", title="V", dimensions=2)
    VectorSettings.objects.filter(pk=settings.pk).delete()
    with pytest.raises(NotFoundError):
        update_vector_settings(settings=settings, title="New")
    assert not VectorSettings.objects.exists()
    delete_dataset(dataset=draft)
    with pytest.raises(NotFoundError):
        update_dataset(dataset=draft, changes={"name": "x"})
    with pytest.raises(NotFoundError):
        create_field(dataset=draft, name="y", title="Y", settings=TEXT)


@pytest.mark.parametrize(
    ("put_away", "error"), [(archive_dataset, ArchivedError), (trash_dataset, NotFoundError)]
)
def test_what_is_put_away_keeps_its_parts(
    draft: Dataset, put_away: Callable[..., Dataset], error: type[Exception]
) -> None:
    property = create_property(dataset=draft, name="x", title="X", settings=TERMS)
    vector = create_vector_settings(dataset=draft, name="v", title="V", dimensions=2)
    put_away(dataset=draft)
    for delete in (
        lambda: delete_property(property=property),
        lambda: delete_vector_settings(settings=vector),
    ):
        with pytest.raises(error):
            delete()
    assert MetadataProperty.objects.exists()
    assert VectorSettings.objects.exists()


def test_every_change_of_the_shape_moves_its_version(draft: Dataset) -> None:
    def version() -> int:
        return Dataset.objects.get(pk=draft.pk).schema_version

    versions = [version()]
    field = create_field(dataset=draft, name="x", title="X", settings=TEXT)
    versions.append(version())
    update_field(field=field, title="New")
    versions.append(version())
    delete_field(field=field)
    versions.append(version())
    create_property(dataset=draft, name="x", title="X", settings=TERMS)
    versions.append(version())
    assert len(set(versions)) == len(versions)


def test_label_options_keep_their_values(draft: Dataset) -> None:
    labels = LabelQuestion.model_validate(factories.SENTIMENT)
    question = create_question(dataset=draft, name="q", title="Q", settings=labels)
    change = LabelQuestionChange.model_validate(
        {"type": "label_selection", "options": factories.SENTIMENT["options"][:2]}  # type: ignore[index]
    )
    with pytest.raises(InvalidError, match="number of options"):
        update_question(question=question, changes={"settings": change})
    assert Question.objects.get(pk=question.pk).settings == factories.SENTIMENT


def test_one_span_question_a_field(draft: Dataset) -> None:
    spans = SpanQuestion.model_validate(factories.QUESTIONS["entities"])
    with pytest.raises(InvalidError, match="not a valid field"):
        create_question(dataset=draft, name="q", title="Q", settings=spans)
    create_field(dataset=draft, name="text", title="X", settings=TEXT)
    create_question(dataset=draft, name="q", title="Q", settings=spans)
    with pytest.raises(InvalidError, match="already used"):
        create_question(dataset=draft, name="r", title="R", settings=spans)


def at_once(count: int, organization_id: Any, work: Callable[[int], Any]) -> list[Any]:
    """``work(n)`` in ``count`` threads, each with its own connection; errors are results."""

    def run(number: int) -> Any:
        try:
            with enter(organization_id):
                return work(number)
        except (ConflictError, InvalidError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.fixture
def committed(transactional_db: None) -> Dataset:
    """A draft with a field and a required question that other connections see."""
    organization = factories.make_organization()
    with enter(organization.id):
        dataset = create_dataset(workspace=factories.make_workspace(), name="films")
        create_field(dataset=dataset, name="text", title="X", settings=TEXT)
        create_question(dataset=dataset, name="q", title="X", settings=QUESTION, required=True)
    return dataset


concurrent = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@concurrent
def test_guidelines_of_several_writers_get_a_version_each(committed: Dataset) -> None:
    def write(number: int) -> None:
        update_dataset(dataset=committed, changes={"guidelines": f"Text {number}"})

    at_once(6, committed.organization_id, write)
    with enter(committed.organization_id):
        versions = GuidelinesVersion.objects.order_by("number").values_list("number", flat=True)
        assert list(versions) == [1, 2, 3, 4, 5, 6]
        assert Dataset.objects.get(pk=committed.pk).guidelines_version == 6


@concurrent
def test_properties_declared_at_once_get_different_numbers(committed: Dataset) -> None:
    def declare(number: int) -> int:
        name = f"p{number}"
        property = create_property(dataset=committed, name=name, title=name, settings=TERMS)
        return property.number

    assert sorted(at_once(6, committed.organization_id, declare)) == [1, 2, 3, 4, 5, 6]


@concurrent
def test_a_sixth_vector_is_refused_also_when_all_come_at_once(committed: Dataset) -> None:
    def add(number: int) -> str:
        name = f"v{number}"
        create_vector_settings(dataset=committed, name=name, title=name, dimensions=2)
        return "added"

    results = at_once(8, committed.organization_id, add)
    assert results.count("added") == 5


@concurrent
def test_publishing_and_adding_a_field_take_turns(committed: Dataset) -> None:
    def act(number: int) -> Any:
        if number == 0:
            return publish_dataset(dataset=committed).status
        create_field(dataset=committed, name=f"f{number}", title="F", settings=TEXT)
        return "added"

    results = at_once(6, committed.organization_id, act)
    assert results[0] == "ready"
    with enter(committed.organization_id):
        assert Field.objects.count() == 1 + results.count("added")
        with pytest.raises(InvalidError):
            create_field(dataset=committed, name="late", title="L", settings=TEXT)
        assert not MetadataProperty.objects.exists()
