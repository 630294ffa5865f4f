"""Sentences of two clauses: if, because, but, and, while, before, after, when."""

from adjectives import ADJECTIVES, NOTED
from clauses import Pair, english_clause, english_phrase, korean_end, make_pair, predicate
from conjugation import Stem, attach, finish, honor, past
from english import Agreement, clause, inflect
from hangul import particle
from lexicon import (
    EVERYONE,
    PEERS,
    THINGS,
    Person,
)
from sampler import Sampler
from simple import LEVELS
from verbs import SHARED, Action, doing_one_of, find

CONDITIONS = (
    ("시간이 있", "have time"),
    ("돈이 있", "have money"),
    ("배고프", "be hungry"),
    ("피곤하", "be tired"),
    ("바쁘", "be busy"),
    ("아프", "be sick"),
    ("심심하", "be bored"),
    ("일찍 일어나", "get up early"),
    ("숙제를 끝내", "finish {poss} homework"),
    ("서울에 가", "go to Seoul"),
)
OUTSIDE = (
    ("비가 오", "it rains"),
    ("눈이 오", "it snows"),
    ("날씨가 좋", "the weather is good"),
    ("날씨가 춥", "it is cold"),
    ("날씨가 덥", "it is hot"),
)
FREE_TIME = tuple(
    a
    for a in SHARED
    if a.one.split()[0] in ("read", "watch", "listen", "play", "swim", "cook", "make", "buy", "study", "draw")
)
RESULTS = {
    "배고프": "빵을_먹다 밥을_먹다 국수를_주문하다 과일을_먹다 계란을_먹다",
    "피곤하": "집에서_쉬다 커피를_마시다 집에서_자다",
    "아프": "약을_먹다 집에서_쉬다 차를_마시다",
    "바쁘": "택시를_타다 지하철을_타다",
    "비가 오": "택시를_타다 영화를_보다 책을_읽다 차를_마시다 음악을_듣다",
    "눈이 오": "장갑을_끼다 코트를_입다 사진을_찍다 차를_마시다",
    "날씨가 춥": "코트를_입다 장갑을_끼다 창문을_닫다 차를_마시다 문을_닫다",
    "날씨가 덥": "물을_마시다 창문을_열다 주스를_마시다 수영하다 맥주를_마시다",
    "서울에 가": "한복을_입다 비빔밥을_먹다 친구를_만나다 사진을_찍다 지하철을_타다",
    "돈이 있": "가방을_사다 시계를_사다 모자를_사다 책을_사다 코트를_사다",
    "일찍 일어나": "운동하다 신문을_읽다 아침을_먹다 공원에서_걷다 방을_청소하다",
    "날씨가 좋": "공원에서_걷다 자전거를_타다 축구를_하다 테니스를_치다 사진을_찍다",
}


# causes after which "want" becomes "must"
NEEDS = ("바쁘", "아프", "날씨가 춥")


def choose_result(rng: Sampler, cause: str) -> tuple[Action, str, str]:
    """Choose an action that follows from a cause, with its place in both languages."""
    if cause not in RESULTS:
        return rng.choice("free", FREE_TIME), "", ""
    name = rng.choice("result " + cause, RESULTS[cause].split()).replace("_", " ")
    for place, english in (("집에서 ", " at home"), ("공원에서 ", " in the park")):
        if name.startswith(place):
            return find(name.removeprefix(place)), place, english
    return find(name), "", ""


def conditional(rng: Sampler) -> Pair:
    """If it rains, I am going to read a book at home."""
    who, level = rng.choice("who", EVERYONE), rng.choice("level", LEVELS)
    mood = rng.choice("mood", ("future", "future", "want", "must", "plan"))
    if rng.chance(0.5):
        cause, en_cause = rng.choice("outside", OUTSIDE)
        adjective = cause.split(" ")[-1] in ("좋", "춥", "덥")
        if_ko, if_en = attach(Stem(cause, adjective), "으면"), en_cause
    else:
        cause, phrase = rng.choice("condition", CONDITIONS)
        stem = Stem(cause)
        if_ko = attach(honor(stem) if who.honorific else stem, "으면")
        if_en = clause(name_or_pronoun(who), who.agreement, "present", who.owning(phrase))
    action, place_ko, place_en = choose_result(rng, cause)
    if cause in NEEDS:
        mood = "must" if mood == "want" else mood
    elif mood == "must":
        mood = "future"
    ko = f"{who.topic(level)} {if_ko} {place_ko}{korean_end(action, who, mood, level)}"
    main = english_clause(who, mood, english_phrase(action, who, False))
    return make_pair(ko, f"{main}{place_en} if {if_en}", level, "conditional", cause, action.name, mood)


def name_or_pronoun(who: Person) -> str:
    """Return the pronoun for a person."""
    return who.pronoun


CAUSES = (("배고프", "be hungry"), ("피곤하", "be tired"), ("아프", "be sick"), ("바쁘", "be busy"))
SKY_CAUSES = (
    ("비가 오", "it", "rain"),
    ("눈이 오", "it", "snow"),
    ("날씨가 춥", "it", "be cold"),
    ("날씨가 덥", "it", "be hot"),
    ("날씨가 좋", "the weather", "be good"),
)


def because(rng: Sampler) -> Pair:
    """I was tired, so I rested at home."""
    who, level, tense = (
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
        rng.choice("tense", ("past", "past", "future")),
    )
    link = rng.choice("link", ("아서", "기 때문에"))
    if rng.chance(0.5):
        cause, subject, phrase = rng.choice("sky", SKY_CAUSES)
        agreement, stem = Agreement.IT, Stem(cause, True)
    else:
        cause, phrase = rng.choice("cause", CAUSES)
        subject, agreement = who.pronoun, who.agreement
        stem = honor(Stem(cause, True)) if who.honorific else Stem(cause, True)
    mood = "must" if tense == "future" and cause in NEEDS else tense
    before = "present" if tense == "future" else "past"
    if link == "기 때문에" and before == "past":
        stem = past(stem)
    action, place_ko, place_en = choose_result(rng, cause)
    ko = f"{who.topic(level)} {attach(stem, link)} {place_ko}{korean_end(action, who, mood, level)}"
    main = english_clause(who, mood, english_phrase(action, who, False))
    state = "progressive" if before == "present" and phrase in ("rain", "snow") else before
    why = clause(subject, agreement, state, phrase)
    if link == "아서":
        subject_main = main.replace(who.en, who.pronoun, 1)
        first = clause(who.en if subject == who.pronoun else subject, agreement, state, phrase)
        second = subject_main + place_en if subject == who.pronoun else main + place_en
        return make_pair(ko, f"{first}, so {second}", level, "because", cause, action.name, tense)
    return make_pair(ko, f"{main}{place_en} because {why}", level, "because", cause, action.name, tense)


CONTRASTS = (
    ("비싸", "예쁘 맛있 좋 빠르"),
    ("싸", "맛있 예쁘 좋 깨끗하"),
    ("작", "예쁘 무겁 비싸 깨끗하"),
    ("무겁", "좋 싸"),
    ("크", "가볍 싸"),
    ("어렵", "재미있"),
    ("길", "재미있 쉽"),
    ("짧", "재미있 좋"),
    ("맵", "맛있"),
    ("느리", "싸"),
)
OPPOSED = tuple((a, b) for a, bs in CONTRASTS for b in bs.split())
FITTING = tuple(
    (thing, a, b)
    for a, b in (*OPPOSED, *((b, a) for a, b in OPPOSED))
    for thing in sorted({t.ko for t, _ in NOTED})
    if {a, b} <= {w for t, w in NOTED if t.ko == thing}
)


def but(rng: Sampler) -> Pair:
    """This bag is pretty but expensive."""
    (name, first, second), level = rng.choice("fitting", FITTING), rng.choice("level", LEVELS)
    tense, thing = rng.choice("tense", ("present", "present", "past")), THINGS[name]
    ko_it, one, many = rng.choice("this", (("이", "this", "these"), ("그", "that", "those")))
    pairs = thing.verb_is is Agreement.THEY
    (a, en_a), (b, en_b) = ADJECTIVES[first], ADJECTIVES[second]
    if tense == "past":
        a = past(a)
    ko = f"{particle(f'{ko_it} {name}', '은')} {attach(a, '지만')} {finish(b, tense, level)}"
    noun = f"{many if pairs else one} {thing.noun}"
    return make_pair(
        ko, clause(noun, thing.verb_is, tense, f"be {en_a} but {en_b}"), level, "but", name, first, second
    )


LIKED = tuple(
    kind.split()
    for kind in (
        "빵 김치 고기 생선 과일 채소 불고기 국수",
        "커피 차 우유 맥주 주스",
        "영화 드라마 소설 시 음악",
        "축구 야구 농구 테니스 배구",
        "수학 역사 영어 중국어 음악",
        "고양이 개 새",
    )
)


def liking(rng: Sampler) -> Pair:
    """My uncle likes meat but does not like fish."""
    kind = rng.choice("kind", (*LIKED[:5], *LIKED))
    one, other = rng.choose_two("thing " + kind[0], kind)
    who, level, way = (
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
        rng.choice("way", ("but", "and", "one")),
    )
    stem, dislike = Stem("좋아하"), Stem("싫어하")
    if who.honorific:
        stem, dislike = honor(stem), honor(dislike)
    topic = who.topic(level)
    a, b = THINGS[one].many, THINGS[other].many
    if way == "and":
        ko = f"{topic} {particle(one, '과')} {particle(other, '을')} {finish(stem, 'present', level)}"
        en = clause(who.en, who.agreement, "present", f"like {a} and {b}")
    elif way == "but":
        contrast = f"{particle(one, '은')} {attach(stem, '지만')} {particle(other, '은')}"
        ko = f"{topic} {contrast} {finish(dislike, 'present', level)}"
        en = (
            clause(who.en, who.agreement, "present", f"like {a}")
            + " but "
            + clause("", who.agreement, "present", f"dislike {b}")
        )
    else:
        ko = f"{who.topic(level)} {one}보다 {particle(other, '을')} 더 {finish(stem, 'present', level)}"
        en = clause(who.en, who.agreement, "present", f"like {b} more than {a}")
    return make_pair(ko, en, level, "liking", one, other)


SIDE_BY_SIDE = doing_one_of(
    "read, write, watch, listen, sing, play, study, draw, do, eat, drink, exercise, walk, rest, clean, make, "
    "cook, work, wait, sleep, dance, swim, run, wash"
)


def both(rng: Sampler) -> Pair:
    """My older brother is reading a book and my older sister is listening to music."""
    (one, other), level = rng.choose_two("who", PEERS), rng.choice("level", LEVELS)
    mood = rng.choice("mood", ("past", "progressive", "present", "future"))
    first, second = rng.choose_two("act", SIDE_BY_SIDE)
    before, stem = predicate(first, one, mood)
    general = mood == "present"
    link = {"past": attach(past(stem), "고"), "future": attach(stem, "을") + " 것이고"}.get(
        mood, attach(stem, "고")
    )
    ko = f"{one.topic(level)} {before}{link} {other.topic(level)} {korean_end(second, other, mood, level)}"
    en = " and ".join(
        english_clause(w, mood, english_phrase(a, w, general)) for w, a in ((one, first), (other, second))
    )
    return make_pair(ko, en, level, "both", first.name, second.name)


LISTENING = tuple(find(n) for n in ("음악을 듣다", "라디오를 듣다", "노래를 듣다"))
SITTING = tuple(find(n) for n in ("커피를 마시다", "차를 마시다", "음악을 듣다"))
AT_ONCE = (
    *(
        (back, fore)
        for back in LISTENING
        for fore in doing_one_of("do, cook, exercise, clean, make, draw, walk, wash fruit, wash vegetables")
    ),
    *((back, fore) for back in SITTING for fore in doing_one_of("do {poss} homework, study, read, write")),
    *((find("노래를 부르다"), fore) for fore in doing_one_of("do the, walk, cook, clean the")),
    *(
        (find("텔레비전을 보다"), fore)
        for fore in doing_one_of("eat breakfast, eat lunch, eat dinner, exercise")
    ),
)


def meanwhile(rng: Sampler) -> Pair:
    """I do my homework while listening to music."""
    second, first = rng.choice("at once", AT_ONCE)
    who, level, mood = (
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
        rng.choice("mood", ("present", "past", "progressive")),
    )
    stem = second.honored if who.honorific else second.stem
    ko = f"{who.topic(level)} {second.before}{attach(stem, '으면서')} {korean_end(first, who, mood, level)}"
    en = english_clause(who, mood, english_phrase(first, who, mood == "present"))
    while_en = inflect(english_phrase(second, who, mood == "present"), "ing")
    return make_pair(ko, f"{en} while {while_en}", level, "meanwhile", second.name, first.name)


def before_after(rng: Sampler) -> Pair:
    """I am going to brush my teeth before going to bed."""
    first, second = rng.choose_two("act", SHARED)
    while second.one.split()[0] == first.one.split()[0] or second.before == first.before:
        second = rng.choice("act", SHARED)
    who, level, mood = (
        rng.choice("who", EVERYONE),
        rng.choice("level", LEVELS),
        rng.choice("mood", ("past", "past", "future", "want")),
    )
    order, english = rng.choice(
        "order", (("기 전에", "before"), ("은 후에", "after"), ("은 다음에", "after"))
    )
    stem = first.honored if who.honorific else first.stem
    ko = f"{who.topic(level)} {first.before}{attach(stem, order)} {korean_end(second, who, mood, level)}"
    en = english_clause(who, mood, english_phrase(second, who, False))
    return make_pair(
        ko,
        f"{en} {english} {inflect(english_phrase(first, who, False), 'ing')}",
        level,
        "before after",
        first.name,
        second.name,
        order,
    )


def when(rng: Sampler) -> Pair:
    """When I read books, I drink coffee."""
    back, fore = rng.choice("at once", AT_ONCE)
    who, level = rng.choice("who", EVERYONE), rng.choice("level", LEVELS)
    stem = fore.honored if who.honorific else fore.stem
    often_ko, often = rng.choice("often", (("자주", "often"), ("항상", "always"), ("가끔", "sometimes")))
    doing = f"{fore.before}{attach(stem, '을')} 때"
    ko = f"{who.topic(level)} {doing} {often_ko} {korean_end(back, who, 'present', level)}"
    en = english_clause(who, "present", english_phrase(back, who, True), adverb=often)
    inner = clause(who.pronoun, who.agreement, "present", english_phrase(fore, who, True))
    return make_pair(ko, f"{en} when {inner}", level, "when", fore.name, back.name)


FAMILIES = {
    conditional: 350,
    because: 350,
    but: 200,
    liking: 180,
    both: 250,
    meanwhile: 180,
    before_after: 250,
    when: 150,
}
