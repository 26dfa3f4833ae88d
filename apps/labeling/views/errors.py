"""Error pages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: say so, and lose nothing."""
    return render(request, "errors/403_csrf.html", {"reason": reason}, status=403)
