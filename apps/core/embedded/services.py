"""Both engines of one data directory, started and stopped in order."""

from pathlib import Path
from types import TracebackType

from apps.core.embedded.directory import DataDirectory
from apps.core.embedded.postgres import Postgres
from apps.core.embedded.redis import Redis


class Services:
    """The embedded engines of one data directory.

    ``with Services(data_dir): …`` holds the directory's lock and runs the engines meanwhile. An
    engine for which a server exists already is left out with ``with_postgres=False`` or
    ``with_redis=False``. ``durable=False`` is for tests (see ``FORGETFUL_OPTIONS``).

    Raises an ``EmbeddedError`` when the directory cannot be used or an engine does not start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        with_postgres: bool = True,
        with_redis: bool = True,
        durable: bool = True,
    ) -> None:
        self.directory = DataDirectory(data_dir)
        self.redis = Redis(data_dir) if with_redis else None
        self.postgres = Postgres(data_dir, durable=durable) if with_postgres else None

    @property
    def engines(self) -> list[Redis | Postgres]:
        """The engines in the order of their start; PostgreSQL is the last to stop."""
        return [engine for engine in (self.postgres, self.redis) if engine]

    def start(self) -> None:
        """Lock the directory and start the engines; on an error nothing is left running."""
        self.directory.open()
        try:
            for engine in self.engines:
                engine.start()
        except OSError as error:
            self.stop()
            raise self.directory.explain(error) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the engines, PostgreSQL last, and let go of the directory."""
        try:
            for engine in reversed(self.engines):
                engine.stop()
        finally:
            self.directory.close()

    def __enter__(self) -> "Services":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
