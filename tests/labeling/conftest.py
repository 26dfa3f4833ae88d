"""Signed-in members: over plain HTTP, and in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.annotation.ingest import log_records
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, MetadataProperty, Question
from apps.organizations.models import Membership, Organization
from apps.records.inputs import RecordInput, SuggestionInput
from tests import factories

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
QUESTIONS = ("sentiment", "genre", "quality", "order", "comment", "entities")
TEXT = "Ada Lovelace went to Turin 🎩 in 1840.\n\nShe liked the theatre, the weather less."


@pytest.fixture
def sign_in(organization: object) -> Callable[[Membership], Client]:
    """A client of its own for a member."""

    def signed_in(member: Membership) -> Client:
        client = Client()
        assert member.user is not None
        client.force_login(member.user, backend=BACKEND)
        return client

    return signed_in


@dataclass
class Site:
    """A running site with one organization, one dataset and two annotators, all committed."""

    url: str
    organization: Organization
    dataset: Dataset
    member: Membership
    email: str
    records: list[Any] = field(default_factory=list)

    @property
    def annotate(self) -> str:
        return f"{self.url}/datasets/{self.dataset.id}/annotate/"

    def inside(self) -> Any:
        """The organization, entered: for looking at what was stored."""
        return enter(self.organization.id)

    @staticmethod
    def another_email() -> str:
        """An account of its own: accounts stay from test to test, and may be in many places."""
        return f"bob-{uuid4().hex[:8]}@example.com"

    def asking(self, ask: Callable[[], Any]) -> Callable[[], Any]:
        """A question that is asked inside the organization whenever it is called."""

        def asked() -> Any:
            with self.inside():
                return ask()

        return asked

    def session(self) -> dict[str, Any]:
        """A cookie of a signed-in browser."""
        client = Client()
        assert self.member.user is not None
        client.force_login(self.member.user, backend=BACKEND)
        value = client.cookies["sessionid"].value
        return {"name": "sessionid", "value": value, "url": self.url}


@pytest.fixture
def site(transactional_db: None, live_server: Any, settings: Any) -> Site:
    """A dataset with every question type, suggestions and guidelines."""
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    organization = factories.make_organization()
    email = f"mara-{uuid4().hex[:8]}@example.com"
    with enter(organization.id):
        workspace = factories.make_workspace("support-team")
        member = factories.make_member(
            workspace=workspace,
            username="mara",
            first_name="Mara",
            last_name="Vidal",
            email=email,
            password=factories.PASSWORD,
        )
        dataset = factories.make_dataset(
            workspace,
            name="travel-notes",
            questions=QUESTIONS,
            required=("sentiment", "quality"),
            guidelines="**Read all of it.** Then judge the tone, not the facts.",
            guidelines_version=2,
        )
        MetadataProperty.objects.create(
            dataset=dataset,
            name="language",
            title="Language",
            number=1,
            settings={"type": "terms"},
            visible_for_annotators=True,
        )
        records = _log(dataset, 6)
    return Site(live_server.url, organization, dataset, member, email, records)


def _log(dataset: Dataset, count: int) -> list[Any]:
    questions = {question.name: question.id for question in Question.objects.all()}
    suggestions = [
        SuggestionInput(questions["sentiment"], "positive", 0.91, "tone-v4", "model"),
        SuggestionInput(questions["genre"], ["drama"], [0.5], "genre-v1", "model"),
        SuggestionInput(questions["quality"], 4, 0.62, "judge-v3", "model"),
        SuggestionInput(questions["comment"], "A warm note.", None, "writer-v1", "model"),
        SuggestionInput(
            questions["entities"],
            [
                {"start": 0, "end": 12, "label": "person"},
                {"start": 21, "end": 26, "label": "place"},
            ],
            [0.9, 0.8],
            "ner-v2",
            "model",
        ),
    ]
    return log_records(
        dataset=dataset,
        items=[
            RecordInput(
                external_id=f"note-{number}",
                fields={"text": TEXT},
                metadata={"language": "English"},
                suggestions=suggestions,
            )
            for number in range(1, count + 1)
        ],
    )


def eventually(page: Any, check: Callable[[], bool]) -> None:
    """What a browser says on its way out arrives when it arrives."""
    for _ in range(1_500):
        if check():
            return
        page.wait_for_timeout(20)
    assert check(), page.locator("body").inner_text()


@pytest.fixture
def visit(chromium: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """Open pages as the member; at the end no browser may have complained about anything."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def opened(url: str = "", *, signed_in: bool = True, **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = chromium.new_context(reduced_motion="reduce", **options)
        context.set_default_timeout(30_000)  # a machine may be busy
        contexts.append(context)
        if signed_in:
            context.add_cookies([site.session()])
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())  # leaving with unsaved answers
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        if url:
            page.goto(url)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:  # or its last word would reach the server in the next test
            with suppress(Exception):  # it is on its way to another page
                page.evaluate("() => { window.fetch = () => new Promise(() => {}); }")
        context.close()
    # failures that a test makes on purpose, the storage that signing out clears, and leaving with
    # answers on their way before anybody touched the page: only a slow machine gets to see that
    expected = (
        "Failed to load resource",
        "htmx:error: Failed to fetch",
        "Clear-Site-Data",
        "Blocked attempt to show a 'beforeunload' confirmation panel",
    )
    assert [text for text in complaints if not any(known in text for known in expected)] == []
