"""Providers of language models."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.core.errors import NotAllowedError
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces.permissions import Action, may_somewhere


@never_cache
@require_GET
@for_members
def providers(request: LabelingRequest) -> HttpResponse:
    """The organization's providers."""
    if not may_somewhere(request.member, Action.USE_PROVIDERS):
        raise NotAllowedError
    return render(request, "console/providers.html", {"here": "providers"})
