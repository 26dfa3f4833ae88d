"""How far a dataset is and how fast it gets on, as cards."""

from datetime import date

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from apps.annotation import progress
from apps.annotation.quotas import FEWEST
from apps.console.standing_cards import Card, Look, count, show_day
from apps.core.columns import Column, column_chart
from apps.core.standing_charts import Course, burn_up_chart
from apps.quality import pace


def burn_up_card(look: Look) -> Card:
    """Completed records over time, and the day on which all are."""
    burn = pace.burn_up(look.dataset)
    days = burn.upto(look.since)
    if not burn.total or not days:
        return Card(_("Progress"), empty=_("Nothing is completed yet."))
    eta = burn.eta
    course = Course(
        [float(n) for _day, n in days],
        float(burn.total),
        *(None if one is None else (one - pace.today()).days for one in _ends(eta)),
    )
    labels = [show_day(day) for day, _n in days]
    goal = _("goal %s") % count(burn.total)
    end = show_day(eta.day) if eta else ""
    return Card(
        _("Progress"),
        strong=end,
        about=_when(burn),
        chart=burn_up_chart(course, labels, title=_told(burn), goal=goal, end=end, show=count),
        columns=[_("Day"), _("Completed")],
        rows=[[day, n] for day, n in reversed(days)],
        foot=_told(burn),
    )


def _ends(eta: pace.Eta | None) -> tuple[date | None, date | None, date | None]:
    return (eta.day, eta.early, eta.late) if eta else (None, None, None)


def _when(burn: pace.BurnUp) -> str:
    if burn.eta is None:
        return "" if burn.completed >= burn.total else _("no forecast")
    if burn.eta.early == burn.eta.late:
        return ""
    if burn.eta.late is None:
        return _("%(early)s at the earliest") % {"early": show_day(burn.eta.early)}
    ends = {"early": show_day(burn.eta.early), "late": show_day(burn.eta.late)}
    return _("%(early)s to %(late)s") % ends


def _told(burn: pace.BurnUp) -> str:
    done = {"n": count(burn.completed), "total": count(burn.total)}
    return _("%(n)s of %(total)s records are completed.") % done + " " + _forecast(burn)


def _forecast(burn: pace.BurnUp) -> str:
    """When all is done, or why that cannot be told."""
    if burn.completed >= burn.total:
        return ""
    if burn.eta is not None:
        rate = number_format(round(burn.a_day, 1), force_grouping=True)
        return _(
            "At %(rate)s a day, the mean of the last two weeks, all are on %(day)s; the dates "
            "beside it are the ends of its 95 %% interval."
        ) % {"rate": rate, "day": show_day(burn.eta.day)}
    if burn.days and not burn.a_day and burn.measured:
        return _("None was completed in the last two weeks.")
    if burn.measured < FEWEST:
        return _("A forecast needs three days of work, today not counted.")
    return _("At the pace of the last two weeks it takes more than ten years.")


def daily_card(look: Look) -> Card:
    """Answers a day."""
    days = pace.daily_answers(look.dataset, look.since)
    if not days:
        return Card(_("Answers a day"), empty=_("No answers in this period."))
    total = sum(done for _day, done, _dropped in days)
    chart = column_chart(
        [Column(show_day(day), done) for day, done, _dropped in days],
        title=_("Submitted answers by day"),
        show=count,
    )
    return Card(
        _("Answers a day"),
        about=_("%s in the period") % count(total),
        chart=chart,
        columns=[_("Day"), _("Submitted"), _("Discarded")],
        rows=[list(row) for row in reversed(days)],
    )


def redundancy_card(look: Look) -> Card:
    """How many records have as many answers as they need."""
    total = progress.dataset_progress(dataset=look.dataset).total
    if not total:
        return Card(_("Answers a record"), empty=_("No records yet."))
    needed = look.dataset.min_submitted
    counts = pace.redundancy(look.dataset, total)
    names = [str(n) if n <= needed else _("%d or more") % n for n, _count in counts]
    return Card(
        _("Answers a record"),
        about=_("%d needed") % needed,
        chart=column_chart(
            [Column(name, n) for name, (_answers, n) in zip(names, counts, strict=True)],
            title=_("Records by the number of their submitted answers"),
            show=count,
        ),
        columns=[_("Answers"), _("Records")],
        rows=[[name, n] for name, (_answers, n) in zip(names, counts, strict=True)],
    )
