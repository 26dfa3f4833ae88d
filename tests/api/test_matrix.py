"""Who may do what: every operation against everybody."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.urls import resolve

from apps.api.openapi.document import described_path, routes
from apps.api.openapi.operations import SECTIONS, Who
from apps.datasets.models import Dataset
from tests import factories
from tests.api.conftest import EVERYBODY, TEXT, Cast, Scene
from tests.api.described import check_described

PEOPLE = {
    Who.ANYONE: set(EVERYBODY),
    Who.USERS: set(EVERYBODY) - {"nobody", "bad_key"},
    Who.OWNERS: {"owner"},
    Who.ADMINS: {"owner", "admin_in"},
    Who.ANY_ADMINS: {"owner", "admin_in", "admin_out"},
    Who.REVIEWERS: {"owner", "admin_in", "reviewer_in"},
    Who.MEMBERS: {"owner", "admin_in", "reviewer_in", "annotator_in"},
    Who.AUTHORS: {"owner", "admin_in", "annotator_in"},  # who wrote the answer of the scene
}
FORBIDDEN = {
    "detail": {
        "code": "argilla.api.errors::ForbiddenOperationError",
        "params": {"detail": "Operation not allowed"},
    }
}


@dataclass(frozen=True)
class Row:
    """``status`` is what those get who may; ``exceptions`` are by person."""

    name: str
    who: Who
    status: int
    body: Any
    exceptions: dict[str, int]

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    def expected(self) -> dict[str, int]:
        """By person: 401 without a key, 404 to the ids of others, 403 to who may not."""
        found = dict.fromkeys(EVERYBODY, 403) | {"nobody": 401, "bad_key": 401}
        if "{" in self.path:
            found["stranger"] = 404
        elif self.who is Who.OWNERS:  # of their own organization
            found["stranger"] = self.status
        return found | dict.fromkeys(PEOPLE[self.who], self.status) | self.exceptions


def row(name: str, who: Who, status: int = 200, body: Any = None, **exceptions: int) -> Row:
    return Row(name, who, status, body, exceptions)


USER = {"username": "new", "first_name": "New", "password": "long enough"}
PART = {"name": "new", "title": "New"}
ANSWER = {"status": "submitted", "values": {"sentiment": {"value": "mixed"}}}
RECORDS = {"items": [{"fields": {"text": "new"}}]}
DATASET = {"name": "new", "workspace_id": "{workspace}"}
QUOTAS = {"daily_quota": 5, "total_quota": None}
WEBHOOK = {"url": "https://8.8.8.8/", "events": ["record.created"]}
PROVIDER = {"name": "new", "base_url": "https://8.8.8.8/v1", "models": ["tiny"]}
PICK = {"kind": "pick_records", "question": "sentiment"}
RULES = {"kind": "rules", "params": {"fields": ["text"]}}
COMPARE = {"a": "{evaluation}", "b": "{evaluation}"}
PREDICTIONS = {
    "question": "sentiment",
    "items": [{"external_id": "a", "fields": {"text": "b"}, "value": "mixed"}],
}
IMPORT = {
    "name": "a/b",
    "subset": "default",
    "split": "train",
    "mapping": {"fields": [{"source": "text", "target": "text"}]},
}

ROWS = [
    row("GET /version", Who.ANYONE),
    row("GET /status", Who.ANYONE),
    row("GET /settings", Who.ANYONE),
    row("GET /schema", Who.ANYONE),
    row("GET /docs", Who.ANYONE),
    # Keys and tokens
    row("GET /me/api-keys", Who.USERS),
    row("POST /me/api-keys", Who.USERS, 201, {}),
    row(
        "DELETE /me/api-keys/{own_key}",
        Who.USERS,
        404,
        owner=200,
    ),
    # People
    row("GET /me", Who.USERS),
    row("GET /users", Who.OWNERS),
    row("POST /users", Who.OWNERS, 201, USER),
    row("GET /users/{user}", Who.OWNERS),
    row("PATCH /users/{user}", Who.OWNERS, 200, {"last_name": "X"}),
    row("DELETE /users/{user}", Who.OWNERS),
    row("GET /users/{user}/workspaces", Who.OWNERS),
    # Workspaces
    row("GET /me/workspaces", Who.USERS),
    row("POST /workspaces", Who.OWNERS, 201, {"name": "new"}),
    row("GET /workspaces/{workspace}", Who.MEMBERS),
    row("DELETE /workspaces/{empty}", Who.OWNERS),
    row("GET /workspaces/{workspace}/budget", Who.ADMINS),
    row("PUT /workspaces/{workspace}/budget", Who.ADMINS, 200, {"usd": 5}),
    row("GET /workspaces/{workspace}/users", Who.ADMINS),
    row("POST /workspaces/{workspace}/users", Who.OWNERS, 201, {"user_id": "{user}"}),
    row("DELETE /workspaces/{workspace}/users/{insider}", Who.ADMINS),
    # Datasets
    row("GET /me/datasets", Who.USERS),
    row("GET /me/datasets?workspace_id={workspace}", Who.MEMBERS, stranger=200),
    row("POST /datasets", Who.ADMINS, 201, DATASET, stranger=422),
    row("GET /datasets/{ready}", Who.MEMBERS),
    row("PATCH /datasets/{ready}", Who.ADMINS, 200, {"name": "x"}),
    row("DELETE /datasets/{ready}", Who.ADMINS),
    row("PUT /datasets/{draft}/publish", Who.ADMINS),
    row("GET /datasets/{draft}/fields", Who.MEMBERS),
    row("POST /datasets/{draft}/fields", Who.ADMINS, 201, PART | {"settings": TEXT}),
    row("GET /fields/{field}", Who.MEMBERS),
    row("PATCH /fields/{field}", Who.ADMINS, 200, {"title": "T"}),
    row("DELETE /fields/{field}", Who.ADMINS),
    row("GET /datasets/{draft}/questions", Who.MEMBERS),
    row("POST /datasets/{draft}/questions", Who.ADMINS, 201, PART | {"settings": TEXT}),
    row("GET /questions/{question}", Who.MEMBERS),
    row("PATCH /questions/{question}", Who.ADMINS, 200, {"title": "T"}),
    row("DELETE /questions/{question}", Who.ADMINS),
    row("GET /me/datasets/{draft}/metadata-properties", Who.MEMBERS),
    row(
        "POST /datasets/{ready}/metadata-properties",
        Who.ADMINS,
        201,
        PART | {"settings": {"type": "terms"}},
    ),
    row("GET /metadata-properties/{property}", Who.MEMBERS),
    row("PATCH /metadata-properties/{property}", Who.ADMINS, 200, {"title": "T"}),
    row("DELETE /metadata-properties/{property}", Who.ADMINS),
    row("GET /metadata-properties/{property}/metrics", Who.MEMBERS),
    row("GET /datasets/{draft}/vectors-settings", Who.MEMBERS),
    row("POST /datasets/{ready}/vectors-settings", Who.ADMINS, 201, PART | {"dimensions": 3}),
    row("GET /vectors-settings/{vector}", Who.MEMBERS),
    row("PATCH /vectors-settings/{vector}", Who.ADMINS, 200, {"title": "T"}),
    row("DELETE /vectors-settings/{vector}", Who.ADMINS),
    # Generated records
    row("GET /datasets/{ready}/drafts", Who.ADMINS),
    row("GET /datasets/{ready}/drafts/summary", Who.ADMINS),
    row("GET /datasets/{ready}/drafts/{generated}", Who.ADMINS),
    row("PATCH /datasets/{ready}/drafts/{generated}", Who.ADMINS, 200, {"metadata": {"a": 1}}),
    row("POST /datasets/{ready}/drafts/accept", Who.ADMINS, 200, {"filter": {}}),
    row("POST /datasets/{ready}/drafts/discard", Who.ADMINS, 200, {"filter": {}}),
    row("POST /datasets/{ready}/drafts/restore", Who.ADMINS, 200, {"filter": {}}),
    row("POST /datasets/{ready}/drafts/compare", Who.ADMINS, 202),
    row("POST /datasets/{ready}/retrieval-sets", Who.ADMINS, 201, {"name": "queries"}),
    row("GET /datasets/{ready}/triplets.jsonl", Who.ADMINS),
    row("GET /datasets/{ready}/beir.zip", Who.ADMINS),
    row("GET /datasets/{ready}/preferences", Who.REVIEWERS),
    # Records
    row("GET /datasets/{ready}/records", Who.REVIEWERS),
    row("GET /datasets/{ready}/export.jsonl", Who.ADMINS),
    row("POST /datasets/{ready}/records/bulk", Who.ADMINS, 201, RECORDS),
    row("PUT /datasets/{ready}/records/bulk", Who.ADMINS, 200, RECORDS),
    row("DELETE /datasets/{ready}/records?ids={record}", Who.ADMINS, 204),
    row("POST /datasets/{ready}/records/search", Who.REVIEWERS, 200, {}),
    row("POST /me/datasets/{ready}/records/search", Who.MEMBERS, 200, {}),
    row("GET /datasets/{ready}/records/search/suggestions/options", Who.MEMBERS),
    row("GET /records/{record}", Who.MEMBERS),
    row("PATCH /records/{record}", Who.ADMINS, 200, {"metadata": {}}),
    row("DELETE /records/{record}", Who.ADMINS),
    row("GET /records/{record}/suggestions", Who.MEMBERS),
    row(
        "PUT /records/{record}/suggestions",
        Who.ADMINS,
        200,
        {"question_id": "{sentiment}", "value": "mixed"},
    ),
    row("DELETE /records/{record}/suggestions?ids={suggestion}", Who.ADMINS, 204),
    row("DELETE /suggestions/{suggestion}", Who.ADMINS),
    # Prompts
    row("GET /datasets/{ready}/prompts", Who.ADMINS),
    row("POST /datasets/{ready}/prompts", Who.ADMINS, 201, {"question": "sentiment"}),
    row("GET /datasets/{ready}/prompts/affected", Who.ADMINS),
    row("POST /datasets/{ready}/prompts/preview", Who.ADMINS, 200, {"question": "sentiment"}),
    row("GET /prompts/{prompt}", Who.ADMINS),
    row("PATCH /prompts/{prompt}", Who.ADMINS, 200, {"note": "better"}),
    row("DELETE /prompts/{prompt}", Who.ADMINS),
    row("POST /prompts/{prompt}/rebase", Who.ADMINS, 201),
    row("POST /prompts/{prompt}/trial", Who.ADMINS, 409, {}),  # none of its suggestions is there
    row("POST /prompts/{prompt}/reprompt", Who.ADMINS, 409, {}),
    row("GET /records/{record}/suggestions/history?question=sentiment", Who.ADMINS),
    # Responses: the scene's author has answered already
    row("POST /records/{record}/responses", Who.MEMBERS, 201, ANSWER, annotator_in=409),
    row("GET /records/{record}/adjudication", Who.REVIEWERS, 404),
    row("PUT /records/{record}/adjudication", Who.REVIEWERS, 200, {"values": ANSWER["values"]}),
    row("PUT /responses/{response}", Who.AUTHORS, 200, ANSWER),
    row("DELETE /responses/{response}", Who.AUTHORS),
    row("POST /me/responses/bulk", Who.USERS, 200, {"items": [ANSWER | {"record_id": "{record}"}]}),
    row("POST /me/datasets/{ready}/claim", Who.MEMBERS),
    row("PUT /me/records/{record}/lease", Who.MEMBERS, 409),  # nobody holds it
    row("DELETE /me/records/{record}/lease", Who.MEMBERS, 204),
    # Progress
    row("GET /datasets/{ready}/progress", Who.MEMBERS),
    row("GET /datasets/{ready}/users/progress", Who.MEMBERS),
    row("GET /me/datasets/{ready}/metrics", Who.MEMBERS),
    row("GET /datasets/{ready}/quotas", Who.ADMINS),
    row("PUT /datasets/{ready}/users/{insider}/quotas", Who.ADMINS, 200, QUOTAS),
    # Jobs
    row("GET /jobs/{job}", Who.ANY_ADMINS),
    row("GET /jobs/{job}/rejects", Who.ADMINS),
    row("POST /datasets/{ready}/import", Who.ADMINS, 202, IMPORT),
    row("POST /datasets/{ready}/export", Who.ADMINS, 202, {"name": "a/b", "token": "hf_x"}),
    row("GET /datasets/{ready}/jobs", Who.ADMINS),
    row("POST /datasets/{ready}/jobs", Who.ADMINS, 202, PICK),
    row("POST /datasets/{ready}/jobs/estimate", Who.ADMINS, 200, RULES),
    row("GET /recipes", Who.USERS),
    row("GET /datasets/{ready}/jobs/{job}", Who.ADMINS),
    row("GET /datasets/{ready}/jobs/{job}/items", Who.ADMINS),
    row("GET /datasets/{ready}/jobs/{job}/dry-run", Who.ADMINS),
    row("GET /datasets/{ready}/jobs/{job}/budget", Who.ADMINS),
    row("PUT /datasets/{ready}/jobs/{job}/budget", Who.ADMINS, 200, {"usd": 5}),
    row("POST /datasets/{ready}/jobs/{job}/cancel", Who.ADMINS),
    row("POST /datasets/{ready}/jobs/{job}/pause", Who.ADMINS),
    row("POST /datasets/{ready}/jobs/{job}/resume", Who.ADMINS, 409),  # it is not paused
    row("POST /datasets/{ready}/jobs/{job}/retry", Who.ADMINS, 409),  # nothing failed
    row("GET /questions/{sentiment}/suggester", Who.MEMBERS),
    row("PUT /questions/{sentiment}/suggester", Who.ADMINS, 200, {"enabled": False}),
    # Evaluations
    row("GET /datasets/{ready}/gold-sets", Who.ADMINS),
    row("POST /datasets/{ready}/gold-sets", Who.ADMINS, 201, {"question": "sentiment"}),
    row("GET /gold-sets/{gold}", Who.ADMINS),
    row("GET /datasets/{ready}/evaluations", Who.ADMINS),
    row("POST /datasets/{ready}/evaluations", Who.ADMINS, 422, {"gold_set_id": "{gold}"}),
    row("POST /datasets/{ready}/evaluations/compare", Who.ADMINS, 200, COMPARE),
    row("GET /evaluations/{evaluation}", Who.ADMINS),
    row("DELETE /evaluations/{evaluation}", Who.ADMINS),
    row("GET /evaluations/{evaluation}/disagreements", Who.ADMINS),
    row("GET /evaluations/{evaluation}/cell?true=mixed", Who.ADMINS),
    row("POST /evaluations/{evaluation}/review", Who.ADMINS, 200, {}),
    row("POST /prompts/{prompt}/promote", Who.ADMINS, 422, {}),  # it names no model
    row("GET /evaluations/{evaluation}/automation", Who.ADMINS),
    row("POST /evaluations/{evaluation}/automation", Who.ADMINS, 409, {}),  # one answer
    row("GET /datasets/{ready}/acceptances", Who.ADMINS),
    row("POST /acceptances/{acceptance}/undo", Who.ADMINS),
    row("POST /datasets/{ready}/duplicates", Who.ADMINS, 202, {}),
    # Monitoring
    row("GET /datasets/{ready}/predictions?question=sentiment", Who.ADMINS),
    row("POST /datasets/{ready}/predictions", Who.ADMINS, 200, PREDICTIONS),
    row("GET /datasets/{ready}/monitoring?question=sentiment", Who.ADMINS),
    row("PUT /datasets/{ready}/monitoring", Who.ADMINS, 200, {"question": "sentiment"}),
    # Providers of language models
    row("GET /llm/providers", Who.ANY_ADMINS, stranger=200),
    row("POST /llm/providers", Who.OWNERS, 201, PROVIDER),
    row("GET /llm/providers/{llm_provider}", Who.ANY_ADMINS),
    row("PATCH /llm/providers/{llm_provider}", Who.OWNERS, 200, {"enabled": False}),
    row("DELETE /llm/providers/{llm_provider}", Who.OWNERS),
    row("POST /llm/providers/{llm_provider}/test", Who.OWNERS, 200, {}),
    # Webhooks
    row("GET /webhooks", Who.OWNERS),
    row("POST /webhooks", Who.OWNERS, 201, WEBHOOK),
    row("PATCH /webhooks/{webhook}", Who.OWNERS, 200, {"enabled": False}),
    row("DELETE /webhooks/{webhook}", Who.OWNERS),
    row("POST /webhooks/{webhook}/ping", Who.OWNERS, 422),  # it leads to an inner address
    row("POST /webhooks/{webhook}/rotate-secret", Who.OWNERS),
    row("GET /webhooks/{webhook}/deliveries", Who.OWNERS),
    row("POST /webhooks/{webhook}/deliveries/{delivery}/resend", Who.OWNERS, 202),
]
# Those that are not about who one is have tests of their own.
ELSEWHERE = {
    "POST /token",
    "GET /oauth2/providers",
    "GET /oauth2/providers/{provider}/authentication",
    "GET /oauth2/providers/{provider}/access-token",
}


def fill(template: Any, ids: dict[str, Any]) -> Any:
    """The template with ids in place of their names in braces."""
    if isinstance(template, dict):
        return {key: fill(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, ids) for value in template]
    return template.format(**ids) if isinstance(template, str) else template


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_everybody_gets_what_the_contract_says(scene: Scene, row: Row) -> None:
    path, body, found = fill(row.path, scene.ids), fill(row.body, scene.ids), {}
    for name in EVERYBODY:
        with transaction.atomic():
            answer = scene.cast[name].send(row.method, path, body)
            transaction.set_rollback(True)  # the next one finds the same scene
        found[name] = answer.status_code
        check_described(operation(row), answer)
        if answer.status_code == 403:
            assert answer.json() == FORBIDDEN
    assert found == row.expected()


def operation(row: Row) -> str:
    """``GET /datasets/{dataset_id}`` for the row's path."""
    names = re.findall(r"{(\w+)}", row.path)
    path = fill(row.path, dict.fromkeys(names, "x")).partition("?")[0]
    route = resolve(f"/api/v1{path}").route.removeprefix("api/v1/")
    return f"{row.method} {described_path(route)}"


def test_every_operation_has_its_row() -> None:
    assert {operation(row) for row in ROWS} == {route.name for route in routes()} - ELSEWHERE


def test_the_description_says_the_same() -> None:
    described = {name: found.who for rows in SECTIONS.values() for name, found in rows.items()}
    said: Iterable[tuple[Row, Who]] = [(row, described[operation(row)]) for row in ROWS]
    assert [
        f"{row.name}: {who}" for row, who in said if who is not row.who and "?" not in row.name
    ] == []


def test_a_refused_change_changes_nothing(scene: Scene) -> None:
    for name in ("annotator_in", "reviewer_in", "admin_out", "stranger"):
        scene.cast[name].patch(f"/datasets/{scene.ready.id}", {"name": "stolen"})
        scene.cast[name].delete(f"/datasets/{scene.ready.id}")
    with scene.cast.inside():
        assert Dataset.objects.get(pk=scene.ready.pk).name == scene.ready.name


@pytest.mark.parametrize("name", ["admin_in", "admin_out"])
def test_an_unknown_workspace_is_forbidden_to_admins_alike(cast: Cast, name: str) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    body = {"name": "new", "workspace_id": unknown}
    assert cast[name].post("/datasets", body).status_code == 403
    assert cast[name].get(f"/workspaces/{unknown}").status_code == 403
    assert cast["owner"].post("/datasets", body).status_code == 422
    assert cast["owner"].get(f"/workspaces/{unknown}").status_code == 404


def test_a_role_in_the_workspace_overrides_the_members_role(
    cast: Cast, api: Callable[..., Any]
) -> None:
    with cast.inside():
        member = factories.make_member(role="annotator")
        factories.add_workspace_member(workspace=cast.workspace, member=member, role="admin")
        dataset = factories.make_dataset(cast.workspace)
    assert api(member).patch(f"/datasets/{dataset.id}", {"name": "x"}).status_code == 200


SUGGEST = {"kind": "suggest", "question": "sentiment", "provider_id": "{llm_provider}"}
EVALUATE = {"gold_set_id": "{gold}", "prompt_version_id": "{prompt}"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/datasets/{ready}/jobs", SUGGEST),
        ("/datasets/{ready}/jobs/estimate", SUGGEST),
        ("/datasets/{ready}/evaluations", EVALUATE),
        ("/prompts/{prompt}/promote", {}),
        ("/prompts/{prompt}/trial", {}),
        ("/prompts/{prompt}/reprompt", {}),
    ],
)
def test_who_asks_models_is_said_by_the_role_in_the_workspace(
    scene: Scene, api: Callable[..., Any], path: str, body: Any
) -> None:
    """An admin of it alone gets what any admin gets: here that no model is to be had."""
    with scene.cast.inside():
        member = factories.make_member(role="annotator")
        place = scene.cast.workspace
        factories.add_workspace_member(workspace=place, member=member, role="admin")
    path, body = fill(path, scene.ids), fill(body, scene.ids)
    anyone, mine = (one.post(path, body) for one in (scene.cast["admin_in"], api(member)))
    assert (mine.status_code, mine.json()) == (anyone.status_code, anyone.json())
    assert mine.status_code in (409, 422)
