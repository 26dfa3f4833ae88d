"""Parts of an instance that are started again when they have died."""

import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn, Protocol

from apps.core.embedded.errors import EmbeddedError

LOOK_EVERY = 0.25  # seconds
DEATHS_WITHIN = 60.0  # seconds


class Part(Protocol):
    """What is kept running: an engine, the application, one of its processes."""

    @property
    def name(self) -> str: ...
    @property
    def is_running(self) -> bool: ...
    def start(self) -> None: ...
    def failure(self, message: str) -> EmbeddedError: ...


class Revival:
    """Starts one part again when it has died: soon, then later and later, then no more.

    ``most_deaths`` within ``DEATHS_WITHIN`` seconds are too many.
    """

    def __init__(self, part: Part, *, most_deaths: int) -> None:
        self.part = part
        self.deaths: deque[float] = deque(maxlen=most_deaths)
        self.due: float | None = None

    def look(self) -> None:
        """Start the part again when it is due; raises its failure when it dies too often."""
        if self.part.is_running:
            return
        now = time.monotonic()
        if self.due is None:
            self.deaths.append(now)
            quick = [death for death in self.deaths if now - death < DEATHS_WITHIN]
            if len(quick) == self.deaths.maxlen:
                raise self.part.failure(f"The part {self.part.name!r} dies again and again.")
            self.due = now + 0.25 * 2 ** len(quick)
            say(f"The part {self.part.name!r} has died; starting it again.")
        elif now >= self.due:
            self.due = None
            self.part.start()


def watch(parts: Iterable[Part], *, most_deaths: int) -> NoReturn:
    """Keep started parts running; ends with the failure of one that cannot."""
    revivals = [Revival(part, most_deaths=most_deaths) for part in parts]
    while True:
        for revival in revivals:
            revival.look()
        time.sleep(LOOK_EVERY)


def say(text: str) -> None:
    """Write to the terminal; when it is gone, there is nobody to tell."""
    with suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
