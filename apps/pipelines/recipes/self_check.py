"""Self-evaluation: is what a text claims supported by a context?

The text is cut into claims, each checked against the context: FActScore (Min et al., 2023,
arXiv:2305.14251), RAGAS faithfulness (Es et al., 2023, arXiv:2309.15217). A claim counts as
supported only when the evidence that is quoted for it stands in the context word for word.
"""

from typing import Any, ClassVar

from pydantic import Field

from apps.llms.wire import Request
from apps.pipelines.blocks import data_block
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import Context
from apps.pipelines.recipes.filters import FilterParams, FilterRecipe, Finding, Subject
from apps.pipelines.recipes.materials import check_text_fields
from apps.pipelines.schemas import closed


class Params(FilterParams):
    """``field`` makes the claims, ``context`` is the field that must support them; ``least`` is
    the share of claims that must be supported."""

    field: str
    context: str
    least: float = Field(default=1.0, ge=0, le=1)


class SelfCheck(FilterRecipe):
    """Keeps what its context supports, claim by claim, with evidence that was looked for."""

    name: ClassVar[str] = "self_check"
    title: ClassVar[str] = "Check against a context"
    paper: ClassVar[str] = "arXiv:2305.14251, arXiv:2309.15217"
    Params: ClassVar[type[base.Params]] = Params

    def check(self, context: Context) -> None:
        super().check(context)
        check_text_fields(context.schema, [context.params.field, context.params.context])

    def requests(self, context: Context, material: Subject | None) -> list[Request]:
        params: Params = context.params
        if material is None or not material.texts.get(params.field):
            return []
        claim = closed(
            {
                "claim": {"type": "string"},
                "evidence_quote": {
                    "type": "string",
                    "description": "Copied from the context, word for word; empty without any.",
                },
                "supported": {"type": "boolean"},
            }
        )
        user = "\n\n".join(
            [
                data_block("text", material.texts[params.field]),
                data_block("context", material.texts.get(params.context, "")),
            ]
        )
        system = (
            "Cut the text into its claims, each a fact that can be true or false on its own. Say "
            "of each whether the context supports it, and quote the passage that does, exactly as "
            "it stands there. What you know otherwise does not count."
        )
        schema = closed({"claims": {"type": "array", "items": claim, "maxItems": 100}})
        return [context.ask(user, system=system, schema=schema)]

    def parse(
        self, context: Context, material: Subject | None, answers: list[Any]
    ) -> Finding | None:
        params: Params = context.params
        if material is None:
            return None
        if not answers:
            return Finding(keep=False, reason="There is no text.")
        claims: list[dict[str, Any]] = answers[0]["claims"]
        evidence = material.texts.get(params.context, "")
        failed = [claim["claim"] for claim in claims if not is_supported(claim, evidence)]
        score = 1 - len(failed) / len(claims) if claims else 1.0
        reason = "Not supported: " + " | ".join(failed) if failed else ""
        return Finding(score >= params.least, reason, score, {"self_check_claims": len(claims)})


def is_supported(claim: dict[str, Any], evidence: str) -> bool:
    """Said to be supported, and the quote is there to prove it."""
    quote = claim["evidence_quote"].strip()
    return bool(claim["supported"] and quote and quote in evidence)
