"""Sentences with times of day, dates, ages, spans of time and telephone numbers."""

from clauses import Pair, made
from conjugation import Level, Stem, be, finish, honor
from dealing import Dealer
from english import Agreement, clause, plural
from hangul import particle
from lexicon import DAYS, EVERYONE, ME, MEN, MONTHS, PEERS, PLACES, WOMEN, words
from numbers_said import english, native, sino
from simple import LEVELS

HALVES = (
    ("", ""),
    (" 반", " thirty"),
    (" 십 분", " ten"),
    (" 이십 분", " twenty"),
    (" 사십 분", " forty"),
    (" 오십 분", " fifty"),
)


def afternoon(hour: int) -> str:
    """오후 in English: from six o'clock it is the evening."""
    return " in the evening" if 6 <= hour <= 11 else " in the afternoon"


def part_of_day(deal: Dealer, hour: int) -> tuple[str, str]:
    """오전, 오후 or nothing before an hour."""
    part = deal.one("part", ("", "", "오전 ", "오후 "))
    if part == "오전 " and 6 <= hour <= 11:
        return part, " in the morning"
    return ("오후 ", afternoon(hour)) if part == "오후 " and hour != 12 else ("", "")


EVERY_HOUR = tuple(range(1, 13))
APPOINTMENTS = (
    (Stem("일어나"), "get up", (5, 6, 7, 8, 9)),
    (Stem("자"), "go to bed", (9, 10, 11, 12)),
    (Stem("출발하"), "leave", EVERY_HOUR),
    (Stem("도착하"), "arrive", EVERY_HOUR),
    (Stem("퇴근하"), "leave work", (4, 5, 6, 7, 8)),
    (Stem("돌아오"), "come back", EVERY_HOUR),
    (Stem("아침을 먹"), "eat breakfast", (6, 7, 8, 9)),
    (Stem("점심을 먹"), "eat lunch", (11, 12, 1, 2)),
    (Stem("저녁을 먹"), "eat dinner", (5, 6, 7, 8, 9)),
)


def clock(deal: Dealer, hours: tuple[int, ...] = tuple(range(1, 13))) -> tuple[int, str, str]:
    """A time of day: the hour, the Korean, the English."""
    hour, (ko_half, en_half) = deal.one(f"hour {hours}", hours), deal.one("half", HALVES)
    en = english(hour) + (en_half or " o'clock")
    return hour, f"{native(hour)} 시{ko_half}", en


def telling_time(deal: Dealer) -> Pair:
    """It is ten thirty now. The train leaves at five o'clock in the afternoon."""
    hour, ko_time, en_time = clock(deal)
    level = deal.one("level", LEVELS)
    way = deal.one("way", ("now", "thing", "thing", "thing", "thing"))
    part_ko, part_en = part_of_day(deal, hour)
    if way == "now":
        return made(
            f"지금은 {part_ko}{be(ko_time, level)}",
            f"it is {en_time}{part_en} now",
            level,
            "telling time",
            str(hour),
            ko_time,
        )
    subject, verb = deal.one("event", EVENTS)
    if verb in (OPEN, CLOSE):  # shops open in the morning
        hour, ko_time, en_time = clock(deal, (7, 8, 9, 10, 11) if verb is OPEN else (5, 6, 7, 8, 9, 10))
        morning = ("오전 ", " in the morning") if verb is OPEN else ("오후 ", afternoon(hour))
        part_ko, part_en = morning if deal.below(0.5) else ("", "")
    en_subject, en_verb = subject[1], verb[1]
    ko = f"{particle(subject[0], '은')} {part_ko}{ko_time}에 {finish(verb[0], 'present', level)}"
    en = clause(en_subject, Agreement.IT, "present", en_verb)
    return made(ko, f"{en} at {en_time}{part_en}", level, "telling time", ko_time, subject[0])


OPEN, BEGIN, LEAVE = (Stem("문을 열"), "open"), (Stem("시작하"), "begin"), (Stem("출발하"), "leave")
CLOSE, END, ARRIVE = (Stem("문을 닫"), "close"), (Stem("끝나"), "end"), (Stem("도착하"), "arrive")
EVENTS = tuple(
    ((ko, en), verb)
    for ko, en, verbs in (
        *(
            (p, PLACES[p].noun, (OPEN, CLOSE))
            for p in words("은행 도서관 우체국 서점 약국 박물관 시장 백화점 빵집")
        ),
        ("회의", "the meeting", (BEGIN, END)),
        ("수업", "the class", (BEGIN, END)),
        ("영화", "the movie", (BEGIN, END)),
        ("공연", "the concert", (BEGIN, END)),
        ("축구 경기", "the soccer game", (BEGIN, END)),
        ("기차", "the train", (LEAVE, ARRIVE)),
        ("버스", "the bus", (LEAVE, ARRIVE)),
        ("비행기", "the plane", (LEAVE, ARRIVE)),
        ("배", "the boat", (LEAVE, ARRIVE)),
    )
    for verb in verbs
)


def at_the_hour(deal: Dealer) -> Pair:
    """My aunt got up at six o'clock in the morning."""
    stem, verb, hours = deal.one("verb", APPOINTMENTS)
    _, ko_time, en_time = clock(deal, hours)
    who, level, tense = (
        deal.one("who", EVERYONE),
        deal.one("level", LEVELS),
        deal.one("tense", ("past", "present", "future")),
    )
    if who.honorific:
        stem = {"자": Stem("주무시", honorific=True)}.get(stem.text) or (
            Stem(stem.text.replace("먹", "드시"), honorific=True) if "먹" in stem.text else honor(stem)
        )
    ko = f"{who.topic(level)} {ko_time}에 {finish(stem, tense, level)}"
    en = clause(who.en, who.agreement, tense, verb)
    return made(ko, f"{en} at {en_time}", level, "at the hour", verb, ko_time)


FEASTS = (
    ("제 생일", "my birthday"),
    ("우리 어머니 생신", "my mother's birthday"),
    ("시험", "the exam"),
    ("결혼식", "the wedding"),
    ("민수 씨 생일", "Minsu's birthday"),
    ("회의", "the meeting"),
    ("공연", "the concert"),
    ("졸업식", "the graduation"),
)


def dates(deal: Dealer) -> Pair:
    """My birthday is March 5. The exam is on Monday."""
    (ko_feast, en_feast), level = deal.one("feast", FEASTS), deal.one("level", (Level.POLITE, Level.FORMAL))
    month, day = deal.one("month", tuple(range(1, 13))), deal.one("day", tuple(range(1, 29)))
    if deal.below(0.35):
        weekday = deal.one("weekday", DAYS)
        return made(
            f"{particle(ko_feast, '은')} {be(weekday.ko, level)}",
            f"{en_feast} is on {weekday.en}",
            level,
            "dates",
            ko_feast,
            weekday.ko,
        )
    ko_date = f"{month}월 {day}일" if deal.below(0.5) else f"{month_name(month)} {sino(day)} 일"
    ko = f"{particle(ko_feast, '은')} {be(ko_date, level)}"
    return made(ko, f"{en_feast} is on {MONTHS[month - 1]} {day}", level, "dates", f"{month}월", f"{day}일")


def month_name(month: int) -> str:
    """A month in words, with the two months that lose a consonant."""
    return {6: "유월", 10: "시월"}.get(month, sino(month) + "월")


AGES = (5, 7, 8, 10, 12, 13, 15, 18, 20, 21, 24, 25, 30, 33, 36, 40, 42, 50)


def ages(deal: Dealer) -> Pair:
    """My younger sister is fifteen years old."""
    who = deal.one("who", (ME, *MEN[:5], *WOMEN[:5]))
    grown = who.en in ("my uncle", "my aunt")
    number, level = deal.one(f"age {grown}", AGES[-6:] if grown else AGES), deal.one("level", LEVELS)
    ko = f"{who.topic(level)} {be(f'{native(number)} 살', level)}"
    en = clause(who.en, who.agreement, "present", f"be {english(number)} years old")
    return made(ko, en, level, "ages", str(number), who.ko)


def telephones(deal: Dealer) -> Pair:
    """My telephone number is 010-2345-6789."""
    who, level = deal.one("who", (ME, *PEERS[:6])), deal.one("level", (Level.POLITE, Level.FORMAL))
    digits = "".join(str(deal.one("digit", tuple(range(10)))) for _ in range(8))
    number = f"010-{digits[:4]}-{digits[4:]}"
    owner = {"저": "제"}.get(who.called(level), who.called(level))
    en_owner = "my" if who is ME else f"{who.en}'s"
    return made(
        f"{owner} 전화번호는 {be(number, level)}",
        f"{en_owner} phone number is {number}",
        level,
        "telephones",
        number,
    )


SPANS = (
    ("분", "minute", sino, (10, 20, 30, 40, 50)),
    ("시간", "hour", native, tuple(range(1, 9))),
    ("일", "day", sino, (3, 4, 5, 6, 10)),
    ("주", "week", sino, (1, 2, 3, 4)),
    ("개월", "month", sino, (2, 3, 6, 8)),
    ("년", "year", sino, tuple(range(1, 11))),
)
LASTING = {
    "분": "기다리 걷 쉬 수영하",
    "시간": "공부하 일하 자 걷 운동하 기다리 요리하",
    "일": "쉬 일하",
    "주": "쉬 일하",
    "개월": "한국어를_배우 영어를_배우 서울에_살 일하",
    "년": "한국어를_배우 영어를_가르치 서울에_살 부산에_살 일하",
}
LASTING_ENGLISH = {
    "기다리": "wait",
    "걷": "walk",
    "쉬": "rest",
    "수영하": "swim",
    "공부하": "study",
    "일하": "work",
    "자": "sleep",
    "운동하": "exercise",
    "요리하": "cook",
    "한국어를_배우": "learn Korean",
    "영어를_배우": "learn English",
    "영어를_가르치": "teach English",
    "서울에_살": "live in Seoul",
    "부산에_살": "live in Busan",
}


def spans(deal: Dealer) -> Pair:
    """My cousins learned Korean for three years."""
    counter, unit, say, numbers = deal.one("span", SPANS)
    number, who, level = (
        deal.one("number " + unit, numbers),
        deal.one("who", EVERYONE),
        deal.one("level", LEVELS),
    )
    verb = deal.one("verb " + unit, LASTING[counter].split())
    stem = Stem(verb.replace("_", " "))
    if who.honorific:
        stem = Stem("주무시", honorific=True) if verb == "자" else honor(stem)
    before, verb_ko = (
        ("", stem)
        if " " not in stem.text
        else (stem.text.split(" ")[0] + " ", stem._replace(text=stem.text.split(" ")[1]))
    )
    ko = f"{who.topic(level)} {before}{say(number)} {counter} 동안 {finish(verb_ko, 'past', level)}"
    if verb.split("_")[0] in ("서울에", "부산에", "한국어를", "영어를"):
        ko = f"{who.topic(level)} {say(number)} {counter} 동안 {before}{finish(verb_ko, 'past', level)}"
    en = clause(who.en, who.agreement, "past", LASTING_ENGLISH[verb])
    return made(
        ko,
        f"{en} for {english(number)} {plural(unit) if number > 1 else unit}",
        level,
        "spans",
        verb,
        f"{number} {counter}",
    )


FAMILIES = {telling_time: 200, at_the_hour: 150, dates: 260, ages: 170, telephones: 40, spans: 180}
