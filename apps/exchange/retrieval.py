"""Retrieval data as programs that train and measure want it.

- Triplets for sentence-transformers: JSON Lines of ``{"anchor", "positive", "negative"}``, a line
  for each negative, or ``{"anchor", "positive"}`` where there is none.
- MTEB and BEIR: an archive of ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl``
  (``_id``, ``text``) and ``qrels/test.tsv`` (query, document, score).

Both read datasets with the fields ``query``, ``positive``, ``negative_1`` …. A document's id is
the one its record's metadata names (``positive_id``, ``negative_ids``), else a digest of its text.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final
from uuid import UUID

from apps.core.documents import encode
from apps.exchange.exporter import Page, export_pages

IN_MEMORY: Final = 8 * 1024 * 1024  # bytes of an archive's part, before it goes to disk
QRELS: Final = "qrels/test.tsv"


def triplet_pages(
    *, organization_id: UUID, dataset_id: UUID, statuses: Sequence[str]
) -> Iterator[Page]:
    """The dataset's triplets, page by page. Runs outside the organization."""
    for records in _pages(organization_id, dataset_id, statuses):
        lines = [encode(triplet) + b"\n" for record in records for triplet in _triplets(record)]
        yield Page(len(records), b"".join(lines))


def write_beir(
    target: IO[bytes], *, organization_id: UUID, dataset_id: UUID, statuses: Sequence[str]
) -> None:
    """The archive, written to ``target``. Runs outside the organization.

    Memory holds the ids of all documents, and one page.
    """
    with _part() as corpus, _part() as queries, _part() as qrels:
        qrels.write(b"query-id\tcorpus-id\tscore\n")
        seen: set[str] = set()
        for records in _pages(organization_id, dataset_id, statuses):
            for record in records:
                _write_record(record, corpus, queries, qrels, seen)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in (
                ("corpus.jsonl", corpus),
                ("queries.jsonl", queries),
                (QRELS, qrels),
            ):
                part.seek(0)
                with archive.open(name, "w") as file:
                    while chunk := part.read(IN_MEMORY):
                        file.write(chunk)


def _part() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(max_size=IN_MEMORY)


@dataclass(frozen=True, slots=True)
class _Passage:
    id: str
    text: str


def _pages(
    organization_id: UUID, dataset_id: UUID, statuses: Sequence[str]
) -> Iterator[list[dict[str, Any]]]:
    pages = export_pages(
        organization_id=organization_id,
        dataset_id=dataset_id,
        statuses=statuses,
        with_vectors=False,
    )
    for page in pages:
        records = [json.loads(line) for line in page.lines.split(b"\n") if line]
        yield [one for one in records if _text(one, "query") and _text(one, "positive")]


def _triplets(record: dict[str, Any]) -> Iterator[dict[str, str]]:
    pair = {"anchor": _text(record, "query"), "positive": _text(record, "positive")}
    negatives = _negatives(record)
    yield from ({**pair, "negative": passage.text} for passage in negatives)
    if not negatives:
        yield pair


def _write_record(
    record: dict[str, Any],
    corpus: IO[bytes],
    queries: IO[bytes],
    qrels: IO[bytes],
    seen: set[str],
) -> None:
    positive = _passage((record["metadata"] or {}).get("positive_id"), _text(record, "positive"))
    for passage in (positive, *_negatives(record)):
        if passage.id not in seen:
            seen.add(passage.id)
            corpus.write(encode({"_id": passage.id, "title": "", "text": passage.text}) + b"\n")
    queries.write(encode({"_id": record["id"], "text": _text(record, "query")}) + b"\n")
    query = record["id"].replace("\t", " ").replace("\n", " ")
    qrels.write(f"{query}\t{positive.id}\t1\n".encode())


def _negatives(record: dict[str, Any]) -> list[_Passage]:
    """The numbered fields that have a text; those that say the same as the positive are none."""
    ids = (record["metadata"] or {}).get("negative_ids")
    known = ids if isinstance(ids, list) else []
    found, number = [], 1
    while f"negative_{number}" in record["fields"]:
        text = _text(record, f"negative_{number}")
        id = known[number - 1] if number <= len(known) else None
        if text and text != _text(record, "positive"):
            found.append(_passage(id, text))
        number += 1
    return found


def _passage(id: Any, text: str) -> _Passage:
    named = isinstance(id, str) and id and not set(id) & set("\t\r\n")
    return _Passage(id if named else sha256(text.encode()).hexdigest()[:32], text)


def _text(record: dict[str, Any], name: str) -> str:
    value = record["fields"].get(name)
    return value if isinstance(value, str) else ""
