"""The pages of a new dataset."""

from django.urls import path

from apps.console.views import creation, rejects

SKETCH = "datasets/new/<uuid:dataset_sketch_id>/"
urlpatterns = [
    path("datasets/new/", creation.create_dataset, name="create_dataset"),
    path(f"{SKETCH}columns/", creation.columns, name="sketch_columns"),
    path(f"{SKETCH}questions/", creation.questions, name="sketch_questions"),
    path(f"{SKETCH}finish/", creation.finish, name="sketch_finish"),
    path(f"{SKETCH}discard/", creation.discard, name="sketch_discard"),
    path(
        "datasets/<uuid:dataset_id>/jobs/<uuid:job_id>/rejects.csv",
        rejects.rejects,
        name="job_rejects",
    ),
]
