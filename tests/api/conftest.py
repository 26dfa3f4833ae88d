"""A client that speaks as any member, and a cast in two organizations.

Requests are made outside any organization, as in life: the cast is built and then left.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.annotation.services import save_response
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, Field, MetadataProperty, Question, VectorSettings
from apps.datasets.schema import load_schema
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.writing import write_drafts
from apps.evaluation.models import Evaluation, EvaluationAnswer, GoldAnswer, GoldSet
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.organizations.models import ApiKey, Membership, Organization
from apps.organizations.services import create_api_key
from apps.pipelines.versions import prompt_now, save_prompt
from apps.quality.models import Acceptance
from apps.records.models import Record, Suggestion
from apps.webhooks.models import Webhook, WebhookDelivery
from apps.workspaces.models import Workspace
from tests import factories

BASE = "/api/v1"
JSON = "application/json"
# Queries of any request: BEGIN, key with member and organization. A test runs in a transaction, so
# BEGIN is a savepoint and two more follow: its release, and leaving the organization.
OVERHEAD = 4


class Api:
    """Requests below ``/api/v1`` with one key, or with none."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.client = Client(raise_request_exception=False)

    def send(
        self, method: str, path: str, body: object = None, *, raw: bytes | None = None, **extra: Any
    ) -> Any:
        """``body`` as JSON, or ``raw`` as it is."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        headers = {**({"X-Argilla-Api-Key": self.key} if self.key else {}), **extra}
        return self.client.generic(
            method, f"{BASE}{path}", content, content_type=JSON, headers=headers
        )

    def get(self, path: str, **extra: Any) -> Any:
        return self.send("GET", path, **extra)

    def post(self, path: str, body: object = None, **extra: Any) -> Any:
        return self.send("POST", path, body, **extra)

    def put(self, path: str, body: object = None, **extra: Any) -> Any:
        return self.send("PUT", path, body, **extra)

    def patch(self, path: str, body: object = None, **extra: Any) -> Any:
        return self.send("PATCH", path, body, **extra)

    def delete(self, path: str, **extra: Any) -> Any:
        return self.send("DELETE", path, **extra)


@dataclass
class Cast:
    """Two organizations; in the first, people inside and outside one workspace."""

    organization: Organization
    other: Organization
    workspace: Workspace
    people: dict[str, Membership] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Api:
        """The client of ``owner``, ``admin_in``, ``annotator_out``, …, ``nobody``, ``bad_key``."""
        if name == "nobody":
            return Api()
        return Api("sw_unknown" if name == "bad_key" else self.keys[name])

    def id(self, name: str) -> UUID:
        return self.people[name].id

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The first organization entered, to look at rows."""
        with enter(self.organization.id):
            yield


EVERYBODY = (
    "nobody",
    "bad_key",
    "annotator_out",
    "annotator_in",
    "reviewer_in",
    "admin_out",
    "admin_in",
    "owner",
    "stranger",
)


@pytest.fixture
def cast(db: None) -> Cast:
    """The people of ``EVERYBODY``; ``stranger`` owns the other organization."""
    acme, other = factories.make_organization("Acme"), factories.make_organization("Other")
    with enter(acme.id):
        cast = Cast(acme, other, factories.make_workspace("reviews"))
        elsewhere = factories.make_workspace("elsewhere")
        for name in ("annotator_in", "annotator_out", "reviewer_in", "admin_in", "admin_out"):
            role, _, place = name.partition("_")
            workspace = cast.workspace if place == "in" else elsewhere
            cast.people[name] = factories.make_member(
                role=role, username=name, first_name=name, workspace=workspace
            )
        cast.people["owner"] = factories.make_member(role="owner", username="owner")
        for name, member in cast.people.items():
            cast.keys[name] = create_api_key(member=member)[1]
    with enter(other.id):
        cast.people["stranger"] = factories.make_member(role="owner", username="owner")
        cast.keys["stranger"] = create_api_key(member=cast.people["stranger"])[1]
    return cast


@pytest.fixture
def api() -> Callable[[Membership], Api]:
    """A client that speaks as the member."""

    def speak_as(member: Membership) -> Api:
        with enter(member.organization_id):
            return Api(create_api_key(member=member)[1])

    return speak_as


TEXT = {"type": "text", "use_markdown": True}


@dataclass
class Scene:
    """A draft with one part of each kind, an answered record, and the people around them."""

    cast: Cast
    ready: Dataset
    ids: dict[str, Any]


@pytest.fixture
def scene(cast: Cast) -> Scene:
    with cast.inside():
        draft = Dataset.objects.create(workspace=cast.workspace, name="draft")
        factories.prepare_dataset(dataset=draft)
        ids = {name: part.id for name, part in parts(draft).items()}
        ready = factories.make_dataset(cast.workspace)
        (record,) = factories.make_records(ready)
        author, label = cast.people["annotator_in"], {"sentiment": {"value": "mixed"}}
        saved = save_response(record=record, annotator=author, status="submitted", values=label)
        sentiment = Question.objects.get(dataset=ready)
        suggestion = Suggestion.objects.create(
            record=record,
            question=sentiment,
            dataset_id=ready.id,
            value="mixed",
            updated_at=record.updated_at,
        )
        job = Job.objects.create(
            kind="few_shot", workspace_id=cast.workspace.id, dataset_id=ready.id, params={}
        )
        prompt = save_prompt(
            schema=load_schema(ready),
            question=sentiment,
            prompt=prompt_now(ready, sentiment, template="", shots=0, strategy="nearest"),
        )
        webhook = Webhook.objects.create(
            url="http://10.0.0.1/", events=["record.created"], sealed_secret=b"broken"
        )
        delivery = WebhookDelivery.objects.create(
            webhook=webhook, type="record.created", body="{}", status="dead"
        )
        (generated,) = write_drafts(
            dataset=ready,
            origin=Origin(job.id, "like_this", "acme/tiny@1"),
            drafts=[DraftInput(seq=0, fields={"text": "what a model wrote"})],
        )
        ids |= {"webhook": webhook.id, "delivery": delivery.id, "generated": generated.id}
        ids["llm_provider"] = Provider.objects.create(name="old", base_url="http://10.0.0.1/v1").id
        ids |= measured(record, sentiment)
        ids["own_key"] = ApiKey.objects.get(membership=cast.people["owner"]).id
        ids["empty"] = factories.make_workspace("empty").id
    ids |= {
        "workspace": cast.workspace.id,
        "draft": draft.id,
        "ready": ready.id,
        "record": record.id,
        "response": saved.response.id,
        "suggestion": suggestion.id,
        "sentiment": sentiment.id,
        "job": job.id,
        "prompt": prompt.id,
        "user": cast.id("annotator_out"),
        "insider": cast.id("annotator_in"),
    }
    return Scene(cast, ready, ids)


def measured(record: Record, question: Question) -> dict[str, Any]:
    """A gold set of the record, what an agent answered to it, and what was accepted of it."""
    gold = GoldSet.objects.create(
        dataset=question.dataset, question=question, number=1, size=1, test_size=0, digest="0"
    )
    GoldAnswer.objects.create(
        gold_set=gold, record=record, split="dev", source="consensus", value="mixed"
    )
    evaluation = Evaluation.objects.create(gold_set=gold, agent="acme/tiny@v1")
    EvaluationAnswer.objects.create(evaluation=evaluation, record=record, value="positive")
    acceptance = Acceptance.objects.create(
        dataset=question.dataset, question=question, agent="acme/tiny@v1", threshold=0.9
    )
    return {"gold": gold.id, "evaluation": evaluation.id, "acceptance": acceptance.id}


def parts(draft: Dataset) -> dict[str, Any]:
    return {
        "field": Field.objects.create(dataset=draft, name="f", title="F", settings=TEXT),
        "question": Question.objects.create(
            dataset=draft, name="q", title="Q", settings=TEXT, required=True
        ),
        "property": MetadataProperty.objects.create(
            dataset=draft, number=1, name="m", title="M", settings={"type": "terms"}
        ),
        "vector": VectorSettings.objects.create(dataset=draft, name="v", title="V", dimensions=2),
    }
