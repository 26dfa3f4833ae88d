"""What the demo shows of ``quality``: vectors of its texts, and a model that learns."""

from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.exchange.demo.datasets import DemoDataset
from apps.quality.embeddings import embed
from apps.quality.services import configure_suggester, start_suggestions
from apps.records.bulk import upsert_records
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.text import searchable_text

VECTOR = "text-embedding"  # not "text": the client wants names of fields and vectors apart
DIMENSIONS = 256


def embed_records(dataset: Dataset) -> None:
    """Give each record its text's vector, (256,) float32, from the offline model."""
    shape = load_schema(dataset).fields
    records = list(Record.objects.filter(dataset=dataset).values_list("id", "fields"))
    vectors = embed([searchable_text(fields, shape) for _, fields in records])
    items = [
        RecordInput(id=id, sets_metadata=False, vectors={VECTOR: vector.tolist()})
        for (id, _), vector in zip(records, vectors, strict=True)
    ]
    upsert_records(dataset=dataset, items=items)


def start_learning(dataset: Dataset, demo: DemoDataset) -> None:
    """Suggest answers to the dataset's learnt questions now, and keep at it while people label."""
    for question in Question.objects.filter(dataset=dataset, name__in=demo.learns):
        configure_suggester(question=question, enabled=True)
        start_suggestions(question=question)
