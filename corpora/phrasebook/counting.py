"""Sentences with counters, prices, times, dates, ages and telephone numbers."""

from clauses import Pair, made
from conjugation import Level, Stem, be, be_asked, finish, honor
from dealing import Dealer
from english import Agreement, clause, plural
from hangul import particle
from lexicon import DAYS, EVERYONE, MEN, MONTHS, PEERS, PLACES, THINGS, WOMEN, I
from numbers_said import ORDINALS, english, native, sino
from simple import LEVELS, TALK

# counter | English of one, {n} the noun | the things counted so
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
DOING_COUNTED = {  # thing: what one does with so many of it (Korean, English)
    "마시": "커피 차 물 우유 주스 맥주",
    "먹": "사과 오렌지 바나나 계란 밥 국수 비빔밥 케이크",
    "읽": "책 소설 잡지",
    "찍": "사진",
    "쓰": "편지 이메일",
    "키우": "고양이 개 새 물고기",
}
DOING_ENGLISH = {"마시": "drink", "먹": "eat", "읽": "read", "찍": "take", "쓰": "write", "키우": "raise", "사": "buy",
                 "주문하": "order", "받": "receive", "가지고 있": "have"}  # fmt: skip


def amount(thing: str, unit: str, number: int) -> str:
    """So many of a thing in English: two cups of coffee, one apple."""
    noun = THINGS[thing].noun
    if unit:
        return f"{english(number)} {plural(unit) if number > 1 else unit} of {noun}"
    return f"{english(number)} {plural(noun) if number > 1 else noun}"


def ways(thing: str, unit: str) -> tuple[str, ...]:
    """The verbs that go with so many of a thing."""
    fitting = tuple(verb for verb, things in DOING_COUNTED.items() if thing in things.split())
    if thing in DOING_COUNTED["키우"]:
        return fitting
    more = ("주문하",) if unit in ("cup", "glass", "bowl", "bottle", "piece") else ("사",)
    if thing in ("편지", "이메일"):
        more = ("받",)
    if thing == "사진":
        more = ()
    return (*fitting, *more)


def counting(deal: Dealer) -> Pair:
    """My uncle bought three books."""
    thing, counter, unit = deal.one("thing", COUNTABLES)
    number, who, level = deal.one("number", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), deal.one("who", EVERYONE), deal.one("l", LEVELS)
    verb = deal.one(f"verb {thing} {unit}", ways(thing, unit))
    if verb in ("마시", "먹", "주문하", "키우", "쓰"):
        number = (number + 1) // 2
    stem, tense = Stem(verb), "present" if verb == "키우" else deal.one("tense", ("past", "past", "future"))
    if who.honorific:
        stem = Stem("드시", honorific=True) if verb in ("마시", "먹") else honor(stem)
    before = f"{thing} {native(number)} {counter}"
    # the object particle may be left out after a counter; here it always is said
    ko = f"{who.topic(level)} {particle(thing, '을')} {native(number)} {counter} {finish(stem, tense, level)}"
    en = clause(who.en, who.agreement, tense, f"{DOING_ENGLISH[verb]} {amount(thing, unit, number)}")
    return made(ko, en, level, "counting", before, verb)


def asking_for(deal: Dealer) -> Pair:
    """Two cups of coffee, please."""
    thing, counter, unit = deal.one("thing", tuple(c for c in COUNTABLES if c[0] not in ("편지", "이메일", "사진")))
    number = deal.one("number", (1, 2, 3, 4, 5, 6))
    ending, before, after = deal.one("end", (("주세요", "", ", please"), ("주시겠어요", "could I have ", ""), ("줘", "give me ", "")))
    ko = f"{thing} {native(number)} {counter} {ending}"
    mark = "?" if "could" in before else "."
    return made(ko, f"{before}{amount(thing, unit, number)}{after}", Level.FORMAL, "asking for", f"{thing} {number}", unit, mark=mark)


INSIDE = (("방", "의자 책상 침대 컴퓨터 창문"), ("교실", "의자 책상 컴퓨터 창문"), ("공원", "나무 의자 새 개"), ("마당", "나무 자전거 고양이 개"),
          ("거실", "의자 시계 그림 꽃"), ("길", "자동차 버스 자전거"))  # fmt: skip
COUNTERS = {"새": "마리", "개": "마리", "고양이": "마리", "나무": "그루", "자전거": "대", "자동차": "대", "버스": "대", "컴퓨터": "대",
            "그림": "점", "꽃": "송이"}  # fmt: skip
HERE = tuple((place, thing) for place, things in INSIDE for thing in things.split())


def there_are(deal: Dealer) -> Pair:
    """There are three chairs in the room."""
    (place, thing), number = deal.one("here", HERE), deal.one("number", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    level, tense = deal.one("level", LEVELS), deal.one("tense", ("present", "present", "past"))
    counter = COUNTERS.get(thing, "개")
    ko = f"{place}에 {particle(thing, '이')} {native(number)} {counter} {finish(Stem('있', True), tense, level)}"
    noun = THINGS[thing].noun.removeprefix("the ")
    many = number > 1
    be_there = clause("there", Agreement.THEY if many else Agreement.IT, tense, "be")
    en = f"{be_there} {english(number)} {plural(noun) if many else noun} {PLACES[place].at}"
    return made(ko, en, level, "there are", f"{place} {thing}", str(number))


KIN = (("형", "older brother"), ("누나", "older sister"), ("남동생", "younger brother"), ("여동생", "younger sister"), ("아들", "son"), ("딸", "daughter"), ("친구", "friend"),
       ("사촌", "cousin"), ("손님", "guest"), ("학생", "student"))  # fmt: skip


def people(deal: Dealer) -> Pair:
    """Three students are waiting at the station. I have two younger sisters."""
    kin, english_kin = deal.one("kin", KIN)
    number, level = deal.one("number", (1, 2, 3, 4, 5)), deal.one("level", LEVELS)
    noun = plural(english_kin) if number > 1 else english_kin
    if kin in ("손님", "학생"):
        place = deal.one("place", tuple(PLACES[p] for p in "역 공항 식당 카페 도서관 교실 호텔 정류장".split()))
        stem, verb = deal.one("verb", ((Stem("기다리"), "wait"), (Stem("쉬"), "rest"), (Stem("이야기하"), "talk")))
        ko = f"{place.ko}에서 {kin} {native(number)} 명이 {present_progressive(stem, level)}"
        en = clause(f"{english(number)} {noun}", Agreement.THEY if number > 1 else Agreement.IT, "progressive", verb)
        return made(ko, f"{en} {place.at}", level, "people", kin, place.ko, str(number))
    who = deal.one("who", (I, I, *MEN[1:5], *WOMEN[1:5], *PEERS[-2:]))
    ko = f"{who.topic(level)} {particle(kin, '이')} {native(number)} 명 {finish(Stem('있', True), 'present', level)}"
    en = clause(who.en, who.agreement, "present", f"have {english(number)} {noun}")
    return made(ko, en, level, "people", kin, who.ko, str(number))


def present_progressive(stem: Stem, level: Level) -> str:
    """A stem with -고 있다."""
    return f"{stem.text}고 {finish(Stem('있', True), 'present', level)}"


PRICES = (500, 800, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 12000, 15000,
          20000, 25000, 30000, 40000, 50000, 60000, 70000, 80000, 90000)  # fmt: skip
CHEAP = tuple("사과 오렌지 바나나 케이크 커피 차 맥주 주스 국수 비빔밥 잡지 공책 연필 꽃 장미 빵 우유 양말".split())
DEAR = tuple("가방 모자 코트 치마 바지 셔츠 신발 운동화 시계 의자 책상 그림 책 안경 장갑 우산".split())


def price(deal: Dealer) -> Pair:
    """How much is this hat? This hat is twelve thousand won."""
    level, asked = deal.one("level", TALK), deal.below(0.2)
    thing = THINGS[deal.one("thing", CHEAP + DEAR)]
    ko_it, one, many = deal.one("this", (("이", "this", "these"), ("그", "that", "those")))
    noun = f"{many if thing.verb_is is Agreement.THEY else one} {thing.noun}"
    topic = particle(f"{ko_it} {thing.ko}", "은")
    if asked:
        ko = f"{topic} {be_asked('얼마', level)}"
        return made(ko, "how much " + clause(noun, thing.verb_is, "present", "be", question=True), level, "price", thing.ko, "?", mark="?")
    won = deal.one("cheap", tuple(p for p in PRICES if p < 10000)) if thing.ko in CHEAP else deal.one(
        "dear", tuple(p for p in PRICES if p >= 5000))  # fmt: skip
    # digits stay digits, words become words
    if deal.below(0.4):
        ko_price, en_price = f"{won:,}원", f"{won:,} won"
    else:
        ko_price, en_price = f"{sino(won)} 원", f"{english(won)} won"
    return made(f"{topic} {be(ko_price, level)}", clause(noun, thing.verb_is, "present", f"be {en_price}"), level, "price", thing.ko, str(won))


HALVES = (("", ""), (" 반", " thirty"), (" 십 분", " ten"), (" 이십 분", " twenty"), (" 사십 분", " forty"), (" 오십 분", " fifty"))
PARTS = (("", ""), ("오전 ", " in the morning"), ("오후 ", " in the afternoon"), ("", ""))
APPOINTMENTS = (
    (Stem("일어나"), "get up"), (Stem("자"), "go to bed"), (Stem("출발하"), "leave"), (Stem("도착하"), "arrive"), (Stem("퇴근하"), "leave work"),
    (Stem("돌아오"), "come back"), (Stem("아침을 먹"), "eat breakfast"), (Stem("점심을 먹"), "eat lunch"), (Stem("저녁을 먹"), "eat dinner"),
)  # fmt: skip


def clock(deal: Dealer) -> tuple[int, str, str]:
    """A time of day: the hour, the Korean, the English."""
    hour, (ko_half, en_half) = deal.one("hour", tuple(range(1, 13))), deal.one("half", HALVES)
    en = english(hour) + (en_half or " o'clock")
    return hour, f"{native(hour)} 시{ko_half}", en


def telling_time(deal: Dealer) -> Pair:
    """It is ten thirty now. The train leaves at five o'clock in the afternoon."""
    hour, ko_time, en_time = clock(deal)
    level = deal.one("level", LEVELS)
    way = deal.one("way", ("now", "thing", "thing", "thing", "thing"))
    part_ko, part_en = deal.one("part", PARTS)
    if way == "now":
        return made(f"지금은 {part_ko}{be(ko_time, level)}", f"it is {en_time}{part_en} now", level, "telling time", str(hour), ko_time)
    subject, verb = deal.one("event", EVENTS)
    en_subject, en_verb = subject[1], verb[1]
    ko = f"{particle(subject[0], '은')} {part_ko}{ko_time}에 {finish(verb[0], 'present', level)}"
    en = clause(en_subject, Agreement.IT, "present", en_verb)
    return made(ko, f"{en} at {en_time}{part_en}", level, "telling time", ko_time, subject[0])


OPEN, BEGIN, LEAVE = (Stem("문을 열"), "open"), (Stem("시작하"), "begin"), (Stem("출발하"), "leave")
CLOSE, END, ARRIVE = (Stem("문을 닫"), "close"), (Stem("끝나"), "end"), (Stem("도착하"), "arrive")
EVENTS = tuple(
    ((ko, en), verb)
    for ko, en, verbs in (
        *((p, PLACES[p].noun, (OPEN, CLOSE)) for p in "은행 도서관 우체국 서점 약국 박물관 시장 백화점 빵집".split()),
        ("회의", "the meeting", (BEGIN, END)), ("수업", "the class", (BEGIN, END)), ("영화", "the movie", (BEGIN, END)),
        ("공연", "the concert", (BEGIN, END)), ("축구 경기", "the soccer game", (BEGIN, END)),
        ("기차", "the train", (LEAVE, ARRIVE)), ("버스", "the bus", (LEAVE, ARRIVE)), ("비행기", "the plane", (LEAVE, ARRIVE)),
        ("배", "the boat", (LEAVE, ARRIVE)),
    )
    for verb in verbs
)  # fmt: skip


def at_the_hour(deal: Dealer) -> Pair:
    """My aunt got up at six o'clock in the morning."""
    hour, ko_time, en_time = clock(deal)
    who, level, tense = deal.one("who", EVERYONE), deal.one("level", LEVELS), deal.one("tense", ("past", "present", "future"))
    stem, verb = deal.one("verb", APPOINTMENTS)
    if who.honorific:
        stem = {"자": Stem("주무시", honorific=True)}.get(stem.text) or (
            Stem(stem.text.replace("먹", "드시"), honorific=True) if "먹" in stem.text else honor(stem))
    ko = f"{who.topic(level)} {ko_time}에 {finish(stem, tense, level)}"
    en = clause(who.en, who.agreement, tense, verb)
    return made(ko, f"{en} at {en_time}", level, "at the hour", verb, ko_time)


FEASTS = (("제 생일", "my birthday"), ("우리 어머니 생신", "my mother's birthday"), ("시험", "the exam"), ("결혼식", "the wedding"),
          ("민수 씨 생일", "Minsu's birthday"), ("회의", "the meeting"), ("공연", "the concert"), ("졸업식", "the graduation"))  # fmt: skip


def dates(deal: Dealer) -> Pair:
    """My birthday is March 5. The exam is on Monday."""
    (ko_feast, en_feast), level = deal.one("feast", FEASTS), deal.one("level", (Level.POLITE, Level.FORMAL))
    month, day = deal.one("month", tuple(range(1, 13))), deal.one("day", tuple(range(1, 29)))
    if deal.below(0.25):
        weekday = deal.one("weekday", DAYS)
        return made(f"{particle(ko_feast, '은')} {be(weekday.ko, level)}", f"{en_feast} is on {weekday.en}", level, "dates", ko_feast, weekday.ko)
    ko_date = f"{month}월 {day}일" if deal.below(0.5) else f"{month_name(month)} {sino(day)} 일"
    ko = f"{particle(ko_feast, '은')} {be(ko_date, level)}"
    return made(ko, f"{en_feast} is on {MONTHS[month - 1]} {day}", level, "dates", f"{month}월", f"{day}일")


def month_name(month: int) -> str:
    """A month in words, with the two months that lose a consonant."""
    return {6: "유월", 10: "시월"}.get(month, sino(month) + "월")


def ages(deal: Dealer) -> Pair:
    """My younger sister is fifteen years old."""
    who = deal.one("who", (I, *MEN[:5], *WOMEN[:5]))
    number, level = deal.one("age", tuple(range(5, 60))), deal.one("level", LEVELS)
    ko = f"{who.topic(level)} {be(f'{native(number)} 살', level)}"
    en = clause(who.en, who.agreement, "present", f"be {english(number)} years old")
    return made(ko, en, level, "ages", str(number), who.ko)


def telephones(deal: Dealer) -> Pair:
    """My telephone number is 010-2345-6789."""
    who, level = deal.one("who", (I, *PEERS[:6])), deal.one("level", (Level.POLITE, Level.FORMAL))
    digits = "".join(str(deal.one("digit", tuple(range(10)))) for _ in range(8))
    number = f"010-{digits[:4]}-{digits[4:]}"
    owner = {"저": "제"}.get(who.called(level), who.called(level))
    en_owner = "my" if who is I else f"{who.en}'s"
    return made(f"{owner} 전화번호는 {be(number, level)}", f"{en_owner} phone number is {number}", level, "telephones", number)


def floors(deal: Dealer) -> Pair:
    """The bookstore is on the third floor."""
    where = deal.one("where", tuple("서점 식당 카페 약국 은행 회사 교실 체육관 병원 우체국".split()))
    floor, level = deal.one("floor", tuple(range(1, 13))), deal.one("level", LEVELS)
    noun = {"회사": "the office", "교실": "the classroom"}.get(where, PLACES[where].noun)
    ko = f"{particle(where, '은')} {sino(floor)} 층에 {finish(Stem('있', True), 'present', level)}"
    return made(ko, f"{noun} is on the {ORDINALS[floor]} floor", level, "floors", where, str(floor))


SPANS = (("분", "minute", sino, (10, 20, 30, 40, 50)), ("시간", "hour", native, tuple(range(1, 9))), ("일", "day", sino, (3, 4, 5, 6, 10)),
         ("주", "week", sino, (1, 2, 3, 4)), ("개월", "month", sino, (2, 3, 6, 8)), ("년", "year", sino, tuple(range(1, 11))))  # fmt: skip
LASTING = {
    "분": "기다리 걷 쉬 수영하", "시간": "공부하 일하 자 걷 운동하 기다리 요리하", "일": "쉬 일하", "주": "쉬 일하", "개월": "한국어를_배우 영어를_배우 서울에_살 일하",
    "년": "한국어를_배우 영어를_가르치 서울에_살 부산에_살 일하",
}  # fmt: skip
LASTING_ENGLISH = {
    "기다리": "wait", "걷": "walk", "쉬": "rest", "수영하": "swim", "공부하": "study", "일하": "work", "자": "sleep", "운동하": "exercise", "요리하": "cook",
    "한국어를_배우": "learn Korean", "영어를_배우": "learn English", "영어를_가르치": "teach English", "서울에_살": "live in Seoul", "부산에_살": "live in Busan",
}  # fmt: skip


def spans(deal: Dealer) -> Pair:
    """My cousins learned Korean for three years."""
    counter, unit, say, numbers = deal.one("span", SPANS)
    number, who, level = deal.one("number " + unit, numbers), deal.one("who", EVERYONE), deal.one("level", LEVELS)
    verb = deal.one("verb " + unit, LASTING[counter].split())
    stem = Stem(verb.replace("_", " "))
    if who.honorific:
        stem = Stem("주무시", honorific=True) if verb == "자" else honor(stem)
    before, verb_ko = ("", stem) if " " not in stem.text else (stem.text.split(" ")[0] + " ", stem._replace(text=stem.text.split(" ")[1]))
    ko = f"{who.topic(level)} {before}{say(number)} {counter} 동안 {finish(verb_ko, 'past', level)}"
    if verb.split("_")[0] in ("서울에", "부산에", "한국어를", "영어를"):
        ko = f"{who.topic(level)} {say(number)} {counter} 동안 {before}{finish(verb_ko, 'past', level)}"
    en = clause(who.en, who.agreement, "past", LASTING_ENGLISH[verb])
    return made(ko, f"{en} for {english(number)} {plural(unit) if number > 1 else unit}", level, "spans", verb, f"{number} {counter}")


FAMILIES = {
    counting: 450, asking_for: 200, there_are: 200, people: 150, price: 220, telling_time: 200, at_the_hour: 150,
    dates: 130, ages: 110, telephones: 50, floors: 80, spans: 160,
}  # fmt: skip
