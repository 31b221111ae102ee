"""Sentences that can be said in another language keep what they say on the way through errors, the database and answers."""

from __future__ import annotations

import pickle

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from whir_fleet import alerts
from whir_fleet.db import Database
from whir_fleet.errors import NotFoundError
from whir_fleet.models import AlertChange
from whir_fleet.said import English, Number, Said, translated
from whir_fleet.store import store


class Pirate:
    def text(self, message: str, /) -> str:
        return {"%(count)s failed: %(why)s": "%(count)s sunk: %(why)s", "too late": "too late, arr"}.get(message, message)

    def decimal(self, number: str, /) -> str:
        return number.replace(".", "·")


SENTENCE = Said("%(count)s failed: %(why)s", count=2, why=Said.joined(", ", [Said("too late"), Number("0.5")]))


def test_a_sentence_is_its_english_text_and_can_be_said_in_another_language_with_what_stands_in_it() -> None:
    assert SENTENCE == "2 failed: too late, 0.5"
    assert SENTENCE.translated(Pirate()) == "2 sunk: too late, arr, 0·5"
    assert SENTENCE.translated(English()) == SENTENCE
    assert translated("0.5 as somebody wrote it", Pirate()) == "0.5 as somebody wrote it"
    assert pickle.loads(pickle.dumps(SENTENCE)).translated(Pirate()) == "2 sunk: too late, arr, 0·5"


def test_an_error_keeps_its_sentence() -> None:
    assert translated(NotFoundError(SENTENCE).text, Pirate()) == "2 sunk: too late, arr, 0·5"
    assert str(NotFoundError(SENTENCE)) == "2 failed: too late, 0.5"


@pytest.mark.parametrize("words", ["grease is on its way", '{"message": "%(x)s"}', '{"message": 1}', "100 % sure"])
def test_the_database_keeps_sentences_as_what_they_say_and_peoples_words_as_they_are(
    database: Database, says, words: str
) -> None:  # type: ignore[no-untyped-def]
    with database.write() as session:
        store(session, [says("alert", seq=5)], 100)
        alert = alerts.find(session, _only(session))
        alerts.step(session, alert, "comment", 1, "anna", words)
        alerts.step(session, alert, "comment", 2, "fleet", SENTENCE)
    with database.read() as session:
        kept = session.scalars(select(AlertChange.why).where(AlertChange.what == "comment").order_by(AlertChange.id)).all()
        raw = session.scalars(text("SELECT why FROM alert_change WHERE who = 'fleet'")).one()
    assert kept == [words, SENTENCE]
    assert translated(kept[1] or "", Pirate()) == "2 sunk: too late, arr, 0·5"
    assert "2 failed" not in raw, "its words are made where it is read"


def _only(session: Session) -> str:
    return session.scalars(select(AlertChange.alert_id)).first() or ""
