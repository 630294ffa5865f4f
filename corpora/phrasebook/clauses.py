"""A clause in both languages: person, time, place, action, mood, speech level."""

from dataclasses import dataclass

from conjugation import Level, Stem, attach, finish, honor
from english import Agreement, clause, sentence
from lexicon import Person, Place, Time
from verbs import Action

NO_TIME = Time("", "")
FORMAL_ENGLISH = (Level.FORMAL, Level.PLAIN)


@dataclass(frozen=True)
class Pair:
    """A Korean and an English sentence; `key` names the combination for the split."""

    ko: str
    en: str
    family: str
    key: str
    gap: int = 0


def is_spoken(level: Level) -> bool:
    """Return True if English uses contractions: not in the formal and the written level."""
    return level not in FORMAL_ENGLISH


def predicate(action: Action, person: Person | None, mood: str, negation: str = "") -> tuple[str, Stem]:
    """Return the finite stem of an action in a mood, and the words before it; `finish` adds the tense."""
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
    """Return object and verb, the end of a Korean sentence."""
    before, stem = predicate(action, person, mood)
    return before + finish(stem, TENSE.get(mood, "present"), level, question)


def denied_end(action: Action, person: Person, mood: str, level: Level, how: str) -> str:
    """Return object and negated verb; `how` is 안, 못, 지 않다 or 지 못하다."""
    honored = person.honorific
    stem = action.honored if honored else action.stem
    tense = TENSE.get(mood, "present")
    if how == "지 않다":
        return f"{action.before}{attach(stem, '지')} {finish(Stem('않'), tense, level)}"
    if how == "지 못하다":
        return f"{action.before}{attach(stem, '지')} {finish(Stem('못하'), tense, level)}"
    return f"{action.before}{how} {finish(stem, tense, level)}"


def english_phrase(action: Action, person: Person, general: bool) -> str:
    """Return the verb phrase with the possessive filled in; `general` for habits and negations."""
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
    """Return an English clause about a person."""
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
    """Return a question with the subject "you", which Korean omits."""
    mood, always = ENGLISH_MOOD.get(mood, (mood, False))
    phrase = phrase.format(poss="your", s="")
    return clause("you", Agreement.YOU, mood, phrase, negative=always, question=True, adverb=adverb)


def locative(place: Place | None) -> tuple[str, str]:
    """Return the place of an action in Korean and English, empty without a place."""
    return (place.ko + "에서 ", " " + place.at) if place else ("", "")


def join_words(*parts: str) -> str:
    """Join Korean words with single spaces."""
    return " ".join(" ".join(parts).split())


def make_pair(ko: str, en: str, level: Level, family: str, *key: str, mark: str = ".", gap: int = 0) -> Pair:
    """Make a pair: add punctuation, capital letter and contractions."""
    return Pair(
        join_words(ko) + mark,
        sentence(en, mark, spoken=is_spoken(level)),
        family,
        "|".join((family, *key)),
        gap,
    )
