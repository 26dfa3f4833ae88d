"""The counters of records against the records themselves, of every organization."""

from dataclasses import dataclass
from typing import Final

from apps.core.rounds import find

# Each statement sees one moment, in which a writer's records and counts are both there or not.
_VOLUMES: Final = """
SELECT o.slug, coalesce(v.records, 0) AS counted, coalesce(h.n, 0) AS held FROM organization o
LEFT JOIN record_volume v ON v.organization_id = o.id
LEFT JOIN (SELECT organization_id, count(*) AS n FROM record GROUP BY 1) h
    ON h.organization_id = o.id
ORDER BY o.slug
"""
_DATASETS: Final = """
SELECT o.slug, d.name, coalesce(c.records, 0) AS counted, coalesce(c.completed, 0) AS counted_done,
    coalesce(h.n, 0) AS held, coalesce(h.completed, 0) AS done
FROM dataset d JOIN organization o ON o.id = d.organization_id
LEFT JOIN dataset_counter c ON c.organization_id = d.organization_id AND c.dataset_id = d.id
LEFT JOIN (SELECT organization_id, dataset_id, count(*) AS n,
        count(*) FILTER (WHERE status = 'completed') AS completed FROM record GROUP BY 1, 2) h
    ON h.organization_id = d.organization_id AND h.dataset_id = d.id
WHERE (coalesce(c.records, 0), coalesce(c.completed, 0))
    <> (coalesce(h.n, 0), coalesce(h.completed, 0))
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How many organizations and records there are, and what is wrong, a sentence each."""

    organizations: int
    records: int
    problems: list[str]


def reckon() -> Reckoning:
    """Count every record: the volume of each organization, and the counters of each dataset."""
    volumes = find(_VOLUMES)
    problems = [
        "{slug}: {held} records are there, and {counted} are counted".format(**row)
        for row in volumes
        if row["counted"] != row["held"]
    ]
    problems += [
        "{slug}, dataset {name}: {held} records ({done} completed) are there, "
        "and {counted} ({counted_done}) are counted".format(**row)
        for row in find(_DATASETS)
    ]
    return Reckoning(len(volumes), sum(row["held"] for row in volumes), problems)
