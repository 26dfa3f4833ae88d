"""Runs that meet edits of the questions: real threads, real commits."""

import asyncio

import pytest

from apps.annotation.ingest import log_records
from apps.core.tenancy import enter
from apps.datasets.edits.base import NewLabel
from apps.datasets.edits.labels import RenameLabel
from apps.jobs.kinds import Undone
from apps.llms.services import ModelInput, create_provider
from apps.pipelines.kinds import RecipeKind
from apps.pipelines.orders import RunOrder, start_run
from apps.quality.schema_changes.services import apply_edit
from apps.records.inputs import RecordInput
from apps.records.models import Record, Suggestion
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_organization
from tests.llm_server.controls import LlmServer
from tests.meanwhile import overlapping
from tests.pipelines.test_kinds import compute, works

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)


def test_an_edit_that_is_being_made_is_waited_for(llm_server: LlmServer) -> None:
    llm_server.script(".", answer={"label": "negative", "confidence": 0.9})
    organization, kind = make_organization().id, RecipeKind()
    with enter(organization):
        dataset = make_dataset()
        log_records(dataset=dataset, items=[RecordInput(fields={"text": "Cold soup."})])
        provider = create_provider(
            name="stub", base_url=llm_server.url, api_key="sk", models=[ModelInput("tiny")]
        )
        order = RunOrder(recipe="suggest", question="sentiment", provider_id=provider.id)
        page = works(start_run(dataset=dataset, order=order), list(Record.objects.all()))
        loaded = kind.read_many(page)

    pairs = list(zip(page, asyncio.run(compute(kind, page, loaded)), strict=True))
    to = NewLabel(value="bad", text="Bad")
    edit = RenameLabel(question="sentiment", label="negative", to=to)
    writing = overlapping(
        organization,
        lambda: apply_edit(dataset=dataset, edit=edit),
        lambda: kind.write_many(pairs),
    )
    assert [type(one) for one in writing.result()] == [Undone]
    with enter(organization):
        assert not Suggestion.objects.exists()
