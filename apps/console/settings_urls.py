"""The settings of a dataset, the edits of its questions, and the trash."""

from django.urls import path

from apps.console.views import dataset_settings, question_edits, trash

SETTINGS = "datasets/<uuid:dataset_id>/settings/"
CHANGE = f"{SETTINGS}changes/<uuid:schema_change_id>/"
urlpatterns = [
    path("datasets/trash/", trash.trash, name="trash"),
    path("datasets/trash/<uuid:dataset_id>/restore/", trash.restore, name="trash_restore"),
    path("datasets/trash/<uuid:dataset_id>/delete/", trash.delete, name="trash_delete"),
    path(SETTINGS, dataset_settings.general, name="settings"),
    path(f"{SETTINGS}questions/preview/", question_edits.preview, name="edit_preview"),
    path(f"{SETTINGS}questions/apply/", question_edits.apply, name="edit_apply"),
    path(f"{CHANGE}undo/", question_edits.undo, name="edit_undo"),
    path(f"{SETTINGS}archive/", dataset_settings.archive, name="settings_archive"),
    path(f"{SETTINGS}trash/", dataset_settings.throw_away, name="settings_trash"),
    path(f"{SETTINGS}<str:tab>/", dataset_settings.settings, name="settings_tab"),
]
