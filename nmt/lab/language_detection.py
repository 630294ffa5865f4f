"""Detection of the language of a text among given ones: by its script, then by py3langid."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

from nmt.data.script import LANGUAGES, find_main_script, find_primary_language, find_script, script_share
from nmt.errors import MissingPackage, report_missing_packages

KANA = ("Hiragana", "Katakana")


class DetectedLanguage(NamedTuple):
    """A language with its confidence."""

    language: str
    confidence: float  # percent


def detect_language(text: str, languages: Collection[str]) -> list[DetectedLanguage]:
    """Return the languages that a text may be in, the most probable first; none without letters of theirs.

    Languages of one script are distinguished by py3langid, if it is installed; without it they are equally
    likely, and ordered as they are given.
    """
    script = find_main_script(text)
    possible = [
        code for code in languages if script and LANGUAGES.get(find_primary_language(code), script) == script
    ]
    if script == "Han" and len(possible) > 1:  # Chinese has no kana, and Japanese text hardly ever none
        is_japanese = any(find_script(character) in KANA for character in text)
        possible = [
            code for code in possible if (find_primary_language(code) == "ja") == is_japanese
        ] or possible
    scripts = (script, *(KANA if script == "Han" else ()))
    share = 100.0 * script_share(text, [name for name in scripts if name]) if possible else 0.0
    weights = _classify(text, possible) if len(possible) > 1 else [1.0] * len(possible)
    found = [DetectedLanguage(code, round(share * w, 1)) for code, w in zip(possible, weights, strict=True)]
    return sorted(found, key=lambda one: -one.confidence)


def _classify(text: str, languages: Sequence[str]) -> list[float]:
    """Return the probability of each language."""
    classifier, known = _load_classifier()
    bases = [find_primary_language(code) for code in languages]
    usable = sorted({base for base in bases if base in known})
    if len(usable) < 2:
        return [1.0 / len(languages)] * len(languages)
    if {*classifier.labels} != {*usable}:  # takes 20 ms
        classifier.set_languages(usable)
    probabilities = {code: float(share) for code, share in classifier.rank(text)}
    return [probabilities.get(base, 0.0) for base in bases]


@cache
def _load_classifier() -> tuple[Any, frozenset[str]]:
    """Return the classifier of py3langid and its languages; none if it is not installed."""
    try:
        with report_missing_packages():
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except MissingPackage:
        return None, frozenset()
    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return classifier, frozenset(classifier.labels)


_NAMES = (
    "af Afrikaans,ar Arabic,az Azerbaijani,be Belarusian,bg Bulgarian,bn Bengali,ca Catalan,cs Czech,"
    "cy Welsh,da Danish,de German,el Greek,en English,es Spanish,et Estonian,eu Basque,fa Persian,fi Finnish,"
    "fil Filipino,fr French,ga Irish,gl Galician,he Hebrew,hi Hindi,hr Croatian,hu Hungarian,hy Armenian,"
    "id Indonesian,is Icelandic,it Italian,ja Japanese,ka Georgian,kk Kazakh,ko Korean,ky Kyrgyz,"
    "lt Lithuanian,lv Latvian,mk Macedonian,mn Mongolian,mr Marathi,ms Malay,ne Nepali,nl Dutch,no Norwegian,"
    "pl Polish,ps Pashto,pt Portuguese,ro Romanian,ru Russian,sk Slovak,sl Slovenian,sq Albanian,sv Swedish,"
    "sw Swahili,ta Tamil,tg Tajik,th Thai,tl Tagalog,tr Turkish,uk Ukrainian,ur Urdu,uz Uzbek,vi Vietnamese,"
    "yi Yiddish,zh Chinese"
)
NAMES = dict(entry.split(" ") for entry in _NAMES.split(","))
"""The English name of each language that has a known script."""


def find_language_name(code: str) -> str:
    """Return the English name of a language; its code if it is not known."""
    return NAMES.get(find_primary_language(code), code)
