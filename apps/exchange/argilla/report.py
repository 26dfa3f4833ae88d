"""What a copy tells: counts of both sides, differences, and everything that was left out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

SHOWN: Final = 100  # things left out that the answer names; the listener hears of all


@dataclass(slots=True)
class Counts:
    records: int = 0
    responses: int = 0
    suggestions: int = 0
    vectors: int = 0

    def add(self, other: "Counts") -> None:
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    def differences(self, here: "Counts") -> list[str]:
        """Such as ``responses: 12 there, 11 here``."""
        mine, others = asdict(self), asdict(here)
        return [
            f"{name}: {number} there, {others[name]} here"
            for name, number in mine.items()
            if number != others[name]
        ]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not copied; ``where`` is ``workspace/dataset``, or empty."""

    where: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class DatasetReport:
    workspace: str
    dataset: str
    there: Counts
    here: Counts
    differences: list[str]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of what is left out, of new passwords, and of progress (done, total)."""

    on_skipped: Callable[[Skipped], None] = field(default=lambda skipped: None)
    on_progress: Callable[[str, int, int], None] = field(default=lambda where, done, total: None)
    on_password: Callable[[str, str], None] | None = None


@dataclass(slots=True)
class Report:
    """The result of a run."""

    listener: Listener
    created: dict[str, int] = field(default_factory=dict)
    renamed: list[str] = field(default_factory=list)
    datasets: list[DatasetReport] = field(default_factory=list)
    first_skipped: list[Skipped] = field(default_factory=list)
    skipped: int = 0
    without_password: list[str] = field(default_factory=list)
    _heard: set[int] = field(default_factory=set)

    def skip(self, where: str, what: str, reason: str) -> None:
        """Tell, once, that something is left out."""
        one = Skipped(where, what, " ".join(reason.split()))
        if hash(one) in self._heard:
            return
        self._heard.add(hash(one))
        self.skipped += 1
        if len(self.first_skipped) < SHOWN:
            self.first_skipped.append(one)
        self.listener.on_skipped(one)

    def count(self, kind: str) -> None:
        self.created[kind] = self.created.get(kind, 0) + 1

    @property
    def is_complete(self) -> bool:
        """Whether everything is here that was there."""
        return not self.skipped and not any(one.differences for one in self.datasets)

    def as_document(self) -> dict[str, Any]:
        return {
            "created": self.created,
            "renamed": self.renamed,
            "accounts_without_password": self.without_password,
            "datasets": [asdict(one) for one in self.datasets],
            "skipped": self.skipped,
            "first_skipped": [asdict(one) for one in self.first_skipped],
        }
