"""Drawing a sketch, and making the dataset of it. Used inside the organization."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import InvalidError, NotFoundError
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.datasets.services import publish_dataset
from apps.exchange.blueprint import create_from
from apps.exchange.creation import outline, uploads
from apps.exchange.creation.content import FieldDraft, QuestionDraft, SketchContent
from apps.exchange.creation.survey import Survey, take_survey
from apps.exchange.formats import FileFormat, read_table
from apps.exchange.models import DatasetSketch, SketchSource
from apps.exchange.targets import ColumnMapping
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.records.models import DatasetCounter
from apps.workspaces.models import Workspace

IMPORT: Final = "file_import"
COPY: Final = "dataset_copy"
MOST_BEGUN: Final = 10  # sketches of a person, each of which may have a large file
MOST_PASTED: Final = 5 * 1024 * 1024  # bytes


@transaction.atomic
def start_sketch(
    *,
    author: Membership,
    source: SketchSource,
    content: SketchContent,
    file: Path | None = None,
    file_name: str = "",
    format: FileFormat | None = None,
) -> DatasetSketch:
    """A new sketch; ``file`` is a complete upload, which becomes the sketch's own.

    A person has at most ten begun ones: the one that was left alone longest goes.

    Raises ``InvalidError`` for a file that cannot be read as what it says it is.
    """
    sketch = DatasetSketch(
        author=author, source=source, file_name=file_name[:200], format=format, content={}
    )
    if file is not None and format is not None:
        sketch.size = file.stat().st_size
        content.survey = survey_file(file, format)
        uploads.keep(file, organization_id=current(), sketch_id=sketch.id)
    outline.propose(content)
    sketch.content = content.model_dump(mode="json")
    sketch.save(force_insert=True)
    for forgotten in DatasetSketch.objects.visible_to(author).unfinished()[MOST_BEGUN:]:
        discard_sketch(sketch=forgotten)
    return sketch


def survey_file(file: Path, format: FileFormat) -> Survey:
    """What its beginning shows. Raises ``InvalidError`` with the reason when it is no table."""
    with file.open("rb") as source:
        uploads.check_beginning(source.read(uploads.BEGINNING), format)
        source.seek(0)
        return take_survey(read_table(source, format), size=file.stat().st_size)


@transaction.atomic
def save_sketch(*, sketch: DatasetSketch, content: SketchContent) -> DatasetSketch:
    """Keep what was decided. Raises ``NotFoundError`` when the sketch is gone."""
    locked = _lock(sketch)
    if not locked.is_finished:
        locked.content = content.model_dump(mode="json")
        locked.save(update_fields=["content", "updated_at"])
    return locked


@transaction.atomic
def discard_sketch(*, sketch: DatasetSketch) -> None:
    """Forget it, with what was uploaded for it, unless an import needs that."""
    locked = _lock(sketch)
    if not locked.is_finished:
        DatasetSketch.objects.filter(id=locked.id).delete()
        transaction.on_commit(partial(uploads.remove, current(), locked.id), robust=True)


@transaction.atomic
def create_dataset_of(*, sketch: DatasetSketch, workspace: Workspace) -> DatasetSketch:
    """Publish the dataset and start the job that brings its records; asked twice, once.

    Raises ``InvalidError`` when the sketch makes no dataset, ``ConflictError`` for a used name.
    """
    locked = _lock(sketch)
    if locked.is_finished:
        return locked
    content = content_of(locked)
    if not content.name.strip():
        raise InvalidError(gettext("The dataset needs a name."))
    blueprint = outline.blueprint_of(content)
    draft = create_from(blueprint, workspace=workspace, name=content.name.strip())
    dataset = publish_dataset(dataset=draft)
    locked.dataset, locked.is_finished = dataset, True
    locked.job = _start_job(locked, content, dataset, workspace)
    locked.save()
    return locked


def content_of(sketch: DatasetSketch) -> SketchContent:
    return SketchContent.model_validate(sketch.content)


def content_like(dataset: Dataset, *, with_records: bool) -> SketchContent:
    """A sketch's content with the parts of a dataset that is there."""
    schema = load_schema(dataset)
    return SketchContent(
        copied_id=dataset.id,
        with_records=with_records,
        guidelines=dataset.guidelines or "",
        min_submitted=dataset.min_submitted,
        fields=[
            FieldDraft(
                name=part.name,
                title=part.title,
                type=part.type,
                required=part.required,
                settings=_rest(part.settings),
            )
            for part in schema.fields.values()
        ],
        questions=[_like(rule.question) for rule in schema.questions.values()],
        properties=[
            {
                "name": part.name,
                "title": part.title,
                "settings": part.settings,
                "visible_for_annotators": part.visible_for_annotators,
            }
            for part in schema.properties.values()
        ],
        vectors=[
            {"name": part.name, "title": part.title, "dimensions": part.dimensions}
            for part in schema.vectors.values()
        ],
    )


def _rest(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "type"}


def _like(question: Any) -> QuestionDraft:
    options = question.options
    known = {"type", "options", "field"}
    return QuestionDraft(
        name=question.name,
        title=question.title,
        type=question.type,
        description=question.description or "",
        required=question.required,
        labels=[str(one["value"]) for one in options],
        texts={str(one["value"]): one["text"] for one in options if one.get("text")},
        descriptions={
            str(one["value"]): one["description"] for one in options if one.get("description")
        },
        field=question.settings.get("field", ""),
        more={key: value for key, value in question.settings.items() if key not in known},
    )


def _lock(sketch: DatasetSketch) -> DatasetSketch:
    rows = DatasetSketch.objects.select_for_update(of=("self",))
    locked: DatasetSketch | None = rows.filter(id=sketch.id).first()
    if locked is None:
        raise NotFoundError(gettext("The sketch of a dataset is gone."))
    return locked


def _start_job(
    sketch: DatasetSketch, content: SketchContent, dataset: Dataset, workspace: Workspace
) -> Job | None:
    params: dict[str, Any] = {"dataset_id": str(dataset.id)}
    if sketch.format is not None and content.survey is not None:
        kind = IMPORT
        columns = outline.columns_of(content)
        author = sketch.author
        ColumnMapping(load_schema(dataset), columns, responder=author.username)
        params |= {
            "sketch_id": str(sketch.id),
            "format": sketch.format,
            "size": sketch.size,
            "total": content.survey.total,
            "is_counted": content.survey.is_all,
            "columns": columns,
            "responder": author.username,
        }
    elif content.copied_id is not None and content.with_records:
        kind = COPY
        counter = DatasetCounter.objects.filter(dataset_id=content.copied_id).first()
        total = counter.records if counter else 0
        params |= {"copied_id": str(content.copied_id), "total": total}
    else:
        return None
    return enqueue(
        kind=kind,
        params=params,
        workspace=workspace,
        dataset_id=dataset.id,
        created_by=sketch.author,
    )


def file_of(sketch_id: UUID) -> Path:
    """The sketch's upload. Raises ``NotFoundError`` when it was swept away."""
    path = uploads.path_of(current(), sketch_id)
    if not path.exists():
        raise NotFoundError(gettext("The uploaded file is no longer there."))
    return path
