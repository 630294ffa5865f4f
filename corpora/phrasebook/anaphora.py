"""Sentences whose end refers back to their beginning across several clauses (그 나라 말 → "French")."""

# ruff: noqa: E501 - ruff counts a Korean letter as two columns

from clauses import Pair, make_pair
from conjugation import Stem, attach, finish, honor, past
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
from sampler import Sampler
from simple import LEVELS

RELATIVES = tuple(person for person in (*MEN, *WOMEN, *GROUPS[2:]) if not person.name)

# the beginning of the sentence in Korean and in English, by kind of antecedent
# {ko} and {en} are the antecedent
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
# clauses that fill the gap; a country or city in them is not the antecedent
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


def recalling(rng: Sampler) -> Pair:
    """My older sister, who grew up in France, now lives in Seoul, but still speaks fluent French."""
    kind = rng.choice("kind", ("country", "country", "city", "instrument", "sport"))
    (anchor, words), who, level = (
        rng.choice("anchor " + kind, ANCHORS[kind]),
        rng.choice("who", RELATIVES),
        rng.choice("l", LEVELS),
    )
    (start, en_start), (end, stem, en_end) = (
        rng.choice("start " + kind, ORIGINS[kind]),
        rng.choice("end " + kind, PREDICATES[kind]),
    )
    size = rng.choice("size", (0, 1, 1, 2, 2, 3, 3, 4))
    tail = sorted(choose_distinct(rng, "tail", TAIL, size), key=lambda clause_: TAIL.index(clause_))
    opening = (
        start.format(ko=anchor)
        if start not in VERB_OF
        else particle(start.format(ko=anchor), "을") + " " + VERB_OF[start]
    )
    links = [attach(honor_for(clause_[1], who), "고") for clause_ in tail]
    if tail:
        links[-1] = attach(honor_for(tail[-1][1], who), "지만")
    middle = " ".join(before + link for (before, _, _), link in zip(tail, links, strict=True))
    still_ko, still = ("아직도 ", "still ") if tail else ("", "")
    ko = f"{opening} {who.topic(level)} {middle} {still_ko}{end}{finish(honor_for(stem, who), 'present', level)}"
    verbs = [agree(who, who.owning(phrase)) for _, _, phrase in tail]
    last = agree(who, f"{still}{en_end.format(**words)}")
    opening_en = past_phrase(who, en_start.format(**words))
    en = f"{who.en}, who {opening_en}, {join_list(verbs)}{', but ' if tail else ''}{last}"
    gap = count_words_between(ko, anchor, "그") if tail else 0
    return make_pair(
        ko, en, level, "recalling", anchor, end, "+".join(phrase for _, _, phrase in tail), gap=gap
    )


def choose_distinct(rng: Sampler, deck: str, items: tuple, size: int) -> list:  # type: ignore[type-arg]
    """Choose different items, at most one for each verb."""
    found: list = []  # type: ignore[type-arg]
    while len(found) < size:
        item = rng.choice(deck, items)
        if all(item is not other and item[1].text != other[1].text for other in found):
            found.append(item)
    return found


def honor_for(stem: Stem, who: Person) -> Stem:
    """Return the stem, with -시- if the person is honoured."""
    return honor(stem) if who.honorific else stem


def agree(who: Person, phrase: str) -> str:
    """Inflect a verb phrase in the present for a person; it may begin with now, often or still."""
    adverbs, words = [], phrase.split(" ")
    while words[0] in ("now", "often", "still"):
        adverbs.append(words.pop(0))
    verb = clause("", who.agreement, "present", " ".join(words))
    return " ".join([*adverbs, verb])


def past_phrase(who: Person, phrase: str) -> str:
    """Make a past phrase, written for one person, agree with the person."""
    several = phrase.replace("was born", "were born").replace("as a child", "as children")
    return several if who in GROUPS else phrase


def join_list(items: list[str]) -> str:
    """Join items with commas and a final "and"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + (" and " if len(items) == 2 else ", and ") + items[-1]


def count_words_between(ko: str, first: str, second: str) -> int:
    """Count the words between the first word that starts with `first` and the last that starts with `second`."""
    words = ko.split()
    start = next(i for i, word in enumerate(words) if word.startswith(first))
    end = max(i for i, word in enumerate(words) if word.startswith(second))
    return end - start - 1


KIN = tuple(person for person in (*MEN, *WOMEN) if not (person.name or person.honorific))
SIDES = ("country", "instrument", "sport")


def telling_apart(rng: Sampler) -> Pair:
    """My older brother grew up in France and my aunt in Spain; ... so my aunt speaks fluent Spanish."""
    kind = rng.choice("kind", SIDES)
    (one, other), level = rng.choose_two("who", KIN), rng.choice("l", LEVELS)
    (first, words), (second, more) = rng.choose_two("anchor " + kind, ANCHORS[kind])
    ko_verb, en_verb = {
        "country": ("에서 자라", "grow up in"),
        "instrument": ("배우", "learn"),
        "sport": ("배우", "learn"),
    }[kind]

    def opening(anchor: str, who: Person) -> tuple[str, Stem]:
        place = f"{anchor}에서 " if kind == "country" else particle(anchor, "을") + " "
        return place, honor_for(Stem(ko_verb.split(" ")[-1]), who)

    (a_before, a_stem), (b_before, b_stem) = opening(first, one), opening(second, other)
    bridges = BRIDGES if kind == "country" else tuple(b for b in BRIDGES if "한국으로" not in b[0])
    bridge = rng.choice("bridge " + kind, bridges)
    asked, recalled = (one, words) if rng.chance(0.5) else (other, more)
    end, stem, en_end = rng.choice("end " + kind, PREDICATES[kind])
    ko = (
        f"{one.topic(level)} {a_before}{attach(past(a_stem), '고')} "
        f"{other.topic(level)} {b_before}{attach(past(b_stem), '는데')} "
        f"{bridge[0]} {asked.topic(level)} 아직도 {end}{finish(honor_for(stem, asked), 'present', level)}"
    )
    en = (
        f"{clause(one.en, one.agreement, 'past', en_verb)} {words['en']} and "
        f"{clause(other.en, other.agreement, 'past', en_verb)} {more['en']}, {bridge[1]} "
        f"{asked.en} {agree(asked, 'still ' + en_end.format(**recalled))}"
    )
    gap = count_words_between(ko, first if asked is one else second, "그")
    return make_pair(ko, en, level, "telling apart", first, second, str(asked is one), end, gap=gap)


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
