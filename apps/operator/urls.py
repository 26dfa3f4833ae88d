"""The operator's pages."""

from django.contrib import admin
from django.urls import path

from apps.operator.views import entry

app_name = "operator"

urlpatterns = [
    path("", entry.home, name="home"),
    path("sign-in/", entry.sign_in, name="sign_in"),
    path("leave/", entry.leave, name="leave"),
    path("admin/", admin.site.urls),
]
