"""The URL table."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("apps.api.urls")),
    path("api", RedirectView.as_view(url="/api/v1/docs")),
    path("docs", RedirectView.as_view(url="/api/v1/docs")),
    path("operator/admin/", admin.site.urls),
    path("operator/", include("apps.operator.urls")),
    path("", include("apps.labeling.urls")),
    path("", include("apps.console.urls")),
    path("accounts/", include("apps.labeling.account_urls")),
]

handler400 = "apps.labeling.views.errors.bad_request"
handler403 = "apps.labeling.views.errors.forbidden"
handler404 = "apps.labeling.views.errors.not_found"
handler500 = "apps.labeling.views.errors.server_error"
