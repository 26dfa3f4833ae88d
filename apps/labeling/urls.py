"""The labelling pages."""

from django.urls import path

from apps.labeling.views import (
    accounts,
    annotate,
    comments,
    explore,
    feedback,
    fields,
    home,
    palette,
    preferences,
    review,
    saving,
    welcome,
)

app_name = "labeling"

EXPLORE = "datasets/<uuid:dataset_id>/explore/"
RECORD = "datasets/<uuid:dataset_id>/records/<uuid:record_id>/"
urlpatterns = [
    path("", home.home, name="home"),
    path("datasets/", home.datasets, name="datasets"),
    path("datasets/<uuid:dataset_id>/annotate/", annotate.annotate, name="annotate"),
    path("datasets/<uuid:dataset_id>/annotate/previous/", annotate.previous, name="previous"),
    path("datasets/<uuid:dataset_id>/annotate/next/", annotate.ahead, name="ahead"),
    path("datasets/<uuid:dataset_id>/annotate/filter/", annotate.choose, name="annotate_filter"),
    path("datasets/<uuid:dataset_id>/undo/", saving.undo, name="undo"),
    path("datasets/<uuid:dataset_id>/redo/", saving.redo, name="redo"),
    path(EXPLORE, explore.explore, name="explore"),
    path(f"{EXPLORE}answer/", explore.answer, name="explore_answer"),
    path(f"{EXPLORE}views/", explore.keep_view, name="keep_view"),
    path(f"{EXPLORE}views/<uuid:saved_view_id>/delete/", explore.forget_view, name="forget_view"),
    path(f"{EXPLORE}jobs/<uuid:job_id>/", explore.job, name="explore_job"),
    path(f"{EXPLORE}jobs/<uuid:job_id>/cancel/", explore.cancel, name="explore_cancel"),
    path(f"{EXPLORE}jobs/<uuid:job_id>/undo/", explore.undo, name="explore_undo"),
    path(f"{RECORD}response/", saving.save, name="save"),
    path(f"{RECORD}response/delete/", saving.return_to_pending, name="unanswer"),
    path(f"{RECORD}skip/", saving.skip, name="skip"),
    path(f"{RECORD}lease/", annotate.renew, name="renew"),
    path(f"{RECORD}lease/release/", annotate.release, name="release"),
    path("me/", preferences.preferences, name="preferences"),
    path("me/keyboard/", preferences.keyboard, name="keyboard"),
    path("search", palette.palette, name="palette"),
    path("datasets/<uuid:dataset_id>/review/", review.review, name="review"),
    path("datasets/<uuid:dataset_id>/review/settings/", review.configure, name="review_settings"),
    path("datasets/<uuid:dataset_id>/review/refresh/", review.refresh, name="review_refresh"),
    path("datasets/<uuid:dataset_id>/gaps/", comments.gaps, name="gaps"),
    path("gaps/<uuid:guideline_gap_id>/resolve/", comments.resolve_gap, name="resolve_gap"),
    path(f"{RECORD}fields/<str:name>/", fields.custom_field, name="custom_field"),
    path(f"{RECORD}review/", review.judge, name="judge"),
    path(f"{RECORD}comments/", comments.comments, name="comments"),
    path(f"{RECORD}flag/", comments.flag, name="flag"),
    path(f"{RECORD}gap/", comments.report_gap, name="report_gap"),
    path("feedback/", feedback.feedback, name="feedback"),
    path("welcome/", welcome.welcome, name="welcome"),
    path("organizations/", accounts.organizations, name="organizations"),
    path("accounts/login/member/", accounts.member_login, name="member_login"),
]
