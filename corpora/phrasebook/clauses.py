"""One clause in both languages: who, when, where, what, in which mood, at which speech level."""

from dataclasses import dataclass

from conjugation import Level, Stem, attach, finish, honor
from english import Agreement, clause, sentence
from lexicon import Person, Place, Time
from verbs import Action

NO_TIME = Time("", "")
FORMAL_ENGLISH = (Level.FORMAL, Level.PLAIN)


@dataclass(frozen=True)
class Pair:
    """A Korean and an English sentence; `key` names the combination that the split may hold out."""

    ko: str
    en: str
    family: str
    key: str
    gap: int = 0


def spoken(level: Level) -> bool:
    """True where English contracts: the spoken levels, not the formal and the written one."""
    return level not in FORMAL_ENGLISH


def predicate(action: Action, person: Person | None, mood: str, negation: str = "") -> tuple[str, Stem]:
    """What precedes the finite stem, and the stem, of an action in a mood; the tense comes with `finish`."""
    honored = person is not None and person.honorific
    stem = action.honored if honored else action.stem
    before = action.before + negation
    if mood in ("progressive", "was doing"):
        before += attach(action.stem, "고") + " "
        return before, Stem("계시", honorific=True) if honored else Stem("있", True)
    if mood in ("want", "wanted"):
        before += attach(action.stem, "고") + " "
        if person is not None and person.third:
            return before + "싶어 ", honor(Stem("하")) if honored else Stem("하")
        return before, Stem("싶", True)
    if mood in ("can", "could", "cannot"):
        return before + attach(stem, "을") + " 수 ", Stem("없" if mood == "cannot" else "있", True)
    if mood in ("must", "had to"):
        return before + attach(stem, "아야") + " ", Stem("하")
    if mood == "plan":
        return before + attach(stem, "으려고") + " ", Stem("하")
    if mood == "experience":
        return before + attach(stem, "은") + " 적이 ", Stem("있", True)
    if mood == "never":
        return before + attach(stem, "은") + " 적이 ", Stem("없", True)
    return before, stem


TENSE = {
    "past": "past",
    "was doing": "past",
    "wanted": "past",
    "could": "past",
    "had to": "past",
    "future": "future",
    "promise": "promise",
}
ENGLISH_MOOD = {"cannot": ("can", True), "never": ("experience", True)}


def korean_end(action: Action, person: Person | None, mood: str, level: Level, question: bool = False) -> str:
    """Object and verb at the end of a Korean sentence."""
    before, stem = predicate(action, person, mood)
    return before + finish(stem, TENSE.get(mood, "present"), level, question)


def denied_end(action: Action, person: Person, mood: str, level: Level, how: str) -> str:
    """The same, denied: how is 안, 못 or 지 않다."""
    honored = person.honorific
    stem = action.honored if honored else action.stem
    tense = TENSE.get(mood, "present")
    if how == "지 않다":
        return f"{action.before}{attach(stem, '지')} {finish(Stem('않'), tense, level)}"
    if how == "지 못하다":
        return f"{action.before}{attach(stem, '지')} {finish(Stem('못하'), tense, level)}"
    return f"{action.before}{how} {finish(stem, tense, level)}"


def english_phrase(action: Action, person: Person, general: bool) -> str:
    """The verb phrase with his, her... filled in; `general` for habits and denials."""
    return person.owning(action.many if general else action.one)


def english_clause(
    person: Person,
    mood: str,
    phrase: str,
    *,
    negative: bool = False,
    question: bool = False,
    adverb: str = "",
) -> str:
    """A clause about a person."""
    mood, always = ENGLISH_MOOD.get(mood, (mood, False))
    return clause(
        person.en,
        person.agreement,
        mood,
        phrase,
        negative=negative or always,
        question=question,
        adverb=adverb,
    )


def question_to_you(mood: str, phrase: str, adverb: str = "") -> str:
    """A question whose subject Korean leaves out: you."""
    mood, always = ENGLISH_MOOD.get(mood, (mood, False))
    phrase = phrase.format(poss="your", s="")
    return clause("you", Agreement.YOU, mood, phrase, negative=always, question=True, adverb=adverb)


def at(place: Place | None) -> tuple[str, str]:
    """Where something is done, in Korean and English."""
    return (place.ko + "에서 ", " " + place.at) if place else ("", "")


def joined(*parts: str) -> str:
    """Korean words with single spaces."""
    return " ".join(" ".join(parts).split())


def made(ko: str, en: str, level: Level, family: str, *key: str, mark: str = ".", gap: int = 0) -> Pair:
    """A finished pair: marks, capital, contractions."""
    return Pair(
        joined(ko) + mark, sentence(en, mark, spoken=spoken(level)), family, "|".join((family, *key)), gap
    )
