"""Who may do what: every row against everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from apps.datasets.models import Dataset, Field, MetadataProperty, Question, VectorSettings
from tests import factories
from tests.api.conftest import EVERYBODY, Cast

NOBODY = {"nobody": 401, "bad_key": 401}
OWNERS = dict.fromkeys(EVERYBODY, 403) | NOBODY
MANAGERS = OWNERS | {"owner": 200, "admin_in": 200, "stranger": 404}
MEMBERS = MANAGERS | {"annotator_in": 200, "reviewer_in": 200}
ANYBODY = dict.fromkeys(EVERYBODY, 200) | NOBODY

FORBIDDEN = {
    "detail": {
        "code": "argilla.api.errors::ForbiddenOperationError",
        "params": {"detail": "Operation not allowed"},
    }
}


@dataclass
class Scene:
    """A draft with one part of each kind, and the people around it."""

    cast: Cast
    draft: Dataset
    ready: Dataset
    ids: dict[str, Any]


@pytest.fixture
def scene(cast: Cast) -> Scene:
    with cast.inside():
        draft = Dataset.objects.create(workspace=cast.workspace, name="draft")
        factories.prepare_dataset(dataset=draft)
        text = {"type": "text", "use_markdown": False}
        parts = {
            "field": Field.objects.create(dataset=draft, name="f", title="F", settings=text),
            "question": Question.objects.create(
                dataset=draft, name="q", title="Q", settings=text, required=True
            ),
            "property": MetadataProperty.objects.create(
                dataset=draft, number=1, name="m", title="M", settings={"type": "terms"}
            ),
            "vector": VectorSettings.objects.create(
                dataset=draft, name="v", title="V", dimensions=2
            ),
        }
        ready = factories.make_dataset(cast.workspace)
        empty = factories.make_workspace("empty")
    ids = {name: part.id for name, part in parts.items()}
    ids |= {
        "workspace": cast.workspace.id,
        "empty": empty.id,
        "draft": draft.id,
        "ready": ready.id,
        "user": cast.id("annotator_out"),
        "insider": cast.id("annotator_in"),
    }
    return Scene(cast, draft, ready, ids)


TEXT = {"type": "text", "use_markdown": True}
USER = {"username": "new", "first_name": "New", "password": "long enough"}
PART = {"name": "new", "title": "New"}
ROWS: list[tuple[str, str, Any, dict[str, int], dict[str, int]]] = [
    # method, path, body, what everybody gets, exceptions
    ("GET", "/me", None, ANYBODY, {}),
    ("GET", "/me/workspaces", None, ANYBODY, {}),
    ("GET", "/me/datasets", None, ANYBODY, {}),
    # What the client asks first: 403 before 404, so a stranger who owns something gets a 404.
    ("GET", "/users", None, OWNERS, {"owner": 200, "stranger": 200}),
    ("POST", "/users", USER, OWNERS, {"owner": 201, "stranger": 201}),
    ("GET", "/users/{user}", None, OWNERS, {"owner": 200, "stranger": 404}),
    ("PATCH", "/users/{user}", {"last_name": "X"}, OWNERS, {"owner": 200, "stranger": 404}),
    ("DELETE", "/users/{user}", None, OWNERS, {"owner": 200, "stranger": 404}),
    ("GET", "/users/{user}/workspaces", None, OWNERS, {"owner": 200, "stranger": 404}),
    ("POST", "/workspaces", {"name": "new"}, OWNERS, {"owner": 201, "stranger": 201}),
    ("GET", "/workspaces/{workspace}", None, MEMBERS, {}),
    ("DELETE", "/workspaces/{empty}", None, OWNERS, {"owner": 200, "stranger": 404}),
    ("GET", "/workspaces/{workspace}/users", None, MANAGERS, {}),
    (
        "POST",
        "/workspaces/{workspace}/users",
        {"user_id": "{user}"},
        OWNERS,
        {"owner": 201, "stranger": 404},
    ),
    ("DELETE", "/workspaces/{workspace}/users/{insider}", None, MANAGERS, {}),
    ("GET", "/me/datasets?workspace_id={workspace}", None, MEMBERS, {"stranger": 200}),
    (
        "POST",
        "/datasets",
        {"name": "new", "workspace_id": "{workspace}"},
        MANAGERS,
        {"owner": 201, "admin_in": 201, "stranger": 422},
    ),
    ("GET", "/datasets/{ready}", None, MEMBERS, {}),
    ("PATCH", "/datasets/{ready}", {"name": "x"}, MANAGERS, {}),
    ("DELETE", "/datasets/{ready}", None, MANAGERS, {}),
    ("PUT", "/datasets/{draft}/publish", None, MANAGERS, {}),
    ("GET", "/datasets/{draft}/fields", None, MEMBERS, {}),
    (
        "POST",
        "/datasets/{draft}/fields",
        PART | {"settings": TEXT},
        MANAGERS,
        {"owner": 201, "admin_in": 201},
    ),
    ("PATCH", "/fields/{field}", {"title": "T"}, MANAGERS, {}),
    ("DELETE", "/fields/{field}", None, MANAGERS, {}),
    ("GET", "/datasets/{draft}/questions", None, MEMBERS, {}),
    (
        "POST",
        "/datasets/{draft}/questions",
        PART | {"settings": TEXT},
        MANAGERS,
        {"owner": 201, "admin_in": 201},
    ),
    ("PATCH", "/questions/{question}", {"title": "T"}, MANAGERS, {}),
    ("DELETE", "/questions/{question}", None, MANAGERS, {}),
    ("GET", "/me/datasets/{draft}/metadata-properties", None, MEMBERS, {}),
    (
        "POST",
        "/datasets/{ready}/metadata-properties",
        PART | {"settings": {"type": "terms"}},
        MANAGERS,
        {"owner": 201, "admin_in": 201},
    ),
    ("PATCH", "/metadata-properties/{property}", {"title": "T"}, MANAGERS, {}),
    ("DELETE", "/metadata-properties/{property}", None, MANAGERS, {}),
    ("GET", "/metadata-properties/{property}/metrics", None, MEMBERS, {}),
    ("GET", "/datasets/{draft}/vectors-settings", None, MEMBERS, {}),
    (
        "POST",
        "/datasets/{ready}/vectors-settings",
        PART | {"dimensions": 3},
        MANAGERS,
        {"owner": 201, "admin_in": 201},
    ),
    ("PATCH", "/vectors-settings/{vector}", {"title": "T"}, MANAGERS, {}),
    ("DELETE", "/vectors-settings/{vector}", None, MANAGERS, {}),
]


def fill(template: Any, ids: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: fill(value, ids) for key, value in template.items()}
    return template.format(**ids) if isinstance(template, str) else template


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_everybody_gets_what_the_contract_says(scene: Scene, row: Any) -> None:
    method, path, body, usual, exceptions = row
    found = {}
    for name in EVERYBODY:
        with transaction.atomic():
            answer = scene.cast[name].send(method, fill(path, scene.ids), fill(body, scene.ids))
            transaction.set_rollback(True)  # the next one finds the same scene
        found[name] = answer.status_code
        if answer.status_code == 403:
            assert answer.json() == FORBIDDEN
    assert found == usual | exceptions


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
