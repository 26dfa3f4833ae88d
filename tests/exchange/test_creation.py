"""From a file to a dataset: what is guessed, what is made of it, and the job that brings rows."""

import io
import json
import os
import random
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as site_settings
from django.db import IntegrityError, transaction

from apps.annotation.ingest import log_records
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.exchange.creation import importing, outline, uploads
from apps.exchange.creation.content import SketchContent, part_name
from apps.exchange.creation.guesses import guess_all
from apps.exchange.creation.services import (
    content_like,
    content_of,
    create_dataset_of,
    discard_sketch,
    save_sketch,
    start_sketch,
)
from apps.exchange.creation.survey import take_survey
from apps.exchange.formats import FileFormat, read_table
from apps.exchange.models import DatasetSketch, SketchSource
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem, JobReject
from apps.jobs.services import cancel_job, resume_job
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record, Suggestion
from apps.workspaces.models import Workspace
from tests import factories
from tests.real_data import path_to

ROWS = [
    {
        "id": f"r{n}",
        "text": f"The {n}th customer writes a few words about a card.",
        "intent": ("lost card", "stolen card", "balance")[n % 3],
        "source": ("mail", "phone")[n % 2],
        "length": n * 7,
        "certainty": n / 100,
        "rating": n % 5 + 1,
    }
    for n in range(60)
]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    lines = [delimiter.join(rows[0])]
    lines += [delimiter.join(str(value) for value in row.values()) for row in rows]
    return "\n".join(lines).encode()


def survey_of(file: bytes, format: str = "csv") -> Any:
    return take_survey(read_table(io.BytesIO(file), FileFormat(format)), size=len(file))


def guesses_of(file: bytes, format: str = "csv") -> dict[str, str]:
    return {name: guess.to for name, guess in guess_all(survey_of(file, format)).items()}


# --- Guesses ----------------------------------------------------------------------------------
EXPECTED = {
    "id": "id",
    "text": "field.text",
    "intent": "suggestion.label_selection",
    "source": "metadata.terms",
    "length": "metadata.integer",
    "certainty": "metadata.float",
    "rating": "suggestion.rating",
}


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_cells_are_guessed_by_what_they_say(delimiter: str) -> None:
    assert guesses_of(as_csv(ROWS, delimiter)) == EXPECTED


def test_codes_of_digits_are_no_numbers() -> None:
    rows = [
        {
            "text": f"The {n}th customer writes a few words about a card.",
            "label": ("01", "02")[n % 2],
            "zip": f"0123{n % 10}",
            "phone": f"+49{30123 + n}",
            "share": f"-0.{n}",
            "none": "0",
        }
        for n in range(40)
    ]
    survey = survey_of(as_csv(rows))
    assert survey.column("label").values == ["01", "02"]
    kinds = {one.name: one.kind for one in survey.columns}
    assert kinds == {
        **dict.fromkeys(("text", "label", "zip", "phone"), "text"),
        "share": "float",
        "none": "integer",
    }


def test_json_is_guessed_by_its_types() -> None:
    more = {
        "chat": [{"role": "user", "content": "hi"}],
        "v": [0.5] * 12,
        "tags": ["a", "b"],
        "spans": [{"start": 0, "end": 3, "label": "x"}],
        "about": {"a": 1},
        "nothing": None,
        "picture": "https://example.com/a.png",
        "flag": True,
    }
    found = guesses_of(json.dumps([{**row, **more} for row in ROWS]).encode(), "json")
    assert (
        found
        == EXPECTED
        | {
            "chat": "field.chat",
            "v": "vector",
            "tags": "suggestion.multi_label_selection",
            "spans": "suggestion.span",
            "about": "field.custom",
            "picture": "field.image",
            "flag": "metadata.terms",
            "nothing": "ignore",
        }
        or "nothing" not in found
    )


def test_something_is_always_to_be_read() -> None:
    assert guesses_of(b"label\na\nb\na\nb\n") == {"label": "field.text"}


def test_the_reason_has_its_figures() -> None:
    guess = guess_all(survey_of(as_csv(ROWS)))["intent"]
    assert (guess.reason, guess.facts["n"], guess.facts["rows"]) == ("few_values", 3, 60)


def test_real_files_are_understood() -> None:
    intents = survey_of(path_to("clinc150.json").read_bytes(), "json")
    assert {name: guess.to for name, guess in guess_all(intents).items()} == {
        "part": "metadata.terms",
        "column_1": "field.text",
        "column_2": "suggestion.label_selection",
    }
    assert (len(intents.column("column_2").values), intents.total) == (151, 23_700)
    questions = guesses_of(path_to("gsm8k-test.jsonl").read_bytes(), "jsonl")
    assert questions == {"question": "field.text", "answer": "field.text"}
    words = survey_of(path_to("wnut17-dev.conll").read_bytes(), "conll")
    assert guess_all(words)["spans"].to == "suggestion.span"
    assert set(words.column("spans").values) == {
        *("person", "location", "corporation", "product", "creative-work", "group"),
    }


def test_a_survey_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.exchange.creation.survey.MOST_ROWS", 10)
    file = as_csv(ROWS)
    survey = survey_of(file)
    assert (survey.rows, survey.is_all) == (10, False)
    assert 30 <= survey.total <= 90  # of 60, from its bytes


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"a,b\n\xe4,1\n", "UTF-8"),
        (b"a,b\n", "No row"),
        (b"", "empty"),
        ((",".join(f"c{n}" for n in range(300)) + "\n" + "1," * 299 + "1\n").encode(), "columns"),
    ],
)
def test_what_cannot_be_surveyed_says_why(file: bytes, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        survey_of(file)


@pytest.mark.parametrize(
    ("beginning", "format", "reason"),
    [
        (b"\x1f\x8b\x08\x00", "csv", "compressed"),
        (b"PK\x03\x04", "csv", "compressed"),
        (b"\x89PNG\r\n", "csv", "no table"),
        (b"<svg onload=alert(1)>", "csv", "HTML, SVG"),
        (b"\xef\xbb\xbf \n<!doctype html>", "jsonl", "HTML, SVG"),
        (b"a,b\n\0\0", "csv", "NUL"),
        (b"\xff\xfea\0", "csv", "UTF-16"),
        (b"a,b\n", "parquet", "no Parquet"),
        (b"PAR1....", "csv", "Parquet"),
        (b"", "csv", "empty"),
    ],
)
def test_files_that_are_something_else_are_refused(
    beginning: bytes, format: str, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        uploads.check_beginning(beginning, FileFormat(format))


def test_names_are_those_that_the_api_takes() -> None:
    assert part_name("Kunden-Text (neu)", set(), "x") == "kunden-text_neu"
    assert part_name("日本", {"column_3"}, "column_3") == "column_3_2"
    assert len(part_name("a" * 500, {"a" * 200}, "x")) <= 200


# --- Sketch and dataset -----------------------------------------------------------------------
@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def author(workspace: Workspace) -> Membership:
    return factories.make_member(role="owner", username="olga", workspace=workspace)


def sketch_of(author: Membership, file: bytes, format: str = "csv", **more: Any) -> DatasetSketch:
    part = uploads.part_path(uuid4())
    part.write_bytes(file)
    return start_sketch(
        author=author,
        source=SketchSource.UPLOAD,
        content=SketchContent(name=more.pop("name", "mails"), **more),
        file=part,
        file_name=f"mails.{format}",
        format=FileFormat(format),
    )


def run(job: Job | None) -> Job:
    assert job is not None
    while run_slice(organization_id=current(), job_id=job.id):
        pass
    job.refresh_from_db()
    return job


def create(sketch: DatasetSketch, workspace: Workspace) -> tuple[Dataset, Job]:
    made = create_dataset_of(sketch=sketch, workspace=workspace)
    assert made.dataset is not None
    return made.dataset, run(made.job)


def test_a_file_becomes_a_dataset_with_its_records(
    author: Membership, workspace: Workspace
) -> None:
    dataset, job = create(sketch_of(author, as_csv(ROWS)), workspace)
    assert (job.state, job.done, job.failed, job.total) == ("done", 60, 0, 60)
    schema = load_schema(dataset)
    assert {name: part.type for name, part in schema.fields.items()} == {"text": "text"}
    assert {name: rule.type for name, rule in schema.questions.items()} == {
        "intent": "label_selection",
        "rating": "rating",
    }
    record = Record.objects.get(external_id="r7")
    assert record.metadata == {"source": "phone", "length": 49, "certainty": 0.07}
    values = {s.question_id: s.value for s in Suggestion.objects.filter(record=record)}
    assert values[schema.questions["intent"].id] == "stolen card"
    assert values[schema.questions["rating"].id] == 3


@pytest.mark.parametrize("format", ["jsonl", "json", "parquet"])
def test_every_format_arrives(author: Membership, workspace: Workspace, format: str) -> None:
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    if format == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), file, row_group_size=25)
    elif format == "json":
        file.write(json.dumps(ROWS).encode())
    else:
        file.write(b"\n".join(json.dumps(row).encode() for row in ROWS))
    _dataset, job = create(sketch_of(author, file.getvalue(), format), workspace)
    assert (job.state, job.done, job.failed) == ("done", 60, 0)
    assert Record.objects.get(external_id="r7").metadata == {
        "source": "phone",
        "length": 49,
        "certainty": 0.07,
    }


def test_rejected_rows_are_kept_as_they_stood(author: Membership, workspace: Workspace) -> None:
    bad = [b"x1,only two", b"x2,t,balance,mail,many,0.1,3", b'x3,"t\xff",balance,mail,1,0.1,3']
    file = as_csv(ROWS) + b"\n" + b"\n".join(bad)
    _dataset, job = create(sketch_of(author, file), workspace)
    assert (job.state, job.done, job.failed) == ("done", 60, 3)
    rejects = list(JobReject.objects.filter(job=job).in_order())
    assert [row.number for row in rejects] == [62, 63, 64]
    assert rejects[0].original == "x1,only two"
    assert "whole number" in rejects[1].reason or "number" in rejects[1].reason
    assert "\\xff" in rejects[2].original


def test_created_twice_is_created_once(author: Membership, workspace: Workspace) -> None:
    sketch = sketch_of(author, as_csv(ROWS))
    first = create_dataset_of(sketch=sketch, workspace=workspace)
    again = create_dataset_of(sketch=sketch, workspace=workspace)
    assert first.dataset_id == again.dataset_id
    assert Dataset.objects.count() == Job.objects.count() == 1


def test_a_used_name_leaves_nothing(author: Membership, workspace: Workspace) -> None:
    factories.make_dataset(workspace, name="mails")
    sketch = sketch_of(author, as_csv(ROWS))
    with pytest.raises(ConflictError):
        create_dataset_of(sketch=sketch, workspace=workspace)
    assert not DatasetSketch.objects.get().is_finished
    assert Dataset.objects.count() == 1


def test_an_import_stops_and_goes_on(author: Membership, workspace: Workspace) -> None:
    rows = [{**ROWS[n % 60], "id": f"r{n}"} for n in range(1_800)]
    made = create_dataset_of(sketch=sketch_of(author, as_csv(rows)), workspace=workspace)
    assert made.job is not None
    run_slice(organization_id=current(), job_id=made.job.id, seconds=0)
    cancel_job(job=made.job)
    made.job.refresh_from_db()
    assert made.job.state == "cancelled"
    resume_job(job=made.job)
    job = run(made.job)
    assert (job.state, job.done) == ("done", 1_800)
    assert Record.objects.count() == 1_800


@pytest.mark.parametrize("format", ["csv", "json"])
def test_another_worker_goes_on_where_the_first_was_killed(
    author: Membership, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    """Nothing of the first one is left but what the database holds."""
    rows = [{**ROWS[n % 60], "id": f"r{n}"} for n in range(1_300)]
    file = as_csv(rows) if format == "csv" else json.dumps(rows).encode()
    made = create_dataset_of(sketch=sketch_of(author, file, format), workspace=workspace)
    keep = importing._Readings.keep
    monkeypatch.setattr(importing._Readings, "keep", lambda self, job_id, reading: reading.close())
    job = run(made.job)
    monkeypatch.setattr(importing._Readings, "keep", keep)
    assert (job.state, job.done, job.failed) == ("done", 1_300, 0)
    assert Record.objects.count() == 1_300
    assert JobItem.objects.count() == 3


def test_without_its_file_an_import_says_so(author: Membership, workspace: Workspace) -> None:
    made = create_dataset_of(sketch=sketch_of(author, as_csv(ROWS)), workspace=workspace)
    uploads.remove(current(), made.id)
    job = run(made.job)
    assert job.state == "failed"
    assert "upload it again" in str(job.error_sample)


def test_a_dataset_is_copied_with_its_records_but_no_answers(
    author: Membership, workspace: Workspace
) -> None:
    model = factories.make_dataset(
        workspace, name="model", questions=list(factories.QUESTIONS), guidelines="Read."
    )
    records = factories.make_records(model, 7, metadata={"a": "b"})
    content = content_like(model, with_records=True)
    content.name = "copy"
    sketch = start_sketch(author=author, source=SketchSource.DATASET, content=content)
    dataset, job = create(sketch, workspace)
    assert (job.state, job.done) == ("done", 7)
    theirs, ours = load_schema(model), load_schema(dataset)
    assert [rule.question.settings for rule in ours.questions.values()] == [
        rule.question.settings for rule in theirs.questions.values()
    ]
    assert dataset.guidelines == "Read."
    copies = Record.objects.filter(dataset=dataset).in_order()
    assert [copy.fields for copy in copies] == [record.fields for record in records]


def test_a_copy_with_other_questions_loses_suggestions_and_no_record(
    author: Membership, workspace: Workspace
) -> None:
    model = factories.make_dataset(workspace, name="model", questions=["sentiment", "quality"])
    questions = {one.name: one for one in Question.objects.filter(dataset=model)}
    given = [("sentiment", "mixed"), ("sentiment", "positive"), ("quality", 3)]
    log_records(
        dataset=model,
        items=[
            RecordInput(
                fields={"text": f"{name} {value}"},
                metadata={"large": 1e30},
                suggestions=[SuggestionInput(questions[name].id, value)],
            )
            for name, value in given
        ],
    )
    content = content_like(model, with_records=True)
    content.name = "copy"
    content.questions = [one for one in content.questions if one.name == "sentiment"]
    content.questions[0].labels.remove("mixed")
    sketch = start_sketch(author=author, source=SketchSource.DATASET, content=content)
    dataset, job = create(sketch, workspace)
    assert (job.state, job.done, job.failed) == ("done", 3, 0)
    copies = Record.objects.filter(dataset=dataset)
    assert [float(copy.metadata["large"]) for copy in copies] == [1e30] * 3
    kept = Suggestion.objects.filter(record__dataset=dataset)
    assert [one.value for one in kept] == ["positive"]


def test_a_sketch_without_what_a_dataset_needs_is_refused(
    author: Membership, workspace: Workspace
) -> None:
    sketch = sketch_of(author, as_csv(ROWS))
    content = content_of(sketch)
    content.columns = [one.model_copy(update={"to": "ignore"}) for one in content.columns]
    save_sketch(sketch=sketch, content=content)
    with pytest.raises(InvalidError, match="nothing to read"):
        create_dataset_of(sketch=sketch, workspace=workspace)
    for one in content.columns:
        one.to = "field.text"
        one.name = "same"
    outline.follow_columns(content)
    with pytest.raises(InvalidError, match="Two columns"):
        outline.blueprint_of(content)


def test_discarding_removes_the_file(
    author: Membership, django_capture_on_commit_callbacks: Any
) -> None:
    sketch = sketch_of(author, as_csv(ROWS))
    path = uploads.path_of(current(), sketch.id)
    assert path.exists()
    with django_capture_on_commit_callbacks(execute=True):
        discard_sketch(sketch=sketch)
    assert not path.exists()
    assert not DatasetSketch.objects.exists()


def test_of_many_begun_ones_the_oldest_goes(
    author: Membership, django_capture_on_commit_callbacks: Any
) -> None:
    first = sketch_of(author, as_csv(ROWS))
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(10):
            sketch_of(author, as_csv(ROWS))
    assert DatasetSketch.objects.count() == 10
    assert not DatasetSketch.objects.filter(id=first.id).exists()
    assert not uploads.path_of(current(), first.id).exists()


def test_a_finished_import_needs_its_file_no_more(
    author: Membership, workspace: Workspace, django_capture_on_commit_callbacks: Any
) -> None:
    sketch = sketch_of(author, as_csv(ROWS))
    with django_capture_on_commit_callbacks(execute=True):
        create(sketch, workspace)
    assert not uploads.path_of(current(), sketch.id).exists()


def test_old_uploads_are_swept(author: Membership) -> None:
    old, fresh = sketch_of(author, as_csv(ROWS)), sketch_of(author, as_csv(ROWS))
    os.utime(uploads.path_of(current(), old.id), (0, 0))
    assert uploads.sweep() == 1
    assert not uploads.path_of(current(), old.id).exists()
    assert uploads.path_of(current(), fresh.id).exists()
    assert site_settings.DATA_DIR in uploads.path_of(current(), fresh.id).parents


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"source": "thin air"}, "dataset_sketch_source_known"),
        ({"format": "xlsx"}, "dataset_sketch_format_known"),
    ],
)
def test_the_database_knows_sources_and_formats(
    author: Membership, change: dict[str, str], constraint: str
) -> None:
    sketch = sketch_of(author, as_csv(ROWS))
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        DatasetSketch.objects.filter(id=sketch.id).update(**change)


def test_memory_does_not_grow_with_the_file(author: Membership, tmp_path: Path) -> None:
    """What is at hand at once is one chunk, whichever row it is."""
    sample = random.Random(3)
    file = tmp_path / "large.csv"
    with file.open("w") as out:
        out.write("text,label\n")
        for n in range(20_000):
            out.write(f"{n} {sample.random()} some words to read,{n % 7}\n")
    with file.open("rb") as source:
        reading = importing._Reading(source, importing.Position(), FileFormat.CSV)
        sizes = []
        while True:
            batch = reading.batch()
            sizes.append(len(batch.rows))
            if batch.position is None:
                break
    assert max(sizes) == importing.CHUNK
    assert sum(sizes) == 20_000
