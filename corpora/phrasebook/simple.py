"""Sentences of one clause: doing, wanting, asking, requesting, giving, going."""

from clauses import (
    NO_TIME,
    Pair,
    denied_end,
    english_clause,
    english_phrase,
    korean_end,
    locative,
    make_pair,
    question_to_you,
)
from conjugation import Level, Stem, attach, finish, honor
from hangul import particle
from lexicon import (
    ELDERS,
    EVERYONE,
    FREQUENCIES,
    FUTURE_TIMES,
    HABIT_TIMES,
    LONG_TIMES,
    ME,
    NOW_TIMES,
    PEERS,
    PLACES,
    RECENT_TIMES,
    THINGS,
    Place,
    Time,
    words,
)
from sampler import Sampler
from verbs import ACTIONS, ADVENTURES, BANS, FAVORS, HABITS, INTENDED, REQUESTS, SHARED, SKILLS, Action

LEVELS = (Level.POLITE, Level.POLITE, Level.FORMAL, Level.CASUAL, Level.PLAIN)
TALK = (Level.POLITE, Level.POLITE, Level.FORMAL, Level.CASUAL)
TIMES = {"present": HABIT_TIMES, "past": RECENT_TIMES, "future": FUTURE_TIMES, "progressive": NOW_TIMES}


def choose_place(rng: Sampler, action: Action, share: float = 0.5) -> Place | None:
    """Choose a place that fits the action, or none."""
    return rng.choice("place " + action.name, action.places) if action.places and rng.chance(share) else None


def times_of(action: Action, mood: str) -> tuple[Time, ...]:
    """Return the times that fit a mood and, in the past, the action."""
    if mood in ("past", "had to", "wanted"):
        return LONG_TIMES if action.lasting else RECENT_TIMES
    return TIMES.get(mood, FUTURE_TIMES)


def actions_for(mood: str) -> tuple[Action, ...]:
    """Return the actions that fit a mood: habits in the present, no accidents in the future."""
    return {"past": ACTIONS, "future": INTENDED}.get(mood, HABITS)


def doing(rng: Sampler) -> Pair:
    """The children read books at the library every day."""
    mood = rng.choice(
        "mood", ("past", "past", "past", "present", "present", "future", "future", "progressive")
    )
    action = rng.choice("act " + mood, actions_for(mood))
    person, level = rng.choice("who", EVERYONE), rng.choice("level", LEVELS)
    time = rng.choice("time " + mood, times_of(action, mood)) if rng.chance(0.75) else NO_TIME
    where_ko, where_en = locative(choose_place(rng, action, 0.4))
    ko = f"{person.topic(level)} {time.ko} {where_ko}{korean_end(action, person, mood, level)}"
    phrase = english_phrase(action, person, mood == "present")
    en = f"{english_clause(person, mood, phrase)}{where_en} {time.en}"
    return make_pair(ko, en, level, "doing", action.name, mood)


REPEATED = tuple(action for action in HABITS if action.one not in ("sleep", "cry"))


def often(rng: Sampler) -> Pair:
    """My uncle often drinks coffee."""
    action, person, level = (
        rng.choice("act", REPEATED),
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
    )
    time, (where_ko, where_en) = rng.choice("time", FREQUENCIES), locative(choose_place(rng, action))
    ko = f"{person.topic(level)} {time.ko} {where_ko}{korean_end(action, person, 'present', level)}"
    en = english_clause(person, "present", english_phrase(action, person, True), adverb=time.en) + where_en
    return make_pair(ko, en, level, "often", action.name, time.ko)


def denying(rng: Sampler) -> Pair:
    """My aunt did not buy flowers yesterday."""
    mood = rng.choice("mood", ("past", "past", "present"))
    action = rng.choice("act " + mood, HABITS if mood == "present" else ACTIONS)
    person, level = rng.choice("who", EVERYONE), rng.choice("level", LEVELS)
    how = rng.choice("how", ("안", "안", "지 않다", "못", "지 못하다"))
    if action.compound or action.accident:
        how = "지 않다"
    time = rng.choice(
        "time " + mood, times_of(action, mood) if mood == "past" else (Time("요즘", "these days"),)
    )
    ko = f"{person.topic(level)} {time.ko} {denied_end(action, person, mood, level, how)}"
    unable = how in ("못", "지 못하다")
    english_mood = {"past": "could", "present": "can"}[mood] if unable else mood
    en = english_clause(person, english_mood, english_phrase(action, person, True), negative=True)
    return make_pair(ko, f"{en} {time.en}", level, "denying", action.name, "unable" if unable else mood)


WISHES = (
    "want",
    "want",
    "must",
    "must",
    "plan",
    "had to",
    "wanted",
    "can",
    "could",
    "cannot",
    "experience",
    "never",
)


def wishing(rng: Sampler) -> Pair:
    """My younger sister wants to learn the violin."""
    mood = rng.choice("mood", WISHES)
    pool = SKILLS if mood in ("can", "could", "cannot") else ACTIONS
    if mood in ("want", "wanted", "plan", "must", "had to", "experience", "never"):
        pool = ADVENTURES if mood in ("experience", "never") else REQUESTS
    action, person, level = (
        rng.choice("act " + mood, pool),
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
    )
    timed = mood in ("want", "must", "plan", "had to") and rng.chance(0.6)
    time = rng.choice("time " + mood, times_of(action, mood)) if timed else NO_TIME
    where_ko, where_en = locative(
        choose_place(rng, action, 0.3) if mood not in ("experience", "never") else None
    )
    ko = f"{person.topic(level)} {time.ko} {where_ko}{korean_end(action, person, mood, level)}"
    en = english_clause(person, mood, english_phrase(action, person, False))
    return make_pair(ko, f"{en}{where_en} {time.en}", level, "wishing", action.name, mood)


def asking(rng: Sampler) -> Pair:
    """Did you read the newspaper this morning?"""
    mood = rng.choice("mood", ("past", "past", "present", "future", "want", "can", "experience"))
    pool = {"can": SKILLS, "want": REQUESTS, "experience": ADVENTURES}.get(mood) or actions_for(mood)
    action, level = rng.choice("act " + mood, pool), rng.choice("level", TALK)
    time = rng.choice("time " + mood, times_of(action, mood)) if mood in TIMES else NO_TIME
    guest = ELDERS[0] if level is Level.FORMAL or (level is Level.POLITE and rng.chance(0.5)) else None
    end = korean_end(action, guest, mood, level, True)
    if mood == "want":  # the second person takes 싶다, like the first
        wish = honor(Stem("싶", True)) if guest else Stem("싶", True)
        end = f"{action.before}{attach(action.stem, '고')} {finish(wish, 'present', level, True)}"
    where_ko, where_en = locative(choose_place(rng, action, 0.3) if mood != "experience" else None)
    ever = "ever" if mood == "experience" else ""
    en = question_to_you(mood, action.many if mood == "present" else action.one, ever)
    return make_pair(
        f"{time.ko} {where_ko}{end}",
        f"{en}{where_en} {time.en}",
        level,
        "asking",
        action.name,
        mood,
        mark="?",
    )


def asking_where(rng: Sampler) -> Pair:
    """Where did the children play soccer?"""
    level, mood = (
        rng.choice("level", TALK),
        rng.choice("mood", ("past", "past", "present", "future", "progressive")),
    )
    pool = tuple(action for action in actions_for(mood) if action.places)
    action, person = rng.choice("act " + mood, pool), rng.choice("who", (*PEERS, *ELDERS))
    word, english = rng.choice("word", (("어디에서", "where"), ("언제", "when"), ("왜", "why")))
    ko = f"{person.topic(level)} {word} {korean_end(action, person, mood, level, True)}"
    en = english_clause(person, mood, english_phrase(action, person, mood == "present"), question=True)
    return make_pair(ko, f"{english} {en}", level, "asking where", action.name, word, mark="?")


# ending, English around the verb phrase, punctuation, possessive, actions that fit
REQUEST_FORMS = (
    ("세요", "please {v}", ".", "your", REQUESTS),
    ("십시오", "please {v}, sir", ".", "your", REQUESTS),
    ("아 주세요", "please {v} for me", ".", "your", FAVORS),
    ("아 주시겠어요", "would you {v}, please", "?", "your", FAVORS),
    ("아 줘", "{v} for me", ".", "your", FAVORS),
    ("아 줄래", "will you {v} for me", "?", "your", FAVORS),
    ("아라", "{v}", "!", "your", REQUESTS),
    ("지 마세요", "please do not {v}", ".", "your", BANS),
    ("지 마", "don't {v}", ".", "your", BANS),
    ("아도 돼요", "may I {v}", "?", "my", BANS),
    ("으면 안 돼요", "you must not {v}", ".", "your", BANS),
    ("을까요", "shall we {v}", "?", "our", SHARED),
    ("읍시다", "let us {v}", ".", "our", SHARED),
    ("자", "let's {v}", ".", "our", SHARED),
    ("을래요", "would you like to {v}", "?", "your", SHARED),
)


def requesting(rng: Sampler) -> Pair:
    """Would you open the window, please?"""
    ending, english, mark, owner, pool = rng.choice("form", REQUEST_FORMS)
    action = rng.choice("act " + ending, pool)
    verb = action.honored.text[:-1] + ending if ending in ("세요", "십시오") else attach(action.stem, ending)
    where_ko, where_en = locative(choose_place(rng, action, 0.3))
    phrase = action.many if pool is BANS else action.one
    en = english.format(v=phrase.format(poss=owner, s="") + where_en)
    return make_pair(
        f"{where_ko}{action.before}{verb}", en, Level.FORMAL, "requesting", action.name, ending, mark=mark
    )


GIFTS = tuple(
    THINGS[name] for name in words("책 꽃 시계 모자 가방 우산 편지 사진 케이크 장갑 연필 공책 선물")
)
BOUGHT_GIFTS = tuple(gift for gift in GIFTS if gift.ko not in ("편지", "사진"))
GIVING = (  # verb to equals, verb to elders, English
    (Stem("주"), Stem("드리"), "give"),
    (Stem("보내"), Stem("보내 드리"), "send"),
    (Stem("보여 주"), Stem("보여 드리"), "show"),
    (Stem("사 주"), Stem("사 드리"), "buy"),
)


def giving(rng: Sampler) -> Pair:
    """My older brother gave my mother a book yesterday."""
    who, whom = rng.choose_two("who", (ME, ME, ME, *PEERS, *ELDERS))
    level, mood = rng.choice("level", LEVELS), rng.choice("mood", ("past", "past", "future", "plan"))
    plain, humble, english = rng.choice("verb", GIVING)
    gift = rng.choice("gift " + english, GIFTS if english != "buy" else BOUGHT_GIFTS)
    stem = humble if whom.honorific else plain
    verb = Action(particle(gift.ko, "을") + " ", stem, honor(stem), english, english, (), "")
    time = (
        rng.choice("time " + mood, TIMES["past" if mood == "past" else "future"])
        if rng.chance(0.5)
        else NO_TIME
    )
    ko = f"{who.topic(level)} {time.ko} {whom.to(level)} {korean_end(verb, who, mood, level)}"
    en = english_clause(who, mood, f"{english} {whom.objective} {gift.one}")
    return make_pair(ko, f"{en} {time.en}", level, "giving", whom.ko, gift.ko, english)


TRIPS = tuple(
    PLACES[name]
    for name in words(
        "집 학교 도서관 식당 카페 공원 시장 백화점 회사 은행 병원 우체국 극장 서점 역 "
        "공항 박물관 바닷가 서울 부산 제주도 편의점 빵집 호텔 약국 체육관 수영장"
    )
)
VEHICLES = (
    ("버스", "by bus"),
    ("지하철", "by subway"),
    ("택시", "by taxi"),
    ("기차", "by train"),
    ("자전거", "by bicycle"),
    ("자동차", "by car"),
    ("비행기", "by plane"),
    ("배", "by boat"),
)
FAR = {
    "서울": "버스 기차 자동차 비행기",
    "부산": "버스 기차 자동차 비행기",
    "제주도": "비행기 배",
    "공항": "버스 지하철 택시 자동차",
}


def vehicles_to(where: str) -> tuple[tuple[str, str], ...]:
    """Return the vehicles that go to a place."""
    names = FAR.get(where, "버스 지하철 택시 자전거 자동차").split()
    return tuple(vehicle for vehicle in VEHICLES if vehicle[0] in names)


def going(rng: Sampler) -> Pair:
    """My parents are going to go to Busan by train next week."""
    who, level, where = rng.choice("who", EVERYONE), rng.choice("level", LEVELS), rng.choice("where", TRIPS)
    mood = rng.choice("mood", ("past", "past", "present", "future", "want", "must", "plan", "had to"))
    time = rng.choice("time " + mood, time_for(mood)) if rng.chance(0.7) or mood == "present" else NO_TIME
    by_ko, by_en = rng.choice("by " + where.ko, vehicles_to(where.ko)) if rng.chance(0.5) else ("", "")
    vehicle = particle(by_ko, "으로") if by_ko else ""
    go = Action("", Stem("가"), honor(Stem("가")), "go", "go", (), "")
    ko = f"{who.topic(level)} {time.ko} {vehicle} {where.ko}에 {korean_end(go, who, mood, level)}"
    en = f"{english_clause(who, mood, 'go')} {where.to} {by_en} {time.en}"
    return make_pair(ko, en, level, "going", where.ko, mood, by_ko)


def time_for(mood: str) -> tuple[Time, ...]:
    """Return the times that fit a mood."""
    return TIMES.get(mood) or (RECENT_TIMES if mood in ("had to", "wanted") else FUTURE_TIMES)


AWAY = tuple(place for place in TRIPS if place.ko != "집")
ERRANDS = tuple(
    a for a in REQUESTS if any(p in AWAY for p in a.places) and a.one.split()[0] not in ("order", "take")
)


def going_to_do(rng: Sampler) -> Pair:
    """I went to the bookstore to buy a book."""
    action = rng.choice("act", ERRANDS)
    where = rng.choice("where " + action.name, tuple(place for place in action.places if place in AWAY))
    who, level = rng.choice("who", EVERYONE), rng.choice("level", LEVELS)
    mood = rng.choice("mood", ("past", "past", "future", "want", "plan"))
    time = rng.choice("time " + mood, time_for(mood)) if rng.chance(0.5) else NO_TIME
    go = Action("", Stem("가"), honor(Stem("가")), "go", "go", (), "")
    ko = (
        f"{who.topic(level)} {time.ko} {action.before}{attach(action.stem, '으러')} {where.ko}에 "
        + korean_end(go, who, mood, level)
    )
    en = f"{english_clause(who, mood, 'go')} {where.to} to {english_phrase(action, who, False)} {time.en}"
    return make_pair(ko, en, level, "going to do", action.name, where.ko, mood)


FAMILIES = {
    doing: 1000,
    often: 250,
    denying: 450,
    wishing: 900,
    asking: 450,
    asking_where: 300,
    requesting: 650,
    giving: 350,
    going: 350,
    going_to_do: 200,
}
