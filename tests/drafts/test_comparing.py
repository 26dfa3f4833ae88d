"""Drafts against the records that are there already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.annotation.ingest import log_records
from apps.core.errors import ConflictError
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.drafts.comparing import compare_drafts
from apps.drafts.content import content_digest
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.likeness import ALIKE, bands_of, runs_of
from apps.drafts.models import Draft
from apps.drafts.writing import write_drafts
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Organization
from apps.quality.near.minhash import resemblance
from apps.records.inputs import RecordInput
from apps.records.models import Record
from tests.factories import make_dataset

RECORDS = [
    "I was charged a fee for using my card abroad, why is that?",
    "Where can I see the exchange rate that was used?",
]
DRAFTS = [
    "I was charged a fee for using my card abroad. Why is that?",
    "How long does a transfer to Norway take?",
]


@pytest.fixture
def dataset(organization: Organization) -> Dataset:
    dataset = make_dataset()
    log_records(dataset=dataset, items=[RecordInput(fields={"text": text}) for text in RECORDS])
    return dataset


@pytest.mark.parametrize("compared", [(), ("text",)])
def test_drafts_that_repeat_a_record_are_marked(
    dataset: Dataset, compared: tuple[str, ...]
) -> None:
    writer = Job.objects.create(kind="recipe", dataset_id=dataset.id, params={})
    repeated, new = write_drafts(
        dataset=dataset,
        origin=Origin(writer.id, "like_this", "a/b@c"),
        drafts=[DraftInput(seq=n, fields={"text": text}) for n, text in enumerate(DRAFTS)],
        compared=compared,
    )
    job = compare_drafts(dataset=dataset)
    with pytest.raises(ConflictError):
        compare_drafts(dataset=dataset)
    run_slice(organization_id=current(), job_id=job.id)
    job.refresh_from_db()
    assert (job.state, job.counters["done"]) == ("done", 2)
    original = Record.objects.get(dataset=dataset, fields__text=RECORDS[0])
    assert Draft.objects.get(id=repeated.id).like == original.id
    assert Draft.objects.get(id=new.id).like is None


WORDS = st.lists(
    st.sampled_from(["card", "fee", "abroad", "train", "bank", "rate", "app"]), min_size=1
)


@given(WORDS, WORDS)
def test_resemblance_is_symmetric_and_bands_find_the_same(one: list[str], two: list[str]) -> None:
    a, b = runs_of(" ".join(one)), runs_of(" ".join(two))
    assert resemblance(a, b) == resemblance(b, a)
    assert 0 <= resemblance(a, b) <= 1
    if resemblance(a, b) == 1:
        assert bands_of(a) == bands_of(b)
    assert not set(bands_of(a)) & set(bands_of(a, "another scope"))


@given(st.text(min_size=60, max_size=300), st.integers(0, 50))
def test_alike_texts_meet_in_a_band(text: str, place: int) -> None:
    changed = text[:place] + "x" + text[place:]
    a, b = runs_of(text), runs_of(changed)
    if len(a) and resemblance(a, b) > (1 + ALIKE) / 2:
        assert set(bands_of(a)) & set(bands_of(b))


@given(st.text())
def test_case_and_spacing_say_nothing_new(text: str) -> None:
    spaced = "  ".join(text.split())
    assert content_digest({"text": text}) == content_digest({"text": f" {spaced} "})
    assert content_digest({"text": text}) != content_digest({"text": text}, "key")
