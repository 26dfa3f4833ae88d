"""The organization's own settings."""

from django.urls import path

from apps.console.views import general

urlpatterns = [
    path("settings/general/", general.general, name="general"),
    path("settings/general/domain/", general.domain, name="domain"),
    path("settings/security/", general.security, name="security"),
]
