"""What can be chosen from in a filter."""

from collections import defaultdict
from typing import Final
from uuid import UUID

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset

# From each name straight to the next one: a step in the index for each, however many suggestions.
_AGENTS: Final = """
WITH RECURSIVE found AS (
    (SELECT s.question_id, s.agent FROM suggestion s
    WHERE s.organization_id = %(o)s AND s.dataset_id = %(d)s AND s.agent IS NOT NULL
    ORDER BY s.question_id, s.agent LIMIT 1)
    UNION ALL
    SELECT next.question_id, next.agent FROM found, LATERAL (
        SELECT s.question_id, s.agent FROM suggestion s
        WHERE s.organization_id = %(o)s AND s.dataset_id = %(d)s AND s.agent IS NOT NULL
            AND (s.question_id, s.agent) > (found.question_id, found.agent)
        ORDER BY s.question_id, s.agent LIMIT 1
    ) next
)
SELECT question_id, agent FROM found
"""


def suggestion_agents(dataset: Dataset) -> dict[UUID, list[str]]:
    """The agents that made suggestions, by question, in alphabetical order. One query."""
    agents: dict[UUID, list[str]] = defaultdict(list)
    facts = {"o": current(), "d": dataset.id}
    for question_id, agent in raw_cursor().execute(_AGENTS, facts).fetchall():
        agents[question_id].append(agent)
    return agents
