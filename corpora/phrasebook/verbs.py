"""Actions: each verb with the objects and places that make sense with it."""

from dataclasses import dataclass

from conjugation import Stem, honor
from hangul import particle
from lexicon import PLACES, THINGS, Place


@dataclass(frozen=True)
class Action:
    """A verb with its object: Korean "책을 " + stem, English "read a book" / "read books"."""

    before: str
    stem: Stem
    honored: Stem
    one: str
    many: str
    places: tuple[Place, ...]
    tags: str

    @property
    def name(self) -> str:
        """The dictionary form of the action."""
        return f"{self.before}{self.stem.text}다"

    @property
    def habitual(self) -> bool:
        """True if the action can be done every day."""
        return "h" in self.tags

    @property
    def requestable(self) -> bool:
        """True if one can be asked to do it."""
        return "r" in self.tags

    @property
    def skill(self) -> bool:
        """True if the action is a skill."""
        return "s" in self.tags

    @property
    def lasting(self) -> bool:
        """True if the action takes days or months."""
        return "l" in self.tags

    @property
    def accident(self) -> bool:
        """True if the action is involuntary."""
        return "x" in self.tags

    @property
    def compound(self) -> bool:
        """True for a noun with 하다, which 안 and 못 would separate: only -지 않다 is used with it."""
        return self.stem.text.endswith("하") and len(self.stem.text) > 1


HONORIFIC_VERBS = {"말하": "말씀하시", "먹": "드시", "마시": "드시", "자": "주무시", "있": "계시"}

# Korean verb | English | objects | places | h habit, r request, s skill, l takes long, x an accident
VERBS = """
먹 | eat | 밥 빵 김치 불고기 비빔밥 국수 고기 생선 과일 채소 | 집 식당 | hr
먹 | eat | 사과 바나나 오렌지 계란 케이크 | 집 부엌 | hr
먹 | eat | 아침 점심 저녁 | 집 식당 회사 학교 | hr
먹 | take | 약 | | hr
마시 | drink | 커피 차 물 우유 주스 맥주 | 집 카페 식당 | hr
읽 | read | 책 소설 잡지 신문 시 | 도서관 카페 집 | hr
쓰 | write | 편지 이메일 보고서 시 | 집 카페 | hr
입 | wear | 코트 치마 바지 셔츠 한복 정장 | | hr
신 | wear | 신발 운동화 양말 | | hr
쓰 | wear | 모자 안경 | | hr
끼 | wear | 장갑 반지 | | hr
벗 | take off | 코트 신발 모자 장갑 | | r
사 | buy | 책 코트 치마 바지 셔츠 신발 모자 가방 시계 장갑 | 백화점 시장 | r
사 | buy | 빵 과일 채소 생선 고기 우유 사과 꽃 | 시장 편의점 | hr
보 | watch | 영화 드라마 텔레비전 축구_경기 뉴스 | 집 거실 | hr
듣 | listen to | 음악 라디오 뉴스 노래 | 집 방 | hr
부르 | sing | 노래 | 집 학교 | hrs
치 | play | 피아노 기타 | 집 학교 | hrs
치 | play | 테니스 | 공원 체육관 | hrs
하 | play | 축구 야구 | 공원 학교 | hrs
하 | play | 농구 배구 | 학교 체육관 | hrs
하 | do | 숙제 | 집 도서관 학교 | hr
하 | do | 설거지 빨래 | 집 | hr
배우 | learn | 한국어 영어 중국어 태권도 피아노 바이올린 | 학교 | hrl
가르치 | teach | 한국어 영어 중국어 수학 역사 음악 | 학교 | hrsl
공부하 | study | 한국어 영어 수학 역사 중국어 | 도서관 집 학교 | hr
만나 | meet | 친구 | 카페 공원 역 | hr
만나 | meet | 의사 변호사 손님 | 카페 회사 | r
돕 | help | 친구 손님 | | hr
기다리 | wait for | 친구 버스 택시 기차 | 역 정류장 | r
기다리 | wait for | 손님 | 카페 회사 | r
타 | take | 버스 지하철 택시 기차 비행기 | | hr
타 | ride | 자전거 | 공원 강 | hrs
만들 | make | 빵 케이크 김치 불고기 비빔밥 국수 의자 | 집 부엌 | hrs
짓 | build | 집 | 시골 | sl
고치 | fix | 자전거 컴퓨터 시계 의자 | 집 가게 | rs
씻 | wash | 손 과일 채소 | 부엌 | hr
닦 | brush | 이 | | hr
닦 | clean | 창문 신발 안경 | | hr
청소하 | clean | 방 부엌 교실 | | hr
빌리 | borrow | 책 소설 잡지 | 도서관 | r
빌리 | borrow | 자전거 우산 카메라 | | r
빌리 | borrow | 돈 | | r
잃어버리 | lose | 지갑 열쇠 여권 휴대폰 | 공원 역 길 시장 | x
찾 | look for | 지갑 열쇠 여권 휴대폰 | 집 방 | r
열 | open | 창문 문 | | r
닫 | close | 창문 문 | | r
켜 | turn on | 불 라디오 컴퓨터 텔레비전 | | r
끄 | turn off | 불 라디오 컴퓨터 텔레비전 | | r
주문하 | order | 커피 국수 불고기 비빔밥 맥주 | 식당 카페 | r
예약하 | reserve | 자리 호텔 표 | | r
보내 | send | 편지 이메일 선물 보고서 | 우체국 | r
받 | receive | 편지 이메일 선물 | 회사 | x
찍 | take | 사진 | 공원 바닷가 박물관 | hr
그리 | draw | 그림 나무 꽃 고양이 | 방 공원 | hrs
키우 | keep | 고양이 개 새 물고기 | 집 | l
외우 | memorize | 단어 시 | 집 학교 | hr
끝내 | finish | 숙제 설거지 | 집 | r
끝내 | finish | 보고서 | 회사 | r
팔 | sell | 과일 채소 꽃 신발 생선 | 시장 | h
수영하 | swim | - | 수영장 바닷가 강 | hrs
운동하 | exercise | - | 공원 체육관 집 | hr
요리하 | cook | - | 집 부엌 | hrs
일하 | work | - | 회사 은행 병원 식당 호텔 서점 | hr
쉬 | rest | - | 집 공원 방 | hr
자 | sleep | - | 집 방 호텔 | hr
걷 | walk | - | 공원 바닷가 길 강 | hr
뛰 | run | - | 공원 체육관 | hr
웃 | laugh | - | 교실 | h
울 | cry | - | 방 극장 | h
춤추 | dance | - | 체육관 집 | hrs
"""
# verbs whose object is one's own ("clean my shoes") or already known ("fix the computer")
OF_ONES_OWN = ("take off", "clean")
KNOWN = ("fix", "turn on", "turn off", "finish")
# verbs with a singular object even as a habit: "I wear a coat every day"
ONE_AT_A_TIME = ("wear", "take", "take off", "ride", "build", "reserve", "keep")


def action(verb: str, english: str, noun: str, where: str, tags: str) -> Action:
    """Make the action of a verb with one object ("-" for none)."""
    stem = Stem(verb)
    lifted = Stem(HONORIFIC_VERBS[verb], honorific=True) if verb in HONORIFIC_VERBS else honor(stem)
    places = tuple(PLACES[name] for name in where.split())
    if noun == "-":
        return Action("", stem, lifted, english, english, places, tags)
    thing = THINGS[noun.replace("_", " ")]
    many = thing.one if english in ONE_AT_A_TIME else thing.many
    one = thing.one
    if english in OF_ONES_OWN and not thing.one.startswith("the "):
        one = many = f"{{poss}} {thing.noun}" + ("{s}" if thing.countable else "")
    if english in KNOWN and not thing.one.startswith(("the ", "{")):
        one = many = f"the {thing.noun}"
    if english == "sell":
        one = many
    before = particle(thing.ko, "을") + " "
    return Action(before, stem, lifted, f"{english} {one}", f"{english} {many}", places, tags)


def actions() -> tuple[Action, ...]:
    """Return every verb with every object it fits."""
    rows = [[cell.strip() for cell in line.split("|")] for line in VERBS.strip().splitlines()]
    return tuple(
        action(ko, en, noun, where, tags) for ko, en, nouns, where, tags in rows for noun in nouns.split()
    )


def balance(found: tuple[Action, ...], least: int = 3) -> tuple[Action, ...]:
    """Repeat the actions of a verb with few objects until there are about `least`."""
    verbs = [action.stem.text for action in found]
    return tuple(action for action in found for _ in range(max(1, least // verbs.count(action.stem.text))))


ACTIONS = balance(actions())
HABITS = tuple(action for action in ACTIONS if action.habitual)
REQUESTS = tuple(action for action in ACTIONS if action.requestable)
INTENDED = tuple(action for action in ACTIONS if not action.accident)
SKILLS = tuple(action for action in ACTIONS if action.skill)


def doing_one_of(verbs: str) -> tuple[Action, ...]:
    """Return the actions whose English verb is in a comma-separated list."""
    names = tuple(f"{verb.strip()} " for verb in verbs.split(","))
    return tuple(action for action in ACTIONS if f"{action.one} ".startswith(names))


# actions that can be asked as a favour, forbidden or permitted, and proposed to do together
FAVORS = doing_one_of(
    "read, write, buy, sing, play the, teach, wait for, make, fix, wash fruit, wash vegetables, clean the, "
    "borrow, open, close, turn, order, reserve, send, take a picture, draw, do the, help"
)
BANS = doing_one_of(
    "eat, drink, wear a hat, wear shoes, take off, watch, listen, sing, play, ride, open, close, turn, "
    "take a picture, run, "
    "sleep, cook, draw, buy, swim, dance"
)
SHARED = doing_one_of(
    "eat, drink, read, watch, listen, sing, play, learn, study, take the, take a, ride, make, "
    "clean the, buy, swim, "
    "exercise, cook, rest, walk, run, dance, order, draw, do"
)


# actions for "I have ..." and "I have never ..."
ADVENTURES = doing_one_of(
    "ride, take the plane, make, learn, teach, wear a hanbok, lose, fix, draw, read, keep, play, "
    "eat bulgogi, eat bibimbap, eat kimchi, drink beer, write a poem, build"
)


def find(name: str) -> Action:
    """Return the action with a name: find("책을 읽다")."""
    return next(action for action in ACTIONS if action.name == name)
