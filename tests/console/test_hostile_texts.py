"""Every text that somebody can set is only a text, on every page, in every file and mail."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.core import mail
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.datasets.models import Dataset
from apps.organizations.models import Invitation
from tests.console.conftest import add_provider
from tests.console.hostile_world import (
    ANSWER,
    DRAFT,
    FIELD,
    FILE,
    HEAD,
    KEY,
    LABEL,
    NAME,
    OPTION,
    OTHER,
    VALUE,
    World,
    make_world,
)
from tests.core.test_tenancy_twins import EVERY_MODEL
from tests.core.test_tenancy_urls import path_of, table_of
from tests.hostile import EVALUATED, faults_of_csv, faults_of_page, hostile, numbers_in
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE
from tests.llm_server.controls import LlmServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(databases=["default", "operator"], transaction=True),
]

Visit = Callable[..., Any]
# Signs the walker out.
LEFT_OUT = {"/accounts/logout/"}
# Parts of pages that come by themselves, and files, by the last word of the path.
MORE = {
    "progress": ("all=1", "all=1&days=all", "card=people&format=csv"),
    "quality": (
        "all=1",
        "card=people&format=csv",
        "card=pairs&format=csv",
        "card=labels&format=csv",
    ),
    "file": ("format=csv", "format=jsonl"),
    "annotate": ("status=all",),
}
# The database takes no such text: a name of the wire, and what is only ever added to.
REFUSED = {"workspace.name", "event.address", "event.request_id"}
REFUSED |= {f"deletion_certificate.{name}" for name in ("signature", "slug", "text")}
# Some page shows each of these.
SHOWN = (
    *("organization.name", "membership.username", "membership.first_name", "invitation.email"),
    *("dataset.name", "dataset.guidelines", "field.title", "question.title"),
    *("question.description", "metadata_property.title"),
    *("record.external_id", "vector_settings.title", "saved_view.name"),
    *("api_key.name", "webhook.url", "webhook.description", "webhook_delivery.body"),
    *("llm_provider.name", "llm_provider.base_url", "prompt_version.template"),
    *("prompt_version.note", "suggestion.agent", "comment.text", "flag.note"),
    "announcement.text",
    *("guideline_gap.text", "guideline_gap.resolution", "invoice.recipient"),
)
ASKED = ("q", "question", "name", "next", "sort", "mode", "tab", "days", "page", "a", "b", "like")


@pytest.fixture
def world(site: Site, llm_server: LlmServer, tmp_path: Path, settings: Any) -> World:
    settings.DATA_DIR = settings.BACKUP_DIR = tmp_path
    with site.inside():
        provider = add_provider(llm_server)
    return make_world(site, provider)


def routes(resolver: Any, before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """``(route, converters)`` of every URL; the raw tables of the operator are Django's own."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver) and route != "operator/admin/":
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.pattern.converters


def addresses(world: World) -> Iterator[str]:
    """Every address there is, with each dataset and with an object of it."""
    for route, arguments in routes(get_resolver()):
        if "dataset_id" in arguments:
            for dataset in world.datasets:
                yield path_of(route, {name: _id(world, name, dataset) for name in arguments})
        else:
            yield path_of(route, {name: _id(world, name, None) for name in arguments})


WORDS = {"tab": "general", "step": "cancel", "recipe": "suggest", "name": "text", "format": "csv"}


def _id(world: World, argument: str, dataset: Dataset | None) -> Any:
    if argument in {"token", "organization_id", "dataset_id"}:
        known = {"token": world.token, "organization_id": world.site.organization.id}
        return known.get(argument) or (dataset or world.datasets[0]).id
    model = next((m for m in EVERY_MODEL if m._meta.db_table == table_of(argument)), None)
    if model is None:
        return WORDS.get(argument, "x")
    rows = model._default_manager.order_by("pk")
    names = {field.attname for field in model._meta.local_concrete_fields}
    if dataset is not None and "dataset_id" in names:
        rows = rows.filter(dataset_id=dataset.id)
    elif dataset is not None and "question_id" in names:
        rows = rows.filter(question__dataset_id=dataset.id)
    row = rows.first()
    return row.pk if row is not None else UUID(int=0)


def content_of(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(body.decode("utf-8", "replace"))


def faults_of(answer: Any, text: str) -> list[str]:
    """What is wrong with an answer, by its kind."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if answer.status_code >= 500:
        return [f"status {answer.status_code}"]
    if kind == "text/html":
        return faults_of_page(text)
    found = [] if answer.headers.get("X-Content-Type-Options") == "nosniff" else ["may be sniffed"]
    if kind == "text/csv":
        return found + faults_of_csv(text)
    if kind == "application/json" and text:
        json.loads(text)
    return found


@dataclass
class Walk:
    """What opening every address has shown: statuses by address, texts by number, faults."""

    opened: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    seen: set[int] = field(default_factory=set)
    found: list[str] = field(default_factory=list)

    def look(self, client: Client, path: str, query: str = "") -> None:
        address = f"{path}?{query}" if query else path
        answer = client.get(address)
        text = content_of(answer)
        self.opened[path].add(answer.status_code)
        self.seen |= numbers_in(text)
        self.found += [f"{address[:150]}: {one}" for one in faults_of(answer, text)]


def walk(world: World) -> Walk:
    """Every address of the resolver, as the owner, who is an operator, or with the owner's key.

    Pages are also asked with a hostile query, which they show again, and for all of their parts.
    """
    found, owner = Walk(), world.client()
    scripted = Client(raise_request_exception=False, headers={"X-Argilla-Api-Key": world.key})
    with world.site.inside():
        paths = [path for path in addresses(world) if path not in LEFT_OUT]
    for path in paths:
        if path.startswith("/api/v1/"):
            found.look(scripted, path)
            continue
        for query in ("", urlencode(dict.fromkeys(ASKED, hostile(1))), *MORE.get(last(path), ())):
            found.look(owner, path, query)
    return found


def last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def test_no_page_takes_a_text_for_more(world: World) -> None:
    walked = walk(world)
    assert walked.found == []
    assert world.refused == REFUSED
    planted = {FILE, HEAD, LABEL, OTHER, NAME, KEY, VALUE, FIELD, ANSWER, OPTION, DRAFT}
    assert planted - walked.seen == set()
    assert {name for name in SHOWN if world.texts[name] not in walked.seen} == set()
    check_the_mail(world)


def check_the_mail(world: World) -> None:
    """An invitation names a hostile inviter, organization and message."""
    with world.site.inside():
        invitation = Invitation.objects.get()
        Invitation.objects.update(email="ines@example.org")
    mail.outbox.clear()
    world.client().post(f"/settings/invitations/{invitation.id}/again/")
    (letter,) = mail.outbox
    html, _ = letter.alternatives[0]
    assert faults_of_page(str(html)) == []
    assert not any(one in letter.subject + letter.body for one in EVALUATED)
    assert "\n" not in letter.subject
    named = {world.texts["organization.name"], world.texts["membership.first_name"]}
    assert named <= numbers_in(letter.body) & numbers_in(str(html))


PAGES = (
    *("", "datasets/", "datasets/new/", "datasets/trash/", "feedback/", "me/", "providers/"),
    *("settings/members/", "settings/members/invite/", "settings/keys/", "settings/webhooks/"),
    *("settings/general/", "settings/security/", "settings/audit/", "settings/data/"),
    *("settings/plan/", "settings/usage/", "settings/workspaces/", "accounts/2fa/", "operator/"),
    *("operator/organizations/", "operator/jobs/", "operator/users/", "operator/announcements/"),
)
OF_A_DATASET = (
    *("annotate/", "explore/", "review/", "gaps/", "progress/?all=1", "quality/?all=1", "jobs/"),
    *("runs/", "drafts/", "studio/", "evaluations/", "monitoring/", "export/", "settings/general/"),
    *("settings/fields/", "settings/questions/", "settings/guidelines/", "settings/metadata/"),
    *("settings/review/", "settings/danger/"),
)


def test_in_a_browser_texts_break_nothing(world: World, visit: Visit) -> None:
    """No complaint of the policy (``visit`` sees to that), and nothing beside the page.

    Pages of a dataset are held to it on wide screens.
    """
    page = visit(signed_in=False)
    page.context.add_cookies([world.cookie()])
    names = ("", *(f"datasets/{one.id}/" for one in world.datasets[-2:]))
    paths = [f"/{name}{path}" for name in names for path in (OF_A_DATASET if name else PAGES)]
    found = []
    for path in paths:
        page.set_viewport_size(NARROW)
        answer = page.goto(world.site.url + path)
        found += [f"{path}: {answer.status}"] if answer.status != 200 else []
        found += [f"{path}: a tag"] if page.locator("x-evil").count() else []
        for size in (WIDE,) if "/datasets/0" in path else (NARROW, WIDE):
            page.set_viewport_size(size)
            if page.evaluate("() => document.documentElement.scrollWidth") > size["width"]:
                found.append(f"{path}: scrolls sideways at {size['width']}")
    assert found == []
