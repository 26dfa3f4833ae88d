"""What answers were before they were replaced: kept by the very statement that replaces them.

A CTE that returns ``record_id``, ``user_id``, ``is_new`` and the columns of ``OLD`` is followed by
one of ``keep``; new answers, which have no earlier version, cost nothing.
"""

from typing import Final

# In a RETURNING: the row as it was.
OLD: Final = """old.status AS old_status, old.values AS old_values,
    old.request_key AS old_key, old.inserted_at AS old_inserted_at,
    old.updated_at AS old_updated_at"""

# The same key may come again after it was undone: what it replaced now is what counts.
_KEEP: Final = """
INSERT INTO response_version (organization_id, id, dataset_id, record_id, user_id, status, values,
    request_key, inserted_at, updated_at, replaced_by, replaced_at)
SELECT %(o)s, uuidv7(), %(d)s, s.record_id, s.user_id, s.old_status, s.old_values, s.old_key,
    s.old_inserted_at, s.old_updated_at, %(key)s::uuid, %(now)s
FROM {source} s WHERE NOT s.is_new
ON CONFLICT (organization_id, record_id, user_id, replaced_by) DO UPDATE SET
    status = excluded.status, values = excluded.values, request_key = excluded.request_key,
    inserted_at = excluded.inserted_at, updated_at = excluded.updated_at,
    replaced_at = excluded.replaced_at, undone_at = NULL
"""


def keep(source: str) -> str:
    """The INSERT for the answers that the CTE ``source`` replaced.

    Takes the placeholders ``o``, ``d`` (dataset), ``key`` (of the act, or NULL) and ``now``.
    """
    return _KEEP.format(source=source)
