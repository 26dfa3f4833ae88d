"""Why an embedded instance cannot start or go on; every message is one line for people."""


class EmbeddedError(Exception):
    """The instance cannot run; ``log_tail`` holds the last lines of the log that tells why."""

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


class DirectoryInUseError(EmbeddedError):
    """Another process runs the instance of this data directory."""


class DirectoryNotOursError(EmbeddedError):
    """The data directory, or the directory of its sockets, belongs to another user."""


class VersionError(EmbeddedError):
    """The data directory was made by a version that this one cannot follow."""


class DiskFullError(EmbeddedError):
    """No space is left for the data directory."""


class PortInUseError(EmbeddedError):
    """Another program listens on the address asked for."""


class PartFailedError(EmbeddedError):
    """An engine, the web server, the worker or a step of the start ended with an error."""
