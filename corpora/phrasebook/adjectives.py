"""Sentences with adjectives: qualities, feelings, comparatives, superlatives."""

from clauses import Pair, make_pair
from conjugation import Stem, adnominal, attach, finish, honor
from english import Agreement, clause, comparative, plural, superlative, with_article
from hangul import particle
from lexicon import (
    EVERYONE,
    ME,
    OTHERS,
    THINGS,
    WE,
    Thing,
    words,
)
from sampler import Sampler
from simple import LEVELS

ADJECTIVES = {
    ko: (Stem(ko, True), en)
    for ko, en in (
        cell.split("=")
        for cell in [
            "크=big",
            "작=small",
            "예쁘=pretty",
            "아름답=beautiful",
            "맛있=delicious",
            "비싸=expensive",
            "싸=cheap",
            "어렵=difficult",
            "쉽=easy",
            "재미있=interesting",
            "무겁=heavy",
            "가볍=light",
            "깨끗하=clean",
            "더럽=dirty",
            "조용하=quiet",
            "시끄럽=noisy",
            "맵=spicy",
            "달=sweet",
            "짜=salty",
            "빠르=fast",
            "느리=slow",
            "길=long",
            "짧=short",
            "높=high",
            "따뜻하=warm",
            "시원하=cool",
            "넓=spacious",
            "바쁘=busy",
            "피곤하=tired",
            "아프=sick",
            "배고프=hungry",
            "기쁘=happy",
            "슬프=sad",
            "친절하=kind",
            "똑똑하=smart",
            "유명하=famous",
            "젊=young",
            "귀엽=cute",
            "춥=cold",
            "덥=hot",
            "빨갛=red",
            "파랗=blue",
            "노랗=yellow",
            "하얗=white",
            "까맣=black",
            "무섭=scary",
            "좋=good",
            "가깝=near",
            "멀=far",
            "키가 크=tall",
            "쓰=bitter",
            "뜨겁=hot",
            "차갑=cold",
            "시=sour",
        ]
    )
}
# things, and the adjectives that fit them
QUALITIES = (
    ("사과 바나나 오렌지 과일 케이크", "달 맛있 비싸 싸 작"),
    ("김치 불고기 비빔밥 국수 생선 고기", "맛있 짜 비싸 싸 맵"),
    ("커피 차", "뜨겁 쓰 달 맛있 비싸"),
    ("약", "쓰 비싸"),
    ("책 소설 영화 드라마", "재미있 어렵 길 짧 슬프 무섭 유명하 좋"),
    (
        "코트 치마 셔츠 모자 바지 신발 장갑 양말",
        "예쁘 비싸 싸 크 작 길 짧 따뜻하 빨갛 파랗 노랗 하얗 까맣 더럽 깨끗하",
    ),
    ("가방 의자 책상 침대 시계", "무겁 가볍 크 작 비싸 싸 예쁘 까맣 하얗"),
    ("방 부엌 교실 집 호텔 가게", "넓 작 깨끗하 더럽 조용하 시끄럽 춥 덥 따뜻하 시원하"),
    ("버스 기차 자전거 자동차 택시", "빠르 느리 비싸 깨끗하"),
    ("꽃 장미 그림 노래", "예쁘 아름답 비싸 빨갛 노랗 하얗"),
    ("고양이 개 새 물고기", "귀엽 작 크 까맣 하얗 똑똑하"),
)
EXCEPT = (
    {("노래", c) for c in ("빨갛", "노랗", "하얗", "비싸")}
    | {("그림", c) for c in ("빨갛", "노랗", "하얗")}
    | {
        ("버스", "비싸"),
        ("새", "똑똑하"),
        ("물고기", "똑똑하"),
        ("가게", "춥"),
        ("가게", "덥"),
        ("호텔", "춥"),
        ("호텔", "덥"),
        ("장갑", "길"),
        ("모자", "길"),
        ("모자", "짧"),
        ("신발", "길"),
        ("신발", "짧"),
        ("장갑", "짧"),
        ("영화", "길"),
        ("국수", "싸"),
        ("시계", "무겁"),
        ("집", "시원하"),
        ("양말", "비싸"),
    }
)
NOTED = tuple(
    (THINGS[thing], word)
    for things, words in QUALITIES
    for thing in things.split()
    for word in words.split()
    if (thing, word) not in EXCEPT
)
# adjectives not used in the past tense of a thing that still exists
UNCHANGING = ("유명하", "귀엽", "똑똑하", "어렵", "길", "짧")
POINTING = (("이", "this", "these"), ("그", "that", "those"))
EXCESSIVE = words("비싸 크 작 길 짧 짜 맵 달 쓰 무겁 춥 덥 시끄럽 더럽 느리 어렵 뜨겁 슬프 무섭")
DEGREES = (("아주", "very"), ("정말", "really"), ("너무", "too"), ("조금", "a little"))


def choose_demonstrative(rng: Sampler, thing: Thing) -> tuple[str, str, Agreement]:
    """Choose "this" or "that" for a thing; return the Korean, the English and the agreement."""
    ko, one, many = rng.choice("pointing", POINTING)
    pairs = thing.verb_is is Agreement.THEY
    return f"{ko} {thing.ko}", f"{many if pairs else one} {thing.noun}", thing.verb_is


def quality(rng: Sampler) -> Pair:
    """This bag is too heavy."""
    (thing, word), level = rng.choice("noted", NOTED), rng.choice("level", LEVELS)
    stem, english = ADJECTIVES[word]
    tense = rng.choice("tense", ("present", "present", "past"))
    ko_noun, en_noun, agreement = choose_demonstrative(rng, thing)
    colour = word in ("빨갛", "파랗", "노랗", "하얗", "까맣")
    if tense == "past" and (colour or word in UNCHANGING):
        tense = "present"
    degrees = DEGREES if word in EXCESSIVE else DEGREES[:2]
    degree = ("", "") if colour or rng.chance(0.4) else rng.choice(f"degree {len(degrees)}", degrees)
    denied = not degree[0] and rng.chance(0.3)
    end = (
        f"{attach(stem, '지')} {finish(Stem('않', True), tense, level)}"
        if denied
        else finish(stem, tense, level)
    )
    en = clause(en_noun, agreement, tense, f"be {degree[1]} {english}", negative=denied)
    return make_pair(
        f"{particle(ko_noun, '은')} {degree[0]} {end}", en, level, "quality", thing.ko, word, str(denied)
    )


FEELINGS = ("바쁘", "피곤하", "아프", "배고프", "기쁘", "슬프", "친절하", "똑똑하", "유명하", "키가 크")
LASTING = ("친절하", "똑똑하", "유명하", "키가 크")


def person_is(rng: Sampler) -> Pair:
    """My grandmother was very tired yesterday."""
    word, level, who = rng.choice("word", FEELINGS), rng.choice("level", LEVELS), rng.choice("who", EVERYONE)
    if word in ("기쁘", "슬프"):  # for other people Korean uses 기뻐하다
        who = rng.choice("self", (ME, WE))
    if word in LASTING:
        who = rng.choice("other", OTHERS)
    stem, english = ADJECTIVES[word]
    stem = honor(stem) if who.honorific else stem
    tense = "present" if word in LASTING else rng.choice("tense", ("present", "past"))
    time = (
        ("", "")
        if word in LASTING
        else rng.choice(
            "time " + tense,
            (("요즘", "these days"), ("지금", "now"), ("오늘", "today"))
            if tense == "present"
            else (("어제", "yesterday"), ("지난주에", "last week"), ("아까", "a little while ago")),
        )
    )
    degree = rng.choice("degree", DEGREES[:2]) if rng.chance(0.7) else ("", "")
    if word == "아프" and who.honorific:
        stem = Stem("편찮으시", True, True)
    *before, last = finish(stem, tense, level).split(" ")
    ko = f"{who.topic(level)} {time[0]} {' '.join(before)} {degree[0]} {last}"
    en = f"{clause(who.en, who.agreement, tense, f'be {degree[1]} {english}')} {time[1]}"
    return make_pair(ko, en, level, "person is", who.ko, word, tense)


RIVALS = (
    ("사과 바나나 오렌지", "달 비싸 맛있 싸"),
    ("버스 기차 지하철 택시 자전거 비행기", "빠르 비싸 느리"),
    ("한국어 영어 중국어 수학 역사", "어렵 쉽 재미있"),
    ("축구 야구 농구 테니스 배구", "재미있 어렵 쉽"),
    ("영화 드라마 소설", "재미있 좋"),
)
FIELDS = tuple((things.split(), words.split()) for things, words in RIVALS)


def generic(thing: Thing) -> tuple[str, Agreement]:
    """Return the noun for a thing in general and its agreement: apples are, tennis is."""
    if thing.one.startswith("the ") or (thing.countable and thing.noun in ("taxi", "bicycle")):
        noun = plural(thing.noun)
        return noun, Agreement.THEY
    return thing.many, Agreement.THEY if thing.many != thing.one else thing.verb_is


def comparing(rng: Sampler) -> Pair:
    """Trains are faster than buses."""
    things, words = rng.choice("field", FIELDS)
    (left, right), word = rng.choose_two("thing " + things[0], things), rng.choice("word " + things[0], words)
    stem, english = ADJECTIVES[word]
    level = rng.choice("level", LEVELS)
    noun, agreement = generic(THINGS[left])
    ko = f"{particle(left, '은')} {right}보다 {rng.choice('much', ('', '훨씬 '))}더 "
    much = "much " if "훨씬" in ko else ""
    ko += finish(stem, "present", level)
    en = clause(
        noun, agreement, "present", f"be {much}{comparative(english)} than {generic(THINGS[right])[0]}"
    )
    return make_pair(ko, en, level, "comparing", left, right, word)


def comparing_people(rng: Sampler) -> Pair:
    """My older brother is taller than my father."""
    left, right = rng.choose_two("who", (ME, *OTHERS))
    word, level = (
        rng.choice("word", ("키가 크", "바쁘", "똑똑하", "친절하", "유명하")),
        rng.choice("level", LEVELS),
    )
    stem, english = ADJECTIVES[word]
    before, stem = ("키가 ", Stem("크", True)) if word == "키가 크" else ("", stem)
    stem = honor(stem) if left.honorific else stem
    ko = f"{left.topic(level)} {right.called(level)}보다 {before}더 {finish(stem, 'present', level)}"
    en = clause(left.en, left.agreement, "present", f"be {comparative(english)} than {right.objective}")
    return make_pair(ko, en, level, "comparing people", left.ko, right.ko, word)


SCOPES = (("이 가게", "in this store"), ("우리 집", "in our house"), ("이 도시", "in this city"))


ON_SALE = words(
    "사과 바나나 오렌지 과일 케이크 김치 비빔밥 국수 생선 고기 커피 차 책 소설 코트 "
    "치마 셔츠 모자 바지 신발 장갑 양말 가방 의자 책상 침대 시계 꽃 장미 그림"
)


def superlatives(rng: Sampler) -> Pair:
    """This bag is the most expensive in this store."""
    pool = tuple(
        n
        for n in NOTED
        if n[0].ko in ON_SALE
        and n[1] in ("비싸", "싸", "예쁘", "크", "작", "무겁", "가볍", "길", "짧", "맛있", "달")
    )
    (thing, word), level = rng.choice("noted", pool), rng.choice("level", LEVELS)
    stem, english = ADJECTIVES[word]
    ko_noun, en_noun, agreement = choose_demonstrative(rng, thing)
    most = rng.choice("most", ("가장", "제일"))
    ko = f"{particle(ko_noun, '이')} 이 가게에서 {most} {finish(stem, 'present', level)}"
    en = clause(en_noun, agreement, "present", f"be the {superlative(english)} in this store")
    return make_pair(ko, en, level, "superlatives", thing.ko, word)


def coloured(rng: Sampler) -> Pair:
    """My aunt bought a red hat yesterday."""
    pool = tuple(
        (t, w) for t, w in NOTED if t.ko in BUYABLE and w not in ("더럽", "깨끗하", "똑똑하", "비싸")
    )
    (thing, word), level, who = (
        rng.choice("noted", pool),
        rng.choice("level", LEVELS),
        rng.choice("who", EVERYONE),
    )
    stem, english = ADJECTIVES[word]
    tense, verb, verb_en = rng.choice("verb", VERBS_OF_CHOICE)
    noun = f"{english} {thing.noun}"
    whole = with_article(noun) if thing.countable else noun
    acting = honor(verb) if who.honorific else verb
    ko = f"{who.topic(level)} {adnominal(stem)} {particle(thing.ko, '을')} {finish(acting, tense, level)}"
    return make_pair(
        ko, clause(who.en, who.agreement, tense, f"{verb_en} {whole}"), level, "coloured", thing.ko, word
    )


BUYABLE = words("코트 치마 셔츠 모자 바지 신발 장갑 가방 의자 책상 침대 시계 장미 책 소설 그림 사과")
VERBS_OF_CHOICE = (
    ("past", Stem("사"), "buy"),
    ("past", Stem("고르"), "choose"),
    ("future", Stem("사"), "buy"),
    ("past", Stem("찾"), "look for"),
    ("past", Stem("받"), "receive"),
)

FAMILIES = {
    quality: 560,
    person_is: 250,
    comparing: 200,
    comparing_people: 150,
    superlatives: 120,
    coloured: 250,
}
