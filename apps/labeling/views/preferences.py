"""The person's own page: language, looks and keys."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.labeling.http import LabelingRequest, for_members
from apps.labeling.preferences import KeyMap, PreferencesForm, known, read_keys
from apps.users.services import save_preferences, save_shortcuts


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def preferences(request: LabelingRequest) -> HttpResponse:
    """Language, theme, density and when single keys count."""
    user = request.user
    if request.method == "GET":
        initial = {name: getattr(user, name) for name in PreferencesForm.base_fields}
        return _show(request, PreferencesForm(initial=initial), KeyMap(known(user.shortcuts)))
    form = PreferencesForm(request.POST)
    if not form.is_valid():
        return _show(request, form, KeyMap(known(user.shortcuts)), code=422)
    save_preferences(user=user, **form.cleaned_data)
    return redirect(f"{reverse('labeling:preferences')}?saved=looks")


@require_POST
@for_members
def keyboard(request: LabelingRequest) -> HttpResponse:
    """The person's own keys, all or none of them; ``do=reset`` brings the defaults back."""
    user = request.user
    if request.POST.get("do") == "reset":
        save_shortcuts(user=user, shortcuts={})
        return redirect(f"{reverse('labeling:preferences')}?saved=keys#keyboard")
    keys = read_keys(request.POST, user.shortcuts)
    if keys.errors:
        initial = {name: getattr(user, name) for name in PreferencesForm.base_fields}
        return _show(request, PreferencesForm(initial=initial), keys, code=422)
    save_shortcuts(user=user, shortcuts=keys.own)
    return redirect(f"{reverse('labeling:preferences')}?saved=keys#keyboard")


def _show(
    request: LabelingRequest, form: PreferencesForm, keys: KeyMap, code: int = 200
) -> HttpResponse:
    saved = request.GET.get("saved", "") if code == 200 else ""
    context = {"form": form, "keys": keys, "saved": saved, "spoken": translation.get_language()}
    return render(request, "labeling/preferences.html", context, status=code)
