"""The optional packages: imported here alone, when a job needs them; and their errors in words."""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings

from apps.core.errors import DomainError, InvalidError

PACKAGES: Final = ("datasets", "huggingface_hub", "PIL")
HOW_TO_INSTALL: Final = "pip install 'stoneware[hub]'"


class UnreachableError(DomainError):
    """The Hub does not answer, or not sensibly."""


def check_installed() -> None:
    """Raise ``InvalidError`` unless the optional packages are there; imports nothing."""
    if not all(find_spec(name) for name in PACKAGES):
        raise InvalidError(
            "This server was installed without what the Hugging Face Hub needs;"
            f" whoever runs it can add it with: {HOW_TO_INSTALL}"
        )


@cache
def datasets() -> Any:
    """The package ``datasets``; it asks nobody but the Hub itself, and counts nothing there."""
    check_installed()
    import datasets

    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # would call a third host
    datasets.config.USE_PARQUET_EXPORT = False  # likewise
    datasets.disable_progress_bars()
    return datasets


@cache
def hub() -> Any:
    """The package ``huggingface_hub``."""
    check_installed()
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return huggingface_hub


def api(token: str | None) -> Any:
    """The Hub's API for this token; without one for anybody, never with the server's own."""
    return hub().HfApi(endpoint=settings.HF_ENDPOINT, token=token or False)


def card_header(text: str) -> str:
    """The YAML at the beginning of a dataset card, as the packages find it."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    found = REGEX_YAML_BLOCK.search(text)
    return str(found.group(2)) if found else ""


def in_words(error: Exception, name: str) -> DomainError:
    """Why the Hub's packages failed on the dataset ``name``, for people.

    ``InvalidError`` where trying again changes nothing, else ``UnreachableError``.
    """
    if isinstance(error, DomainError):
        return error
    status = _status(error)
    if status in {401, 403}:
        return InvalidError(
            f"The Hub refuses access to {name!r}: give a token that may do this ({status})."
        )
    if status == 404 or type(error).__name__ == "DatasetNotFoundError":
        return InvalidError(f"The Hub has no dataset {name!r}, or the token may not see it.")
    if _is_transient(error) if status is None else status >= 500 or status == 429:
        return UnreachableError(f"The Hub at {settings.HF_ENDPOINT} cannot be reached just now.")
    verb = "cannot be read" if status is None else "was refused by the Hub"
    return InvalidError(f"{name!r} {verb}: {_short(error)}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _status(error: Exception) -> int | None:
    """That of the Hub's answer, if one led to the error."""
    for one in _chain(error):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if status is not None:
            return int(status)
    return None


def _is_transient(error: Exception) -> bool:
    """Whether there was no answer at all; HTTP packages have a ``TransportError`` each."""
    return any(
        isinstance(one, ConnectionError | TimeoutError)
        or any(kind.__name__ == "TransportError" for kind in type(one).__mro__)
        for one in _chain(error)
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
