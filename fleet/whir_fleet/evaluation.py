"""The evaluation that a bundle carries: how good the model was on recordings that it had never seen (`whir evaluate`).

It is signed with the bundle, but nothing in the fleet hangs on it: one that cannot be read is none.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from whir_contracts.novelty import NOVELTY_EDGES

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class Scores(BaseModel):
    """Over `count` windows or verdicts. `confusion`: a row for each true class, a column for each that was said."""

    count: Count
    accuracy: Share
    balanced_accuracy: Share
    macro_f1: Share
    recall: dict[Name, Share]
    confusion: list[list[Count]]


class Judged(BaseModel):
    """A form of the model, float or int8; `ci95` is of the verdicts' balanced accuracy, over recordings."""

    bytes: Count
    window: Scores
    verdict: Scores
    ci95: tuple[Share, Share] | None = None


class Amount(BaseModel):
    recordings: Count
    windows: Count


class Data(BaseModel):
    name: Name = Field(alias="set")
    split: Name
    train: dict[Name, Amount]
    held_out: dict[Name, Amount]


class Wrong(BaseModel):
    """A recording of which `wrong` of `verdicts` named another class than the truth."""

    recording: Name
    truth: Name
    said: list[Name] = Field(max_length=64)
    wrong: Count
    verdicts: Count


class Features(BaseModel):
    """Verdicts on healthy recordings by how far the features were from the baseline; bins of the contract's `edges`."""

    counts: list[Count] = Field(min_length=len(NOVELTY_EDGES) + 1, max_length=len(NOVELTY_EDGES) + 1)


class Evaluation(BaseModel):
    classes: list[Name] = Field(min_length=1, max_length=64)
    data: Data
    windows_per_verdict: Count
    float: Judged
    int8: Judged
    verdicts_changed_by_int8: Count
    wrong_recordings: list[Wrong] = Field(max_length=10_000)
    features: Features | None = None

    @model_validator(mode="after")
    def _of_one_set_of_classes(self) -> Evaluation:
        for scores in (self.float.window, self.float.verdict, self.int8.window, self.int8.verdict):
            square = [len(scores.confusion), *map(len, scores.confusion)]
            if set(square) != {len(self.classes)} or set(scores.recall) != set(self.classes):
                raise ValueError("recall and confusion are not of the classes")
        return self


def read(part: bytes) -> dict[str, Any] | None:
    """The bundle's part as plain values, with what is known of it; None where there is none or it says something else."""
    try:
        return Evaluation.model_validate_json(part).model_dump(by_alias=True)
    except ValidationError:
        return None
