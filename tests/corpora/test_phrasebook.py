"""The phrasebook: its Korean, its split, and that its files are what its grammar makes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PHRASEBOOK = Path(__file__).parents[2] / "corpora" / "phrasebook"
# the grammar is a folder of scripts, not a package
sys.path.insert(0, str(PHRASEBOOK))

import conjugation  # noqa: E402
import english  # noqa: E402
import hangul  # noqa: E402
import lexicon  # noqa: E402
import numerals  # noqa: E402
import prepare  # noqa: E402
import split  # noqa: E402
import verbs  # noqa: E402
from clauses import Pair  # noqa: E402
from conjugation import Level, Stem, attach, finish, honor  # noqa: E402
from grammar import sentences  # noqa: E402


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """All pairs of the grammar."""
    return list(sentences())


@pytest.fixture(scope="module")
def parts(pairs: list[Pair]) -> split.Split:
    """The corpus in its three parts."""
    return split.split(pairs, prepare.free_pairs())


@pytest.mark.parametrize(
    ("word", "name", "whole"),
    [
        ("책", "은", "책은"),
        ("사과", "은", "사과는"),
        ("책", "이", "책이"),
        ("사과", "이", "사과가"),
        ("책", "을", "책을"),
        ("사과", "을", "사과를"),
        ("빵", "과", "빵과"),
        ("우유", "과", "우유와"),
        ("집", "으로", "집으로"),
        ("버스", "으로", "버스로"),
        ("지하철", "으로", "지하철로"),
        ("빵", "이나", "빵이나"),
        ("차", "이나", "차나"),
        ("010-2345-6788", "은", "010-2345-6788은"),
        ("4", "을", "4를"),
    ],
)
def test_a_particle_follows_the_final_consonant(word: str, name: str, whole: str) -> None:
    assert hangul.particle(word, name) == whole


# stem: 해요, 했어요, -ㄹ 거예요, adnominal, -ㅂ니다, -으면
VERB_FORMS = """
먹: 먹어요 먹었어요 먹을 먹는 먹습니다 먹으면
듣: 들어요 들었어요 들을 듣는 듣습니다 들으면
걷: 걸어요 걸었어요 걸을 걷는 걷습니다 걸으면
돕: 도와요 도왔어요 도울 돕는 돕습니다 도우면
짓: 지어요 지었어요 지을 짓는 짓습니다 지으면
씻: 씻어요 씻었어요 씻을 씻는 씻습니다 씻으면
쓰: 써요 썼어요 쓸 쓰는 씁니다 쓰면
끄: 꺼요 껐어요 끌 끄는 끕니다 끄면
부르: 불러요 불렀어요 부를 부르는 부릅니다 부르면
모르: 몰라요 몰랐어요 모를 모르는 모릅니다 모르면
살: 살아요 살았어요 살 사는 삽니다 살면
만들: 만들어요 만들었어요 만들 만드는 만듭니다 만들면
하: 해요 했어요 할 하는 합니다 하면
가: 가요 갔어요 갈 가는 갑니다 가면
오: 와요 왔어요 올 오는 옵니다 오면
마시: 마셔요 마셨어요 마실 마시는 마십니다 마시면
배우: 배워요 배웠어요 배울 배우는 배웁니다 배우면
보내: 보내요 보냈어요 보낼 보내는 보냅니다 보내면
켜: 켜요 켰어요 켤 켜는 켭니다 켜면
쉬: 쉬어요 쉬었어요 쉴 쉬는 쉽니다 쉬면
되: 돼요 됐어요 될 되는 됩니다 되면
입: 입어요 입었어요 입을 입는 입습니다 입으면
"""
ADJECTIVE_FORMS = """
춥: 추워요 추웠어요 추울 추운 춥습니다 추우면
아름답: 아름다워요 아름다웠어요 아름다울 아름다운 아름답습니다 아름다우면
빠르: 빨라요 빨랐어요 빠를 빠른 빠릅니다 빠르면
바쁘: 바빠요 바빴어요 바쁠 바쁜 바쁩니다 바쁘면
예쁘: 예뻐요 예뻤어요 예쁠 예쁜 예쁩니다 예쁘면
길: 길어요 길었어요 길 긴 깁니다 길면
파랗: 파래요 파랬어요 파랄 파란 파랗습니다 파라면
하얗: 하얘요 하얬어요 하얄 하얀 하얗습니다 하야면
좋: 좋아요 좋았어요 좋을 좋은 좋습니다 좋으면
재미있: 재미있어요 재미있었어요 재미있을 재미있는 재미있습니다 재미있으면
"""


def forms(table: str) -> Iterator[tuple[str, list[str]]]:
    """Stems with their forms."""
    for line in table.strip().splitlines():
        stem, _, known = line.partition(": ")
        yield stem, known.split()


@pytest.mark.parametrize(("text", "known"), [*forms(VERB_FORMS), *forms(ADJECTIVE_FORMS)])
def test_stems_conjugate_by_their_class(text: str, known: list[str]) -> None:
    stem = Stem(text, adjective=text in dict(forms(ADJECTIVE_FORMS)))
    past = finish(stem, "past", Level.POLITE)
    future = finish(stem, "future", Level.POLITE)
    assert future == f"{known[2]} 거예요"
    made = [attach(stem, "아요"), past, attach(stem, "을"), conjugation.adnominal(stem)]
    assert [*made, attach(stem, "습니다"), attach(stem, "으면")] == known


@pytest.mark.parametrize(
    ("stem", "level", "form"),
    [
        (Stem("가"), Level.POLITE, "가세요"),
        (Stem("읽"), Level.FORMAL, "읽으십니다"),
        (Stem("살"), Level.POLITE, "사세요"),
        (Stem("듣"), Level.CASUAL, "들으셔"),
        (Stem("돕"), Level.PLAIN, "도우신다"),
        (Stem("바쁘", True), Level.PLAIN, "바쁘시다"),
        (Stem("드시", honorific=True), Level.POLITE, "드세요"),
    ],
)
def test_the_subject_is_honoured_at_every_level(stem: Stem, level: Level, form: str) -> None:
    assert finish(honor(stem), "present", level) == form


def test_the_plain_level_tells_verbs_from_adjectives() -> None:
    ends = [
        conjugation.plain(stem)
        for stem in (Stem("먹"), Stem("가"), Stem("살"), Stem("춥", True), Stem("있", True))
    ]
    assert ends == ["먹는다", "간다", "산다", "춥다", "있다"]


def test_a_noun_takes_the_copula_that_fits_its_end() -> None:
    assert [conjugation.be("학생", Level.POLITE), conjugation.be("의사", Level.POLITE)] == [
        "학생이에요",
        "의사예요",
    ]
    assert conjugation.be("의사", Level.FORMAL, honorific=True) == "의사십니다"


def test_numbers_are_said_as_korean_and_english_say_them() -> None:
    assert [numerals.native(n) for n in (1, 3, 20, 21, 35)] == ["한", "세", "스무", "스물한", "서른다섯"]
    assert [numerals.sino(n) for n in (10, 31, 1500, 12000, 60000)] == [
        "십",
        "삼십일",
        "천오백",
        "만 이천",
        "육만",
    ]
    assert numerals.english(12500) == "twelve thousand five hundred"


def test_english_inflects_articles_plurals_and_comparison() -> None:
    assert [english.with_article(n) for n in ("apple", "uncle", "hat", "hour")] == [
        "an apple",
        "an uncle",
        "a hat",
        "an hour",
    ]
    assert [english.plural(n) for n in ("child", "watch", "city", "cup of tea")] == [
        "children",
        "watches",
        "cities",
        "cups of tea",
    ]
    assert [english.comparative(a) for a in ("big", "easy", "expensive", "good")] == [
        "bigger",
        "easier",
        "more expensive",
        "better",
    ]
    assert english.contract("I am sure she is not; they will not") == "I'm sure she isn't; they won't"


def test_every_korean_sentence_is_there_once_and_has_one_translation(pairs: list[Pair]) -> None:
    assert len(pairs) >= 6000
    assert len({pair.ko for pair in pairs}) == len(pairs)


def test_the_far_apart_are_about_a_tenth(pairs: list[Pair]) -> None:
    far = sum(pair.gap > 0 for pair in pairs) / len(pairs)
    assert 0.08 < far < 0.18


def test_no_combination_and_no_sentence_of_the_test_is_in_train(parts: split.Split) -> None:
    for held_out in (parts.valid, parts.test):
        for field in ("key", "ko", "en"):
            seen = {getattr(pair, field) for pair in parts.train}
            assert not seen & {getattr(pair, field) for pair in held_out}


def test_every_word_of_the_lexicon_is_often_in_train(parts: split.Split) -> None:
    korean = "\n".join(pair.ko for pair in parts.train)
    # the last syllable of a stem may melt into its ending
    texts = {action.stem.text for action in verbs.ACTIONS if action.stem.kind == ""}
    stems = {text[:-1] if len(text) > 1 else text for text in texts}
    nouns = {action.before.strip()[:-1] for action in verbs.ACTIONS if action.before}
    people = {person.ko.split()[-1] for person in lexicon.OTHERS}
    rare = {word: korean.count(word) for word in stems | nouns | people if korean.count(word) < 8}
    assert not rare


def words_of(pair: Pair) -> list[str]:
    """The English words without marks and capitals."""
    return pair.en.lower().strip(".?!").replace(",", "").split()


def test_the_test_has_no_word_that_train_has_not(parts: split.Split) -> None:
    seen = {word for pair in parts.train for word in words_of(pair)}
    asked = {word for pair in parts.test if pair.family != "free" for word in words_of(pair)}
    assert not {word for word in asked - seen if not word[0].isdigit()}


def test_few_of_the_test_are_free_and_every_gap_length_is_there(parts: split.Split) -> None:
    assert sum(pair.family == "free" for pair in parts.test) <= len(parts.test) / 20
    gaps = [pair.gap for pair in parts.test if pair.gap]
    assert len(gaps) >= 60
    assert min(gaps) <= 5
    assert max(gaps) >= 18


def test_making_the_files_again_gives_the_same_bytes(parts: split.Split) -> None:
    made = prepare.render_files(parts)
    assert {name: (PHRASEBOOK / name).read_bytes() for name in made} == {
        n: t.encode() for n, t in made.items()
    }


def test_the_card_lists_the_files_as_they_are(parts: split.Split) -> None:
    card = (PHRASEBOOK / "card.yaml").read_text(encoding="utf-8")
    assert card.endswith(prepare.format_file_list(prepare.render_files(parts)))
    assert {"name", "languages", "description", "licence", "source", "files"} <= set(yaml.safe_load(card))
