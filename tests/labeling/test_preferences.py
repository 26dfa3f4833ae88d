"""A person's own page, the keys, the palette, and the progress of a team."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from apps.annotation.models import Annotator
from apps.annotation.services import save_response
from apps.datasets.models import Dataset
from apps.labeling import keystrokes, shortcuts
from apps.labeling.preferences import read_keys
from apps.labeling.templatetags.navigation import ORGANIZATION as ORGANIZATION_PAGES
from apps.labeling.templatetags.navigation import SECTIONS
from apps.organizations.models import Membership
from apps.search.models import SavedView
from apps.users.models import User
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests import factories

SignIn = Callable[[Membership], Client]
LOOKS = {"language": "de", "theme": "dark", "density": "compact", "single_keys": "form"}


@pytest.fixture
def ann(workspace: Workspace) -> Membership:
    return factories.make_member(workspace=workspace, username="ann")


def account(member: Membership) -> User:
    assert member.user_id is not None
    return User.objects.get(pk=member.user_id)


# --- Looks and language ---------------------------------------------------------------------------
def test_looks_are_saved_and_there_before_anything_is_painted(
    ann: Membership, sign_in: SignIn
) -> None:
    client = sign_in(ann)
    plain = client.get("/me/").content.decode()
    assert '<html lang="en">' in plain
    assert client.post("/me/", LOOKS).status_code == 302
    assert {name: getattr(account(ann), name) for name in LOOKS} == LOOKS
    page = client.get("/")
    assert '<html lang="de" data-theme="dark" data-density="compact">' in page.content.decode()
    assert page["Content-Language"] == "de"


@pytest.mark.parametrize("name", LOOKS)
def test_a_wrong_choice_is_a_422_and_nothing_is_saved(
    ann: Membership, sign_in: SignIn, name: str
) -> None:
    answer = sign_in(ann).post("/me/", {**LOOKS, name: "x" * 50})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert account(ann).theme == "system"


def test_language_is_the_persons_else_the_browsers(ann: Membership, sign_in: SignIn) -> None:
    client, german = sign_in(ann), {"Accept-Language": "de-AT,de;q=0.9"}
    assert client.get("/", headers=german)["Content-Language"] == "de"
    assert client.get("/", headers={"Accept-Language": "fr"})["Content-Language"] == "en"
    client.post("/me/", {**LOOKS, "language": "en"})
    assert client.get("/", headers=german)["Content-Language"] == "en"
    assert Client().get("/accounts/login/", headers=german)["Content-Language"] == "de"


def test_the_api_stays_english_after_a_german_page(ann: Membership, sign_in: SignIn) -> None:
    client = sign_in(ann)
    client.post("/me/", LOOKS)
    client.get("/")
    refused = client.get("/api/v1/me", headers={"Accept-Language": "de"})
    assert refused.json()["detail"]
    assert "Anmelde" not in refused.content.decode()
    docs = client.get("/api/v1/docs", headers={"Accept-Language": "de"})
    assert '<html lang="en"' in docs.content.decode()


# --- Keys -----------------------------------------------------------------------------------------
def test_the_declared_keys_have_no_clash() -> None:
    for shortcut in shortcuts.SHORTCUTS:
        for other in shortcuts.SHORTCUTS:
            if shortcut is other or shortcut.context != other.context:
                continue
            if shortcut.page != other.page and "" not in (shortcut.page, other.page):
                continue
            assert not set(shortcut.keys) & set(other.keys), (shortcut.command, other.command)


def test_every_command_has_a_group_and_one_name() -> None:
    names = [(shortcut.command, shortcut.page) for shortcut in shortcuts.SHORTCUTS]
    assert len(set(names)) == len(names)
    assert {shortcut.group for shortcut in shortcuts.SHORTCUTS} <= set(shortcuts.GROUPS)


def test_own_keys_are_in_the_table_and_on_the_sheet(ann: Membership, sign_in: SignIn) -> None:
    client = sign_in(ann)
    sent = {"key.answer.discard": "Shift+Q", "key.record.next": "", "key.answer.clear": "x"}
    assert client.post("/me/keyboard/", sent).status_code == 302
    own = account(ann).shortcuts
    assert own == {"answer.discard": "Shift+q", "record.next": ""}
    table = {
        entry["command"]: entry["keys"]
        for entry in shortcuts.table("annotate", own, "on")["commands"]
    }
    assert table["answer.discard"] == ("Shift+q",)
    assert table["record.next"] == ()
    assert table["answer.submit"] == ("Enter",)
    sheet = [row for _, rows in shortcuts.sheet("annotate", own) for row in rows]
    assert ["⇧Q"] in [caps for row in sheet for caps in row.caps]
    assert "record.next" not in [row.shortcut.command for row in sheet]
    client.post("/me/keyboard/", {"do": "reset"})
    assert account(ann).shortcuts == {}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("k", "Taken already: previous question"),
        ("t", "Taken already: tie with the one above"),
        (".", "Taken already: next mark, mark before"),
        ("?", "Taken already: this sheet"),
        ("? d", "Taken already: this sheet"),
        ("5", "Digits choose options."),
        ("Control+t", "belongs to the browser"),
        ("Backspace", "no key we know"),
        ("a b c", "At most two keys"),
        ("Hyper+q", "no key we know"),
        ("\u0007", "no key we know"),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_kept_in_its_field(
    ann: Membership, sign_in: SignIn, key: str, reason: str
) -> None:
    answer = sign_in(ann).post(
        "/me/keyboard/", {"key.answer.discard": key, "key.answer.clear": "q"}
    )
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert account(ann).shortcuts == {}


def test_two_commands_may_change_places() -> None:
    keys = read_keys({"key.question.next": "k", "key.question.previous": "j"}, {})
    assert keys.errors == {}
    assert keys.own == {"question.next": "k", "question.previous": "j"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("D", "Shift+d"),
        ("strg+S", "Control+s"),
        ("cmd+enter", "Control+Enter"),
        ("Shift+Alt+é", "Alt+Shift+é"),
        ("g m", "g m"),
        ("Shift+?", "?"),
        ("Alt++", "Alt++"),
        ("", ""),
    ],
)
def test_keys_have_one_form(text: str, key: str) -> None:
    assert keystrokes.normalize(text) == key


def test_a_command_that_is_gone_is_forgotten() -> None:
    assert read_keys({}, {"no.such": "q", "answer.discard": "q"}).own == {"answer.discard": "q"}


# --- Palette --------------------------------------------------------------------------------------
def test_the_palette_finds_what_one_may_see(
    workspace: Workspace, ann: Membership, sign_in: SignIn
) -> None:
    factories.make_dataset(workspace, name="film-reviews")
    factories.make_dataset(name="theirs")
    client = sign_in(ann)
    page = client.get("/search").content.decode()
    assert "Annotate film-reviews" in page
    assert "theirs" not in page
    assert "Review film-reviews" not in page
    part = client.get("/search?q=PREF", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert reverse("labeling:preferences") in part
    assert "film-reviews" not in part
    assert "Nothing has this name." in client.get("/search?q=%00%3Cb%3E").content.decode()
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=workspace))
    assert "Review film-reviews" in reviewer.get("/search").content.decode()


def test_the_palette_finds_records_and_kept_searches_one_may_open(
    workspace: Workspace, ann: Membership, sign_in: SignIn
) -> None:
    dataset = factories.make_dataset(workspace, name="film-reviews")
    theirs = factories.make_dataset(name="theirs")
    record, other = factories.make_records(dataset, 2)
    hidden = factories.make_records(theirs)[0]
    values = {"sentiment": {"value": "positive"}}
    save_response(record=record, annotator=ann, status="draft", values=values)
    rita = factories.make_member(role="reviewer", workspace=workspace)
    SavedView.objects.create(dataset=dataset, owner=rita, name="Doubtful", query="q=maybe")

    def found(member: Membership, search: str) -> str:
        return sign_in(member).get("/search", {"q": search}).content.decode()

    address = reverse("labeling:annotate", args=[dataset.id])
    assert f"{address}?record={record.id}" in found(ann, record.external_id)
    assert f"record={other.id}" not in found(ann, other.external_id), "nothing of one's own"
    assert f"record={other.id}" in found(rita, other.external_id)
    assert f"record={hidden.id}" not in found(rita, hidden.external_id)
    assert "?q=maybe" in found(rita, "doubt")
    assert "?q=maybe" not in found(ann, "doubt")


def test_the_palette_costs_the_same_however_many_workspaces(
    sign_in: SignIn, ann: Membership, django_assert_num_queries: Any
) -> None:
    client = sign_in(ann)
    client.get("/search")
    for number in range(5):
        place = factories.make_workspace(f"w-{number}")
        WorkspaceMembership.objects.create(workspace=place, membership=ann)
        factories.make_dataset(place)
        with django_assert_num_queries(9):
            client.get("/search")
        with django_assert_num_queries(12):
            client.get("/search?q=dataset")


def lines(client: Client, search: str = "") -> dict[str, str]:
    """Address and text of what the palette offers, in its order."""
    found = client.get("/search", {"q": search}).context["places"]
    return {place.url: f"{place.text} {place.detail}".strip() for place in found}


ORGANIZATION = (
    ("admin", {"members", "workspaces", "keys", "providers", "audit", "usage", "trash"}),
    ("reviewer", {"keys"}),
    ("annotator", {"keys"}),
)
ALL = {"general", "security", "webhooks", "data", "plan", *ORGANIZATION[0][1]}


@pytest.mark.parametrize(("role", "names"), [("owner", ALL), *ORGANIZATION])
def test_the_palette_knows_the_organizations_pages_that_one_may_open(
    workspace: Workspace, sign_in: SignIn, role: str, names: set[str]
) -> None:
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    offered = set(lines(client))
    assert {name for name in ALL if reverse(f"console:{name}") in offered} == names
    for name in names:
        assert client.get(reverse(f"console:{name}")).status_code == 200


@pytest.mark.parametrize(
    ("role", "here", "may"),
    [("admin", None, True), ("annotator", "admin", True), ("annotator", None, False)],
)
def test_the_palette_offers_a_new_dataset_to_who_may_create_one(
    workspace: Workspace, sign_in: SignIn, role: str, here: str | None, may: bool
) -> None:
    member = factories.make_member(role=role, workspace=workspace)
    WorkspaceMembership.objects.filter(membership=member).update(role=here)
    client, page = sign_in(member), reverse("console:create_dataset")
    assert (page in lines(client, "new")) == (page in lines(client)) == may
    assert (client.get(page).status_code == 200) == may


MODELS = {"studio", "evaluations", "monitoring", "jobs", "new_run", "drafts", "guidelines"}


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("owner", {*MODELS, "export", "settings"}),
        ("admin", {*MODELS, "export", "settings"}),
        ("reviewer", set()),
        ("annotator", set()),
    ],
)
def test_the_palette_knows_a_datasets_pages_that_one_may_open(
    workspace: Workspace, sign_in: SignIn, role: str, names: set[str]
) -> None:
    dataset = factories.make_dataset(workspace, name="film-notes")
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    known = {*MODELS, "export", "settings"}
    places = {name: reverse(f"console:{name}", args=[dataset.id]) for name in known}
    offered = lines(client, "film")
    assert {name for name in known if places[name] in offered} == names
    for name in names:
        assert client.get(places[name], follow=True).status_code == 200
    gaps = reverse("labeling:gaps", args=[dataset.id])
    assert (gaps in offered) == (role != "annotator")


@pytest.mark.parametrize(
    ("search", "found", "left_out"),
    [
        ("drafts", ["film-notes", "book-notes"], []),
        ("drafts film", ["film-notes"], ["book-notes"]),
        ("FILM  Drafts", ["film-notes"], ["book-notes"]),
        ("drafts nowhere", [], ["film-notes", "book-notes"]),
    ],
)
def test_the_palette_finds_pages_by_words_in_any_order(
    workspace: Workspace, sign_in: SignIn, search: str, found: list[str], left_out: list[str]
) -> None:
    datasets = {
        name: factories.make_dataset(workspace, name=name) for name in ("film-notes", "book-notes")
    }
    offered = lines(sign_in(factories.make_member(role="owner")), search)
    for name, dataset in datasets.items():
        assert (reverse("console:drafts", args=[dataset.id]) in offered) == (name in found)
        assert (name in left_out) == (name not in found)
        if "nowhere" not in search:
            assert reverse("console:jobs", args=[dataset.id]) not in offered


def test_the_best_named_dataset_comes_first(workspace: Workspace, sign_in: SignIn) -> None:
    wanted = factories.make_dataset(workspace, name="quality-notes")
    for number in range(9):
        factories.make_dataset(workspace, name=f"other-{number}")
    offered = lines(sign_in(factories.make_member(role="owner")), "quality")
    assert next(iter(offered)) == reverse("labeling:annotate", args=[wanted.id])


def test_the_palette_speaks_german(workspace: Workspace, sign_in: SignIn) -> None:
    factories.make_dataset(workspace, name="film-notes")
    owner = factories.make_member(role="owner", email="olga@example.com")
    User.objects.filter(id=owner.user_id).update(language="de")
    client = sign_in(owner)
    assert list(lines(client, "mitglieder")) == [reverse("console:members")]
    assert any("Entwürfe" in text for text in lines(client, "entwürfe film").values())


def test_no_two_pages_beside_each_other_share_an_icon() -> None:
    shown = ["home", "data", "gear", "msg"]  # one's own pages
    shown += [icon for _name, icon, *_ in (*SECTIONS, *ORGANIZATION_PAGES)]
    assert len(shown) == len(set(shown))
    sprite = (Path(settings.BASE_DIR) / "static" / "img" / "icons.svg").read_text()
    assert [name for name in shown if f'id="i-{name}"' not in sprite] == []


# --- A team ---------------------------------------------------------------------------------------
@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    return factories.make_dataset(workspace, name="reviews")


@pytest.mark.parametrize(
    ("role", "status"), [("annotator", 403), ("reviewer", 403), ("admin", 302), ("owner", 302)]
)
def test_who_may_set_quotas(
    workspace: Workspace, dataset: Dataset, ann: Membership, sign_in: SignIn, role: str, status: int
) -> None:
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    assert client.get(reverse("console:team", args=[dataset.id])).status_code == 200
    path = reverse("console:set_quotas", args=[dataset.id])
    given = {"daily_quota": 5, "total_quota": ""}
    assert client.post(path, {**given, "person": str(ann.id)}).status_code == status
    assert client.post(path, given).status_code == status
    dataset.refresh_from_db()
    places = Annotator.objects.filter(dataset=dataset, user=ann, daily_quota=5, total_quota=None)
    assert (places.exists(), dataset.daily_quota == 5) == (status == 302,) * 2


def test_quotas_of_strangers_and_wrong_ones_change_nothing(
    dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    client = sign_in(factories.make_member(role="admin", workspace=workspace))
    path = reverse("console:set_quotas", args=[dataset.id])
    outsider = factories.make_member(workspace=factories.make_workspace("elsewhere"))
    for person in (str(outsider.id), "x", str(dataset.id)):
        assert client.post(path, {"daily_quota": 1, "person": person}).status_code == 404
    for given in ({"daily_quota": 0}, {"total_quota": "-1"}, {"daily_quota": "many"}):
        assert client.post(path, given).status_code == 422
    dataset.refresh_from_db()
    assert (dataset.daily_quota, dataset.total_quota) == (None, None)
    stranger = sign_in(outsider)
    assert stranger.get(reverse("console:team", args=[dataset.id])).status_code == 404


def test_an_annotator_sees_the_team_as_numbers_and_only_themselves(
    dataset: Dataset, workspace: Workspace, ann: Membership, sign_in: SignIn
) -> None:
    bo = factories.make_member(workspace=workspace, username="bo")
    values = {"sentiment": {"value": "positive"}}
    for record, person in zip(factories.make_records(dataset, 2), (ann, bo), strict=True):
        save_response(record=record, annotator=person, status="submitted", values=values)
    path = reverse("console:team", args=[dataset.id])
    mine = sign_in(ann).get(path).content.decode()
    assert "Every record is completed." in mine
    assert "bo" not in [word.strip("<>/") for word in mine.split()]
    assert "Quotas for everybody" not in mine
    owner = sign_in(factories.make_member(role="owner", username="olga"))
    assert "2 answers today" in owner.get(path).content.decode()


@pytest.mark.parametrize("path", ["/me/", "/search", "/datasets/{}/progress/"])
def test_pages_are_for_members(path: str, dataset: Dataset) -> None:
    answer = Client().get(path.format(dataset.id))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/")
