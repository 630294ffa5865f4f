"""Sentences whose end depends on their beginning, or their beginning on their end, across a tail of clauses."""

from clauses import Pair, english_clause, english_phrase, joined, korean_end, made, predicate
from conjugation import Level, Stem, attach, finish, honor, past, plain
from dealing import Dealer
from english import clause
from hangul import particle
from lexicon import CITIES, COUNTRIES, GROUPS, MEN, PAST_TIMES, WOMEN, FUTURE_TIMES, HABIT_TIMES, I, WE, Person, Time
from simple import LEVELS
from verbs import Action, find

RELATIVES = tuple(person for person in (*MEN, *WOMEN, *GROUPS[2:]) if not person.name)

# what the sentence begins with | its clause in English | what it ends with, with 그 (that) for what came first
# {x} is the thing recalled in English
ORIGINS = {
    "country": (
        ("{ko}에서 자란", "grew up in {en}"),
        ("{ko}에서 태어난", "was born in {en}"),
        ("오랫동안 {ko}에 산", "lived in {en} for a long time"),
    ),
    "city": (("{ko}에서 자란", "grew up in {en}"), ("{ko}에서 태어난", "was born in {en}")),
    "instrument": (("어릴 때 {ko}", "learned {en} as a child"), ("대학에서 {ko}", "studied {en} in college")),
    "sport": (("어릴 때 {ko}", "learned {en} as a child"), ("학교에서 {ko}", "taught {en} at school")),
}
PREDICATES = {
    "country": (
        ("그 나라 말을 유창하게 ", Stem("하"), "speak fluent {language}"),
        ("그 나라 음식을 자주 ", Stem("만들"), "often make {language} food"),
        ("그 나라를 ", Stem("그리워하"), "miss {en}"),
        ("그 나라 노래를 즐겨 ", Stem("부르"), "enjoy singing {language} songs"),
    ),
    "city": (
        ("그 도시를 ", Stem("그리워하"), "miss {en}"),
        ("그 도시를 아주 잘 ", Stem("알"), "know {en} very well"),
        ("그 도시 이야기를 자주 ", Stem("하"), "often talk about {en}"),
        ("그 도시로 돌아가고 싶어 ", Stem("하"), "want to go back to {en}"),
    ),
    "instrument": (
        ("그 악기를 아주 잘 ", Stem("연주하"), "play {en} very well"),
        ("그 악기를 자주 ", Stem("연습하"), "often practice {en}"),
        ("그 악기를 아이들에게 ", Stem("가르치"), "teach children {en}"),
    ),
    "sport": (
        ("그 운동을 아주 ", Stem("좋아하"), "like {en} very much"),
        ("그 운동을 자주 ", Stem("하"), "often play {en}"),
        ("그 운동을 아이들에게 ", Stem("가르치"), "teach children {en}"),
    ),
}
ANCHORS = {
    "country": tuple((ko, {"en": name, "language": language}) for ko, (name, language, _) in COUNTRIES.items()),
    "city": tuple((ko, {"en": name}) for ko, name in CITIES.items()),
    "instrument": tuple((ko, {"en": f"the {en}"}) for ko, en in (("피아노", "piano"), ("기타", "guitar"), ("바이올린", "violin"))),
    "sport": tuple((ko, {"en": en}) for ko, en in (("축구", "soccer"), ("야구", "baseball"), ("농구", "basketball"), ("테니스", "tennis"))),
}
VERB_OF = {"어릴 때 {ko}": "배운", "대학에서 {ko}": "공부한", "학교에서 {ko}": "가르친"}
# what fills the gap: the stem, the English; a country, city, instrument or sport in it is not the one recalled
TAIL = (
    ("지금은 서울에 ", Stem("살"), "now live in Seoul"),
    ("지금은 부산에 ", Stem("살"), "now live in Busan"),
    ("은행에서 ", Stem("일하"), "work at a bank"),
    ("병원에서 ", Stem("일하"), "work at a hospital"),
    ("작은 가게에서 꽃을 ", Stem("팔"), "sell flowers in a small store"),
    ("저녁마다 강에서 ", Stem("걷"), "walk at the river every evening"),
    ("주말마다 가족과 함께 ", Stem("요리하"), "cook with {poss} family every weekend"),
    ("일요일마다 체육관에서 ", Stem("운동하"), "exercise at the gym every Sunday"),
    ("아침마다 커피를 마시면서 신문을 ", Stem("읽"), "read the newspaper while drinking coffee every morning"),
    ("고양이 두 마리를 ", Stem("키우"), "raise two cats"),
    ("독일에서 온 친구와 같이 ", Stem("일하"), "work with a friend from Germany"),
    ("일본에서 온 학생들에게 한국어를 ", Stem("가르치"), "teach Korean to students from Japan"),
    ("대구에 사는 친구를 자주 ", Stem("만나"), "often meet a friend who lives in Daegu"),
    ("시간이 있으면 도서관에서 소설을 ", Stem("읽"), "read novels at the library if there is time"),
    ("돈이 없어서 작은 방에 ", Stem("살"), "live in a small room because money is short"),
)


def recalling(deal: Dealer) -> Pair:
    """My older sister, who grew up in France, now lives in Seoul and works at a bank but still speaks fluent French."""
    kind = deal.one("kind", ("country", "country", "city", "instrument", "sport"))
    (anchor, words), who, level = deal.one("anchor " + kind, ANCHORS[kind]), deal.one("who", RELATIVES), deal.one("l", LEVELS)
    (start, en_start), (end, stem, en_end) = deal.one("start " + kind, ORIGINS[kind]), deal.one("end " + kind, PREDICATES[kind])
    size = deal.one("size", (0, 1, 1, 2, 2, 3, 3, 4))
    tail = sorted(chosen(deal, "tail", TAIL, size), key=lambda clause_: TAIL.index(clause_))
    opening = start.format(ko=anchor) if start not in VERB_OF else particle(start.format(ko=anchor), "을") + " " + VERB_OF[start]
    links = [attach(lifted(clause_[1], who), "고") for clause_ in tail]
    if tail:
        links[-1] = attach(lifted(tail[-1][1], who), "지만")
    middle = " ".join(before + link for (before, _, _), link in zip(tail, links, strict=True))
    still_ko, still = ("아직도 ", "still ") if tail else ("", "")
    ko = f"{opening} {who.topic(level)} {middle} {still_ko}{end}{finish(lifted(stem, who), 'present', level)}"
    verbs = [agreed(who, phrase.format(poss=who.possessive)) for _, _, phrase in tail]
    last = agreed(who, f"{still}{en_end.format(**words)}")
    en = f"{who.en}, who {past_of(who, en_start.format(**words))}, {listed(verbs)}{' but ' if tail else ''}{last}"
    gap = between(ko, anchor, "그") if tail else 0
    return made(ko, en, level, "recalling", anchor, end, "+".join(phrase for _, _, phrase in tail), gap=gap)


def chosen(deal: Dealer, deck: str, items: tuple, size: int) -> list:  # type: ignore[type-arg]
    """So many different items, no two of them saying where one lives or works."""
    found: list = []  # type: ignore[type-arg]
    while len(found) < size:
        item = deal.one(deck, items)
        if all(item is not other and item[1].text != other[1].text for other in found):
            found.append(item)
    return found


def lifted(stem: Stem, who: Person) -> Stem:
    """The stem, with -시- if the person is honoured."""
    return honor(stem) if who.honorific else stem


def agreed(who: Person, phrase: str) -> str:
    """A verb phrase in the present as the person's verb; now, often, still may come first."""
    adverbs, words = [], phrase.split(" ")
    while words[0] in ("now", "often", "still"):
        adverbs.append(words.pop(0))
    verb = clause("", who.agreement, "present", " ".join(words))
    return " ".join([*adverbs, verb])


def past_of(who: Person, phrase: str) -> str:
    """The phrase in the past, agreeing in was and were; it is written in the past, for one."""
    return phrase.replace("was born", "were born") if who in GROUPS else phrase


def listed(items: list[str]) -> str:
    """Items with commas and a last and."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + (" and " if len(items) == 2 else ", and ") + items[-1]


def between(ko: str, first: str, second: str) -> int:
    """How many words lie between the word that begins with `first` and the last one that begins with `second`."""
    words = ko.split()
    start = next(i for i, word in enumerate(words) if word.startswith(first))
    end = max(i for i, word in enumerate(words) if word.startswith(second))
    return end - start - 1


# a day in its order: what one may do one after the other
DAY = (
    (Action("일찍 ", Stem("일어나"), honor(Stem("일어나")), "get up early", "get up early", (), "")),
    find("손을 씻다"), find("이를 닦다"),
    Action("공원에서 ", Stem("운동하"), honor(Stem("운동하")), "exercise in the park", "exercise in the park", (), ""),
    find("아침을 먹다"), find("커피를 마시다"), find("신문을 읽다"), find("방을 청소하다"),
    Action("은행에 ", Stem("가"), honor(Stem("가")), "go to the bank", "go to the bank", (), ""),
    find("이메일을 쓰다"),
    Action("친구와 점심을 ", Stem("먹"), Stem("드시", honorific=True), "eat lunch with a friend", "eat lunch with a friend", (), ""),
    find("편지를 보내다"),
    Action("도서관에서 책을 ", Stem("빌리"), honor(Stem("빌리")), "borrow a book at the library", "borrow a book at the library", (), ""),
    find("한국어를 공부하다"),
    Action("시장에서 채소를 ", Stem("사"), honor(Stem("사")), "buy vegetables at the market", "buy vegetables at the market", (), ""),
    find("꽃을 사다"),
    find("저녁을 먹다"), find("설거지를 하다"),
    Action("강에서 ", Stem("걷"), honor(Stem("걷")), "walk at the river", "walk at the river", (), ""),
    find("음악을 듣다"), find("영화를 보다"), find("숙제를 끝내다"),
    Action("집에서 ", Stem("쉬"), honor(Stem("쉬")), "rest at home", "rest at home", (), ""),
)  # fmt: skip
FREE = Time("", "")


def chaining(deal: Dealer) -> Pair:
    """My uncle ate breakfast, read the newspaper, and went to the bank: the tense stands on the last Korean verb only."""
    mood, who, level = deal.one("mood", ("past", "past", "future", "present", "want", "must", "plan")), deal.one("who", (I, I, I, WE, *RELATIVES)), deal.one("l", LEVELS)
    size = deal.one("size", (2, 3, 3, 4, 5, 6))
    picked: set[int] = set()
    while len(picked) < size:
        picked.add(deal.one("day", tuple(range(len(DAY)))))
    actions = [DAY[i] for i in sorted(picked)]
    time = deal.one("habit", HABIT_TIMES[:1]) if mood == "present" else FREE
    links = [a.before + attach(a.honored if who.honorific and mood != "past" else a.stem, "고") for a in actions[:-1]]
    ko = joined(who.topic(level), time.ko, *links, korean_end(actions[-1], who, mood, level))
    phrases = [english_phrase(a, who, mood == "present") for a in actions]
    if mood in ("past", "present"):
        verbs = [clause("", who.agreement, mood, phrase) for phrase in phrases]
        en = f"{who.en} {listed(verbs)} {time.en}"
    else:
        en = f"{english_clause(who, mood, phrases[0])}{chain_rest(phrases[1:])}"
    gap = len(ko.split()) - len(who.topic(level).split()) - 1
    return made(ko, en, level, "chaining", "+".join(a.name for a in actions), gap=gap)


def chain_rest(phrases: list[str]) -> str:
    """What follows the first phrase of a list."""
    if len(phrases) == 1:
        return f" and {phrases[0]}"
    return ", " + ", ".join(phrases[:-1]) + f", and {phrases[-1]}"


TELLERS = (*MEN[:5], *WOMEN[:5])
NEWS = tuple(find(n) for n in (
    "책을 읽다", "자전거를 고치다", "피아노를 치다", "한국어를 배우다", "방을 청소하다", "편지를 보내다", "케이크를 만들다", "돈을 빌리다", "열쇠를 찾다",
    "가방을 사다", "표를 예약하다", "보고서를 쓰다", "영어를 가르치다", "고양이를 키우다", "영화를 보다",
))  # fmt: skip
TELLING = ((Stem("말하"), "say"), (Stem("생각하"), "think"), (Stem("믿"), "believe"), (Stem("듣"), "hear"))
WHEN = {"past": (("어제", "yesterday"), ("지난주에", "last week")), "future": (("내일", "tomorrow"), ("다음 주에", "next week")),
        "want": (("내일", "tomorrow"), ("다음 주에", "next week"))}  # fmt: skip


def nesting(deal: Dealer) -> Pair:
    """Minsu said that my aunt thinks that Junho bought a bag: the first subject's verb is the last."""
    depth = deal.one("depth", (2, 2, 2, 3))
    people = chosen_people(deal, depth + 1)
    level, action, mood = deal.one("l", LEVELS), deal.one("news", NEWS), deal.one("mood", ("past", "future", "want"))
    told = [deal.one("told", TELLING) for _ in range(depth)]
    tenses = [deal.one("tense", ("past", "past", "present")) for _ in range(depth)]
    tenses = ["past" if verb == "hear" else tense for (_, verb), tense in zip(told, tenses, strict=True)]
    time_ko, time_en = deal.one("time " + mood, WHEN[mood]) if deal.below(0.5) else ("", "")
    inner = people[-1]
    before, stem = predicate(action, inner, mood)
    core = {"past": plain(past(stem)) + "고", "future": attach(stem, "을") + " 거라고"}.get(mood, plain(stem) + "고")
    ko = f"{inner.subject(level)} {time_ko} {before}{core}"
    en = f"{english_clause(inner, mood, english_phrase(action, inner, False))} {time_en}"
    for i in range(depth - 1, -1, -1):
        (verb, english), who, tense = told[i], people[i], tenses[i]
        en = f"{clause(who.en, who.agreement, tense, english)} that {en}"
        if i == 0:
            ko = f"{who.topic(level)} {ko} {finish(verb, tense, level)}"
        else:
            ko = f"{who.subject(level)} {ko} {plain(past(verb) if tense == 'past' else verb)}고"
    gap = len(ko.split()) - len(people[0].topic(level).split()) - 1
    return made(ko, en, level, "nesting", action.name, mood, "+".join(v for _, v in told), gap=gap)


def chosen_people(deal: Dealer, size: int) -> list[Person]:
    """So many different people."""
    found: list[Person] = []
    while len(found) < size:
        person = deal.one("teller", TELLERS)
        if person not in found:
            found.append(person)
    return found


SIDES = ("country", "instrument", "sport")


def telling_apart(deal: Dealer) -> Pair:
    """My older brother grew up in France and my aunt in Spain; ... so my aunt speaks fluent Spanish."""
    kind = deal.one("kind", SIDES)
    (one, other), level = deal.two("who", RELATIVES), deal.one("l", LEVELS)
    (first, words), (second, more) = deal.two("anchor " + kind, ANCHORS[kind])
    ko_verb, en_verb = {"country": ("에서 자라", "grow up in"), "instrument": ("배우", "learn"), "sport": ("배우", "learn")}[kind]

    def opening(anchor: str, who: Person) -> tuple[str, Stem]:
        place = f"{anchor}에서 " if kind == "country" else particle(anchor, "을") + " "
        return place, lifted(Stem(ko_verb.split(" ")[-1]), who)

    (a_before, a_stem), (b_before, b_stem) = opening(first, one), opening(second, other)
    bridge = deal.one("bridge", BRIDGES)
    asked, recalled = (one, words) if deal.below(0.5) else (other, more)
    end, stem, en_end = deal.one("end " + kind, PREDICATES[kind])
    ko = (
        f"{one.topic(level)} {a_before}{attach(past(a_stem), '고')} {other.topic(level)} {b_before}{attach(past(b_stem), '는데')} "
        f"{bridge[0]} {asked.topic(level)} 아직도 {end}{finish(lifted(stem, asked), 'present', level)}"
    )
    en = (
        f"{clause(one.en, one.agreement, 'past', en_verb)} {words['en']} and "
        f"{clause(other.en, other.agreement, 'past', en_verb)} {more['en']}, {bridge[1]} "
        f"{asked.en} {agreed(asked, 'still ' + en_end.format(**recalled))}"
    )
    gap = between(ko, first if asked is one else second, "그")
    return made(ko, en, level, "telling apart", first, second, str(asked is one), end, gap=gap)


BRIDGES = (
    ("", "and"),
    ("세월이 많이 흘렀지만", "and although many years have passed,"),
    ("지금은 두 사람 다 서울에 살지만", "and although both live in Seoul now,"),
    ("두 사람 다 대학을 졸업하고 은행에서 일하지만", "and although both graduated from college and work at a bank,"),
)

FAMILIES = {recalling: 480, chaining: 420, nesting: 300, telling_apart: 200}
