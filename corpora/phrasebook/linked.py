"""Sentences of two clauses: if, because, but, and, while, before, after, relative clauses, reported speech."""

from clauses import NO_TIME, Pair, at, english_clause, english_phrase, korean_end, made, predicate
from conjugation import Level, Stem, adnominal, attach, be, finish, honor, past, plain
from dealing import Dealer
from describing import ADJECTIVES, NOTED
from english import Agreement, clause, inflect
from hangul import particle
from lexicon import (
    CITIES, EVERYONE, GROUPS, MEN, OTHERS, PAST_TIMES, PEERS, TEACHER, THINGS, WOMEN, I, Person,
)  # fmt: skip
from simple import LEVELS, spot, time_for
from verbs import HABITS, REQUESTS, SHARED, Action, find

CONDITIONS = (
    ("시간이 있", "have time"), ("돈이 있", "have money"), ("배고프", "be hungry"), ("피곤하", "be tired"), ("바쁘", "be busy"), ("아프", "be sick"),
    ("심심하", "be bored"), ("일찍 일어나", "get up early"), ("숙제를 끝내", "finish {poss} homework"), ("서울에 가", "go to Seoul"),
)  # fmt: skip
OUTSIDE = (("비가 오", "it rains"), ("눈이 오", "it snows"), ("날씨가 좋", "the weather is good"), ("날씨가 춥", "it is cold"), ("날씨가 덥", "it is hot"))
FREE_TIME = tuple(a for a in SHARED if a.one.split()[0] in ("read", "watch", "listen", "play", "swim", "cook", "make", "buy", "study", "draw"))
RESULTS = {
    "배고프": "빵을_먹다 밥을_먹다 국수를_주문하다 과일을_먹다 계란을_먹다", "피곤하": "집에서_쉬다 커피를_마시다 집에서_자다", "아프": "약을_먹다 집에서_쉬다 차를_마시다",
    "바쁘": "택시를_타다 지하철을_타다", "비가 오": "택시를_타다 영화를_보다 책을_읽다 차를_마시다 음악을_듣다", "눈이 오": "장갑을_끼다 코트를_입다 사진을_찍다 차를_마시다",
    "날씨가 춥": "코트를_입다 장갑을_끼다 창문을_닫다 차를_마시다 문을_닫다", "날씨가 덥": "물을_마시다 창문을_열다 주스를_마시다 수영하다 맥주를_마시다",
    "날씨가 좋": "공원에서_걷다 자전거를_타다 축구를_하다 테니스를_치다 사진을_찍다",
}  # fmt: skip


def result(deal: Dealer, cause: str) -> tuple[Action, str, str]:
    """Something one would do for that cause, with its place in both languages."""
    if cause not in RESULTS:
        return deal.one("free", FREE_TIME), "", ""
    name = deal.one("result " + cause, RESULTS[cause].split()).replace("_", " ")
    for place, english in (("집에서 ", " at home"), ("공원에서 ", " in the park")):
        if name.startswith(place):
            return find(name.removeprefix(place)), place, english
    return find(name), "", ""


def conditional(deal: Dealer) -> Pair:
    """If it rains, I am going to read a book at home."""
    who, level = deal.one("who", EVERYONE), deal.one("level", LEVELS)
    mood = deal.one("mood", ("future", "future", "want", "must", "plan"))
    if deal.below(0.5):
        cause, en_cause = deal.one("outside", OUTSIDE)
        adjective = cause.split(" ")[-1] in ("좋", "춥", "덥")
        if_ko, if_en = attach(Stem(cause, adjective), "으면"), en_cause
    else:
        cause, phrase = deal.one("condition", CONDITIONS)
        stem = Stem(cause)
        if_ko = attach(honor(stem) if who.honorific else stem, "으면")
        if_en = clause(name_or_pronoun(who), who.agreement, "present", phrase.format(poss=who.possessive))
    action, place_ko, place_en = result(deal, cause)
    if mood == "want" and cause in ("바쁘", "아프"):
        mood = "must"
    ko = f"{who.topic(level)} {if_ko} {place_ko}{korean_end(action, who, mood, level)}"
    main = english_clause(who, mood, english_phrase(action, who, False))
    return made(ko, f"{main}{place_en} if {if_en}", level, "conditional", cause, action.name, mood)


def name_or_pronoun(who: Person) -> str:
    """The pronoun that takes up a person again."""
    return who.pronoun


CAUSES = (("배고프", "be hungry"), ("피곤하", "be tired"), ("아프", "be sick"), ("바쁘", "be busy"))
SKY_CAUSES = (("비가 오", "it", "rain"), ("눈이 오", "it", "snow"), ("날씨가 춥", "it", "be cold"), ("날씨가 덥", "it", "be hot"),
              ("날씨가 좋", "the weather", "be good"))  # fmt: skip


def because(deal: Dealer) -> Pair:
    """I was tired, so I rested at home."""
    who, level, tense = deal.one("who", EVERYONE), deal.one("level", LEVELS), deal.one("tense", ("past", "past", "future"))
    link = deal.one("link", ("아서", "기 때문에"))
    if deal.below(0.5):
        cause, subject, phrase = deal.one("sky", SKY_CAUSES)
        agreement, stem = Agreement.IT, Stem(cause, True)
    else:
        cause, phrase = deal.one("cause", CAUSES)
        subject, agreement = who.pronoun, who.agreement
        stem = honor(Stem(cause, True)) if who.honorific else Stem(cause, True)
    mood = "must" if tense == "future" else "past"
    before = "present" if tense == "future" else "past"
    if link == "기 때문에" and before == "past":
        stem = past(stem)
    action, place_ko, place_en = result(deal, cause)
    ko = f"{who.topic(level)} {attach(stem, link)} {place_ko}{korean_end(action, who, mood, level)}"
    main = english_clause(who, mood, english_phrase(action, who, False))
    state = "progressive" if before == "present" and phrase in ("rain", "snow") else before
    why = clause(subject, agreement, state, phrase)
    if link == "아서":
        subject_main = main.replace(who.en, who.pronoun, 1)
        first = clause(who.en if subject == who.pronoun else subject, agreement, state, phrase)
        second = subject_main + place_en if subject == who.pronoun else main + place_en
        return made(ko, f"{first}, so {second}", level, "because", cause, action.name, tense)
    return made(ko, f"{main}{place_en} because {why}", level, "because", cause, action.name, tense)


CONTRASTS = (("비싸", "예쁘 맛있 좋 빠르"), ("싸", "맛있 예쁘 좋 깨끗하"), ("작", "예쁘 무겁 비싸 깨끗하"), ("무겁", "좋 싸"), ("크", "가볍 싸"), ("어렵", "재미있"),
             ("길", "재미있 쉽"), ("짧", "재미있 좋"), ("맵", "맛있"), ("느리", "싸"))  # fmt: skip
OPPOSED = tuple((a, b) for a, bs in CONTRASTS for b in bs.split())


def but(deal: Dealer) -> Pair:
    """This bag is pretty but expensive."""
    fitting = tuple(
        (thing, a, b) for a, b in (*OPPOSED, *((b, a) for a, b in OPPOSED)) for thing in sorted({t.ko for t, _ in NOTED})
        if {a, b} <= {w for t, w in NOTED if t.ko == thing}
    )  # fmt: skip
    (name, first, second), level = deal.one("fitting", fitting), deal.one("level", LEVELS)
    tense, thing = deal.one("tense", ("present", "present", "past")), THINGS[name]
    ko_it, one, many = deal.one("this", (("이", "this", "these"), ("그", "that", "those")))
    pairs = thing.verb_is is Agreement.THEY
    (a, en_a), (b, en_b) = ADJECTIVES[first], ADJECTIVES[second]
    if tense == "past":
        a = past(a)
    ko = f"{particle(f'{ko_it} {name}', '은')} {attach(a, '지만')} {finish(b, tense, level)}"
    noun = f"{many if pairs else one} {thing.noun}"
    return made(ko, clause(noun, thing.verb_is, tense, f"be {en_a} but {en_b}"), level, "but", name, first, second)


LIKED = tuple("빵 김치 고기 생선 과일 채소 커피 차 우유 맥주 주스 음악 영화 드라마 축구 야구 농구 테니스 소설 시 꽃 고양이 개 수학 역사 영어".split())


def liking(deal: Dealer) -> Pair:
    """My uncle likes meat but does not like fish."""
    one, other = deal.two("thing", LIKED)
    who, level, way = deal.one("who", EVERYONE), deal.one("level", LEVELS), deal.one("way", ("but", "and", "one"))
    stem, dislike = Stem("좋아하"), Stem("싫어하")
    if who.honorific:
        stem, dislike = honor(stem), honor(dislike)
    a, b = THINGS[one].many, THINGS[other].many
    if way == "and":
        ko = f"{who.topic(level)} {particle(one, '과')} {particle(other, '을')} {finish(stem, 'present', level)}"
        en = clause(who.en, who.agreement, "present", f"like {a} and {b}")
    elif way == "but":
        ko = f"{who.topic(level)} {particle(one, '은')} {attach(stem, '지만')} {particle(other, '은')} {finish(dislike, 'present', level)}"
        en = clause(who.en, who.agreement, "present", f"like {a}") + " but " + clause("", who.agreement, "present", f"dislike {b}")
    else:
        ko = f"{who.topic(level)} {one}보다 {particle(other, '을')} 더 {finish(stem, 'present', level)}"
        en = clause(who.en, who.agreement, "present", f"like {b} more than {a}")
    return made(ko, en, level, "liking", one, other)


def both(deal: Dealer) -> Pair:
    """My older brother is reading a book and my older sister is listening to music."""
    (one, other), level = deal.two("who", PEERS), deal.one("level", LEVELS)
    mood = deal.one("mood", ("past", "progressive", "present", "future"))
    pool = HABITS
    first, second = deal.two("act", pool)
    before, stem = predicate(first, one, mood)
    general = mood == "present"
    link = {"past": attach(past(stem), "고"), "future": attach(stem, "을") + " 것이고"}.get(mood, attach(stem, "고"))
    ko = f"{one.topic(level)} {before}{link} {other.topic(level)} {korean_end(second, other, mood, level)}"
    en = " and ".join(english_clause(w, mood, english_phrase(a, w, general)) for w, a in ((one, first), (other, second)))
    return made(ko, en, level, "both", first.name, second.name)


BACKGROUND = tuple(find(n) for n in ("음악을 듣다", "라디오를 듣다", "텔레비전을 보다", "커피를 마시다", "노래를 부르다", "노래를 듣다"))
FOREGROUND = tuple(a for a in HABITS if a.one.split()[0] in ("do", "cook", "exercise", "study", "clean", "make", "read", "write", "draw", "walk", "wash"))


def meanwhile(deal: Dealer) -> Pair:
    """I do my homework while listening to music."""
    second, first = deal.one("back", BACKGROUND), deal.one("fore", FOREGROUND)
    who, level, mood = deal.one("who", EVERYONE), deal.one("level", LEVELS), deal.one("mood", ("present", "past", "progressive"))
    stem = second.honored if who.honorific else second.stem
    ko = f"{who.topic(level)} {second.before}{attach(stem, '으면서')} {korean_end(first, who, mood, level)}"
    en = english_clause(who, mood, english_phrase(first, who, mood == "present"))
    while_en = inflect(english_phrase(second, who, mood == "present"), "ing")
    return made(ko, f"{en} while {while_en}", level, "meanwhile", second.name, first.name)


def before_after(deal: Dealer) -> Pair:
    """I am going to brush my teeth before going to bed."""
    first, second = deal.two("act", tuple(a for a in SHARED if a.one.split()[0] not in ("wait",)))
    who, level, mood = deal.one("who", EVERYONE), deal.one("level", LEVELS), deal.one("mood", ("past", "past", "future", "want"))
    order, english = deal.one("order", (("기 전에", "before"), ("은 후에", "after"), ("은 다음에", "after")))
    stem = first.honored if who.honorific else first.stem
    ko = f"{who.topic(level)} {first.before}{attach(stem, order)} {korean_end(second, who, mood, level)}"
    en = english_clause(who, mood, english_phrase(second, who, False))
    return made(ko, f"{en} {english} {inflect(english_phrase(first, who, False), 'ing')}", level, "before after", first.name, second.name, order)


def when(deal: Dealer) -> Pair:
    """When I read books, I drink coffee."""
    back, fore = deal.one("back", BACKGROUND), deal.one("fore", FOREGROUND)
    who, level = deal.one("who", EVERYONE), deal.one("level", LEVELS)
    stem = fore.honored if who.honorific else fore.stem
    often_ko, often = deal.one("often", (("자주", "often"), ("항상", "always"), ("가끔", "sometimes")))
    ko = f"{who.topic(level)} {fore.before}{attach(stem, '을')} 때 {often_ko} {korean_end(back, who, 'present', level)}"
    en = english_clause(who, "present", english_phrase(back, who, True), adverb=often)
    inner = clause(who.pronoun, who.agreement, "present", english_phrase(fore, who, True))
    return made(ko, f"{en} when {inner}", level, "when", fore.name, back.name)


MADE = tuple(
    (find(name), words)
    for name, words in (
        ("책을 읽다", "재미있 어렵 길"), ("소설을 읽다", "재미있 슬프 길"), ("영화를 보다", "재미있 슬프 무섭"), ("드라마를 보다", "재미있 슬프"), ("코트를 사다", "비싸 따뜻하 까맣"),
        ("가방을 사다", "비싸 무겁 가볍"), ("모자를 사다", "비싸 예쁘 빨갛"), ("신발을 사다", "비싸 작 크"), ("바지를 사다", "비싸 길 짧"), ("시계를 사다", "비싸 예쁘"),
        ("치마를 사다", "예쁘 짧 파랗"), ("케이크를 만들다", "달 맛있"), ("김치를 만들다", "맵 짜 맛있"), ("빵을 만들다", "맛있"), ("국수를 만들다", "맵 짜 맛있"), ("장갑을 사다", "따뜻하 예쁘"),
        ("그림을 그리다", "아름답 예쁘"), ("사과를 사다", "달 맛있 비싸"), ("생선을 사다", "비싸 맛있"), ("꽃을 사다", "예쁘 아름답"), ("자전거를 빌리다", "빠르 느리"), ("노래를 부르다", "아름답 슬프"),
    )
)  # fmt: skip
DESCRIBED = tuple((action, word) for action, words in MADE for word in words.split())


def relative(deal: Dealer) -> Pair:
    """The shoes my mother bought yesterday are very expensive."""
    (action, word), who, level = deal.one("described", DESCRIBED), deal.one("who", EVERYONE), deal.one("level", LEVELS)
    stem, english = ADJECTIVES[word]
    thing = THINGS[action.before.strip()[:-1]]
    time = deal.one("time", PAST_TIMES) if deal.below(0.7) else NO_TIME
    acting = action.honored if who.honorific else action.stem
    degree_ko, degree = deal.one("degree", (("아주 ", "very "), ("정말 ", "really "), ("", ""))) if word not in ("까맣", "빨갛", "파랗") else ("", "")
    ko = f"{who.subject(level)} {time.ko} {attach(acting, '은')} {particle(thing.ko, '은')} {degree_ko}{finish(stem, 'present', level)}"
    verb = action.one.split(" ")[0]
    inner = clause(who.en, who.agreement, "past", verb)
    en = clause(f"the {thing.noun} that {inner} {time.en}", thing.verb_is, "present", f"be {degree}{english}")
    return made(ko, en, level, "relative", action.name, word, who.ko)


PEOPLE_SEEN = (("남자", "man"), ("여자", "woman"), ("아이", "child"), ("학생", "student"))
IDENTIFIED = tuple(a for a in HABITS if a.one.split()[0] in ("read", "wear", "drink", "listen", "draw", "sing", "wait", "ride", "play", "eat", "sleep", "dance", "clean"))


def who_is(deal: Dealer) -> Pair:
    """The man who is reading a book is my uncle."""
    (noun, english), action = deal.one("noun", PEOPLE_SEEN), deal.one("act", IDENTIFIED)
    pool = {"남자": MEN, "여자": WOMEN}.get(noun, (*MEN[1:2], *MEN[3:5], *WOMEN[1:2], *WOMEN[3:5]))
    who, level = deal.one("who " + noun, pool), deal.one("level", LEVELS)
    where_ko, where_en = at(spot(deal, action, 0.4))
    doing = attach(action.stem, "고") + " 있는"
    ko = f"{where_ko}{action.before}{doing} {particle(noun, '은')} {be(who.called(level), level, honorific=who.honorific)}"
    en = f"the {english} who is {inflect(action.one.format(poss=who.possessive), 'ing')}{where_en} is {who.en}"
    return made(ko, en, level, "who is", noun, action.name, who.ko)


def living_friend(deal: Dealer) -> Pair:
    """I met a friend who lives in Busan."""
    city, who, level = deal.one("city", tuple(CITIES.items())), deal.one("who", EVERYONE), deal.one("level", LEVELS)
    way = deal.one("way", (("살", "에", "live in", "present"), ("일하", "에서", "work in", "present"), ("태어나", "에서", "be born in", "past"), ("오", "에서", "come from", "past")))
    noun, english = deal.one("noun", (("친구", "a friend"), ("의사", "a doctor"), ("변호사", "a lawyer"), ("가수", "a singer"), ("학생", "a student")))
    mood = deal.one("mood", ("past", "future", "want", "plan"))
    time = deal.one("time " + mood, time_for(mood)) if deal.below(0.4) else NO_TIME
    action = Action(particle(noun, "을") + " ", Stem("만나"), honor(Stem("만나")), "meet", "meet", (), "")
    stem = Stem(way[0])
    form = adnominal(stem) if way[3] == "present" else attach(stem, "은")
    ko = f"{who.topic(level)} {time.ko} {city[0]}{way[1]} {form} {korean_end(action, who, mood, level)}"
    en = f"{english_clause(who, mood, 'meet ' + english)} {clause('who', Agreement.IT, way[3], way[2])} {city[1]} {time.en}"
    return made(ko, en, level, "living friend", city[0], way[0], noun)


SPEAKERS = tuple(p for p in OTHERS if p not in GROUPS)


def said(deal: Dealer) -> Pair:
    """Minsu said that his father likes fish; my aunt said that Sujin is going to read a book."""
    (speaker, who), level = deal.two("who", SPEAKERS), deal.one("level", LEVELS)
    mood = deal.one("mood", ("past", "present", "future", "want", "must"))
    action = deal.one("act " + mood, HABITS if mood == "present" else REQUESTS)
    told, english = deal.one("told", ((Stem("말하"), "say"), (Stem("생각하"), "think"), (Stem("듣"), "hear")))
    telling = honor(told) if speaker.honorific else told
    ko = f"{speaker.topic(level)} {who.subject(level)} {reported(action, who, mood)} {finish(telling, 'past', level)}"
    inner = english_clause(who, mood, english_phrase(action, who, mood == "present"))
    en = f"{clause(speaker.en, speaker.agreement, 'past', english)} that {inner}"
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
    whom, level, action = deal.one("whom", (I, I, *PEERS)), deal.one("level", LEVELS), deal.one("act", REQUESTS)
    speaker = deal.one("speaker", (TEACHER, TEACHER, *(p for p in MEN + WOMEN if p.honorific)))
    order, english = deal.one("order", (("으라고", "to"), ("지 말라고", "not to")))
    ko = f"{speaker.topic(level)} {whom.to(level)} {action.before}{attach(action.stem, order)} {finish(honor(Stem('말하')), 'past', level)}"
    phrase = english_phrase(action, whom, order == "지 말라고")
    en = clause(speaker.en, speaker.agreement, "past", f"tell {whom.objective} {english} {phrase}")
    return made(ko, en, level, "told to", action.name, order, whom.ko)


FAMILIES = {
    conditional: 350, because: 350, but: 200, liking: 180, both: 250, meanwhile: 180, before_after: 250, when: 150,
    relative: 300, who_is: 200, living_friend: 150, said: 350, told_to: 200,
}  # fmt: skip
