"""Live predictions: logged by an application, routed to people, watched over time."""

from typing import Any, Literal
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.v1.gold_sets import find_question
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Moment, Schema
from apps.datasets.models import Dataset
from apps.monitoring.models import Monitor, Prediction, Routed
from apps.monitoring.predictions import MOST, PredictionInput, log_predictions
from apps.monitoring.series import MAX_DAYS, series
from apps.monitoring.services import configure_monitor, monitor_of
from apps.workspaces.permissions import Action


class PredictionBody(Schema):
    """``predicted_at`` left out is now; without an offset it is UTC."""

    external_id: str = Field(min_length=1, max_length=400)
    fields: dict[str, Any]
    value: Any
    score: float | None = Field(default=None, ge=0, le=1)
    model: str = Field(default="", max_length=200)
    predicted_at: Moment | None = None


class PredictionsBody(Schema):
    question: str = Field(max_length=200)
    items: list[PredictionBody] = Field(min_length=1, max_length=MOST)


class PredictionsQuery(Schema):
    """``question`` is needed, but a dataset that is not there is said to be so first."""

    question: str | None = None
    routed: Routed | None = None
    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=50, ge=1, le=1_000)


class MonitorBody(Schema):
    """``threshold``: scores below go to people; ``random_percent``: so do these, by chance."""

    question: str = Field(max_length=200)
    threshold: float | None = Field(default=None, ge=0, le=1)
    random_percent: float = Field(default=0, ge=0, le=100)
    against_head: bool = False
    daily_limit: int = Field(default=500, ge=0, le=1_000_000)
    keep_days: int = Field(default=90, ge=1, le=3_650)
    retrain_every: int | None = Field(default=None, ge=1, le=1_000_000)


class SeriesQuery(Schema):
    """``question`` is needed, as above."""

    question: str | None = None
    days: int = Field(default=30, ge=1, le=MAX_DAYS)
    by: Literal["day", "week"] = "day"


class DatasetPredictions(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Log up to 500 predictions; those known by their ``external_id`` change nothing."""
        body = self.read_body(PredictionsBody)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        logged = log_predictions(
            monitor=_monitor(dataset, body.question),
            items=[_prediction(item) for item in body.items],
        )
        return ApiResponse(
            {
                "created": logged.created,
                "known": logged.known,
                "routed": dict(logged.routed),
                "is_full": logged.is_full,
            }
        )

    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The predictions that are kept, the newest first."""
        query = self.read_query(PredictionsQuery)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        question = find_question(dataset, query.question)
        rows = Prediction.objects.filter(monitor=question.id).newest_first()
        if query.routed is not None:
            rows = rows.filter(routed=query.routed)
        page = rows[query.offset : query.offset + query.limit]
        return ApiResponse({"items": [prediction_json(row) for row in page], "total": rows.count()})


class DatasetMonitoring(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The rules of a question's monitor, and how its model did, by day or week."""
        query = self.read_query(SeriesQuery)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        question = find_question(dataset, query.question)
        monitors = Monitor.objects.select_related("dataset", "question")
        found = monitors.filter(question=question).first()
        monitor = found or Monitor(question=question, dataset=dataset)
        watched = series(monitor, days=query.days, by=query.by)
        return ApiResponse({"monitor": monitor_json(monitor), "series": watched})

    def put(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Set the rules; what is left out is set to its default."""
        body = self.read_body(MonitorBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        question = find_question(dataset, body.question)
        rules = body.model_dump(exclude={"question"})
        return ApiResponse(monitor_json(configure_monitor(question=question, **rules)))


def _monitor(dataset: Dataset, name: str) -> Monitor:
    return monitor_of(question=find_question(dataset, name))


def _prediction(body: PredictionBody) -> PredictionInput:
    return PredictionInput(
        external_id=body.external_id,
        fields=body.fields,
        value=body.value,
        score=body.score,
        model=body.model,
        predicted_at=body.predicted_at,
    )


def prediction_json(one: Prediction) -> dict[str, Any]:
    return {
        "id": one.id,
        "external_id": one.external_id,
        "fields": one.fields,
        "value": one.value,
        "score": one.score,
        "model": one.model,
        "routed": one.routed,
        "record_id": one.record_id,
        "predicted_at": one.predicted_at,
        "inserted_at": one.inserted_at,
    }


def monitor_json(monitor: Monitor) -> dict[str, Any]:
    return {
        "question": monitor.question.name,
        "threshold": monitor.threshold,
        "random_percent": monitor.random_percent,
        "against_head": monitor.against_head,
        "daily_limit": monitor.daily_limit,
        "keep_days": monitor.keep_days,
        "retrain_every": monitor.retrain_every,
        "noticed_at": monitor.noticed_at,
    }


urlpatterns = [
    path("datasets/<dataset_id>/predictions", DatasetPredictions.as_view()),
    path("datasets/<dataset_id>/monitoring", DatasetMonitoring.as_view()),
]
