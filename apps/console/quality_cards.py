"""What a dataset's answers are worth, as cards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console.measures import STEPS
from apps.console.standing_cards import Card, Cell, Heat, Look, count
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
from apps.quality.spread import Share, Spread, spread
from apps.search.between import Outcome, Pair

ENOUGH: Final = 0.667  # K. Krippendorff: below it not even tentative conclusions
MOST_SHOWN: Final = 11  # people of a heat map; the model comes beside them
SHOWN: Final = 6  # values of a spread that have bars of their own
LABELS: Final = 12  # of a confusion; of more, those that are confused most
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
        _("Measured by"),
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

    ranked = sorted(found.shares, key=lambda one: -sum(part or 0 for part in shares(one)))
    twins = [_twin(texts.get(str(one.value), str(one.value)), *shares(one)) for one in ranked]
    if len(ranked) > SHOWN + 1:
        rest = [shares(one) for one in ranked[SHOWN:]]
        people, model = (sum(pair[at] or 0 for pair in rest) for at in (0, 1))
        name = _("%d others") % len(rest)
        others = _twin(name, people, model if found.model else None)
        twins = [*twins[:SHOWN], replace(others, is_rest=True)]
    return Card(
        title,
        chart=twin_chart(twins, title=_("Shares of %s, people and model") % rule.question.title),
        model=_("suggestions") if found.model else "",
        columns=[_("Value"), _("People"), _("Model"), _("People, share"), _("Model, share")],
        rows=[
            [texts.get(str(one.value), str(one.value)), one.people, one.model, *shares(one)]
            for one in ranked
        ],
        foot=_counted(found),
    )


def _counted(found: Spread) -> str:
    told = _("Shares of %s submitted answers") % count(found.people)
    if not found.model:
        return f"{told}."
    model = _("of %s suggestions, to all records, answered or not") % count(found.model)
    return f"{told}; {model}."


def _twin(name: str, people: float, model: float | None) -> Twin:
    return Twin(name, people, model, percent(people), percent(model))


def pairs_card(look: Look) -> Card:
    """Who agrees with whom; each cell leads to the records on which the two differ."""
    title, rule = _("Who agrees with whom"), look.rule
    table = standing.load(rule, since=look.since) if rule and MEASURES[rule.type] else None
    found = standing.pairings(table) if table else []
    if rule is None or table is None or not found:
        return Card(title, empty=_("No record has two answers to compare yet."))
    met = {id for one in found for id in (one.one, one.other)}
    people: list[UUID | None] = [id for id in table.people if id in met]
    names = _names_of(met, table.agent or _("model"))
    shown = [*people[:MOST_SHOWN], *([None] if None in met else [])]
    measure = _("κ") if isinstance(table, ClassTable) else _("mean score")
    foot = _(
        "The stronger the colour, the closer: in steps of 0.2. Each cell opens the records the "
        "two answered differently."
    )
    if len(people) > MOST_SHOWN:
        told = _("Of %(all)d people the %(n)d with the most answers; the table has more.")
        foot = f"{told % {'all': len(table.people), 'n': MOST_SHOWN}} {foot}"
    return Card(
        title,
        about=f"{rule.question.title}, {measure}",
        heat=Heat(
            _("Pairwise agreement on %s") % rule.question.title,
            [names[one] for one in shown],
            _pair_rows(look, rule, found, shown, names),
            measure,
        ),
        columns=[_("One"), _("Other"), _("Agreement"), _("Records"), _("Differ")],
        rows=[[names[p.one], names[p.other], p.value, p.n, p.differ] for p in found],
        foot=foot,
    )


def _pair_rows(
    look: Look,
    rule: QuestionRule,
    found: Iterable[standing.Pairing],
    shown: Sequence[UUID | None],
    names: Mapping[UUID | None, str],
) -> list[tuple[str, list[Cell]]]:
    cells: dict[Any, Cell] = {}
    for one in found:
        url = look.explore((f"differ.{rule.name}", Pair(one.one, one.other, look.since).text))
        told = {
            "one": names[one.one],
            "other": names[one.other],
            "n": count(one.n),
            "d": count(one.differ),
        }
        title = _("%(one)s and %(other)s: %(d)s of %(n)s records differ") % told
        shown_as = share(one.value).replace("-", "−")
        cell = Cell(shown_as, _shade(one.value), url if one.differ else "", title)
        cells[one.one, one.other] = cells[one.other, one.one] = cell
    return [(names[a], [cells.get((a, b), Cell("–")) for b in shown]) for a in shown]


def _names_of(ids: Iterable[UUID | None], model: str) -> dict[UUID | None, str]:
    """One query."""
    members = Membership.objects.in_bulk([one for one in ids if one])
    names: dict[UUID | None, str] = {one: member.display_name for one, member in members.items()}
    return {**dict.fromkeys(ids, "–"), **names, None: model}


def _shade(value: float | None) -> int:
    """J. Landis and G. Koch's five strengths of agreement: up to .2, .4, .6, .8 and 1."""
    return 0 if value is None else min(max(int(value / 0.2), 0), STEPS - 1)


def confusion_card(look: Look) -> Card:
    """What answers come to against what was suggested."""
    title, rule = _("People against the model"), look.rule
    table = standing.load(rule, since=look.since) if rule and is_class(rule) else None
    found = standing.confusion(table) if table else None
    if rule is None or found is None:
        return Card(title, empty=_("The model has suggested nothing for records with answers yet."))
    texts = {value: text for value, (text, _hue) in hues(rule.question).items()}
    names = [texts.get(str(value), str(value)) for value in found.values]
    shown = _worth_showing(found.counts)
    rows = [(names[n], [_confused(look, rule, found, names, n, m) for m in shown]) for n in shown]
    share_right = percent(found.right / found.n)
    told = _("%(share)s of %(n)s alike") % {"share": share_right, "n": count(found.n)}
    return Card(
        title,
        about=told,
        heat=Heat(
            _("Rows: people, columns: %s") % (found.agent or _("model")),
            [names[n] for n in shown],
            rows,
            _("people ↓ model →"),
        ),
        columns=[_("People"), _("Model"), _("Records")],
        rows=_confusions(found, names),
        foot=_confusion_foot(len(names), len(shown)),
    )


def _confusions(found: standing.Confusion, names: Sequence[str]) -> list[list[Any]]:
    """What is confused, the most frequent first; then what is alike."""
    cells = [(n, m, times) for n, row in enumerate(found.counts) for m, times in enumerate(row)]
    cells.sort(key=lambda cell: (cell[0] == cell[1], -cell[2]))
    return [[names[n], names[m], times] for n, m, times in cells if times]


def _confusion_foot(labels: int, shown: int) -> str:
    told = _(
        "Rows are what a reviewer decided, or else what most people say; columns what was "
        "suggested. The stronger the colour, the larger the share of the row; each cell opens "
        "its records."
    )
    if shown == labels:
        return told
    of = _("Of %(all)d labels the %(n)d confused most; the table has all.")
    return f"{of % {'all': labels, 'n': shown}} {told}"


def _worth_showing(counts: Sequence[Sequence[int]]) -> list[int]:
    places = range(len(counts))
    wrong = {n: sum(counts[n]) + sum(row[n] for row in counts) - 2 * counts[n][n] for n in places}
    return sorted(sorted(places, key=lambda n: -wrong[n])[:LABELS])


def _confused(
    look: Look, rule: QuestionRule, found: standing.Confusion, names: Sequence[str], n: int, m: int
) -> Cell:
    times = found.counts[n][m]
    if not times:
        return Cell("·")
    url = look.explore(
        (f"outcome.{rule.name}", Outcome(str(found.values[n]), look.since).text),
        (f"suggested.{rule.name}", str(found.values[m])),
    )
    told = {"right": names[n], "said": names[m], "n": count(times)}
    step = min(int(times / (sum(found.counts[n]) or 1) * STEPS), STEPS - 1)
    title = _("%(right)s, suggested %(said)s: %(n)s records") % told
    return Cell(count(times), step, url, title)


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
