"""Sentences with an embedded clause: relative clauses, reported speech, reported commands."""

from adjectives import ADJECTIVES
from clauses import NO_TIME, Pair, english_clause, english_phrase, korean_end, locative, make_pair, predicate
from conjugation import Stem, adnominal, attach, be, finish, honor, past, plain
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
from sampler import Sampler
from simple import LEVELS, choose_place, time_for
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


def relative(rng: Sampler) -> Pair:
    """The shoes my mother bought yesterday are very expensive."""
    (action, word), who, level = (
        rng.choice("described", DESCRIBED),
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
    )
    stem, english = ADJECTIVES[word]
    thing = THINGS[action.before.strip()[:-1]]
    time = rng.choice("time", RECENT_TIMES) if rng.chance(0.7) else NO_TIME
    acting = action.honored if who.honorific else action.stem
    degree_ko, degree = (
        rng.choice("degree", (("아주 ", "very "), ("정말 ", "really "), ("", "")))
        if word not in ("까맣", "빨갛", "파랗")
        else ("", "")
    )
    topic = f"{attach(acting, '은')} {particle(thing.ko, '은')}"
    ko = f"{who.subject(level)} {time.ko} {topic} {degree_ko}{finish(stem, 'present', level)}"
    verb = action.one.split(" ")[0]
    inner = clause(who.en, who.agreement, "past", verb)
    en = clause(f"the {thing.noun} that {inner} {time.en}", thing.verb_is, "present", f"be {degree}{english}")
    return make_pair(ko, en, level, "relative", action.name, word, who.ko)


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


def who_is(rng: Sampler) -> Pair:
    """The man who is reading a book is my uncle."""
    (noun, english), action = rng.choice("noun", PEOPLE_SEEN), rng.choice("act", IDENTIFIED)
    pool = {"남자": MEN, "여자": WOMEN}.get(noun, (*MEN[1:2], *MEN[3:5], *WOMEN[1:2], *WOMEN[3:5]))
    who, level = rng.choice("who " + noun, pool), rng.choice("level", LEVELS)
    where_ko, where_en = locative(choose_place(rng, action, 0.4))
    doing = attach(action.stem, "고") + " 있는"
    name = be(who.called(level), level, honorific=who.honorific)
    ko = f"{where_ko}{action.before}{doing} {particle(noun, '은')} {name}"
    en = (
        f"the {english} who is {inflect(action.one.format(poss=who.possessive), 'ing')}{where_en} is {who.en}"
    )
    return make_pair(ko, en, level, "who is", noun, action.name, who.ko)


def living_friend(rng: Sampler) -> Pair:
    """I met a friend who lives in Busan."""
    city, who, level = (
        rng.choice("city", tuple(CITIES.items())),
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
    )
    way = rng.choice(
        "way",
        (
            ("살", "에", "live in", "present"),
            ("일하", "에서", "work in", "present"),
            ("태어나", "에서", "be born in", "past"),
            ("오", "에서", "come from", "past"),
        ),
    )
    noun, english = rng.choice(
        "noun",
        (
            ("친구", "a friend"),
            ("의사", "a doctor"),
            ("변호사", "a lawyer"),
            ("가수", "a singer"),
            ("학생", "a student"),
        ),
    )
    mood = rng.choice("mood", ("past", "future", "want", "plan"))
    time = rng.choice("time " + mood, time_for(mood)) if rng.chance(0.4) else NO_TIME
    action = Action(particle(noun, "을") + " ", Stem("만나"), honor(Stem("만나")), "meet", "meet", (), "")
    stem = Stem(way[0])
    form = adnominal(stem) if way[3] == "present" else attach(stem, "은")
    ko = f"{who.topic(level)} {time.ko} {city[0]}{way[1]} {form} {korean_end(action, who, mood, level)}"
    inner = clause("who", Agreement.IT, way[3], way[2])
    en = f"{english_clause(who, mood, 'meet ' + english)} {inner} {city[1]} {time.en}"
    return make_pair(ko, en, level, "living friend", city[0], way[0], noun)


TELLING = (
    (Stem("말하"), "say", "past"),
    (Stem("듣"), "hear", "past"),
    (Stem("생각하"), "think", "present"),
    (Stem("믿"), "believe", "present"),
)
SPEAKERS = tuple(p for p in OTHERS if p not in GROUPS)


def said(rng: Sampler) -> Pair:
    """Minsu said that his father likes fish; my aunt said that Sujin is going to read a book."""
    (speaker, who), level = rng.choose_two("who", SPEAKERS), rng.choice("level", LEVELS)
    mood = rng.choice("mood", ("past", "present", "future", "want", "must"))
    action = rng.choice("act " + mood, HABITS if mood == "present" else REQUESTS)
    told, english, tense = rng.choice("told", TELLING)
    telling = told
    if speaker.honorific:
        telling = Stem("말씀하시", honorific=True) if told.text == "말하" else honor(told)
    end = finish(telling, tense, level)
    ko = f"{speaker.topic(level)} {who.subject(level)} {quote(action, who, mood)} {end}"
    inner = english_clause(who, mood, english_phrase(action, who, mood == "present"))
    en = f"{clause(speaker.en, speaker.agreement, tense, english)} that {inner}"
    return make_pair(ko, en, level, "said", english, action.name, mood)


def quote(action: Action, who: Person, mood: str) -> str:
    """Return an action in reported speech, with -다고."""
    before, stem = predicate(action, who, mood)
    if mood == "past":
        return f"{before}{plain(past(stem))}고"
    if mood == "future":
        return f"{before}{attach(stem, '을')} 거라고"
    return f"{before}{plain(stem)}고"


def told_to(rng: Sampler) -> Pair:
    """The teacher told the students to read a book."""
    whom, level, action = (
        rng.choice("whom", (ME, ME, *PEERS)),
        rng.choice("level", LEVELS),
        rng.choice("act", REQUESTS),
    )
    speaker = rng.choice("speaker", (TEACHER, TEACHER, *(p for p in MEN + WOMEN if p.honorific)))
    order, english = rng.choice("order", (("으라고", "to"), ("지 말라고", "not to")))
    end = finish(Stem("말씀하시", honorific=True), "past", level)
    ko = f"{speaker.topic(level)} {whom.to(level)} {action.before}{attach(action.stem, order)} {end}"
    phrase = english_phrase(action, whom, order == "지 말라고")
    en = clause(speaker.en, speaker.agreement, "past", f"tell {whom.objective} {english} {phrase}")
    return make_pair(ko, en, level, "told to", action.name, order, whom.ko)


FAMILIES = {relative: 300, who_is: 200, living_friend: 150, said: 350, told_to: 200}
