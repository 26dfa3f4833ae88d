"""The record volume against the records themselves."""

from typing import Final

from django.db import transaction

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.events.log import emit

# One statement sees one moment, in which each writer's records and count are both there or not.
_COMPARE: Final = """
SELECT v.records, (SELECT count(*) FROM record r WHERE r.organization_id = %(o)s)
FROM record_volume v WHERE v.organization_id = %(o)s
"""
_CORRECT: Final = """
UPDATE record_volume SET records = greatest(records + %(n)s, 0) WHERE organization_id = %(o)s
"""


@transaction.atomic
def reconcile_volume() -> int:
    """Correct the volume by what it is wrong; returns by how much.

    Nobody waits while records are counted: the difference of one moment is added to whatever the
    volume is by then.
    """
    row = raw_cursor().execute(_COMPARE, {"o": current()}).fetchone()
    counted, held = row or (0, 0)
    if counted == held:
        return 0
    raw_cursor().execute(_CORRECT, {"o": current(), "n": held - counted})
    emit("record_volume.corrected", payload={"changes": {"records": [counted, held]}})
    return int(held - counted)
