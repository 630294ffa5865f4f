"""Sentences whose Korean verb comes far at the end, while English needs it at the beginning."""

from anaphora import RELATIVES, join_list
from clauses import Pair, english_clause, english_phrase, join_words, korean_end, make_pair, predicate
from conjugation import Stem, attach, finish, honor, past, plain
from embedded import TELLING
from english import clause
from lexicon import HABIT_TIMES, ME, MEN, WE, WOMEN, Person, Time
from sampler import Sampler
from simple import LEVELS
from verbs import Action, find

# the activities of a day in chronological order
DAY = (
    Action("일찍 ", Stem("일어나"), honor(Stem("일어나")), "get up early", "get up early", (), ""),
    find("손을 씻다"),
    find("이를 닦다"),
    Action(
        "공원에서 ",
        Stem("운동하"),
        honor(Stem("운동하")),
        "exercise in the park",
        "exercise in the park",
        (),
        "",
    ),
    find("아침을 먹다"),
    find("커피를 마시다"),
    find("신문을 읽다"),
    find("방을 청소하다"),
    Action("은행에 ", Stem("가"), honor(Stem("가")), "go to the bank", "go to the bank", (), ""),
    find("이메일을 쓰다"),
    Action(
        "친구와 점심을 ",
        Stem("먹"),
        Stem("드시", honorific=True),
        "eat lunch with a friend",
        "eat lunch with a friend",
        (),
        "",
    ),
    find("편지를 보내다"),
    Action(
        "도서관에서 책을 ",
        Stem("빌리"),
        honor(Stem("빌리")),
        "borrow a book at the library",
        "borrow a book at the library",
        (),
        "",
    ),
    find("한국어를 공부하다"),
    Action(
        "시장에서 채소를 ",
        Stem("사"),
        honor(Stem("사")),
        "buy vegetables at the market",
        "buy vegetables at the market",
        (),
        "",
    ),
    find("꽃을 사다"),
    find("저녁을 먹다"),
    find("설거지를 하다"),
    Action("강에서 ", Stem("걷"), honor(Stem("걷")), "walk by the river", "walk by the river", (), ""),
    find("음악을 듣다"),
    find("영화를 보다"),
    find("숙제를 끝내다"),
    Action("집에서 ", Stem("쉬"), honor(Stem("쉬")), "rest at home", "rest at home", (), ""),
)
FREE = Time("", "")


def chaining(rng: Sampler) -> Pair:
    """My uncle ate breakfast and read the newspaper: in Korean only the last verb has the tense."""
    mood, who, level = (
        rng.choice("mood", ("past", "past", "future", "present", "want", "must", "plan")),
        rng.choice("who", (ME, ME, ME, WE, *RELATIVES)),
        rng.choice("l", LEVELS),
    )
    size = rng.choice("size", (2, 3, 3, 4, 5, 6))
    picked: set[int] = set()
    while len(picked) < size:
        picked.add(rng.choice("day", tuple(range(len(DAY)))))
    actions = [DAY[i] for i in sorted(picked)]
    time = rng.choice("habit", HABIT_TIMES[:1]) if mood == "present" else FREE
    links = [a.before + attach(a.honored if who.honorific else a.stem, linking(a)) for a in actions[:-1]]
    ko = join_words(who.topic(level), time.ko, *links, korean_end(actions[-1], who, mood, level))
    phrases = [english_phrase(a, who, mood == "present") for a in actions]
    if mood in ("past", "present"):
        verbs = [clause("", who.agreement, mood, phrase) for phrase in phrases]
        en = f"{who.en} {join_list(verbs)} {time.en}"
    else:
        en = f"{english_clause(who, mood, phrases[0])}{chain_rest(phrases[1:])}"
    gap = len(ko.split()) - len(who.topic(level).split()) - 1
    return make_pair(ko, en, level, "chaining", "+".join(a.name for a in actions), gap=gap)


def linking(action: Action) -> str:
    """Return the ending that links the next action: -아서 after getting up, else -고."""
    return "아서" if action.stem.text == "일어나" else "고"


def chain_rest(phrases: list[str]) -> str:
    """Join the phrases after the first one of a list."""
    if len(phrases) == 1:
        return f" and {phrases[0]}"
    return ", " + ", ".join(phrases[:-1]) + f", and {phrases[-1]}"


TELLERS = (*MEN[:5], *WOMEN[:5])
NEWS = tuple(
    find(n)
    for n in (
        "책을 읽다",
        "자전거를 고치다",
        "피아노를 치다",
        "한국어를 배우다",
        "방을 청소하다",
        "편지를 보내다",
        "케이크를 만들다",
        "돈을 빌리다",
        "열쇠를 찾다",
        "가방을 사다",
        "표를 예약하다",
        "보고서를 쓰다",
        "영어를 가르치다",
        "고양이를 키우다",
        "영화를 보다",
    )
)
WHEN = {
    "past": (("어제", "yesterday"), ("지난주에", "last week")),
    "future": (("내일", "tomorrow"), ("다음 주에", "next week")),
    "want": (("내일", "tomorrow"), ("다음 주에", "next week")),
}


def nesting(rng: Sampler) -> Pair:
    """Minsu said that my aunt thinks that Junho bought a bag: the first subject's verb is the last."""
    depth = rng.choice("depth", (2, 2, 2, 3))
    people = choose_people(rng, depth + 1)
    level, action, mood = (
        rng.choice("l", LEVELS),
        rng.choice("news", NEWS),
        rng.choice("mood", ("past", "future", "want")),
    )
    told = [rng.choice("told", TELLING) for _ in range(depth)]
    time_ko, time_en = rng.choice("time " + mood, WHEN[mood]) if rng.chance(0.5) else ("", "")
    inner = people[-1]
    before, stem = predicate(action, inner, mood)
    core = {"past": plain(past(stem)) + "고", "future": attach(stem, "을") + " 거라고"}.get(
        mood, plain(stem) + "고"
    )
    ko = f"{inner.subject(level)} {time_ko} {before}{core}"
    en = f"{english_clause(inner, mood, english_phrase(action, inner, False))} {time_en}"
    for i in range(depth - 1, -1, -1):
        (verb, english, tense), who = told[i], people[i]
        en = f"{clause(who.en, who.agreement, tense, english)} that {en}"
        if i == 0:
            ko = f"{who.topic(level)} {ko} {finish(verb, tense, level)}"
        else:
            ko = f"{who.subject(level)} {ko} {plain(past(verb) if tense == 'past' else verb)}고"
    gap = len(ko.split()) - len(people[0].topic(level).split()) - 1
    return make_pair(
        ko, en, level, "nesting", action.name, mood, "+".join(verb for _, verb, _ in told), gap=gap
    )


def choose_people(rng: Sampler, size: int) -> list[Person]:
    """Choose different people."""
    found: list[Person] = []
    while len(found) < size:
        person = rng.choice("teller", TELLERS)
        if person not in found:
            found.append(person)
    return found


FAMILIES = {chaining: 440, nesting: 300}
