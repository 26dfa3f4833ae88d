"""Typed reads of environment variables, so that a typo fails at start and not at midnight."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg.pq import Conninfo


def text(name: str, default: str = "") -> str:
    """The variable's text, or ``default`` when it is unset or empty."""
    return os.environ.get(name) or default


def flag(name: str, *, default: bool = False) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off."""
    value = text(name, "1" if default else "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def number(name: str, default: int) -> int:
    """A whole number."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error


def origin(name: str) -> str:
    """Scheme and host of a site, like ``https://stoneware.example``, or empty."""
    value = text(name).rstrip("/")
    parts = urlsplit(value)
    if value and (
        parts.scheme not in {"http", "https"} or value != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ImproperlyConfigured(f"{name} must be like https://stoneware.example, not {value!r}.")
    return value


def one_of(name: str, default: str, values: tuple[str, ...]) -> str:
    """One of a few words."""
    value = text(name, default).lower()
    if value not in values:
        raise ImproperlyConfigured(f"{name} must be {', '.join(values)}, not {value!r}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list, blanks dropped."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def places(name: str) -> list[tuple[str, int]]:
    """A comma-separated list of ``host:port``, as pairs; IPv6 in brackets."""
    found = []
    for word in words(name):
        try:
            place = urlsplit(f"//{word}")
            host, port = place.hostname, place.port
        except ValueError:
            host, port = None, None
        if not host or not port or place.netloc != word:
            raise ImproperlyConfigured(f"{name} must list host:port, not {word!r}.")
        found.append((host, port))
    return found


def oauth_provider(name: str) -> dict[str, object]:
    """A provider of log-ins as allauth takes it, from ``OAUTH_<NAME>_…``."""
    prefix = f"OAUTH_{name.upper().replace('-', '_')}"
    known = {"huggingface": "https://huggingface.co"}
    given = {
        part: text(f"{prefix}_{part}", known.get(name, "") if part == "SERVER_URL" else "")
        for part in ("CLIENT_ID", "CLIENT_SECRET", "SERVER_URL")
    }
    missing = [f"{prefix}_{part}" for part, value in given.items() if not value]
    if missing:
        raise ImproperlyConfigured(f"The provider {name} needs {' and '.join(missing)}.")
    return {
        "provider_id": name,
        "name": name,
        "client_id": given["CLIENT_ID"],
        "secret": given["CLIENT_SECRET"],
        "settings": {"server_url": given["SERVER_URL"]},
    }


def social_providers() -> dict[str, dict[str, object]]:
    """The providers named by ``OAUTH_PROVIDERS`` as allauth takes them.

    Google, GitHub and Microsoft need no address; others speak OpenID Connect at theirs. The
    e-mails of Microsoft count as verified only of one's own tenant, ``OAUTH_MICROSOFT_TENANT``.
    """
    openid: list[object] = []
    found: dict[str, dict[str, object]] = {
        "openid_connect": {"APPS": openid, "OAUTH_PKCE_ENABLED": True}
    }
    scopes = {"google": ["profile", "email"], "github": ["read:user", "user:email"]}
    for name in words("OAUTH_PROVIDERS"):
        prefix = f"OAUTH_{name.upper().replace('-', '_')}"
        if name not in {"google", "github", "microsoft"} or text(f"{prefix}_SERVER_URL"):
            openid.append(oauth_provider(name))
            continue
        app: dict[str, object] = {
            "client_id": text(f"{prefix}_CLIENT_ID"),
            "secret": text(f"{prefix}_CLIENT_SECRET"),
        }
        if not all(app.values()):
            needed = f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET"
            raise ImproperlyConfigured(f"The provider {name} needs {needed}.")
        tenant = text(f"{prefix}_TENANT")
        app["settings"] = {"tenant": tenant} if tenant else {}
        found[name] = {
            "APPS": [app],
            "SCOPE": scopes.get(name, ["User.Read"]),
            "OAUTH_PKCE_ENABLED": True,
            "VERIFIED_EMAIL": bool(tenant),
        }
    return found


def huggingface_space() -> dict[str, object]:
    """What a Space of Hugging Face tells the program that runs in it; empty elsewhere."""
    if not text("SPACE_ID"):
        return {}
    names = ("ID", "TITLE", "SUBDOMAIN", "HOST", "REPO_NAME", "AUTHOR_NAME")
    told = {f"space_{name.lower()}": text(f"SPACE_{name}") for name in names}
    given: dict[str, object] = {name: value for name, value in told.items() if value}
    # Spelled so by the platform.
    kept = flag("PERSISTANT_STORAGE_ENABLED")
    return {**given, "space_persistent_storage_enabled": kept}


def database(url: str) -> dict[str, Any]:
    """Django's connection settings for ``postgresql://user:password@host:port/name``.

    A socket directory may stand in the query, ``postgresql://user@/name?host=/run/postgresql``,
    and so may every other option that libpq knows: ``?sslmode=verify-full&connect_timeout=5``.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(f"The database must be PostgreSQL, not {parts.scheme!r}.")
    pairs = (pair.partition("=") for pair in parts.query.split("&") if pair)
    options = {key: unquote(value) for key, _, value in pairs}
    unknown = options.keys() - {known.keyword.decode() for known in Conninfo.get_defaults()}
    if unknown:
        raise ImproperlyConfigured(f"PostgreSQL knows no option {min(unknown)!r} of a connection.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", "") or unquote(parts.path.lstrip("/")),
        "USER": options.pop("user", "") or unquote(parts.username or ""),
        "PASSWORD": options.pop("password", "") or unquote(parts.password or ""),
        "HOST": options.pop("host", "") or parts.hostname or "",
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "OPTIONS": options,
    }


def secret_file(path: Path) -> str:
    """The random secret kept in ``path`` (mode 0600), made on first use.

    The file appears complete or not at all, and of several processes that make it one wins.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # made with mode 0600
            draft.write(secrets.token_urlsafe(64))
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    return path.read_text().strip()
