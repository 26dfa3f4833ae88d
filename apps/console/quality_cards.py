"""What a dataset's answers are worth, as cards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console.measures import STEPS
from apps.console.standing_cards import Card, Cell, Heat, Look
from apps.console.templatetags.studio import percent, share
from apps.core.standing_charts import Dot, Twin, dot_chart, twin_chart
from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.labeling.questions import hues
from apps.organizations.models import Membership
from apps.quality import standing
from apps.quality.answer_table import ClassTable, is_class
from apps.quality.measures.between import MEASURES
from apps.quality.measures.intervals import Estimate
from apps.quality.spread import Share, spread
from apps.search.between import Outcome, Pair

ENOUGH: Final = 0.667  # K. Krippendorff: below it not even tentative conclusions
SHOWN: Final = 6  # values of a spread that have bars of their own
LABELS: Final = 20  # of a confusion; of more, those that are confused most
MARKS: Final[Mapping[str, str]] = {
    "alpha": "α",
    "ordinal_alpha": "α",
    "masi_alpha": "α",
    "overlap_f1": "F1",
    "exact_f1": "F1",
    "kendall_w": "W",
    "tau_b": "τ",
}
MEASURED: Final[Mapping[str, Any]] = {
    "alpha": gettext_lazy("Krippendorff’s α"),
    "ordinal_alpha": gettext_lazy("Krippendorff’s α, ordinal"),
    "masi_alpha": gettext_lazy("Krippendorff’s α, MASI"),
    "overlap_f1": gettext_lazy("Overlap F1"),
    "exact_f1": gettext_lazy("Exact F1"),
    "kendall_w": gettext_lazy("Kendall’s W"),
    "tau_b": gettext_lazy("Kendall’s τ"),
}


def agreement_card(look: Look) -> Card:
    """Each question's agreement with its interval."""
    dots: list[Dot] = []
    rows: list[list[Any]] = []
    for rule in look.schema.questions.values():
        found, title = standing.agreement(rule, since=look.since), rule.question.title
        if not MEASURES[rule.type]:
            rows.append([title, _("none for texts"), None, None, None, None])
        for name, estimate in found.measures.items():
            value, low, high = _ends(estimate)
            rows.append([title, str(MEASURED[name]), value, low, high, found.n])
            if name == found.name:
                text = share(value) if estimate else _("not estimable")
                dots.append(Dot(title, MARKS[name], value, low, high, text))
    columns = [
        _("Question"),
        _("Measure"),
        _("Value"),
        _("Lower end"),
        _("Upper end"),
        _("Records"),
    ]
    told = ", ".join(f"{dot.label} {dot.text}" for dot in dots)
    return Card(
        _("Agreement"),
        about=_("95 %% intervals · line at %s") % share(ENOUGH),
        chart=dot_chart(dots, title=_("Agreement: %s") % told, line=ENOUGH) if dots else None,
        columns=columns,
        rows=rows,
        foot=_("On records with two answers or more. Free texts have no measure of agreement."),
        empty="" if dots else _("No question whose answers can be compared."),
    )


def _ends(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)


def spread_card(look: Look) -> Card:
    """People's answers beside the model's suggestions."""
    rule = look.rule
    title = _("%s, people and model") % (rule.question.title if rule else "")
    found = spread(rule, since=look.since) if rule else None
    if rule is None or found is None or not found.people + found.model:
        return Card(title, empty=_("Nothing to count: no answers, or free texts."))
    texts = {value: text for value, (text, _hue) in hues(rule.question).items()}

    def shares(one: Share) -> tuple[float, float | None]:
        model = one.model / found.model if found.model else None
        return one.people / max(found.people, 1), model

    ranked = sorted(found.shares, key=lambda one: -(one.people + one.model))
    twins = [_twin(texts.get(str(one.value), str(one.value)), *shares(one)) for one in ranked]
    if len(ranked) > SHOWN + 1:
        rest = [shares(one) for one in ranked[SHOWN:]]
        people, model = (sum(pair[at] or 0 for pair in rest) for at in (0, 1))
        name = _("%d others") % len(rest)
        twins = [*twins[:SHOWN], _twin(name, people, model if found.model else None)]
    return Card(
        title,
        chart=twin_chart(twins, title=_("Shares of %s, people and model") % rule.question.title),
        model=_("suggestions") if found.model else "",
        columns=[_("Value"), _("People"), _("Model"), _("People, share"), _("Model, share")],
        rows=[
            [texts.get(str(one.value), str(one.value)), one.people, one.model, *shares(one)]
            for one in ranked
        ],
    )


def _twin(name: str, people: float, model: float | None) -> Twin:
    return Twin(name, people, model, percent(people), percent(model))


def pairs_card(look: Look) -> Card:
    """Who agrees with whom; each cell leads to the records on which the two differ."""
    title, rule = _("Who agrees with whom"), look.rule
    table = standing.load(rule, since=look.since) if rule and MEASURES[rule.type] else None
    found = standing.pairings(table) if table else []
    if rule is None or table is None or not found:
        return Card(title, empty=_("Nobody answered the same records yet."))
    ids = list(dict.fromkeys(id for one in found for id in (one.one, one.other)))
    ids.sort(key=lambda who: table.people.index(who) if who else len(table.people))
    names = _names_of(ids, table.agent or _("model"))
    cells: dict[Any, Cell] = {}
    for one in found:
        url = look.explore((f"differ.{rule.name}", Pair(one.one, one.other, look.since).text))
        told = {"one": names[one.one], "other": names[one.other], "n": one.n, "d": one.differ}
        title_of = _("%(one)s and %(other)s: %(d)d of %(n)d records differ, show them") % told
        cell = Cell(share(one.value), _shade(one.value), url if one.differ else "", title_of)
        cells[one.one, one.other] = cells[one.other, one.one] = cell
    rows = [(names[a], [cells.get((a, b), Cell("–")) for b in ids]) for a in ids]
    measure = _("κ") if isinstance(table, ClassTable) else _("mean score")
    return Card(
        title,
        about=f"{rule.question.title}, {measure}",
        heat=Heat(
            _("Pairwise agreement on %s") % rule.question.title, [names[one] for one in ids], rows
        ),
        columns=[_("One"), _("Other"), _("Agreement"), _("Records"), _("Differ")],
        rows=[[names[p.one], names[p.other], p.value, p.n, p.differ] for p in found],
        foot=_("Each cell opens the records the two answered differently."),
    )


def _names_of(ids: Iterable[UUID | None], model: str) -> dict[UUID | None, str]:
    """One query."""
    members = Membership.objects.in_bulk([one for one in ids if one])
    names: dict[UUID | None, str] = {one: member.display_name for one, member in members.items()}
    return {**dict.fromkeys(ids, "–"), **names, None: model}


def _shade(value: float | None) -> int:
    """From .5 on in steps: what matters happens there."""
    return 0 if value is None else min(max(int((value - 0.5) / 0.1), 0), STEPS - 1)


def confusion_card(look: Look) -> Card:
    """What answers come to against what was suggested."""
    title, rule = _("People against the model"), look.rule
    table = standing.load(rule, since=look.since) if rule and is_class(rule) else None
    found = standing.confusion(table) if table else None
    if rule is None or found is None:
        return Card(title, empty=_("No suggestions to answered records, or no labels to compare."))
    texts = {value: text for value, (text, _hue) in hues(rule.question).items()}
    names = [texts.get(str(value), str(value)) for value in found.values]
    shown = _worth_showing(found.counts)
    rows = [(names[n], [_confused(look, rule, found, names, n, m) for m in shown]) for n in shown]
    share_right = percent(found.right / found.n)
    told = _("%(share)s of %(n)s alike") % {"share": share_right, "n": number_format(found.n)}
    return Card(
        title,
        about=told,
        heat=Heat(
            _("Rows: people, columns: %s") % (found.agent or _("model")),
            [names[n] for n in shown],
            rows,
        ),
        columns=[_("People"), _("Model"), _("Records")],
        rows=[
            [names[n], names[m], count]
            for n, row in enumerate(found.counts)
            for m, count in enumerate(row)
            if count
        ],
        foot=_(
            "Rows are what a reviewer decided, or else what most people say; columns what was "
            "suggested. Each cell opens its records."
        ),
    )


def _worth_showing(counts: Sequence[Sequence[int]]) -> list[int]:
    places = range(len(counts))
    wrong = {n: sum(counts[n]) + sum(row[n] for row in counts) - 2 * counts[n][n] for n in places}
    return sorted(sorted(places, key=lambda n: -wrong[n])[:LABELS])


def _confused(
    look: Look, rule: QuestionRule, found: standing.Confusion, names: Sequence[str], n: int, m: int
) -> Cell:
    count = found.counts[n][m]
    if not count:
        return Cell("·")
    url = look.explore(
        (f"outcome.{rule.name}", Outcome(str(found.values[n]), look.since).text),
        (f"suggested.{rule.name}", str(found.values[m])),
    )
    told = {"right": names[n], "said": names[m], "n": count}
    step = min(int(count / (sum(found.counts[n]) or 1) * STEPS), STEPS - 1)
    title = _("%(right)s, suggested %(said)s: %(n)d records, show them") % told
    return Cell(number_format(count), step, url, title)


def wins_card(look: Look) -> Card:
    """How often one is preferred to another."""
    title, rule = _("Win rates"), look.rule
    is_ranking = rule is not None and rule.type == QuestionType.RANKING
    found = standing.win_rates(standing.load(rule, since=look.since)) if rule and is_ranking else []
    if rule is None or not found:
        return Card(title, empty=_("Only rankings say what is preferred."))
    texts = {value: text for value, (text, _hue) in hues(rule.question).items()}

    def named(one: standing.WinRate) -> list[str]:
        return [texts.get(value, value) for value in (one.one, one.other)]

    dots = [
        Dot(
            " > ".join(named(one)),
            "",
            one.rate,
            one.decided.low if one.decided and not one.ties else None,
            one.decided.high if one.decided and not one.ties else None,
            percent(one.rate),
        )
        for one in found
    ]
    return Card(
        title,
        about=_("a tie is half a win"),
        chart=dot_chart(dots, title=_("Win rates"), line=0.5),
        columns=[_("One"), _("Other"), _("Wins"), _("Ties"), _("Losses"), _("Win rate")],
        rows=[[*named(one), one.wins, one.ties, one.losses, one.rate] for one in found],
    )
