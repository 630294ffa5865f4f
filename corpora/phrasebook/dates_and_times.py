"""Sentences with times of day, dates, ages, spans of time and telephone numbers."""

from clauses import Pair, make_pair
from conjugation import Level, Stem, be, finish, honor
from english import Agreement, clause, plural
from hangul import particle
from lexicon import DAYS, EVERYONE, ME, MEN, MONTHS, PEERS, PLACES, WOMEN, words
from numerals import english, native, sino
from sampler import Sampler
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
    """Return 오후 in English: the evening from six o'clock on."""
    return " in the evening" if 6 <= hour <= 11 else " in the afternoon"


def choose_part_of_day(rng: Sampler, hour: int) -> tuple[str, str]:
    """Choose 오전, 오후 or nothing before an hour."""
    part = rng.choice("part", ("", "", "오전 ", "오후 "))
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


def choose_time(rng: Sampler, hours: tuple[int, ...] = tuple(range(1, 13))) -> tuple[int, str, str]:
    """Choose a time of day; return the hour, the Korean and the English."""
    hour, (ko_half, en_half) = rng.choice(f"hour {hours}", hours), rng.choice("half", HALVES)
    en = english(hour) + (en_half or " o'clock")
    return hour, f"{native(hour)} 시{ko_half}", en


def telling_time(rng: Sampler) -> Pair:
    """It is ten thirty now. The train leaves at five o'clock in the afternoon."""
    hour, ko_time, en_time = choose_time(rng)
    level = rng.choice("level", LEVELS)
    way = rng.choice("way", ("now", "thing", "thing", "thing", "thing"))
    part_ko, part_en = choose_part_of_day(rng, hour)
    if way == "now":
        return make_pair(
            f"지금은 {part_ko}{be(ko_time, level)}",
            f"it is {en_time}{part_en} now",
            level,
            "telling time",
            str(hour),
            ko_time,
        )
    subject, verb = rng.choice("event", EVENTS)
    if verb in (OPEN, CLOSE):  # shops open in the morning
        hour, ko_time, en_time = choose_time(rng, (7, 8, 9, 10, 11) if verb is OPEN else (5, 6, 7, 8, 9, 10))
        morning = ("오전 ", " in the morning") if verb is OPEN else ("오후 ", afternoon(hour))
        part_ko, part_en = morning if rng.chance(0.5) else ("", "")
    en_subject, en_verb = subject[1], verb[1]
    ko = f"{particle(subject[0], '은')} {part_ko}{ko_time}에 {finish(verb[0], 'present', level)}"
    en = clause(en_subject, Agreement.IT, "present", en_verb)
    return make_pair(ko, f"{en} at {en_time}{part_en}", level, "telling time", ko_time, subject[0])


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


def at_the_hour(rng: Sampler) -> Pair:
    """My aunt got up at six o'clock in the morning."""
    stem, verb, hours = rng.choice("verb", APPOINTMENTS)
    _, ko_time, en_time = choose_time(rng, hours)
    who, level, tense = (
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
        rng.choice("tense", ("past", "present", "future")),
    )
    if who.honorific:
        stem = {"자": Stem("주무시", honorific=True)}.get(stem.text) or (
            Stem(stem.text.replace("먹", "드시"), honorific=True) if "먹" in stem.text else honor(stem)
        )
    ko = f"{who.topic(level)} {ko_time}에 {finish(stem, tense, level)}"
    en = clause(who.en, who.agreement, tense, verb)
    return make_pair(ko, f"{en} at {en_time}", level, "at the hour", verb, ko_time)


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


def dates(rng: Sampler) -> Pair:
    """My birthday is March 5. The exam is on Monday."""
    (ko_feast, en_feast), level = (
        rng.choice("feast", FEASTS),
        rng.choice("level", (Level.POLITE, Level.FORMAL)),
    )
    month, day = rng.choice("month", tuple(range(1, 13))), rng.choice("day", tuple(range(1, 29)))
    if rng.chance(0.35):
        weekday = rng.choice("weekday", DAYS)
        return make_pair(
            f"{particle(ko_feast, '은')} {be(weekday.ko, level)}",
            f"{en_feast} is on {weekday.en}",
            level,
            "dates",
            ko_feast,
            weekday.ko,
        )
    ko_date = f"{month}월 {day}일" if rng.chance(0.5) else f"{month_name(month)} {sino(day)} 일"
    ko = f"{particle(ko_feast, '은')} {be(ko_date, level)}"
    return make_pair(
        ko, f"{en_feast} is on {MONTHS[month - 1]} {day}", level, "dates", f"{month}월", f"{day}일"
    )


def month_name(month: int) -> str:
    """Return a month in Korean words; two months lose a consonant."""
    return {6: "유월", 10: "시월"}.get(month, sino(month) + "월")


AGES = (5, 7, 8, 10, 12, 13, 15, 18, 20, 21, 24, 25, 30, 33, 36, 40, 42, 50)


def ages(rng: Sampler) -> Pair:
    """My younger sister is fifteen years old."""
    who = rng.choice("who", (ME, *MEN[:5], *WOMEN[:5]))
    grown = who.en in ("my uncle", "my aunt")
    number, level = rng.choice(f"age {grown}", AGES[-6:] if grown else AGES), rng.choice("level", LEVELS)
    ko = f"{who.topic(level)} {be(f'{native(number)} 살', level)}"
    en = clause(who.en, who.agreement, "present", f"be {english(number)} years old")
    return make_pair(ko, en, level, "ages", str(number), who.ko)


def telephones(rng: Sampler) -> Pair:
    """My telephone number is 010-2345-6789."""
    who, level = rng.choice("who", (ME, *PEERS[:6])), rng.choice("level", (Level.POLITE, Level.FORMAL))
    digits = "".join(str(rng.choice("digit", tuple(range(10)))) for _ in range(8))
    number = f"010-{digits[:4]}-{digits[4:]}"
    owner = {"저": "제"}.get(who.called(level), who.called(level))
    en_owner = "my" if who is ME else f"{who.en}'s"
    return make_pair(
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


def spans(rng: Sampler) -> Pair:
    """My cousins learned Korean for three years."""
    counter, unit, say, numbers = rng.choice("span", SPANS)
    number, who, level = (
        rng.choice("number " + unit, numbers),
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
    )
    verb = rng.choice("verb " + unit, LASTING[counter].split())
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
    return make_pair(
        ko,
        f"{en} for {english(number)} {plural(unit) if number > 1 else unit}",
        level,
        "spans",
        verb,
        f"{number} {counter}",
    )


FAMILIES = {telling_time: 200, at_the_hour: 150, dates: 260, ages: 170, telephones: 40, spans: 180}
