"""Datasets to import into, and the jobs of a test run in this process."""

import io
from typing import Any

from apps.core.tenancy import current
from apps.datasets.models import Dataset, Field, MetadataProperty, VectorSettings
from apps.exchange.hub.services import Mapping, Pair, Place, start_export, start_import
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem, JobReject
from tests.factories import QUESTIONS, make_dataset
from tests.hub.server import TOKEN


def rich_dataset(**values: Any) -> Dataset:
    """A published dataset with every kind of field, question, property, and a vector."""
    dataset = make_dataset(questions=QUESTIONS, required=["sentiment"], **values)
    others = {
        "chat": {"type": "chat", "use_markdown": True},
        "picture": {"type": "image"},
        "custom": {"type": "custom", "template": "<p></p>", "advanced_mode": False},
    }
    for name, settings in others.items():
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    properties = {"source": "terms", "words": "integer", "share": "float"}
    for number, (name, type) in enumerate(properties.items(), start=1):
        MetadataProperty.objects.create(
            dataset=dataset, number=number, name=name, title=name, settings={"type": type}
        )
    VectorSettings.objects.create(dataset=dataset, name="meaning", title="M", dimensions=3)
    return dataset


def pairs(*given: str) -> list[Pair]:
    """``source`` or ``source>target`` each."""
    split = (one.partition(">") for one in given)
    return [Pair(source, target or source) for source, _, target in split]


def mapping(
    *fields: str,
    metadata: tuple[str, ...] = (),
    suggestions: tuple[str, ...] = (),
    vectors: tuple[str, ...] = (),
    external_id: str | None = None,
) -> Mapping:
    return Mapping(
        fields=pairs(*fields),
        metadata=pairs(*metadata),
        suggestions=pairs(*suggestions),
        vectors=pairs(*vectors),
        external_id=external_id,
    )


def import_from(
    dataset: Dataset,
    how: Mapping,
    *,
    name: str = "ann/reviews",
    subset: str = "default",
    split: str = "train",
    token: str | None = None,
) -> Job:
    place = Place(name, subset, split)
    return finish(start_import(dataset=dataset, place=place, mapping=how, token=token))


def export_to(
    dataset: Dataset,
    *,
    name: str = "ann/export",
    subset: str = "default",
    split: str = "train",
    private: bool = False,
    token: str = TOKEN,
) -> Job:
    place = Place(name, subset, split)
    return finish(start_export(dataset=dataset, place=place, private=private, token=token))


def finish(job: Job) -> Job:
    """The job after its last slice; what waits to be tried again waits no longer."""
    for _ in range(100):
        JobItem.objects.filter(job=job).update(available_at=None)
        run_slice(organization_id=current(), job_id=job.id)
        job = Job.objects.get(id=job.id)
        if job.has_ended:
            return job
    raise AssertionError(f"{job.state} {job.error_sample}")


def rejects(job: Job) -> dict[int, str]:
    found = JobReject.objects.filter(job=job).in_order()
    return dict(found.values_list("number", "reason"))


def png(size: int = 4, format: str = "PNG") -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (size, size), (200, 30, 30)).save(target, format)
    return target.getvalue()
