"""Sentences whose end points back to their beginning across a tail of clauses; English names it again."""

# ruff: noqa: E501 - ruff counts a Korean letter as two columns

from clauses import Pair, made
from conjugation import Stem, attach, finish, honor, past
from dealing import Dealer
from english import clause
from hangul import particle
from lexicon import (
    CITIES,
    COUNTRIES,
    GROUPS,
    MEN,
    WOMEN,
    Person,
)
from simple import LEVELS

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
    "sport": (
        ("어릴 때 {ko}", "learned {en} as a child"),
        ("고등학교 때 {ko}", "played {en} in high school"),
    ),
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
    "country": tuple(
        (ko, {"en": name, "language": language}) for ko, (name, language, _) in COUNTRIES.items()
    ),
    "city": tuple((ko, {"en": name}) for ko, name in CITIES.items()),
    "instrument": tuple(
        (ko, {"en": f"the {en}"})
        for ko, en in (("피아노", "piano"), ("기타", "guitar"), ("바이올린", "violin"))
    ),
    "sport": tuple(
        (ko, {"en": en})
        for ko, en in (
            ("축구", "soccer"),
            ("야구", "baseball"),
            ("농구", "basketball"),
            ("배구", "volleyball"),
        )
    ),
}
VERB_OF = {"어릴 때 {ko}": "배운", "대학에서 {ko}": "공부한", "고등학교 때 {ko}": "한"}
# what fills the gap; a country or city in it is not the one recalled
TAIL = (
    ("지금은 서울에 ", Stem("살"), "now live in Seoul"),
    ("지금은 부산에 ", Stem("살"), "now live in Busan"),
    ("은행에서 ", Stem("일하"), "work at a bank"),
    ("병원에서 ", Stem("일하"), "work at a hospital"),
    ("작은 가게에서 꽃을 ", Stem("팔"), "sell flowers in a small store"),
    ("저녁마다 강에서 ", Stem("걷"), "walk by the river every evening"),
    ("주말마다 가족과 함께 ", Stem("요리하"), "cook with {poss} family every weekend"),
    ("일요일마다 체육관에서 ", Stem("운동하"), "exercise at the gym every Sunday"),
    (
        "아침마다 커피를 마시면서 신문을 ",
        Stem("읽"),
        "read the newspaper while drinking coffee every morning",
    ),
    ("고양이 두 마리를 ", Stem("키우"), "keep two cats"),
    ("독일에서 온 친구와 같이 ", Stem("일하"), "work with a friend from Germany"),
    ("일본에서 온 학생들에게 한국어를 ", Stem("가르치"), "teach Korean to students from Japan"),
    ("대구에 사는 친구를 자주 ", Stem("만나"), "often meet a friend who lives in Daegu"),
    ("시간이 있으면 도서관에서 소설을 ", Stem("읽"), "read novels at the library if there is time"),
    ("돈이 없어서 작은 방에 ", Stem("살"), "live in a small room because money is short"),
)


def recalling(deal: Dealer) -> Pair:
    """My older sister, who grew up in France, now lives in Seoul, but still speaks fluent French."""
    kind = deal.one("kind", ("country", "country", "city", "instrument", "sport"))
    (anchor, words), who, level = (
        deal.one("anchor " + kind, ANCHORS[kind]),
        deal.one("who", RELATIVES),
        deal.one("l", LEVELS),
    )
    (start, en_start), (end, stem, en_end) = (
        deal.one("start " + kind, ORIGINS[kind]),
        deal.one("end " + kind, PREDICATES[kind]),
    )
    size = deal.one("size", (0, 1, 1, 2, 2, 3, 3, 4))
    tail = sorted(chosen(deal, "tail", TAIL, size), key=lambda clause_: TAIL.index(clause_))
    opening = (
        start.format(ko=anchor)
        if start not in VERB_OF
        else particle(start.format(ko=anchor), "을") + " " + VERB_OF[start]
    )
    links = [attach(lifted(clause_[1], who), "고") for clause_ in tail]
    if tail:
        links[-1] = attach(lifted(tail[-1][1], who), "지만")
    middle = " ".join(before + link for (before, _, _), link in zip(tail, links, strict=True))
    still_ko, still = ("아직도 ", "still ") if tail else ("", "")
    ko = f"{opening} {who.topic(level)} {middle} {still_ko}{end}{finish(lifted(stem, who), 'present', level)}"
    verbs = [agreed(who, who.owning(phrase)) for _, _, phrase in tail]
    last = agreed(who, f"{still}{en_end.format(**words)}")
    opening_en = past_of(who, en_start.format(**words))
    en = f"{who.en}, who {opening_en}, {listed(verbs)}{', but ' if tail else ''}{last}"
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
    several = phrase.replace("was born", "were born").replace("as a child", "as children")
    return several if who in GROUPS else phrase


def listed(items: list[str]) -> str:
    """Items with commas and a last and."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + (" and " if len(items) == 2 else ", and ") + items[-1]


def between(ko: str, first: str, second: str) -> int:
    """How many words lie between the first word with `first` and the last with `second`."""
    words = ko.split()
    start = next(i for i, word in enumerate(words) if word.startswith(first))
    end = max(i for i, word in enumerate(words) if word.startswith(second))
    return end - start - 1


KIN = tuple(person for person in (*MEN, *WOMEN) if not (person.name or person.honorific))
SIDES = ("country", "instrument", "sport")


def telling_apart(deal: Dealer) -> Pair:
    """My older brother grew up in France and my aunt in Spain; ... so my aunt speaks fluent Spanish."""
    kind = deal.one("kind", SIDES)
    (one, other), level = deal.two("who", KIN), deal.one("l", LEVELS)
    (first, words), (second, more) = deal.two("anchor " + kind, ANCHORS[kind])
    ko_verb, en_verb = {
        "country": ("에서 자라", "grow up in"),
        "instrument": ("배우", "learn"),
        "sport": ("배우", "learn"),
    }[kind]

    def opening(anchor: str, who: Person) -> tuple[str, Stem]:
        place = f"{anchor}에서 " if kind == "country" else particle(anchor, "을") + " "
        return place, lifted(Stem(ko_verb.split(" ")[-1]), who)

    (a_before, a_stem), (b_before, b_stem) = opening(first, one), opening(second, other)
    bridge = deal.one("bridge", BRIDGES)
    asked, recalled = (one, words) if deal.below(0.5) else (other, more)
    end, stem, en_end = deal.one("end " + kind, PREDICATES[kind])
    ko = (
        f"{one.topic(level)} {a_before}{attach(past(a_stem), '고')} "
        f"{other.topic(level)} {b_before}{attach(past(b_stem), '는데')} "
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
    ("지금은 같은 도시에 살지만", "and although they live in the same city now,"),
    (
        "오래전에 한국으로 돌아왔고 이제 둘 다 한국말만 쓰지만",
        "and although they came back to Korea long ago and both speak only Korean now,",
    ),
    (
        "요즘은 둘 다 바빠서 집에서 쉴 시간도 없지만",
        "and although both are so busy these days that they have no time to rest at home,",
    ),
    (
        "두 사람 다 대학을 졸업하고 은행에서 일하지만",
        "and although both graduated from college and work at a bank,",
    ),
)

FAMILIES = {recalling: 520, telling_apart: 260}
