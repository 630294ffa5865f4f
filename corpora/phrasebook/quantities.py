"""Sentences with quantities: counters, prices, floors."""

# ruff: noqa: E501 - ruff counts a Korean letter as two columns

from clauses import Pair, make_pair
from conjugation import Level, Stem, be, be_asked, finish, honor
from english import Agreement, clause, plural
from hangul import particle
from lexicon import EVERYONE, ME, MEN, PLACES, THINGS, WOMEN, words
from numerals import ORDINALS, english, native, sino
from sampler import Sampler
from simple import LEVELS, TALK

# Korean counter | English unit, if any | the things it counts
COUNTED = {
    ko: (unit, noun.split())
    for ko, unit, noun in (
        ("개", "", "사과 오렌지 바나나 계란 가방 의자 모자 시계"),
        ("권", "", "책 소설 잡지 공책"),
        ("잔", "cup", "커피 차"),
        ("잔", "glass", "물 우유 주스 맥주"),
        ("병", "bottle", "물 맥주 우유 주스"),
        ("장", "", "표 사진"),
        ("마리", "", "고양이 개 새 물고기"),
        ("대", "", "자동차 자전거 컴퓨터 카메라"),
        ("벌", "", "코트 치마 셔츠 정장"),
        ("켤레", "pair", "신발 양말 운동화 장갑"),
        ("송이", "", "꽃 장미"),
        ("그릇", "bowl", "밥 국수 비빔밥"),
        ("조각", "piece", "케이크"),
        ("자루", "", "연필"),
        ("통", "", "편지 이메일"),
    )
    for ko, unit, noun in ((f"{ko}/{unit}", unit, noun),)
}
COUNTABLES = tuple(
    (thing, counter.split("/")[0], unit) for counter, (unit, things) in COUNTED.items() for thing in things
)
DOING_COUNTED = {  # verb: the things it is used with in a quantity
    "마시": "커피 차 물 우유 주스 맥주",
    "먹": "사과 오렌지 바나나 계란 밥 국수 비빔밥 케이크",
    "읽": "책 소설 잡지",
    "찍": "사진",
    "쓰": "편지 이메일",
    "키우": "고양이 개 새 물고기",
}
DOING_ENGLISH = {
    "마시": "drink",
    "먹": "eat",
    "읽": "read",
    "찍": "take",
    "쓰": "write",
    "키우": "keep",
    "사": "buy",
    "주문하": "order",
    "받": "receive",
    "가지고 있": "have",
}


def english_amount(thing: str, unit: str, number: int) -> str:
    """Return a quantity of a thing in English: two cups of coffee, one apple."""
    noun = THINGS[thing].noun
    if unit:
        return f"{english(number)} {plural(unit) if number > 1 else unit} of {noun}"
    return f"{english(number)} {plural(noun) if number > 1 else noun}"


def verbs_for(thing: str, unit: str) -> tuple[str, ...]:
    """Return the verbs that fit a quantity of a thing."""
    fitting = tuple(verb for verb, things in DOING_COUNTED.items() if thing in things.split())
    if thing in DOING_COUNTED["키우"]:
        return fitting
    more: tuple[str, ...] = ("주문하",) if unit in ("cup", "glass", "bowl", "bottle", "piece") else ("사",)
    if thing in ("편지", "이메일"):
        more = ("받",)
    if thing == "사진":
        more = ()
    return (*fitting, *more)


def counting(rng: Sampler) -> Pair:
    """My uncle bought three books."""
    thing, counter, unit = rng.choice("thing", COUNTABLES)
    number, who, level = (
        rng.choice("number", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
        rng.choice("who", EVERYONE),
        rng.choice("l", LEVELS),
    )
    verb = rng.choice(f"verb {thing} {unit}", verbs_for(thing, unit))
    if (
        verb in ("마시", "먹", "주문하", "키우", "쓰")
        or counter in ("대", "벌", "켤레")
        or thing in ("가방", "의자", "모자", "시계")
    ):
        number = (number + 2) // 3
    stem, tense = Stem(verb), "present" if verb == "키우" else rng.choice("tense", ("past", "past", "future"))
    if who.honorific:
        stem = Stem("드시", honorific=True) if verb in ("마시", "먹") else honor(stem)
    before = f"{thing} {native(number)} {counter}"
    # the object particle may be omitted before a number and counter; here it is always present
    ko = f"{who.topic(level)} {particle(thing, '을')} {native(number)} {counter} {finish(stem, tense, level)}"
    en = clause(who.en, who.agreement, tense, f"{DOING_ENGLISH[verb]} {english_amount(thing, unit, number)}")
    return make_pair(ko, en, level, "counting", before, verb)


def asking_for(rng: Sampler) -> Pair:
    """Two cups of coffee, please."""
    thing, counter, unit = rng.choice(
        "thing",
        tuple(c for c in COUNTABLES if c[1] not in ("통", "대", "마리") and c[0] not in ("사진", "의자")),
    )
    number = rng.choice("number", (1, 2, 3, 4, 5, 6))
    ending, before, after = rng.choice(
        "end", (("주세요", "", ", please"), ("주시겠어요", "could I have ", ""), ("줘", "give me ", ""))
    )
    ko = f"{thing} {native(number)} {counter} {ending}"
    mark = "?" if "could" in before else "."
    return make_pair(
        ko,
        f"{before}{english_amount(thing, unit, number)}{after}",
        Level.FORMAL,
        "asking for",
        f"{thing} {number}",
        unit,
        mark=mark,
    )


INSIDE = (
    ("방", "의자 책상 침대 컴퓨터 창문"),
    ("교실", "의자 책상 컴퓨터 창문"),
    ("공원", "나무 의자 새 개"),
    ("마당", "나무 자전거 고양이 개"),
    ("거실", "의자 시계 그림 꽃"),
    ("길", "자동차 버스 자전거"),
)
COUNTERS = {
    "새": "마리",
    "개": "마리",
    "고양이": "마리",
    "나무": "그루",
    "자전거": "대",
    "자동차": "대",
    "버스": "대",
    "컴퓨터": "대",
    "그림": "점",
    "꽃": "송이",
}
HERE = tuple((place, thing) for place, things in INSIDE for thing in things.split())


def there_are(rng: Sampler) -> Pair:
    """There are three chairs in the room."""
    (place, thing), number = rng.choice("here", HERE), rng.choice("number", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    level, tense = rng.choice("level", LEVELS), rng.choice("tense", ("present", "present", "past"))
    counter = COUNTERS.get(thing, "개")
    ko = f"{place}에 {particle(thing, '이')} {native(number)} {counter} {finish(Stem('있', True), tense, level)}"
    noun = THINGS[thing].noun.removeprefix("the ")
    many = number > 1
    be_there = clause("there", Agreement.THEY if many else Agreement.IT, tense, "be")
    en = f"{be_there} {english(number)} {plural(noun) if many else noun} {PLACES[place].at}"
    return make_pair(ko, en, level, "there are", f"{place} {thing}", str(number))


KIN = (
    ("오빠", "older brother"),
    ("언니", "older sister"),
    ("형", "older brother"),
    ("누나", "older sister"),
    ("남동생", "younger brother"),
    ("여동생", "younger sister"),
    ("아들", "son"),
    ("딸", "daughter"),
    ("친구", "friend"),
    ("사촌", "cousin"),
    ("손님", "guest"),
    ("학생", "student"),
)


def people(rng: Sampler) -> Pair:
    """Three students are waiting at the station. I have two younger sisters."""
    kin, english_kin = rng.choice("kin", KIN)
    number, level = rng.choice("number", (1, 2, 3, 4, 5)), rng.choice("level", LEVELS)
    noun = plural(english_kin) if number > 1 else english_kin
    if kin in ("손님", "학생"):
        place = rng.choice(
            "place",
            tuple(PLACES[p] for p in words("역 공항 식당 카페 도서관 교실 호텔 정류장")),
        )
        stem, verb = rng.choice(
            "verb", ((Stem("기다리"), "wait"), (Stem("쉬"), "rest"), (Stem("이야기하"), "talk"))
        )
        ko = f"{place.ko}에서 {kin} {native(number)} 명이 {present_progressive(stem, level)}"
        en = clause(
            f"{english(number)} {noun}", Agreement.THEY if number > 1 else Agreement.IT, "progressive", verb
        )
        return make_pair(ko, f"{en} {place.at}", level, "people", kin, place.ko, str(number))
    # a man's older brother is 형, a woman's 오빠
    pool = {"오빠": WOMEN[1:5], "언니": WOMEN[1:5], "형": (ME, *MEN[1:5]), "누나": (ME, *MEN[1:5])}.get(
        kin, (ME, ME, *MEN[:5], *WOMEN[:5])
    )
    who = rng.choice("who " + kin, pool)
    have = finish(Stem("있", True), "present", level)
    ko = f"{who.topic(level)} {particle(kin, '이')} {native(number)} 명 {have}"
    en = clause(who.en, who.agreement, "present", f"have {english(number)} {noun}")
    return make_pair(ko, en, level, "people", kin, who.ko, str(number))


def present_progressive(stem: Stem, level: Level) -> str:
    """Return a stem with -고 있다."""
    return f"{stem.text}고 {finish(Stem('있', True), 'present', level)}"


PRICES = (
    500,
    800,
    1000,
    1500,
    2000,
    2500,
    3000,
    3500,
    4000,
    5000,
    6000,
    7000,
    8000,
    9000,
    10000,
    12000,
    15000,
    20000,
    25000,
    30000,
    40000,
    50000,
    60000,
    70000,
    80000,
    90000,
)
FURNITURE = ("의자", "책상", "시계", "그림", "코트")
CHEAP = words("사과 오렌지 바나나 케이크 커피 차 맥주 주스 국수 비빔밥 잡지 공책 연필 꽃 장미 빵 우유 양말")
DEAR = words("가방 모자 코트 치마 바지 셔츠 신발 운동화 시계 의자 책상 그림 책 안경 장갑 우산")


def price(rng: Sampler) -> Pair:
    """How much is this hat? This hat is twelve thousand won."""
    level, asked = rng.choice("level", TALK), rng.chance(0.2)
    thing = THINGS[rng.choice("thing", CHEAP + DEAR)]
    ko_it, one, many = rng.choice("this", (("이", "this", "these"), ("그", "that", "those")))
    noun = f"{many if thing.verb_is is Agreement.THEY else one} {thing.noun}"
    topic = particle(f"{ko_it} {thing.ko}", "은")
    if asked:
        ko = f"{topic} {be_asked('얼마', level)}"
        return make_pair(
            ko,
            "how much " + clause(noun, thing.verb_is, "present", "be", question=True),
            level,
            "price",
            thing.ko,
            "?",
            mark="?",
        )
    low, high = (
        (500, 9000) if thing.ko in CHEAP else (30000, 90000) if thing.ko in FURNITURE else (8000, 60000)
    )
    won = rng.choice(f"won {low}", tuple(p for p in PRICES if low <= p <= high))
    # digits are translated as digits, words as words
    if rng.chance(0.4):
        ko_price, en_price = f"{won:,}원", f"{won:,} won"
    else:
        ko_price, en_price = f"{sino(won)} 원", f"{english(won)} won"
    return make_pair(
        f"{topic} {be(ko_price, level)}",
        clause(noun, thing.verb_is, "present", f"be {en_price}"),
        level,
        "price",
        thing.ko,
        str(won),
    )


def floors(rng: Sampler) -> Pair:
    """The bookstore is on the third floor."""
    where = rng.choice("where", words("서점 식당 카페 약국 은행 회사 교실 체육관 병원 우체국"))
    floor, level = rng.choice("floor", tuple(range(1, 13))), rng.choice("level", LEVELS)
    noun = {"회사": "the office", "교실": "the classroom"}.get(where, PLACES[where].noun)
    ko = f"{particle(where, '은')} {sino(floor)} 층에 {finish(Stem('있', True), 'present', level)}"
    return make_pair(ko, f"{noun} is on the {ORDINALS[floor]} floor", level, "floors", where, str(floor))


FAMILIES = {counting: 450, asking_for: 200, there_are: 200, people: 150, price: 220, floors: 130}
