"""The section of a spec on what a student learns from: teachers, losses, matchings, stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from kdsearch.errors import KeyPath
from kdsearch.registry import Part
from kdsearch.spec.domains import Choice, Matching
from kdsearch.spec.fields import PartSection, Section, or_nothing
from kdsearch.spec.optim import Optim
from kdsearch.spec.problems import problem
from kdsearch.spec.searchable import Searchable
from kdsearch.spec.varying import Varying
from kdsearch.types import Fraction, NonNegative, NonNegativeInt, PositiveInt

#: Matchings that follow from the layers alone.
Rule = Literal["none", "random", "last", "uniform", "stage_to_stage"]


class Ensemble(PartSection):
    """How the outputs of several teachers become one target."""

    kind: ClassVar[str] = "ensemble"
    name: str = "mean"


class TeacherUse(Section):
    """Which teachers a student learns from, and how they are combined."""

    members: Annotated[list[str], Searchable("subset", "choice")] = Field(
        default_factory=list, description="Names of teachers"
    )
    combine: Annotated[Ensemble, Searchable()] = Field(default_factory=lambda: Ensemble.parse("mean"))
    dropout: Annotated[Fraction, Searchable()] = Field(
        0.0, description="Probability with which a teacher is left out of a batch"
    )


class Ruled(Section):
    """A matching by rule. `random` pairs layers that are drawn by `seed`, in any order."""

    rule: Rule
    count: PositiveInt = Field(1, description="Pairs of the rules `random` and `uniform`")
    seed: NonNegativeInt = Field(0, description="Of `random`")


class Match(Section):
    """Which student layer imitates which layer of one teacher.

    A layer is a module path, or a depth from 0 (the first hintable layer) to 1 (the last). Instead of pairs
    there may be a rule, or `all`: every hintable layer of both, for losses that learn the matching.
    """

    teacher: str
    pairs: list[tuple[str | float, str | float]] | Ruled | Literal["all"]

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        pairs = value.get("pairs") if isinstance(value, Mapping) else None
        if isinstance(pairs, list):
            pairs = [tuple(pair) if isinstance(pair, list) else pair for pair in pairs]
        elif isinstance(pairs, str) and pairs in get_args(Rule):
            pairs = {"rule": pairs}
        else:
            return value
        return {**value, "pairs": pairs}


class Filter(Section):
    """On which images a teacher is listened to; each teacher is judged by itself."""

    correct: Annotated[bool, Searchable("choice")] = Field(
        False, description="Only those it classifies correctly"
    )
    confidence: Annotated[Fraction, Searchable()] = Field(
        0.0, description="Only those to whose class it gives at least this probability"
    )


def _listed(value: Any) -> Any:
    """The matching to one teacher is a list of one."""
    return [value] if isinstance(value, Mapping | Match) else value


class Loss(PartSection):
    """One term of the objective; its key is its label, and by default the name of the loss."""

    kind: ClassVar[str] = "loss"
    name: str = ""
    weight: Annotated[NonNegative, Varying(), Searchable()] = Field(
        1.0, description="Factor of this term; 0 leaves it out"
    )

    @property
    def matched(self) -> list[Match] | Matching | Choice | None:
        """The layers of a loss on features (its key `match`); None for every other loss."""
        match: list[Match] | Matching | Choice | None = getattr(self, "match", None)
        return match

    @property
    def filter(self) -> Filter:
        """On which images the loss acts (its key `only`)."""
        return getattr(self, "only", None) or Filter()

    @classmethod
    def extra_fields(cls, part: Part) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if is_matched(part):
            kind = Annotated[list[Match], BeforeValidator(_listed), Searchable("matching", "choice")]
            help_text = "Which student layer imitates which layer of each teacher"
            fields["match"] = (kind, Field(default=Matching(), description=help_text))
        if "teacher_logits" in part.needs:
            only = Field(default=Filter(), description="On which images it acts")
            fields["only"] = (Annotated[Filter, Searchable("choice")], only)
        return fields


def is_matched(part: Part) -> bool:
    """Whether a loss acts on layers that a spec matches."""
    looks = "student_feature" in part.needs or "student_features" in part.needs
    return looks and part.facts.get("matching") not in ("members", "classifier")


def _named_by_key(value: Any) -> Any:
    """Losses whose key is their name."""
    losses = value.get("losses") if isinstance(value, Mapping) else None
    if not isinstance(losses, Mapping):
        return value
    named = {
        key: {"name": key, **loss} if isinstance(loss, Mapping) else {"name": key} if loss is None else loss
        for key, loss in losses.items()
    }
    return {**value, "losses": named}


class Stage(Section):
    """A phase of training on losses of its own, before the main one.

    Its epochs are part of `optim.epochs`: a recipe with stages takes as long as one without.
    """

    epochs: Annotated[PositiveInt | None, Searchable()] = Field(None, description="How many of the epochs")
    fraction: Annotated[Fraction | None, Searchable()] = Field(None, description="Which share of the epochs")
    losses: dict[str, Loss] = Field(min_length=1, json_schema_extra=or_nothing)
    optim: Annotated[Optim | None, Searchable("choice")] = Field(
        None, description="By default that of the spec; its `epochs` have no meaning here"
    )

    _named = model_validator(mode="before")(_named_by_key)

    @model_validator(mode="after")
    def _lasts(self) -> Stage:
        if (self.epochs is None) == (self.fraction is None):
            raise problem("expected either 'epochs' or 'fraction'")
        return self


class Distill(Section):
    """What the student learns from."""

    teachers: TeacherUse = TeacherUse()
    losses: dict[str, Loss] = Field(
        default_factory=lambda: {"ce": Loss.parse("ce")}, min_length=1, json_schema_extra=or_nothing
    )
    stages: list[Stage] = Field(default_factory=list, description="What comes before `losses`, in order")

    _named = model_validator(mode="before")(_named_by_key)

    def all_losses(self) -> list[tuple[KeyPath, str, Loss]]:
        """Every loss, with the place of its mapping below `distill`, and its label."""
        found: list[tuple[KeyPath, str, Loss]] = []
        for index, stage in enumerate(self.stages):
            found += [(("stages", index, "losses"), label, loss) for label, loss in stage.losses.items()]
        return found + [(("losses",), label, loss) for label, loss in self.losses.items()]
