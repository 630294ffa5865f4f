"""Sentences with a clause inside another: relative clauses, reported speech, orders passed on."""

from clauses import NO_TIME, Pair, at, english_clause, english_phrase, korean_end, made, predicate
from conjugation import Stem, adnominal, attach, be, finish, honor, past, plain
from dealing import Dealer
from describing import ADJECTIVES
from english import Agreement, clause, inflect
from hangul import particle
from lexicon import (
    CITIES,
    EVERYONE,
    GROUPS,
    ME,
    MEN,
    OTHERS,
    PEERS,
    RECENT_TIMES,
    TEACHER,
    THINGS,
    WOMEN,
    Person,
)
from simple import LEVELS, spot, time_for
from verbs import HABITS, REQUESTS, Action, find

MADE = tuple(
    (find(name), words)
    for name, words in (
        ("책을 읽다", "재미있 어렵 길"),
        ("소설을 읽다", "재미있 슬프 길"),
        ("영화를 보다", "재미있 슬프 무섭"),
        ("드라마를 보다", "재미있 슬프"),
        ("코트를 사다", "비싸 따뜻하 까맣"),
        ("가방을 사다", "비싸 무겁 가볍"),
        ("모자를 사다", "비싸 예쁘 빨갛"),
        ("신발을 사다", "비싸 작 크"),
        ("바지를 사다", "비싸 길 짧"),
        ("시계를 사다", "비싸 예쁘"),
        ("치마를 사다", "예쁘 짧 파랗"),
        ("케이크를 만들다", "달 맛있"),
        ("김치를 만들다", "맵 짜 맛있"),
        ("빵을 만들다", "맛있"),
        ("국수를 만들다", "맵 짜 맛있"),
        ("장갑을 사다", "따뜻하 예쁘"),
        ("그림을 그리다", "아름답 예쁘"),
        ("사과를 사다", "달 맛있 비싸"),
        ("생선을 사다", "비싸 맛있"),
        ("꽃을 사다", "예쁘 아름답"),
        ("자전거를 빌리다", "빠르 느리"),
        ("노래를 부르다", "아름답 슬프"),
    )
)
DESCRIBED = tuple((action, word) for action, words in MADE for word in words.split())


def relative(deal: Dealer) -> Pair:
    """The shoes my mother bought yesterday are very expensive."""
    (action, word), who, level = (
        deal.one("described", DESCRIBED),
        deal.one("who", EVERYONE),
        deal.one("level", LEVELS),
    )
    stem, english = ADJECTIVES[word]
    thing = THINGS[action.before.strip()[:-1]]
    time = deal.one("time", RECENT_TIMES) if deal.below(0.7) else NO_TIME
    acting = action.honored if who.honorific else action.stem
    degree_ko, degree = (
        deal.one("degree", (("아주 ", "very "), ("정말 ", "really "), ("", "")))
        if word not in ("까맣", "빨갛", "파랗")
        else ("", "")
    )
    topic = f"{attach(acting, '은')} {particle(thing.ko, '은')}"
    ko = f"{who.subject(level)} {time.ko} {topic} {degree_ko}{finish(stem, 'present', level)}"
    verb = action.one.split(" ")[0]
    inner = clause(who.en, who.agreement, "past", verb)
    en = clause(f"the {thing.noun} that {inner} {time.en}", thing.verb_is, "present", f"be {degree}{english}")
    return made(ko, en, level, "relative", action.name, word, who.ko)


PEOPLE_SEEN = (("남자", "man"), ("여자", "woman"), ("아이", "child"), ("학생", "student"))
IDENTIFIED = tuple(
    a
    for a in HABITS
    if a.one.split()[0]
    in (
        "read",
        "wear",
        "drink",
        "listen",
        "draw",
        "sing",
        "wait",
        "ride",
        "play",
        "eat",
        "sleep",
        "dance",
        "clean",
    )
)


def who_is(deal: Dealer) -> Pair:
    """The man who is reading a book is my uncle."""
    (noun, english), action = deal.one("noun", PEOPLE_SEEN), deal.one("act", IDENTIFIED)
    pool = {"남자": MEN, "여자": WOMEN}.get(noun, (*MEN[1:2], *MEN[3:5], *WOMEN[1:2], *WOMEN[3:5]))
    who, level = deal.one("who " + noun, pool), deal.one("level", LEVELS)
    where_ko, where_en = at(spot(deal, action, 0.4))
    doing = attach(action.stem, "고") + " 있는"
    name = be(who.called(level), level, honorific=who.honorific)
    ko = f"{where_ko}{action.before}{doing} {particle(noun, '은')} {name}"
    en = (
        f"the {english} who is {inflect(action.one.format(poss=who.possessive), 'ing')}{where_en} is {who.en}"
    )
    return made(ko, en, level, "who is", noun, action.name, who.ko)


def living_friend(deal: Dealer) -> Pair:
    """I met a friend who lives in Busan."""
    city, who, level = (
        deal.one("city", tuple(CITIES.items())),
        deal.one("who", EVERYONE),
        deal.one("level", LEVELS),
    )
    way = deal.one(
        "way",
        (
            ("살", "에", "live in", "present"),
            ("일하", "에서", "work in", "present"),
            ("태어나", "에서", "be born in", "past"),
            ("오", "에서", "come from", "past"),
        ),
    )
    noun, english = deal.one(
        "noun",
        (
            ("친구", "a friend"),
            ("의사", "a doctor"),
            ("변호사", "a lawyer"),
            ("가수", "a singer"),
            ("학생", "a student"),
        ),
    )
    mood = deal.one("mood", ("past", "future", "want", "plan"))
    time = deal.one("time " + mood, time_for(mood)) if deal.below(0.4) else NO_TIME
    action = Action(particle(noun, "을") + " ", Stem("만나"), honor(Stem("만나")), "meet", "meet", (), "")
    stem = Stem(way[0])
    form = adnominal(stem) if way[3] == "present" else attach(stem, "은")
    ko = f"{who.topic(level)} {time.ko} {city[0]}{way[1]} {form} {korean_end(action, who, mood, level)}"
    inner = clause("who", Agreement.IT, way[3], way[2])
    en = f"{english_clause(who, mood, 'meet ' + english)} {inner} {city[1]} {time.en}"
    return made(ko, en, level, "living friend", city[0], way[0], noun)


TELLING = (
    (Stem("말하"), "say", "past"),
    (Stem("듣"), "hear", "past"),
    (Stem("생각하"), "think", "present"),
    (Stem("믿"), "believe", "present"),
)
SPEAKERS = tuple(p for p in OTHERS if p not in GROUPS)


def said(deal: Dealer) -> Pair:
    """Minsu said that his father likes fish; my aunt said that Sujin is going to read a book."""
    (speaker, who), level = deal.two("who", SPEAKERS), deal.one("level", LEVELS)
    mood = deal.one("mood", ("past", "present", "future", "want", "must"))
    action = deal.one("act " + mood, HABITS if mood == "present" else REQUESTS)
    told, english, tense = deal.one("told", TELLING)
    telling = told
    if speaker.honorific:
        telling = Stem("말씀하시", honorific=True) if told.text == "말하" else honor(told)
    end = finish(telling, tense, level)
    ko = f"{speaker.topic(level)} {who.subject(level)} {reported(action, who, mood)} {end}"
    inner = english_clause(who, mood, english_phrase(action, who, mood == "present"))
    en = f"{clause(speaker.en, speaker.agreement, tense, english)} that {inner}"
    return made(ko, en, level, "said", english, action.name, mood)


def reported(action: Action, who: Person, mood: str) -> str:
    """An action as reported with -다고."""
    before, stem = predicate(action, who, mood)
    if mood == "past":
        return f"{before}{plain(past(stem))}고"
    if mood == "future":
        return f"{before}{attach(stem, '을')} 거라고"
    return f"{before}{plain(stem)}고"


def told_to(deal: Dealer) -> Pair:
    """The teacher told the students to read a book."""
    whom, level, action = (
        deal.one("whom", (ME, ME, *PEERS)),
        deal.one("level", LEVELS),
        deal.one("act", REQUESTS),
    )
    speaker = deal.one("speaker", (TEACHER, TEACHER, *(p for p in MEN + WOMEN if p.honorific)))
    order, english = deal.one("order", (("으라고", "to"), ("지 말라고", "not to")))
    end = finish(Stem("말씀하시", honorific=True), "past", level)
    ko = f"{speaker.topic(level)} {whom.to(level)} {action.before}{attach(action.stem, order)} {end}"
    phrase = english_phrase(action, whom, order == "지 말라고")
    en = clause(speaker.en, speaker.agreement, "past", f"tell {whom.objective} {english} {phrase}")
    return made(ko, en, level, "told to", action.name, order, whom.ko)


FAMILIES = {relative: 300, who_is: 200, living_friend: 150, said: 350, told_to: 200}
