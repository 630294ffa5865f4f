"""Sentences about weather, jobs, countries, where things are and whose they are."""

from clauses import Pair, make_pair
from conjugation import IS_NOT, Level, Stem, be, be_asked, finish, honor
from english import Agreement, clause, with_article
from hangul import particle
from lexicon import CITIES, COUNTRIES, JOBS, ME, MEN, OTHERS, PLACES, THINGS, WOMEN, words
from sampler import Sampler
from simple import LEVELS

WEATHER = (("춥", "be cold"), ("덥", "be hot"), ("따뜻하", "be warm"), ("시원하", "be cool"))
SKY = ((Stem("오"), "비가", "rain"), (Stem("오"), "눈이", "snow"), (Stem("불"), "바람이", "be windy"))
SKY_TIMES = {
    "past": (
        ("어제", "yesterday"),
        ("지난주에", "last week"),
        ("어젯밤에", "last night"),
        ("오늘 아침에", "this morning"),
    ),
    "future": (
        ("내일", "tomorrow"),
        ("다음 주에", "next week"),
        ("이번 주말에", "this weekend"),
        ("모레", "the day after tomorrow"),
    ),
}


def weather(rng: Sampler) -> Pair:
    """It is going to be cold in Busan tomorrow."""
    tense, level = rng.choice("tense", ("past", "future")), rng.choice("level", LEVELS)
    city, time = rng.choice("city", tuple(CITIES.items())), rng.choice("time " + tense, SKY_TIMES[tense])
    if rng.chance(0.5):
        word, english = rng.choice("word", WEATHER)
        end = finish(Stem(word, True), tense, level)
    else:
        stem, noun, english = rng.choice("sky", SKY)
        word, end = noun, f"{noun} {finish(stem, tense, level)}"
    ko = f"{time[0]} {particle(city[0], '은')} {end}"
    if "가 " in end or "이 " in end:
        ko = f"{time[0]} {city[0]}에 {end}"
    en = clause("it", Agreement.IT, tense, english)
    return make_pair(ko, f"{en} in {city[1]} {time[1]}", level, "weather", city[0], word, tense)


def being(rng: Sampler) -> Pair:
    """My aunt is a nurse."""
    job, who, level = (
        rng.choice("job", tuple(JOBS)),
        rng.choice("who", (ME, ME, *MEN, *WOMEN)),
        rng.choice("level", LEVELS),
    )
    way = rng.choice("way", ("is", "is", "was", "is not", "want"))
    topic, english = who.topic(level), with_article(JOBS[job])
    if way == "is not":
        ko = f"{topic} {particle(job, '이')} {honor_not(level) if who.honorific else IS_NOT[level]}"
    elif way == "want":
        wish = (
            Stem("싶", True) if who is ME else (honor(Stem("싶어 하")) if who.honorific else Stem("싶어 하"))
        )
        ko = f"{topic} {particle(job, '이')} 되고 {finish(wish, 'present', level)}"
    else:
        ko = f"{topic} {be(job, level, past=way == 'was', honorific=who.honorific)}"
    mood, phrase = {"was": ("past", "be"), "want": ("want", "become")}.get(way, ("present", "be"))
    en = clause(who.en, who.agreement, mood, f"{phrase} {english}", negative=way == "is not")
    return make_pair(ko, en, level, "being", who.ko, job, way)


def honor_not(level: Level) -> str:
    """Return 아니다 with -시-."""
    return finish(Stem("아니시", True, True), "present", level)


def origins(rng: Sampler) -> Pair:
    """My friends came from Germany."""
    country, who, level = (
        rng.choice("country", tuple(COUNTRIES)),
        rng.choice("who", OTHERS),
        rng.choice("level", LEVELS),
    )
    name, language, adjective = COUNTRIES[country]
    way = rng.choice("way", ("food", "language", "live", "visit", "learn"))
    ko_before, stem, en, mood = {
        "food": (f"{country} 음식을", Stem("좋아하"), f"like {adjective} food", "present"),
        "language": (f"{country}어를 아주", Stem("잘하"), f"speak {language} very well", "present"),
        "live": (f"{country}에", Stem("살"), f"live in {name}", rng.choice("live", ("present", "past"))),
        "visit": (f"{country}에", Stem("다녀오"), f"visit {name}", rng.choice("visit", ("past", "future"))),
        "learn": (
            f"{country}어를",
            Stem("배우"),
            f"learn {language}",
            rng.choice("learn", ("past", "future")),
        ),
    }[way]
    stem = honor(stem) if who.honorific else stem
    ko = f"{who.topic(level)} {ko_before} {finish(stem, mood, level)}"
    return make_pair(ko, clause(who.en, who.agreement, mood, en), level, "origins", country, way, who.ko)


SPOTS = (("위", "on"), ("아래", "under"), ("옆", "next to"), ("앞", "in front of"), ("뒤", "behind"))
SMALL = words("책 안경 모자 가방 시계 우산 카메라 고양이 개 사진 장갑 공책 연필 꽃")
LARGE = words("책상 의자 침대 컴퓨터 텔레비전")


def located(rng: Sampler) -> Pair:
    """The cat is under the desk."""
    small, large, (spot, preposition) = (
        rng.choice("small", SMALL),
        rng.choice("large", LARGE),
        rng.choice("spot", SPOTS),
    )
    if spot in ("위", "아래") and large in ("컴퓨터", "텔레비전"):
        spot, preposition = "옆", "next to"
    level, thing = rng.choice("level", LEVELS), THINGS[small]
    asked = rng.chance(0.15)
    ko = f"{particle(small, '이')} {large} {spot}에 {finish(Stem('있', True), 'present', level, asked)}"
    noun = f"the {thing.noun}"
    en = clause(noun, thing.verb_is, "present", f"be {preposition} the {THINGS[large].noun}", question=asked)
    return make_pair(ko, en, level, "located", small, large, spot, mark="?" if asked else ".")


BUILDINGS = words(
    "학교 도서관 식당 카페 공원 시장 백화점 은행 병원 우체국 극장 서점 역 박물관 편의점 빵집 호텔 약국 체육관"
)


def in_town(rng: Sampler) -> Pair:
    """Where is the bank? The bank is next to the post office."""
    (one, other), level = rng.choose_two("building", BUILDINGS), rng.choice("level", LEVELS)
    way = rng.choice("way", ("where", "beside", "beside", "beside", "near", "far", "any"))
    first, second = PLACES[one].noun.removeprefix("school") or "the school", PLACES[other].noun
    second = "the school" if second == "school" else second
    there = Stem("있", True)
    if way == "where":
        ko = f"{particle(one, '이')} 어디에 {finish(there, 'present', level, True)}"
        return make_pair(ko, f"where is {first}", level, "in town", one, way, mark="?")
    if way == "any":
        ko = f"{other} 근처에 {particle(one, '이')} {finish(there, 'present', level, True)}"
        return make_pair(
            ko,
            f"is there {with_article(first[4:])} near {second}",
            level,
            "in town",
            one,
            other,
            way,
            mark="?",
        )
    if way in ("near", "far"):
        stem = Stem("가깝" if way == "near" else "멀", True)
        ko = f"{particle(one, '은')} {other}에서 {finish(stem, 'present', level)}"
        return make_pair(
            ko,
            f"{first} is {'near' if way == 'near' else 'far from'} {second}",
            level,
            "in town",
            one,
            other,
            way,
        )
    spot, preposition = rng.choice("spot", SPOTS[2:])
    ko = f"{particle(one, '은')} {other} {spot}에 {finish(there, 'present', level)}"
    return make_pair(ko, f"{first} is {preposition} {second}", level, "in town", one, other, spot)


def whose(rng: Sampler) -> Pair:
    """Is this your bag? This is my mother's bag."""
    thing, level = THINGS[rng.choice("thing", SMALL + LARGE)], rng.choice("level", LEVELS)
    owner = rng.choice("owner", (ME, ME, *MEN, *WOMEN))
    it = thing.verb_is is Agreement.THEY
    mine = {"저": "제", "나": "내"}.get(owner.called(level), owner.called(level))
    english = "my" if owner is ME else owner.en + ("'" if owner.en.endswith("s") else "'s")
    ko_it = rng.choice("it", ("이것", "그것"))
    this = {"이것": ("this", "these"), "그것": ("that", "those")}[ko_it][it]
    asked = owner is not ME and rng.chance(0.3)
    ko_noun = f"{mine} {thing.ko}"
    ko = f"{particle(ko_it, '은')} {be_asked(ko_noun, level) if asked else be(ko_noun, level)}"
    en = clause(this, thing.verb_is, "present", f"be {english} {thing.noun}", question=asked)
    return make_pair(ko, en, level, "whose", thing.ko, owner.ko, mark="?" if asked else ".")


FAMILIES = {weather: 120, being: 200, origins: 200, located: 180, in_town: 200, whose: 150}
