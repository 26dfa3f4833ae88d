"""Go anywhere by name: a dialog for scripts, a page without them."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.labeling.palette import find_places


@never_cache
@require_GET
@for_members
def palette(request: LabelingRequest) -> HttpResponse:
    """Pages, datasets and what can be done in them, by a part of their name."""
    search = request.GET.get("q", "").replace("\0", "").strip()[:200]
    places = find_places(request.member, search)
    template = "labeling/_palette.html" if is_fragment(request) else "labeling/palette.html"
    return render(request, template, {"places": places, "search": search})
