"""Sentences about how things are: qualities, comparison, weather, places, being."""

from clauses import Pair, made
from conjugation import IS_NOT, Level, Stem, adnominal, attach, be, be_asked, finish, honor
from dealing import Dealer
from english import Agreement, clause, comparative, plural, superlative, with_article
from hangul import particle
from lexicon import (
    CITIES, COUNTRIES, ELDERS, EVERYONE, GROUPS, JOBS, MEN, OTHERS, PEERS, THINGS, WOMEN, I, Thing,
)  # fmt: skip
from simple import LEVELS

ADJECTIVES = {
    ko: (Stem(ko, True), en)
    for ko, en in (
        cell.split("=")
        for cell in (
            "크=big,작=small,예쁘=pretty,아름답=beautiful,맛있=delicious,비싸=expensive,싸=cheap,어렵=difficult,쉽=easy,"
            "재미있=interesting,무겁=heavy,가볍=light,깨끗하=clean,더럽=dirty,조용하=quiet,시끄럽=noisy,맵=spicy,달=sweet,"
            "짜=salty,빠르=fast,느리=slow,길=long,짧=short,높=high,새롭=new,따뜻하=warm,시원하=cool,넓=spacious,"
            "바쁘=busy,피곤하=tired,아프=sick,배고프=hungry,기쁘=happy,슬프=sad,친절하=kind,똑똑하=smart,유명하=famous,"
            "젊=young,귀엽=cute,춥=cold,덥=hot,빨갛=red,파랗=blue,노랗=yellow,하얗=white,까맣=black,무섭=scary,좋=good,"
            "가깝=near,멀=far,키가 크=tall,쓰=bitter,뜨겁=hot,차갑=cold,시=sour"
        ).split(",")
    )
}
# which things can be how
QUALITIES = (
    ("사과 바나나 오렌지 과일 케이크", "달 맛있 비싸 싸 작"),
    ("김치 불고기 비빔밥 국수 생선 고기", "맛있 짜 비싸 싸 맵"),
    ("커피 차", "뜨겁 쓰 달 맛있 비싸"),
    ("책 소설 영화 드라마", "재미있 어렵 길 짧 슬프 무섭 유명하 좋"),
    ("코트 치마 셔츠 모자 바지 신발 장갑 양말", "예쁘 비싸 싸 크 작 길 짧 따뜻하 빨갛 파랗 노랗 하얗 까맣 더럽 깨끗하"),
    ("가방 의자 책상 침대 시계", "무겁 가볍 크 작 비싸 싸 예쁘 까맣 하얗"),
    ("방 부엌 교실 집", "넓 작 깨끗하 더럽 조용하 시끄럽 춥 덥 따뜻하 시원하"),
    ("버스 기차 자전거 자동차 택시", "빠르 느리 비싸 새롭 깨끗하"),
    ("꽃 장미 그림 노래", "예쁘 아름답 비싸 빨갛 노랗 하얗"),
    ("고양이 개 새", "귀엽 작 크 까맣 하얗 똑똑하"),
)
EXCEPT = {("노래", c) for c in ("빨갛", "노랗", "하얗", "비싸")} | {("그림", c) for c in ("빨갛", "노랗", "하얗")} | {
    ("버스", "비싸"), ("새", "똑똑하"), ("장갑", "길"), ("모자", "길"), ("모자", "짧"), ("신발", "길"), ("신발", "짧"),
    ("장갑", "짧"), ("영화", "길"), ("국수", "싸"), ("시계", "무겁"), ("집", "시원하"), ("양말", "비싸"),
}  # fmt: skip
NOTED = tuple(
    (THINGS[thing], word)
    for things, words in QUALITIES
    for thing in things.split()
    for word in words.split()
    if (thing, word) not in EXCEPT
)
POINTING = (("이", "this", "these"), ("그", "that", "those"))
DEGREES = (("아주", "very"), ("정말", "really"), ("너무", "too"), ("조금", "a little"))


def pointed(deal: Dealer, thing: Thing) -> tuple[str, str, Agreement]:
    """This or that thing."""
    ko, one, many = deal.one("pointing", POINTING)
    pairs = thing.verb_is is Agreement.THEY
    return f"{ko} {thing.ko}", f"{many if pairs else one} {thing.noun}", thing.verb_is


def quality(deal: Dealer) -> Pair:
    """This bag is too heavy."""
    (thing, word), level = deal.one("noted", NOTED), deal.one("level", LEVELS)
    stem, english = ADJECTIVES[word]
    tense = deal.one("tense", ("present", "present", "past"))
    ko_noun, en_noun, agreement = pointed(deal, thing)
    colour = word in ("빨갛", "파랗", "노랗", "하얗", "까맣")
    degree = ("", "") if colour or deal.below(0.4) else deal.one("degree", DEGREES)
    denied = not degree[0] and deal.below(0.3)
    end = f"{attach(stem, '지')} {finish(Stem('않', True), tense, level)}" if denied else finish(stem, tense, level)
    en = clause(en_noun, agreement, tense, f"be {degree[1]} {english}", negative=denied)
    return made(f"{particle(ko_noun, '은')} {degree[0]} {end}", en, level, "quality", thing.ko, word, str(denied))


FEELINGS = tuple("바쁘 피곤하 아프 배고프 친절하 똑똑하 유명하 키가_크".replace("_", " ").split(" ")[:-2]) + ("키가 크",)
LASTING = ("친절하", "똑똑하", "유명하", "키가 크")


def person_is(deal: Dealer) -> Pair:
    """My grandmother was very tired yesterday."""
    word, level, who = deal.one("word", FEELINGS), deal.one("level", LEVELS), deal.one("who", EVERYONE)
    if word in LASTING:
        who = deal.one("other", OTHERS)
    stem, english = ADJECTIVES[word]
    stem = honor(stem) if who.honorific else stem
    tense = "present" if word in LASTING else deal.one("tense", ("present", "past"))
    time = ("", "") if word in LASTING else deal.one(
        "time " + tense, (("요즘", "these days"), ("지금", "now"), ("오늘", "today")) if tense == "present"
        else (("어제", "yesterday"), ("지난주에", "last week"), ("아까", "a little while ago")))  # fmt: skip
    degree = deal.one("degree", DEGREES[:2]) if deal.below(0.7) else ("", "")
    ko = f"{who.topic(level)} {time[0]} {degree[0]} {finish(stem, tense, level)}"
    en = f"{clause(who.en, who.agreement, tense, f'be {degree[1]} {english}')} {time[1]}"
    return made(ko, en, level, "person is", who.ko, word, tense)


RIVALS = (
    ("사과 바나나 오렌지", "달 비싸 맛있 싸"),
    ("버스 기차 지하철 택시 자전거 비행기", "빠르 비싸 느리"),
    ("한국어 영어 중국어 수학 역사", "어렵 쉽 재미있"),
    ("축구 야구 농구 테니스 배구", "재미있 어렵 쉽"),
    ("책 영화 드라마 소설", "재미있 좋"),
)
FIELDS = tuple((things.split(), words.split()) for things, words in RIVALS)


def generic(thing: Thing) -> tuple[str, Agreement]:
    """A thing in general: apples are, tennis is."""
    if thing.one.startswith("the ") or (thing.countable and thing.noun in ("taxi", "bicycle")):
        noun = plural(thing.noun)
        return noun, Agreement.THEY
    return thing.many, Agreement.THEY if thing.many != thing.one else thing.verb_is


def comparing(deal: Dealer) -> Pair:
    """Trains are faster than buses."""
    things, words = deal.one("field", FIELDS)
    (left, right), word = deal.two("thing " + things[0], things), deal.one("word " + things[0], words)
    stem, english = ADJECTIVES[word]
    level = deal.one("level", LEVELS)
    noun, agreement = generic(THINGS[left])
    ko = f"{particle(left, '은')} {right}보다 {deal.one('much', ('', '훨씬 '))}더 "
    much = "much " if "훨씬" in ko else ""
    ko += finish(stem, "present", level)
    en = clause(noun, agreement, "present", f"be {much}{comparative(english)} than {generic(THINGS[right])[0]}")
    return made(ko, en, level, "comparing", left, right, word)


def comparing_people(deal: Dealer) -> Pair:
    """My older brother is taller than my father."""
    left, right = deal.two("who", (I, *OTHERS))
    word, level = deal.one("word", ("키가 크", "바쁘", "똑똑하", "친절하", "유명하", "젊")), deal.one("level", LEVELS)
    stem, english = ADJECTIVES[word]
    before, stem = ("키가 ", Stem("크", True)) if word == "키가 크" else ("", stem)
    stem = honor(stem) if left.honorific else stem
    ko = f"{left.topic(level)} {right.called(level)}보다 {before}더 {finish(stem, 'present', level)}"
    en = clause(left.en, left.agreement, "present", f"be {comparative(english)} than {right.objective}")
    return made(ko, en, level, "comparing people", left.ko, right.ko, word)


SCOPES = (("이 가게", "in this store"), ("우리 집", "in our house"), ("이 도시", "in this city"))


def superlatives(deal: Dealer) -> Pair:
    """This bag is the most expensive in this store."""
    pool = tuple(n for n in NOTED if n[1] in ("비싸", "싸", "예쁘", "크", "작", "무겁", "가볍", "길", "짧", "맛있", "달"))
    (thing, word), level = deal.one("noted", pool), deal.one("level", LEVELS)
    stem, english = ADJECTIVES[word]
    ko_noun, en_noun, agreement = pointed(deal, thing)
    most = deal.one("most", ("가장", "제일"))
    ko = f"{particle(ko_noun, '이')} 이 가게에서 {most} {finish(stem, 'present', level)}"
    en = clause(en_noun, agreement, "present", f"be the {superlative(english)} in this store")
    return made(ko, en, level, "superlatives", thing.ko, word)


def coloured(deal: Dealer) -> Pair:
    """My aunt bought a red hat yesterday."""
    pool = tuple((t, w) for t, w in NOTED if t.ko in BUYABLE and w not in ("더럽", "깨끗하", "똑똑하", "비싸"))
    (thing, word), level, who = deal.one("noted", pool), deal.one("level", LEVELS), deal.one("who", EVERYONE)
    stem, english = ADJECTIVES[word]
    tense, verb, verb_en = deal.one("verb", VERBS_OF_CHOICE)
    noun = f"{english} {thing.noun}"
    whole = with_article(noun) if thing.countable else noun
    acting = honor(verb) if who.honorific else verb
    ko = f"{who.topic(level)} {adnominal(stem)} {particle(thing.ko, '을')} {finish(acting, tense, level)}"
    return made(ko, clause(who.en, who.agreement, tense, f"{verb_en} {whole}"), level, "coloured", thing.ko, word)


BUYABLE = "코트 치마 셔츠 모자 바지 신발 장갑 가방 의자 책상 침대 시계 꽃 장미 책 소설 그림 사과 케이크".split()
VERBS_OF_CHOICE = (("past", Stem("사"), "buy"), ("past", Stem("고르"), "choose"), ("future", Stem("사"), "buy"),
                   ("past", Stem("찾"), "look for"), ("past", Stem("받"), "receive"))  # fmt: skip

WEATHER = (("춥", "be cold"), ("덥", "be hot"), ("따뜻하", "be warm"), ("시원하", "be cool"))
SKY = ((Stem("오"), "비가", "rain"), (Stem("오"), "눈이", "snow"), (Stem("불"), "바람이", "be windy"))
SKY_TIMES = {
    "past": (("어제", "yesterday"), ("지난주에", "last week"), ("어젯밤에", "last night"), ("오늘 아침에", "this morning")),
    "future": (("내일", "tomorrow"), ("다음 주에", "next week"), ("이번 주말에", "this weekend"), ("모레", "the day after tomorrow")),
}  # fmt: skip


def weather(deal: Dealer) -> Pair:
    """It is going to be cold in Busan tomorrow."""
    tense, level = deal.one("tense", ("past", "future")), deal.one("level", LEVELS)
    city, time = deal.one("city", tuple(CITIES.items())), deal.one("time " + tense, SKY_TIMES[tense])
    if deal.below(0.5):
        word, english = deal.one("word", WEATHER)
        end = finish(Stem(word, True), tense, level)
    else:
        stem, noun, english = deal.one("sky", SKY)
        word, end = noun, f"{noun} {finish(stem, tense, level)}"
    ko = f"{time[0]} {particle(city[0], '은')} {end}"
    if "가 " in end or "이 " in end:
        ko = f"{time[0]} {city[0]}에 {end}"
    en = clause("it", Agreement.IT, tense, english)
    return made(ko, f"{en} in {city[1]} {time[1]}", level, "weather", city[0], word, tense)


def being(deal: Dealer) -> Pair:
    """My aunt is a nurse."""
    job, who, level = deal.one("job", tuple(JOBS)), deal.one("who", (I, I, *MEN, *WOMEN)), deal.one("level", LEVELS)
    way = deal.one("way", ("is", "is", "was", "is not", "want"))
    topic, english = who.topic(level), with_article(JOBS[job])
    if way == "is not":
        ko = f"{topic} {particle(job, '이')} {honor_not(level) if who.honorific else IS_NOT[level]}"
    elif way == "want":
        wish = Stem("싶", True) if who is I else (honor(Stem("싶어 하")) if who.honorific else Stem("싶어 하"))
        ko = f"{topic} {particle(job, '이')} 되고 {finish(wish, 'present', level)}"
    else:
        ko = f"{topic} {be(job, level, past=way == 'was', honorific=who.honorific)}"
    mood, phrase = {"was": ("past", "be"), "want": ("want", "become")}.get(way, ("present", "be"))
    en = clause(who.en, who.agreement, mood, f"{phrase} {english}", negative=way == "is not")
    return made(ko, en, level, "being", who.ko, job, way)


def honor_not(level: Level) -> str:
    """아니다 with -시-."""
    return finish(Stem("아니시", True, True), "present", level)


def origins(deal: Dealer) -> Pair:
    """My friends came from Germany."""
    country, who, level = deal.one("country", tuple(COUNTRIES)), deal.one("who", OTHERS), deal.one("level", LEVELS)
    name, language, adjective = COUNTRIES[country]
    way = deal.one("way", ("food", "language", "live", "visit", "learn"))
    ko_before, stem, en, mood = {
        "food": (f"{country} 음식을", Stem("좋아하"), f"like {adjective} food", "present"),
        "language": (f"{country}어를 아주", Stem("잘하"), f"speak {language} very well", "present"),
        "live": (f"{country}에", Stem("살"), f"live in {name}", deal.one("live", ("present", "past"))),
        "visit": (f"{country}에", Stem("다녀오"), f"visit {name}", deal.one("visit", ("past", "future"))),
        "learn": (f"{country}어를", Stem("배우"), f"learn {language}", deal.one("learn", ("past", "future"))),
    }[way]
    stem = honor(stem) if who.honorific else stem
    ko = f"{who.topic(level)} {ko_before} {finish(stem, mood, level)}"
    return made(ko, clause(who.en, who.agreement, mood, en), level, "origins", country, way, who.ko)


SPOTS = (("위", "on"), ("아래", "under"), ("옆", "next to"), ("앞", "in front of"), ("뒤", "behind"))
SMALL = "책 안경 모자 가방 시계 우산 카메라 고양이 개 사진 장갑 공책 연필 꽃".split()
LARGE = "책상 의자 침대 컴퓨터 텔레비전".split()


def located(deal: Dealer) -> Pair:
    """The cat is under the desk."""
    small, large, (spot, preposition) = deal.one("small", SMALL), deal.one("large", LARGE), deal.one("spot", SPOTS)
    if spot in ("위", "아래") and large in ("컴퓨터", "텔레비전"):
        spot, preposition = "옆", "next to"
    level, thing = deal.one("level", LEVELS), THINGS[small]
    asked = deal.below(0.15)
    ko = f"{particle(small, '이')} {large} {spot}에 {finish(Stem('있', True), 'present', level, asked)}"
    noun = f"the {thing.noun}"
    en = clause(noun, thing.verb_is, "present", f"be {preposition} the {THINGS[large].noun}", question=asked)
    return made(ko, en, level, "located", small, large, spot, mark="?" if asked else ".")


BUILDINGS = "학교 도서관 식당 카페 공원 시장 백화점 은행 병원 우체국 극장 서점 역 박물관 편의점 빵집 호텔 약국 체육관".split()


def in_town(deal: Dealer) -> Pair:
    """Where is the bank? The bank is next to the post office."""
    from lexicon import PLACES

    (one, other), level = deal.two("building", BUILDINGS), deal.one("level", LEVELS)
    way = deal.one("way", ("where", "beside", "beside", "beside", "near", "far", "any"))
    first, second = PLACES[one].noun.removeprefix("school") or "the school", PLACES[other].noun
    second = "the school" if second == "school" else second
    there = Stem("있", True)
    if way == "where":
        ko = f"{particle(one, '이')} 어디에 {finish(there, 'present', level, True)}"
        return made(ko, f"where is {first}", level, "in town", one, way, mark="?")
    if way == "any":
        ko = f"{other} 근처에 {particle(one, '이')} {finish(there, 'present', level, True)}"
        return made(ko, f"is there {with_article(first[4:])} near {second}", level, "in town", one, other, way, mark="?")
    if way in ("near", "far"):
        stem = Stem("가깝" if way == "near" else "멀", True)
        ko = f"{particle(one, '은')} {other}에서 {finish(stem, 'present', level)}"
        return made(ko, f"{first} is {'near' if way == 'near' else 'far from'} {second}", level, "in town", one, other, way)
    spot, preposition = deal.one("spot", SPOTS[2:])
    ko = f"{particle(one, '은')} {other} {spot}에 {finish(there, 'present', level)}"
    return made(ko, f"{first} is {preposition} {second}", level, "in town", one, other, spot)


def whose(deal: Dealer) -> Pair:
    """Is this your bag? This is my mother's bag."""
    thing, level = THINGS[deal.one("thing", SMALL + LARGE)], deal.one("level", LEVELS)
    owner = deal.one("owner", (I, I, *PEERS, *ELDERS))
    it = thing.verb_is is Agreement.THEY
    mine = {"저": "제", "나": "내"}.get(owner.called(level), owner.called(level))
    english = "my" if owner is I else owner.en + ("'" if owner.en.endswith("s") else "'s")
    ko_it = deal.one("it", ("이것", "그것"))
    this = {"이것": ("this", "these"), "그것": ("that", "those")}[ko_it][it]
    asked = deal.below(0.25)
    ko_noun = f"{mine} {thing.ko}"
    ko = f"{particle(ko_it, '은')} {be_asked(ko_noun, level) if asked else be(ko_noun, level)}"
    en = clause(this, thing.verb_is, "present", f"be {english} {thing.noun}", question=asked)
    return made(ko, en, level, "whose", thing.ko, owner.ko, mark="?" if asked else ".")


FAMILIES = {
    quality: 450, person_is: 250, comparing: 200, comparing_people: 150, superlatives: 120, coloured: 250,
    weather: 120, being: 200, origins: 200, located: 180, in_town: 200, whose: 150,
}  # fmt: skip

