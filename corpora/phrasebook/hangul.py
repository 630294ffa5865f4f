"""Decomposition and composition of Hangul syllables, and particles that depend on the last syllable."""

from typing import NamedTuple

VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
FIRST = 0xAC00
DIGIT_NAMES = dict(zip("0123456789", "공일이삼사오육칠팔구", strict=True))

# after a final consonant / after a vowel
PARTICLES = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이나": ("이나", "나"),
    "이랑": ("이랑", "랑"),
    "이라고": ("이라고", "라고"),
}


class Syllable(NamedTuple):
    """A Hangul syllable: index of the initial consonant, vowel, final consonant ("" if none)."""

    initial: int
    vowel: str
    final: str

    def __str__(self) -> str:
        return chr(FIRST + (self.initial * 21 + VOWELS.index(self.vowel)) * 28 + FINALS.index(self.final))


def syllable(character: str) -> Syllable:
    """Decompose a Hangul syllable; a digit is read as its Sino-Korean name."""
    code = ord(DIGIT_NAMES.get(character, character)) - FIRST
    if not 0 <= code < 11172:
        raise ValueError(f"not a Hangul syllable: {character!r}")
    return Syllable(code // 588, VOWELS[code // 28 % 21], FINALS[code % 28])


def final(word: str) -> str:
    """Return the final consonant of a word, "" if it ends in a vowel."""
    return syllable(word[-1]).final


def with_final(word: str, consonant: str) -> str:
    """Replace the final consonant of the last syllable."""
    return word[:-1] + str(syllable(word[-1])._replace(final=consonant))


def with_vowel(word: str, vowel: str, consonant: str = "") -> str:
    """Replace the vowel and the final consonant of the last syllable."""
    return word[:-1] + str(syllable(word[-1])._replace(vowel=vowel, final=consonant))


def particle(word: str, name: str) -> str:
    """Attach a particle, given in its form after a consonant: particle("나무", "은") is "나무는"."""
    closed, opened = PARTICLES[name]
    ending = final(word)
    if name == "으로" and ending == "ㄹ":
        return word + opened
    return word + (closed if ending else opened)
