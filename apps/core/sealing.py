"""Secrets that are stored: encrypted and authenticated with a key that only the settings hold.

AES-256-GCM under a key derived from ``SECRET_KEY``. A sealed text is ``key id (4 bytes) | nonce
(12) | ciphertext and tag``; the key id finds the key again among ``SECRET_KEY`` and
``SECRET_KEY_FALLBACKS``, so keys can be rotated. The context, e.g. the id of the row that holds
the secret, is authenticated too: a sealed text is worth nothing in another row.
"""

import hmac
import secrets
from functools import cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_KEY_ID: Final = 4
_NONCE: Final = 12
_PURPOSE: Final = b"stoneware sealed secrets"


class BrokenSealError(Exception):
    """Changed, moved to another context, or sealed with a key that is gone."""


def seal(text: str, *, context: str) -> bytes:
    """The text, encrypted for this context."""
    key = _derive(settings.SECRET_KEY)
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), context.encode())
    return _id_of(key) + nonce + sealed


def unseal(sealed: bytes, *, context: str) -> str:
    """The text again. Raises ``BrokenSealError``."""
    id, nonce = sealed[:_KEY_ID], sealed[_KEY_ID : _KEY_ID + _NONCE]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        key = _derive(secret)
        if _id_of(key) == id:
            try:
                text = AESGCM(key).decrypt(nonce, sealed[_KEY_ID + _NONCE :], context.encode())
            except (InvalidTag, ValueError) as error:
                raise BrokenSealError("The secret was changed or moved.") from error
            return text.decode()
    raise BrokenSealError("The key that sealed the secret is gone.")


@cache
def _derive(secret: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret.encode())


def _id_of(key: bytes) -> bytes:
    return sha256(key).digest()[:_KEY_ID]


def sign(text: str, *, purpose: str) -> str:
    """``key id:HMAC-SHA256``, both in hex: who wrote the text held the key of the settings."""
    return _sign(settings.SECRET_KEY, text, purpose)


def is_signed(text: str, signature: str, *, purpose: str) -> bool:
    """Whether the signature is of this text, under the present key or one of the fallbacks."""
    return any(
        hmac.compare_digest(_sign(str(secret), text, purpose), signature)
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def _sign(secret: str, text: str, purpose: str) -> str:
    key = _derive_signing(secret)
    digest = hmac.digest(key, f"{purpose}\0{text}".encode(), "sha256").hex()
    return f"{_id_of(key).hex()}:{digest}"


@cache
def _derive_signing(secret: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"stoneware signatures").derive(secret.encode())
