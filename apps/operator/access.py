"""The operator's door: staff who have just proved who they are; for everybody else a 404.

The proof (the password with a code of the second factor, or a passkey that asked for a finger, a
face or a PIN) is good for ``OPERATOR_SESSION_MINUTES`` in
this session and for this account, whatever the session's own age.
"""

import json
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth as webauthn
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from fido2.webauthn import UserVerificationRequirement

from apps.core.errors import NotFoundError
from apps.users.models import User

PROVED: Final = "operator_proved"  # in the session: [account, when]
P = ParamSpec("P")


class OperatorRequest(HttpRequest):
    """A request of staff whose proof is fresh."""

    user: User


View = Callable[Concatenate[OperatorRequest, P], HttpResponse]


def for_staff(view: "View[P]") -> "View[P]":
    """Run the view for staff, proof or not; everybody else learns nothing."""

    @wraps(view)
    def wrapper(request: OperatorRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not is_staff(request):
            raise Http404
        return view(request, *args, **kwargs)

    return wrapper


def for_operators(view: "View[P]") -> "View[P]":
    """Run the view for staff with a fresh proof; without one, ask for it.

    What is not found is a 404; what the state or a rule refuses is for the view to say.
    """

    @never_cache
    @for_staff
    @wraps(view)
    def wrapper(request: OperatorRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not has_proof(request):
            wanted = request.get_full_path() if request.method == "GET" else ""
            query = f"?{urlencode({'next': wanted})}" if wanted else ""
            return redirect(f"{reverse('operator:sign_in')}{query}")
        try:
            return view(request, *args, **kwargs)
        except NotFoundError as error:
            raise Http404(error.message) from error

    return wrapper


def is_staff(request: HttpRequest) -> bool:
    user = request.user
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def has_proof(request: HttpRequest) -> bool:
    """Whether this account proved itself in this session, lately."""
    account, when = request.session.get(PROVED) or ("", 0)
    age = time.time() - when
    return (
        bool(account == str(request.user.pk)) and 0 <= age < settings.OPERATOR_SESSION_MINUTES * 60
    )


def keep_proof(request: HttpRequest) -> None:
    """From now on; under a new session key, so that an old one is worth nothing."""
    request.session.cycle_key()
    request.session[PROVED] = [str(request.user.pk), time.time()]


def drop_proof(request: HttpRequest) -> None:
    request.session.pop(PROVED, None)


_TYPED: Final = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)


def factors_of(user: User) -> set[str]:
    """What the account has beside its password: ``totp``, ``recovery_codes``, ``webauthn``."""
    rows = Authenticator.objects.filter(user_id=user.pk)
    return set(rows.values_list("type", flat=True))


def takes_codes(factors: set[str]) -> bool:
    """Whether one of the factors has a code that can be typed."""
    return not factors.isdisjoint(_TYPED)


def is_right_code(user: User, code: str) -> bool:
    """Whether the code is that of the authenticator or an unused recovery code."""
    text = code.replace(" ", "")[:40]
    rows = Authenticator.objects.filter(user_id=user.pk, type__in=_TYPED)
    return bool(text) and any(row.wrap().validate_code(text) for row in rows)


def passkey_options(user: User) -> dict[str, Any]:
    """What the browser is asked for; the session keeps the challenge until it is answered."""
    options, state = webauthn.get_server().authenticate_begin(
        webauthn.get_credentials(user), UserVerificationRequirement.REQUIRED
    )
    webauthn.set_state(state)
    return dict(options)


def is_right_passkey(user: User, answer: str) -> bool:
    """Whether the browser's answer, as JSON, is that of a passkey of the account."""
    try:
        given = json.loads(answer)
        webauthn.parse_authentication_response(given)
        webauthn.complete_authentication(user, given)
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return True
