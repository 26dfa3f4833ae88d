"""The URL table."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("apps.api.urls")),
    path("", include("apps.labeling.urls")),
    path("accounts/", include("apps.labeling.account_urls")),
]

handler400 = "apps.labeling.views.errors.bad_request"
handler403 = "apps.labeling.views.errors.forbidden"
handler404 = "apps.labeling.views.errors.not_found"
handler500 = "apps.labeling.views.errors.server_error"
