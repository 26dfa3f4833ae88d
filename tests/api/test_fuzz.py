"""Whatever JSON is sent: an answer of the contract, never a 500."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.datasets.models import Dataset
from tests import factories
from tests.api.conftest import Cast

WORDS = [
    *("name", "title", "settings", "type", "options", "value", "text", "visible_options", "field"),
    *("required", "description", "dimensions", "values", "min", "max", "visible_for_annotators"),
    *("guidelines", "distribution", "strategy", "min_submitted", "metadata", "daily_quota", "id"),
    *("username", "first_name", "role", "password", "user_id", "workspace_id", "template"),
    *("kind", "question", "selection", "filter", "record_ids", "sample", "n", "params", "budget"),
    *("recipe", "shots", "dry_run", "max_usd", "prompt_version_id", "provider_id", "count"),
]
VALUES = [
    *("text", "image", "chat", "custom", "rating", "label_selection", "ranking", "span", "terms"),
    *("multi_label_selection", "integer", "float", "overlap", "", "x", "owner", "\x00", "\ud800"),
    *("suggest", "rules", "sentiment", "{{ text }}", "{{ 'a' * 10**8 }}", "q=text"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(VALUES)
    | st.text(max_size=5)
    | st.uuids().map(str)
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(WORDS),
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
        ),
        max_leaves=12,
    ),
    max_size=8,
)


@pytest.fixture
def rows(cast: Cast) -> list[tuple[str, str]]:
    """Every row that takes a body."""
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace, questions=list(factories.QUESTIONS))
        draft = Dataset.objects.create(workspace=cast.workspace, name="draft")
    admin = cast["admin_in"]
    questions = admin.get(f"/datasets/{dataset.id}/questions").json()["items"]
    fields = admin.get(f"/datasets/{dataset.id}/fields").json()["items"]
    asking = ("jobs", "jobs/estimate", "prompts", "prompts/preview")
    parts = ("fields", "questions", "metadata-properties", "vectors-settings")
    return [
        ("POST", "/users"),
        ("PATCH", f"/users/{cast.id('annotator_in')}"),
        ("POST", "/workspaces"),
        ("POST", f"/workspaces/{cast.workspace.id}/users"),
        ("POST", "/datasets"),
        ("PATCH", f"/datasets/{dataset.id}"),
        *(("POST", f"/datasets/{draft.id}/{kind}") for kind in parts),
        *(("POST", f"/datasets/{dataset.id}/{place}") for place in asking),
        *(("PATCH", f"/fields/{field['id']}") for field in fields),
        *(("PATCH", f"/questions/{question['id']}") for question in questions),
    ]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(number=st.integers(0, 10_000), body=DOCUMENTS)
def test_no_document_breaks_a_view(
    cast: Cast, rows: list[tuple[str, str]], number: int, body: Any
) -> None:
    method, path = rows[number % len(rows)]
    with transaction.atomic():
        answer = cast["owner"].send(method, path, body)
        transaction.set_rollback(True)
    assert answer.status_code in {200, 201, 404, 409, 422}, answer.content
