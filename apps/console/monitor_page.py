"""A monitor's settings as a form, and its series as charts and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django import forms
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console.templatetags.studio import percent, share
from apps.core.charts import Bar, Point, bar_chart, line_chart
from apps.monitoring.models import Monitor, Routed
from apps.quality.measures.drift import MOVED

SPANS: Final = (7, 30, 90, 365)


class MonitorForm(forms.Form):
    """The rules by which predictions go to people; an empty field is no such rule."""

    threshold = forms.FloatField(
        label=gettext_lazy("Score below"), min_value=0, max_value=1, required=False
    )
    random_percent = forms.FloatField(
        label=gettext_lazy("By chance, in %"), min_value=0, max_value=100
    )
    against_head = forms.BooleanField(
        label=gettext_lazy("Those that the few-shot head contradicts"), required=False
    )
    daily_limit = forms.IntegerField(
        label=gettext_lazy("At most a day"), min_value=0, max_value=1_000_000
    )
    keep_days = forms.IntegerField(
        label=gettext_lazy("Keep predictions, days"), min_value=1, max_value=3_650
    )
    retrain_every = forms.IntegerField(
        label=gettext_lazy("Tell after new answers"),
        min_value=1,
        max_value=1_000_000,
        required=False,
    )


def form_of(monitor: Monitor) -> MonitorForm:
    names = MonitorForm.base_fields
    return MonitorForm(initial={name: getattr(monitor, name) for name in names})


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its numbers: ``columns`` are the heads of ``rows``."""

    title: str
    about: str
    chart: SafeString
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def figures_of(series: Mapping[str, Any]) -> list[Figure]:
    """Acceptance, precision and drift over time, and how much was predicted and routed."""
    points = series["points"]
    return [
        _share(
            points,
            "acceptance",
            _("Acceptance"),
            _("How many of the predictions that people saw they left as they were."),
        ),
        _share(
            points,
            "precision",
            _("Precision"),
            _("The same of those that chance picked: how often the model is right at all."),
        ),
        _drift(points),
        _volume(points),
        _routed(series["total"]["routed"]),
    ]


def _day(point: Mapping[str, Any]) -> str:
    # Translators: a day in a chart, in Django's format characters
    return date_format(date.fromisoformat(point["start"]), _("M j"))


def _share(points: Sequence[Mapping[str, Any]], name: str, title: str, about: str) -> Figure:
    line = [
        Point(_day(point), *(given[key] for key in ("value", "low", "high")))
        if (given := point[name])
        else Point(_day(point), None)
        for point in points
    ]
    told = _("%(title)s over time, with 95 %% intervals") % {"title": title}
    rows = [
        [one.label, percent(one.value), f"{percent(one.low)} – {percent(one.high)}"]
        for one in line
        if one.value is not None
    ]
    chart = line_chart(line, title=told, top=1, show=lambda value: f"{round(100 * value)} %")
    return Figure(title, about, chart, [_("Since"), title, _("Interval")], rows)


def _drift(points: Sequence[Mapping[str, Any]]) -> Figure:
    names = ("label_drift", "score_drift")
    found = [
        max((point[name]["psi"] for name in names if point[name]), default=None) for point in points
    ]
    line = [Point(_day(point), value) for point, value in zip(points, found, strict=True)]
    rows = [
        [_day(point), *(share(point[name]["psi"] if point[name] else None) for name in names)]
        for point, value in zip(points, found, strict=True)
        if value is not None
    ]
    return Figure(
        title=_("Drift"),
        about=_(
            "The stability index against the first week; from .25 on the model sees other things."
        ),
        chart=line_chart(line, title=_("Drift over time, line at .25"), limit=MOVED, show=share),
        columns=[_("Since"), _("Labels"), _("Scores")],
        rows=rows,
    )


def _volume(points: Sequence[Mapping[str, Any]]) -> Figure:
    line = [Point(_day(point), float(point["n"])) for point in points]
    rows = [
        [_day(point), str(point["n"]), str(sum(point["routed"].values())), str(point["answered"])]
        for point in points
        if point["n"]
    ]
    return Figure(
        title=_("Predictions"),
        about=_("What the application logged."),
        chart=line_chart(line, title=_("Predictions over time")),
        columns=[_("Since"), _("Predictions"), _("Routed"), _("Answered")],
        rows=rows,
    )


def _routed(counts: Mapping[str, int]) -> Figure:
    reasons = [reason for reason in Routed if reason != Routed.NO]
    bars = [
        Bar(str(reason.label), counts.get(reason.value, 0), str(counts.get(reason.value, 0)))
        for reason in reasons
    ]
    return Figure(
        title=_("Routed to people"),
        about=_("Why people were asked."),
        chart=bar_chart(bars, title=_("Routed predictions by reason")),
        columns=[_("Reason"), _("Predictions")],
        rows=[[bar.label, bar.text] for bar in bars],
    )
