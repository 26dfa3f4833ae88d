"""One operation of the API, as its description tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Who(StrEnum):
    """Who may call an operation, in the words of the description."""

    ANYONE = "Anyone, without a key"
    USERS = "Every user"
    OWNERS = "Owners"
    ADMINS = "Admins of the workspace, and owners"
    ANY_ADMINS = "Admins, and owners"
    REVIEWERS = "Reviewers and admins of the workspace, and owners"
    MEMBERS = "Members of the workspace, and owners"
    AUTHORS = "Its author, admins of the workspace, and owners"


@dataclass(frozen=True, slots=True)
class Operation:
    """``answers`` are those of success: the type of the body by status, None for none.

    ``media`` is the answers' type.
    """

    summary: str
    who: Who
    answers: Mapping[int, Any]
    media: str = "application/json"


def row(summary: str, who: Who, answer: Any, *statuses: int, **more: Any) -> Operation:
    return Operation(summary, who, dict.fromkeys(statuses or (200,), answer), **more)
