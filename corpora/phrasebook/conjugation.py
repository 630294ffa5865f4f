"""Korean verbs and adjectives conjugated by class, in four speech levels."""

# ruff: noqa: E501 - ruff counts a Korean letter as two columns

from enum import Enum
from typing import NamedTuple

from hangul import final, syllable, with_final, with_vowel

# Stems whose last consonant or vowel changes; every other stem is regular. Compounds match by their end.
IRREGULAR = {
    "ㅂ": "춥 덥 돕 눕 굽 쉽 어렵 무겁 가볍 가깝 아름답 시끄럽 더럽 맵 귀엽 고맙 반갑 무섭 즐겁 그립 새롭 두껍",
    "ㄷ": "듣 걷 묻 싣 깨닫",
    "ㅅ": "짓 낫 붓 잇",
    "ㅎ": "빨갛 파랗 노랗 하얗 까맣 그렇 이렇 저렇 어떻",
    "으": "따르 치르 들르",
}
CLASS_OF = {stem: kind for kind, stems in IRREGULAR.items() for stem in stems.split()}
# the vowel into which an open stem vowel and the following 아/어 contract
CONTRACTIONS = {
    "ㅏ": "ㅏ",
    "ㅓ": "ㅓ",
    "ㅗ": "ㅘ",
    "ㅜ": "ㅝ",
    "ㅣ": "ㅕ",
    "ㅐ": "ㅐ",
    "ㅔ": "ㅔ",
    "ㅕ": "ㅕ",
    "ㅚ": "ㅙ",
}


class Level(Enum):
    """A speech level of Korean."""

    POLITE = "해요"
    FORMAL = "합쇼"
    CASUAL = "해"
    PLAIN = "해라"

    @property
    def humble(self) -> bool:
        """True if the first person is 저, not 나."""
        return self in (Level.POLITE, Level.FORMAL)


class Stem(NamedTuple):
    """A verb or adjective stem, possibly with preceding words ("책을 읽")."""

    text: str
    adjective: bool = False
    honorific: bool = False

    @property
    def kind(self) -> str:
        """The irregular class of the stem, "" if regular."""
        word = self.text.split(" ")[-1]
        found = next((CLASS_OF[word[i:]] for i in range(len(word)) if word[i:] in CLASS_OF), "")
        if found or final(word):
            return found
        return {"르": "르", "하": "하"}.get(word[-1], "으" if syllable(word[-1]).vowel == "ㅡ" else "")


def attach(stem: Stem, ending: str) -> str:
    """Attach an ending, given in its form after 먹- with 아 for 어: 아요, 았, 으면, 은, 을, 는다, 습니다, 고."""
    if ending[0] in "아았":
        return attach_a(stem, syllable(ending[0]).final) + ending[1:]
    if ending[0] in "으은을읍":
        return attach_eu(stem, ending)
    if ending[0] in "습는니" and (not final(stem.text) or final(stem.text) == "ㄹ"):
        return after_vowel(stem.text, ending)
    return stem.text + ending


def after_vowel(text: str, ending: str) -> str:
    """Attach 습니다, 는다, 는 or 니 to a stem that ends in a vowel or in ㄹ, which is dropped."""
    if ending[0] == "습":
        return with_final(text, "ㅂ") + ending[1:]
    if ending.startswith("는다"):
        return with_final(text, "ㄴ") + ending[1:]
    return with_final(text, "") + ending


def attach_eu(stem: Stem, ending: str) -> str:
    """Attach an ending that begins with 으, 은 or 을."""
    text, tail = stem.text, syllable(ending[0]).final
    ending = ending[1:]
    if stem.kind == "ㅂ":
        return with_final(text, "") + str(syllable("우")._replace(final=tail)) + ending
    if stem.kind == "ㅅ":
        return with_final(text, "") + str(syllable("으")._replace(final=tail)) + ending
    if stem.kind == "ㄷ":
        return with_final(text, "ㄹ") + str(syllable("으")._replace(final=tail)) + ending
    if stem.kind == "ㅎ" or not final(text):
        return with_final(text, tail) + ending
    if final(text) == "ㄹ":
        falls = tail or ending[:1] in "니시세십" or ending[:1] in "오"
        return (with_final(text, tail) if falls else text) + ending
    return text + str(syllable("으")._replace(final=tail)) + ending


def attach_a(stem: Stem, tail: str) -> str:
    """Attach 아 or 어 (final consonant `tail`) by vowel harmony, contracted where Korean contracts it."""
    text, kind = stem.text, stem.kind
    if kind == "하":
        return with_vowel(text, "ㅐ", tail)
    if kind == "ㅂ":
        return with_final(text, "") + with_vowel(
            "와" if text.endswith("돕") else "워", "ㅘ" if text.endswith("돕") else "ㅝ", tail
        )
    if kind == "ㅎ":
        return with_vowel(text, "ㅒ" if syllable(text[-1]).vowel == "ㅑ" else "ㅐ", tail)
    if kind == "르":
        bright = syllable(text[-2]).vowel in "ㅏㅗ"
        return with_final(text[:-1], "ㄹ") + with_final("라" if bright else "러", tail)
    if kind == "으":
        bright = len(text) > 1 and text[-2] != " " and syllable(text[-2]).vowel in "ㅏㅗ"
        return with_vowel(text, "ㅏ" if bright else "ㅓ", tail)
    return contract_vowels(text, kind, tail)


def contract_vowels(text: str, kind: str, tail: str) -> str:
    """Attach 아 or 어 to a stem of a class without vowel change."""
    vowel, closed = syllable(text[-1]).vowel, final(text)
    if not closed and vowel in CONTRACTIONS:
        return with_vowel(text, CONTRACTIONS[vowel], tail)
    # past stems end in ㅆ and always take 어: 갔어요
    sound = "아" if vowel in "ㅏㅑㅗ" and closed != "ㅆ" else "어"
    if kind in ("ㄷ", "ㅅ"):
        text = with_final(text, "ㄹ" if kind == "ㄷ" else "")
    return text + with_final(sound, tail)


def honor(stem: Stem) -> Stem:
    """Add the subject honorific -(으)시- unless the stem is already honorific."""
    return stem if stem.honorific else Stem(attach(stem, "으시"), stem.adjective, True)


def past(stem: Stem) -> Stem:
    """Return the past stem: 먹었-."""
    return Stem(attach(stem, "았"), True)


def adnominal(stem: Stem) -> str:
    """Return the present form before a noun: 읽는, 예쁜, 있는."""
    there_is = stem.text.endswith(("있", "없"))
    return attach(stem, "은" if stem.adjective and not there_is else "는")


def plain(stem: Stem) -> str:
    """Return the plain declarative: 먹는다, 간다, 춥다, 먹었다; with 고 it is the quoted form."""
    return attach(stem, "다" if stem.adjective else "는다")


def present(stem: Stem, level: Level, question: bool = False) -> str:
    """Return the sentence ending in the present; pass a past stem for the past."""
    if level is Level.FORMAL:
        return attach(stem, "습니까" if question else "습니다")
    if level is Level.PLAIN:
        return attach(stem, "니") if question else plain(stem)
    if level is Level.POLITE:
        return stem.text[:-1] + "세요" if stem.honorific else attach(stem, "아요")
    return attach(stem, "아")


FUTURE = {Level.POLITE: "거예요", Level.FORMAL: "겁니다", Level.CASUAL: "거야", Level.PLAIN: "것이다"}
FUTURE_QUESTION = {Level.POLITE: "거예요", Level.FORMAL: "겁니까", Level.CASUAL: "거야", Level.PLAIN: "거니"}
PROMISE = {Level.POLITE: "을게요", Level.FORMAL: "겠습니다", Level.CASUAL: "을게", Level.PLAIN: "겠다"}


def finish(stem: Stem, tense: str, level: Level, question: bool = False) -> str:
    """Return the sentence ending in the present, past, future (-ㄹ 거예요) or as a promise (-ㄹ게요)."""
    if tense == "future":
        return attach(stem, "을") + " " + (FUTURE_QUESTION if question else FUTURE)[level]
    if tense == "promise":
        return attach(stem, PROMISE[level])
    if tense == "past":
        return present(past(stem), level, question)
    return present(stem, level, question)


COPULA = {
    Level.POLITE: ("이에요", "예요", "세요", "이었어요", "였어요", "셨어요"),
    Level.FORMAL: ("입니다", "입니다", "십니다", "이었습니다", "였습니다", "셨습니다"),
    Level.CASUAL: ("이야", "야", "셔", "이었어", "였어", "셨어"),
    Level.PLAIN: ("이다", "다", "시다", "이었다", "였다", "셨다"),
}
IS_NOT = {Level.POLITE: "아니에요", Level.FORMAL: "아닙니다", Level.CASUAL: "아니야", Level.PLAIN: "아니다"}


def be(noun: str, level: Level, *, past: bool = False, honorific: bool = False) -> str:
    """Return a noun with the copula."""
    closed, opened, honored = COPULA[level][3:] if past else COPULA[level][:3]
    if honorific:
        return noun + ("이" if final(noun) else "") + honored
    return noun + (closed if final(noun) else opened)


def be_asked(noun: str, level: Level) -> str:
    """Return a noun with the copula, as a question."""
    forms = {Level.FORMAL: ("입니까", "입니까"), Level.PLAIN: ("이니", "니")}
    closed, opened = forms.get(level, COPULA[level][:2])
    return noun + (closed if final(noun) else opened)
