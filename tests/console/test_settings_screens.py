"""The settings of a dataset in a real browser: axe, widths, the policy. ``SCREENS=folder``."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.annotation.services import save_response
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset
from apps.datasets.services import (
    archive_dataset,
    create_property,
    create_vector_settings,
    trash_dataset,
    update_dataset,
)
from apps.datasets.settings import TermsProperty
from apps.organizations.models import Membership
from apps.quality.schema_changes.services import apply_edit
from apps.records.models import Record
from apps.users.models import User
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import BACKEND, fill
from tests.console.test_screens import look
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE

pytestmark = pytest.mark.browser

TABS = (
    "general",
    "fields",
    "questions",
    "guidelines/?version=2",
    "metadata",
    "vectors",
    "distribution",
    "review",
    "danger",
)
EDIT = {
    "kind": "rename_label",
    "question": "sentiment",
    "label": "mixed",
    "to": {"value": "both", "text": "Both at once"},
}


@pytest.fixture
def dataset(site: Site, owner: Membership) -> Dataset:
    """Answered, edited once, with guidelines in two versions, beside one in the trash."""
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        questions = ("sentiment", "genre", "comment")
        dataset = fill(factories.make_dataset(workspace, name="reviews", questions=questions))
        terms = TermsProperty(type="terms")
        create_property(dataset=dataset, name="language", title="Language", settings=terms)
        create_vector_settings(dataset=dataset, name="mini", title="Mini", dimensions=384)
        for text in ("# Reviews\n\nBe kind.", "# Reviews\n\n- Be *just*.\n- Ask when unsure."):
            update_dataset(dataset=dataset, changes={"guidelines": text}, author=owner)
        for record in Record.objects.filter(dataset=dataset).select_related("dataset")[:4]:
            values = {"sentiment": {"value": "mixed"}, "genre": {"value": ["drama"]}}
            save_response(record=record, annotator=owner, status="submitted", values=values)
        dataset = Dataset.objects.select_related("workspace").get(id=dataset.id)
        apply_edit(dataset=dataset, edit=read_edit(EDIT), created_by=owner)
        trash_dataset(dataset=factories.make_dataset(workspace, name="old reviews"))
    return dataset


@pytest.fixture
def open_page(site: Site, owner: Membership, visit: Callable[..., Any]) -> Callable[..., Any]:
    def opened(**options: Any) -> Any:
        client = Client()
        assert owner.user is not None
        client.force_login(owner.user, backend=BACKEND)
        page = visit(signed_in=False, **options)
        value = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": value, "url": site.url}])
        return page

    return opened


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing(
    site: Site,
    dataset: Dataset,
    open_page: Callable[..., Any],
    size: dict[str, int],
    language: str,
) -> None:
    with site.inside():
        User.objects.update(language=language)
    page, width = open_page(viewport=size, locale=language), size["width"]
    base = f"{site.url}/datasets/{dataset.id}/settings/"
    found: list[str] = []
    for tab in TABS:
        page.goto(base + (tab if "?" in tab else f"{tab}/"))
        found += look(page, f"settings {tab.split('/')[0]}", width)
    page.goto(f"{base}general/")
    page.fill("#id_name-name", " ")
    page.click("#name button")
    page.wait_for_selector("[aria-invalid]")
    found += look(page, "settings refused", width)
    page.goto(f"{base}questions/")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found += look(page, "settings edits", width)
    page.select_option("#q1-xl", "both")
    page.locator("#q1-xt").locator("xpath=ancestor::form").locator("button").click()
    page.wait_for_selector("input[name=edit]", state="attached")
    found += look(page, "settings preview", width)
    page.locator("form:has(input[name=edit]) button").click()
    page.wait_for_selector("#changes .tag, #changes td", state="attached")
    page.goto(f"{site.url}/datasets/trash/")
    found += look(page, "trash", width)
    with site.inside():
        archive_dataset(dataset=Dataset.objects.get(id=dataset.id))
    page.goto(f"{base}danger/")
    found += look(page, "settings archived", width)
    assert found == []


def test_an_edit_is_made_and_undone_without_scripts(
    site: Site, dataset: Dataset, open_page: Callable[..., Any]
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/datasets/{dataset.id}/settings/questions/")
    page.get_by_text("Remove a label", exact=False).first.click()
    page.select_option("#q1-xl", "both")
    page.locator("#q1-xt").locator("xpath=ancestor::form").locator("button").click()
    page.get_by_text("asked again").first.wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_role("button", name="Undo Label removed").click()
    page.locator("#changes .tag").first.wait_for()
