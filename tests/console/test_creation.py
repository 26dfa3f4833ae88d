"""The pages of a new dataset over plain HTTP, as a browser without scripts sends them."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.console.dataset_templates import TEMPLATES
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.exchange.creation import uploads
from apps.exchange.models import DatasetSketch
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import run

pytestmark = pytest.mark.django_db(transaction=False)

NEW = "/datasets/new/"
ROWS = "".join(
    f"{n},The {n}th customer writes a few words,{('lost', 'stolen')[n % 2]},{n * 3}\n"
    for n in range(40)
)
FILE = f"id,message,intent,length\n{ROWS}".encode()


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def upload(client: Client, file: bytes = FILE, name: str = "mails.csv", **more: Any) -> Any:
    sent = {"source": "upload", "template": "", "file": SimpleUploadedFile(name, file), **more}
    return client.post(NEW, sent)


def sketch() -> DatasetSketch:
    found = DatasetSketch.objects.order_by("-inserted_at", "-id").first()
    assert found is not None
    return found


def step(name: str) -> str:
    return f"{NEW}{sketch().id}/{name}/"


def stored() -> list[Path]:
    return [path for path in uploads.directory().rglob("*") if path.is_file()]


# --- From a file to records -------------------------------------------------------------------
def test_a_file_becomes_a_dataset(client: Client, workspace: Workspace) -> None:
    answer = upload(client)
    assert (answer.status_code, answer["Location"]) == (302, step("columns"))
    page = client.get(step("columns"))
    text = page.content.decode()
    assert "2 different values in 40 rows: a label question?" in text
    assert "The 3th customer writes" in text
    assert 'data-type="label_selection"' in text  # the real component
    answer = client.post(step("columns"), {"to-3": "ignore", "title-1": "Mail", "do": "next"})
    assert answer["Location"] == step("questions")
    answer = client.post(
        step("questions"), {"q0-title": "What is it?", "q0-required": "on", "do": "next"}
    )
    assert answer["Location"] == step("finish")
    sent = {"name": "mails", "workspace": workspace.id, "min_submitted": "2", "guidelines": "Read."}
    answer = client.post(step("finish"), sent)
    dataset, job = Dataset.objects.get(), Job.objects.get()
    assert answer["Location"] == f"/datasets/{dataset.id}/jobs/{job.id}/"
    run(job)
    assert (job.state, job.done) == ("done", 40)
    assert (dataset.status, dataset.min_submitted, dataset.guidelines) == ("ready", 2, "Read.")
    schema = load_schema(dataset)
    assert [part.title for part in schema.fields.values()] == ["Mail"]
    assert [rule.question.title for rule in schema.questions.values()] == ["What is it?"]
    assert Record.objects.get(external_id="7").metadata in (None, {})
    assert client.get(f"/datasets/{dataset.id}/annotate/").status_code == 200
    for name in ("columns", "questions", "finish"):  # back leads to what became of it
        assert client.get(step(name))["Location"] == f"/datasets/{dataset.id}/jobs/{job.id}/"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("text\tlabel\na b\tx\nc d\ty\n", ["text", "label"]),
        ('[{"text": "a"}, {"text": "b"}]', ["text"]),
        ('{"text": "a"}\r\n{"text": "b"}', ["text"]),
    ],
)
def test_rows_are_pasted(client: Client, text: str, columns: list[str]) -> None:
    answer = client.post(NEW, {"source": "paste", "rows": text})
    assert answer["Location"] == step("columns")
    assert [one["column"] for one in sketch().content["columns"]] == columns


@pytest.mark.parametrize("template", [one.name for one in TEMPLATES])
def test_every_template_makes_a_dataset(
    client: Client, workspace: Workspace, template: str
) -> None:
    client.post(NEW, {"source": "empty", "template": template})
    assert client.get(step("questions")).status_code == 200
    assert client.post(step("questions"), {"do": "next"})["Location"] == step("finish")
    sent = {"name": template, "workspace": workspace.id, "min_submitted": "1"}
    answer = client.post(step("finish"), sent)
    dataset = Dataset.objects.get()
    assert answer["Location"] == f"/datasets/{dataset.id}/annotate/"
    assert load_schema(dataset).required_questions


def test_a_template_takes_columns_by_their_names(client: Client) -> None:
    rows = [
        {"instruction": f"do {n} things", "chosen": f"a {n}", "rejected": f"b {n}"} for n in "abc"
    ]
    file = json.dumps(rows).encode()
    upload(client, file, "pairs.json", template="preference")
    assert {one["column"]: one["to"] for one in sketch().content["columns"]} == {
        "instruction": "field:prompt",
        "chosen": "field:response_a",
        "rejected": "field:response_b",
    }
    assert "Not yet" not in client.post(step("columns"), {"do": "next"}).content.decode()


def test_texts_without_a_label_show_what_they_are_and_get_their_question_later(
    client: Client,
) -> None:
    rows = [{"a": f"Some words that {n} people have to read.", "b": {"n": n}} for n in range(9)]
    upload(client, json.dumps(rows).encode(), "texts.json")
    assert "Some words that 0 people" in client.get(step("columns")).content.decode()
    assert client.post(step("columns"), {"do": "next"})["Location"] == step("questions")
    refused = client.post(step("questions"), {"do": "next"})
    assert (refused.status_code, "must be required" in refused.content.decode()) == (422, True)


def test_many_labels_are_found_by_typing(client: Client) -> None:
    rows = "".join(f"Some words of the {n}th one,label {n % 50}\n" for n in range(500))
    upload(client, f"text,label\n{rows}".encode())
    assert "Filter 50 labels" in client.get(step("columns")).content.decode()


def test_another_dataset_is_copied(client: Client, dataset: Dataset, workspace: Workspace) -> None:
    sent = {"source": "dataset", "dataset": dataset.id, "with_records": "on"}
    assert client.post(NEW, sent)["Location"] == step("questions")
    sent = {"name": "copy", "workspace": workspace.id, "min_submitted": "1"}
    client.post(step("finish"), sent)
    job = run(Job.objects.get(kind="dataset_copy"))
    assert (job.state, job.done) == ("done", 6)


# --- Nothing is lost --------------------------------------------------------------------------
def test_each_choice_is_kept_and_shown(client: Client) -> None:
    upload(client)
    fragment = client.post(
        step("columns"), {"to-2": "metadata.terms"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert fragment.lstrip().startswith('<section class="stack" id="preview"')
    assert "No question yet" in fragment
    page = client.get(step("columns")).content.decode()
    assert '<option value="metadata.terms" selected>' in page
    assert sketch().content["questions"] == []
    assert "mails" in client.get(NEW).content.decode()  # to go on with


def test_questions_are_added_moved_and_removed(client: Client) -> None:
    upload(client)
    client.post(step("questions"), {"do": "add-rating"})
    client.post(
        step("questions"), {"do": "up-1", "q1-title": "How good?", "q1-low": "0", "q1-high": "3"}
    )
    first = sketch().content["questions"][0]
    assert (first["title"], first["labels"]) == ("How good?", ["0", "1", "2", "3"])
    far = {"do": "keep", "q0-title": "How good?", "q0-low": "0" * 5_000, "q0-high": "9" * 5_000}
    assert client.post(step("questions"), far).status_code == 302
    client.post(step("questions"), {"do": "remove-1"})
    assert [one["title"] for one in sketch().content["questions"]] == ["How good?"]
    assert sketch().content["columns"][2]["to"] == "ignore"


def test_labels_are_pasted_as_a_list(client: Client) -> None:
    upload(client)
    client.post(step("questions"), {"do": "keep", "q0-title": "x", "q0-labels": "a, b ,c,a"})
    assert sketch().content["questions"][0]["labels"] == ["a", "b", "c"]
    answer = client.post(step("questions"), {"do": "next", "q0-title": "x", "q0-labels": "one"})
    assert answer.status_code == 422
    assert "at least 2 labels" in answer.content.decode()


def test_discarding_forgets_the_file(
    client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    upload(client)
    assert len(stored()) == 1
    with django_capture_on_commit_callbacks(execute=True):
        client.post(step("discard"))
    assert (stored(), DatasetSketch.objects.count()) == ([], 0)


# --- What is refused --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("a.csv", b"\x1f\x8b\x08\x00" + b"\0" * 60, "compressed"),
        ("a.csv", b"PK\x03\x04" + b"\0" * 60, "compressed"),
        (
            "a.csv",
            b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
            "SVG",
        ),
        ("a.json", b"<!doctype html><title>x</title>", "HTML"),
        ("a.csv", "text,label\nä,b\n".encode("utf-16"), "UTF-16"),
        ("a.csv", "text,label\nä,b\n".encode("latin-1"), "UTF-8"),
        ("a.csv", b"text,label\na\0,b\n", "NUL"),
        ("a.parquet", b"text,label\na,b\n", "no Parquet"),
        ("a.parquet", b"PAR1" + b"\xff" * 200 + b"PAR1", "cannot be read"),
        ("a.json", b"{}", "No row"),
        ("a.json", b"[" * 50_000, "No row"),
        ("a.xlsx", b"a", "unclear"),
        ("a.svg", b"<svg/>", "unclear"),
        ("../../etc/passwd.csv", b"", "empty"),
        ("a.csv", b"a,a\n1,2\n", "twice"),
    ],
)
def test_files_that_are_no_tables_are_refused(
    client: Client, name: str, file: bytes, reason: str
) -> None:
    answer = upload(client, file, name)
    text = answer.content.decode()
    if file:
        assert answer.status_code == 422
        assert reason in text
    assert "<svg xmlns" not in text
    assert DatasetSketch.objects.count() == 0
    assert stored() == []


def test_without_a_file_the_page_says_so(client: Client) -> None:
    answer = client.post(NEW, {"source": "upload", "template": "rag"})
    assert answer.status_code == 422
    assert "Choose a file first." in answer.content.decode()
    assert 'value="rag" checked' in answer.content.decode()


def test_too_much_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST", 1_000)
    answer = upload(client)
    assert answer.status_code == 413
    assert "more than 2 GB" in answer.content.decode()
    assert stored() == []
    answer = client.post(NEW, {}, headers={"Content-Length": str(2**40)})
    assert answer.status_code == 413


def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    answer = client.generic(
        "POST",
        NEW,
        b"\x1f\x8b",
        content_type="multipart/form-data; boundary=x",
        headers={"Content-Encoding": "gzip"},
    )
    assert answer.status_code == 415
    assert stored() == []


def test_a_broken_form_is_a_400(client: Client) -> None:
    answer = client.generic("POST", NEW, b"--x\r\n", content_type="multipart/form-data")
    assert answer.status_code == 400


def test_hostile_names_are_only_text(client: Client) -> None:
    name = '"><script>alert(1)</script>.csv'
    upload(client, b'"<img src=x onerror=alert(1)>",label\n<b>a</b> b c,x\nd e f,y\n', name)
    page = client.get(step("columns")).content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>a</b>" not in page
    assert "&lt;b&gt;a" in page


@pytest.mark.parametrize("role", ["annotator", "reviewer"])
def test_who_manages_nothing_uploads_nothing(
    workspace: Workspace, sign_in: Callable[[Membership], Client], role: str
) -> None:
    member = sign_in(factories.make_member(role=role, workspace=workspace))
    assert member.get(NEW).status_code == 403
    assert upload(member).status_code == 403
    assert stored() == []


def test_without_signing_in_nothing_is_read(workspace: Workspace) -> None:
    answer = upload(Client())
    assert answer.status_code == 302
    assert "/accounts/login/" in answer["Location"]
    assert stored() == []


def test_the_token_is_asked_for(
    workspace: Workspace, olga: Membership, sign_in: Callable[[Membership], Client]
) -> None:
    client = Client(enforce_csrf_checks=True)
    assert olga.user is not None
    client.force_login(olga.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert upload(client).status_code == 403
    assert stored() == []


def test_a_sketch_is_its_authors_alone(
    client: Client, workspace: Workspace, sign_in: Callable[[Membership], Client]
) -> None:
    upload(client)
    other = sign_in(factories.make_member(role="owner", workspace=workspace))
    for name in ("columns", "questions", "finish"):
        assert other.get(step(name)).status_code == 404
        assert other.post(step(name)).status_code == 404
    assert other.post(step("discard")).status_code == 404
    assert "mails" not in other.get(NEW).content.decode()


def test_an_admin_creates_where_they_manage(
    client: Client, sign_in: Callable[[Membership], Client]
) -> None:
    mine, foreign = factories.make_workspace("mine"), factories.make_workspace("foreign")
    admin = sign_in(factories.make_member(role="admin", workspace=mine))
    admin.post(NEW, {"source": "empty"})
    page = admin.get(step("finish")).content.decode()
    assert "mine" in page
    assert "foreign" not in page
    sent = {"name": "a", "workspace": foreign.id, "min_submitted": "1"}
    assert admin.post(step("finish"), sent).status_code == 422
    assert Dataset.objects.count() == 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "reviews"}, "already"),
        ({"min_submitted": "0"}, "whole number"),
        ({"min_submitted": "²"}, "whole number"),
        ({"min_submitted": "1" + "0" * 5_000}, "whole number"),
        ({"min_submitted": "0000000019"}, "whole number"),
        ({"workspace": "nonsense"}, "Choose a workspace"),
        ({"name": "a\0b"}, "NUL"),
    ],
)
def test_the_last_step_says_what_is_wrong(
    client: Client, dataset: Dataset, workspace: Workspace, sent: dict[str, str], reason: str
) -> None:
    upload(client)
    usual = {"name": "mails", "workspace": str(workspace.id), "min_submitted": "1"}
    answer = client.post(step("finish"), {**usual, **sent})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert Dataset.objects.count() == 1


# --- Rows that were left out ------------------------------------------------------------------
def test_rows_left_out_are_a_file_without_formulas(client: Client, workspace: Workspace) -> None:
    upload(client, FILE + b"=cmd|' /C calc'!A0,only two\n@x,a,lost,many\n")
    client.post(step("finish"), {"name": "m", "workspace": workspace.id, "min_submitted": "1"})
    job = run(Job.objects.get())
    assert job.failed == 2
    page = client.get(f"/datasets/{job.dataset_id}/jobs/{job.id}/").content.decode()
    assert "rejects.csv" in page
    answer = client.get(f"/datasets/{job.dataset_id}/jobs/{job.id}/rejects.csv")
    assert "attachment" in answer["Content-Disposition"]
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    lines = text.split("\r\n")
    assert lines[0] == "row,reason,original"
    assert lines[1].startswith("42,")
    assert "\"'=cmd" in lines[1]
    assert "'@x" in lines[2]


def test_the_pages_ask_the_database_little(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    upload(client)
    for path in (NEW, step("columns"), step("questions"), step("finish")):
        with django_assert_max_num_queries(16):
            assert client.get(path).status_code == 200


def test_a_file_of_large_rows_is_not_held(client: Client) -> None:
    """The survey of a file does not read it to its end."""
    large = io.BytesIO(
        b"text,label\n" + b"".join(b"%d words,x%d\n" % (n, n % 3) for n in range(60_000))
    )
    upload(client, large.getvalue())
    survey = sketch().content["survey"]
    assert survey["rows"] == 50_000
    assert 55_000 < survey["total"] < 65_000
