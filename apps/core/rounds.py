"""Work that goes from one organization to the next."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


def for_each(organization_ids: Iterable[UUID], work: Callable[..., _T]) -> list[_T]:
    """What ``work(organization_id=…)`` returns for each; what fails for one is logged.

    It must not keep the others from theirs.
    """
    done = []
    for organization_id in organization_ids:
        try:
            done.append(work(organization_id=organization_id))
        except Exception:
            name = f"{work.__module__}.{work.__name__}"
            logger.exception("%s failed for organization %s", name, organization_id)
    return done
