"""A monitor's page: charts with their numbers, and the rules."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.models import Dataset, Question
from apps.monitoring.models import Monitor
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.studio_world import watch

pytestmark = pytest.mark.django_db

RULES = {
    "question": "sentiment",
    "threshold": "0.4",
    "random_percent": "5",
    "daily_limit": "100",
    "keep_days": "30",
    "retrain_every": "50",
}


@pytest.fixture
def watched(workspace: Workspace) -> Dataset:
    return factories.make_dataset(workspace)


def url(dataset: Dataset) -> str:
    return reverse("console:monitoring", args=[dataset.id])


def test_a_monitor_without_predictions_says_how_to_log_them(
    client: Client, watched: Dataset
) -> None:
    answer = client.get(url(watched))
    assert "/predictions" in answer.content.decode()
    assert Monitor.objects.count() == 0


def test_rules_are_set(client: Client, watched: Dataset) -> None:
    assert client.post(url(watched), RULES).status_code == 302
    monitor = Monitor.objects.get()
    assert (monitor.threshold, monitor.random_percent, monitor.retrain_every) == (0.4, 5, 50)
    assert "0 of 50 new answers" in client.get(url(watched)).content.decode()
    client.post(url(watched), {**RULES, "threshold": "", "retrain_every": ""})
    monitor.refresh_from_db()
    assert (monitor.threshold, monitor.retrain_every) == (None, None)


@pytest.mark.parametrize(
    "wrong", [{"threshold": "2"}, {"random_percent": ""}, {"keep_days": "0"}, {"daily_limit": "x"}]
)
def test_rules_that_cannot_be_are_refused(client: Client, watched: Dataset, wrong: Any) -> None:
    answer = client.post(url(watched), {**RULES, **wrong})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert Monitor.objects.count() == 0


def test_charts_stand_with_their_numbers(client: Client, watched: Dataset) -> None:
    watch(Question.objects.select_related("dataset__workspace").get(dataset=watched))
    answer = client.get(url(watched), {"days": "30"})
    figures = {figure.title: figure for figure in answer.context["figures"]}
    assert list(figures) == ["Acceptance", "Precision", "Drift", "Predictions", "Routed to people"]
    assert len(figures["Predictions"].rows) == 20
    assert sum(int(row[1]) for row in figures["Predictions"].rows) == 160
    assert figures["Acceptance"].rows
    assert answer.content.decode().count('<svg class="ch"') == 5
    weeks = client.get(url(watched), {"days": "90"}).context["figures"]
    assert len(weeks[3].rows) <= 4
