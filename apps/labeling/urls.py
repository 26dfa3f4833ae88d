"""The labelling pages."""

from django.urls import path

from apps.labeling.views import accounts, annotate, home, palette, preferences

app_name = "labeling"

RECORD = "datasets/<uuid:dataset_id>/records/<uuid:record_id>/"
urlpatterns = [
    path("", home.home, name="home"),
    path("datasets/", home.datasets, name="datasets"),
    path("datasets/<uuid:dataset_id>/annotate/", annotate.annotate, name="annotate"),
    path("datasets/<uuid:dataset_id>/annotate/previous/", annotate.previous, name="previous"),
    path(f"{RECORD}response/", annotate.save, name="save"),
    path(f"{RECORD}response/delete/", annotate.return_to_pending, name="unanswer"),
    path(f"{RECORD}skip/", annotate.skip, name="skip"),
    path(f"{RECORD}lease/", annotate.renew, name="renew"),
    path(f"{RECORD}lease/release/", annotate.release, name="release"),
    path("me/", preferences.preferences, name="preferences"),
    path("me/keyboard/", preferences.keyboard, name="keyboard"),
    path("search", palette.palette, name="palette"),
    path("organizations/", accounts.organizations, name="organizations"),
    path("accounts/login/member/", accounts.member_login, name="member_login"),
]
