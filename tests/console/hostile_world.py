"""An organization that has used everything, whose every text is hostile."""

import csv
import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.billing.services import begin_subscription
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Question
from apps.datasets.services import trash_dataset, update_dataset
from apps.drafts.models import Draft
from apps.events.log import Origin, acting_as, emit
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Announcement, Membership
from apps.organizations.services import create_api_key
from apps.organizations.volume import set_plan
from apps.quality.schema_changes.services import apply_edit
from apps.records.models import Record
from apps.search.models import SavedView
from apps.users.models import User
from apps.workspaces import invitations
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.studio_world import measure, save_version, watch
from tests.console.test_drafts import write as write_drafts
from tests.hostile import hostile, poison, tables
from tests.labeling.conftest import Site
from tests.labeling.test_explore_browser import fill_bank
from tests.labeling.test_review_browser import dispute, tell
from tests.operator.conftest import signed_in
from tests.operator.test_console import dead_delivery, failed_job

# What stands in the file that was uploaded, and in its name.
FILE, HEAD, LABEL, OTHER = 9001, 9002, 9003, 9004
# What stands in an event.
NAME, KEY, VALUE = 9005, 9006, 9007
# What stands in a record, a text answer, the words of a label and a draft.
FIELD, ANSWER, OPTION, DRAFT = 9008, 9009, 9010, 9011


@dataclass
class World:
    """``texts``: the number of each column's text; ``refused``: the columns that took none."""

    site: Site
    owner: Membership
    key: str
    token: str
    datasets: list[Dataset] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def client(self) -> Client:
        """Of the owner, who is an operator as well."""
        assert self.owner.user is not None
        user = User.objects.get(pk=self.owner.user.pk)
        client = signed_in(user, proved=True)
        client.raise_request_exception = False
        return client

    def cookie(self) -> dict[str, Any]:
        value = self.client().cookies["sessionid"].value
        return {"name": "sessionid", "value": value, "url": self.site.url}


def make_world(site: Site, provider: Any) -> World:
    """Everything in its usual words first, by the services; then all texts at once."""
    fill_bank(site)
    dispute(site)
    tell(site)
    failed_job(site.organization)
    dead_delivery(site.organization)
    with site.inside():
        workspace = Workspace.objects.get(id=site.dataset.workspace_id)
        owner = _owner(workspace)
        world = World(site, owner, create_api_key(member=owner, name="key")[1], "")
        _measured(workspace, provider)
        _edited(site.dataset, owner)
        write_drafts(Dataset.objects.select_related("workspace").get(id=site.dataset.id))
        _administered(world, workspace)
    _uploaded(world)
    with site.inside():
        _spoil_documents()
        world.refused = poison(tables(), world.texts)
        world.datasets = list(Dataset.objects.filter(trashed_at=None))
    return world


def _owner(workspace: Workspace) -> Membership:
    owner = factories.make_member(
        role="owner",
        first_name="Olga",
        last_name="Ruiz",
        email=f"olga-{uuid4().hex[:8]}@example.com",
        password=factories.PASSWORD,
        workspace=workspace,
    )
    assert owner.user is not None
    User.objects.filter(pk=owner.user.pk).update(is_staff=True)
    return owner


def _measured(workspace: Workspace, provider: Any) -> None:
    measured = measure(60, workspace=workspace, name="letters", guidelines="Be fair.")
    save_version(measured.question, provider, note="With two examples")
    watch(measured.question, days=4)
    update_dataset(dataset=measured.dataset, changes={"guidelines": "Be just."})


def _edited(dataset: Dataset, owner: Membership) -> None:
    edit = {"kind": "rename_label", "question": "sentiment", "label": "mixed"}
    to = {"value": "both", "text": "Both at once"}
    dataset = Dataset.objects.select_related("workspace").get(id=dataset.id)
    apply_edit(dataset=dataset, edit=read_edit(edit | {"to": to}), created_by=owner)
    SavedView.objects.create(dataset=dataset, owner=owner, name="Stolen", query="q=stolen")
    Dataset.objects.filter(id=dataset.id).update(metadata={"note": "x"})


def _administered(world: World, workspace: Workspace) -> None:
    place = {workspace.id: None}
    (sent,) = invitations.invite(
        actor=world.owner, emails=["ines@example.org"], role="annotator", places=place
    )
    world.token = sent.token
    organization = world.site.organization
    set_plan(organization=organization, plan="base")
    begin_subscription(organization=organization)
    trash_dataset(dataset=factories.make_dataset(workspace, name="old"))
    with acting_as(Origin(world.owner.id, None, "203.0.113.24")):
        changes = {hostile(KEY): ["", hostile(VALUE)]}
        emit("dataset.updated", payload={"name": hostile(NAME), "changes": changes})
    Announcement.objects.all().delete()
    Announcement.objects.create(
        text="Tonight.", level="warn", ends_at=timezone.now() + timedelta(hours=2)
    )


def _spoil_documents() -> None:
    """What stands in JSON: only texts that people read, not the values that are counted."""
    for model, number in ((Record, FIELD), (Draft, DRAFT)):
        for row in model._default_manager.all()[:200]:
            row.fields = {
                name: hostile(number) if isinstance(value, str) else value
                for name, value in row.fields.items()
            }
            row.save(update_fields=["fields"])
    for question in Question.objects.all():
        for option in question.settings.get("options", []):
            if "text" in option:
                option["text"] = hostile(OPTION)
        question.save(update_fields=["settings"])
    texts = set(Question.objects.filter(settings__type="text").values_list("name", flat=True))
    for response in Response.objects.all():
        for name in texts & response.values.keys():
            response.values[name]["value"] = hostile(ANSWER)
        response.save(update_fields=["values"])


def _uploaded(world: World) -> None:
    """A dataset of a file, by the pages: names of columns and labels are texts, too."""
    client, path = world.client(), "/datasets/new/"
    _step(client, path, {"source": "upload", "file": _file()})  # this one stays a sketch
    path = _step(client, path, {"source": "upload", "file": _file()})
    path = _step(client, path, {"to-1": "suggestion.label_selection", "do": "next"})
    path = _step(client, path, {"q0-required": "on", "do": "next"})
    with world.site.inside():
        place = world.site.dataset.workspace_id
    path = _step(client, path, {"name": "uploaded", "workspace": place, "min_submitted": "2"})
    with world.site.inside():
        job = Job.objects.newest_first()[0]
        while run_slice(organization_id=world.site.organization.id, job_id=job.id):
            pass
        _answer_all(Dataset.objects.get(name="uploaded"))


def _step(client: Client, path: str, sent: dict[str, Any]) -> str:
    answer = client.post(path, sent)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def _file() -> SimpleUploadedFile:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["text", hostile(HEAD)])
    rows.writerows([f"row {n}", hostile((LABEL, OTHER)[n % 2])] for n in range(30))
    text.write("only one cell\n")
    return SimpleUploadedFile(f"{hostile(FILE)}.csv".replace("/", ""), text.getvalue().encode())


def _answer_all(dataset: Dataset) -> None:
    """Two people answer with those labels, and differ now and then."""
    question = Question.objects.get(dataset=dataset)
    labels = [option["value"] for option in question.settings["options"]]
    assert len(labels) == 2
    for person in (factories.make_member(), factories.make_member()):
        for number, record in enumerate(Record.objects.filter(dataset=dataset).in_order()):
            chosen = labels[number % 2 if number % 7 else len(person.username) % 2]
            values = {question.name: {"value": chosen}}
            save_response(record=record, annotator=person, status="submitted", values=values)
