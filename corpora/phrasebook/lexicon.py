"""Nouns in Korean and English: people, things, places, times."""

# ruff: noqa: E501 - ruff counts a Korean letter as two columns

from dataclasses import dataclass

from conjugation import Level
from english import Agreement, plural, with_article
from hangul import particle


@dataclass(frozen=True)
class Person:
    """A person: 저/제 in humble levels, else 나/내; names take 씨 or 이."""

    ko: str
    en: str
    pronoun: str = "they"
    honorific: bool = False
    name: bool = False

    @property
    def agreement(self) -> Agreement:
        """The agreement of the English verb."""
        if self.en == "I":
            return Agreement.ME
        return Agreement.THEY if self.pronoun in ("we", "they") else Agreement.IT

    @property
    def possessive(self) -> str:
        """The possessive: my, our, his, her, their."""
        return {"I": "my", "we": "our", "he": "his", "she": "her", "they": "their"}[self.pronoun]

    @property
    def objective(self) -> str:
        """The person as an object in English."""
        return {"I": "me", "we": "us"}.get(self.en, self.en)

    def owning(self, phrase: str) -> str:
        """Fill in {poss} and {s} of a phrase: lost their keys."""
        return phrase.format(poss=self.possessive, s="s" if self.possessive in ("our", "their") else "")

    @property
    def third(self) -> bool:
        """True for everyone but the speaker."""
        return self.pronoun not in ("I", "we")

    def called(self, level: Level) -> str:
        """Return the Korean form of address in a speech level."""
        if self.name:
            closed = particle(self.ko, "이").endswith("이")
            return f"{self.ko} 씨" if level.humble else self.ko + ("이" if closed else "")
        if level.humble:
            return self.ko
        return {"저": "나"}.get(self.ko, self.ko.replace("제 ", "내 "))

    def topic(self, level: Level) -> str:
        """Return the person as topic (은/는, for honoured persons 께서는 in the formal and plain levels)."""
        word = self.called(level)
        if self.honorific and level in (Level.FORMAL, Level.PLAIN):
            return word + "께서는"
        return particle(word, "은")

    def subject(self, level: Level) -> str:
        """Return the person as subject (이/가, 께서)."""
        word = self.called(level)
        if word in ("저", "나"):
            return {"저": "제가", "나": "내가"}[word]
        return word + "께서" if self.honorific else particle(word, "이")

    def to(self, level: Level) -> str:
        """Return the person as recipient (에게, 께)."""
        word = self.called(level)
        if not self.honorific and word in ("저", "나"):
            return {"저": "저에게", "나": "나에게"}[word]
        return word + ("께" if self.honorific else "에게")


ME = Person("저", "I", "I")
WE = Person("우리", "we", "we")
TEACHER = Person("선생님", "the teacher", "it", True)
MEN = (
    Person("우리 형", "my older brother", "he"),
    Person("제 남동생", "my younger brother", "he"),
    Person("우리 삼촌", "my uncle", "he"),
    Person("민수", "Minsu", "he", name=True),
    Person("준호", "Junho", "he", name=True),
    Person("우리 아버지", "my father", "he", True),
    Person("우리 할아버지", "my grandfather", "he", True),
    Person("제 아들", "my son", "he"),
)
WOMEN = (
    Person("우리 누나", "my older sister", "she"),
    Person("제 여동생", "my younger sister", "she"),
    Person("우리 이모", "my aunt", "she"),
    Person("지영", "Jiyeong", "she", name=True),
    Person("수진", "Sujin", "she", name=True),
    Person("우리 어머니", "my mother", "she", True),
    Person("우리 할머니", "my grandmother", "she", True),
    Person("제 딸", "my daughter", "she"),
)
GROUPS = (
    Person("아이들", "the children", "they"),
    Person("학생들", "the students", "they"),
    Person("제 친구들", "my friends", "they"),
    Person("우리 부모님", "my parents", "they", True),
    Person("제 사촌들", "my cousins", "they"),
)
OTHERS = (*MEN, *WOMEN, *GROUPS)
PEERS = tuple(person for person in OTHERS if not person.honorific)
ELDERS = tuple(person for person in OTHERS if person.honorific)
# the first person is repeated, to occur as often as several others together
EVERYONE = (ME, ME, ME, ME, ME, ME, WE, WE, *OTHERS)


@dataclass(frozen=True)
class Thing:
    """A thing: `one` as in "I bought a book", `many` as in "I like books"; {poss} is the owner's possessive."""

    ko: str
    noun: str
    one: str
    many: str

    @property
    def countable(self) -> bool:
        """True if the noun takes a or an in English."""
        return self.one == with_article(self.noun)

    @property
    def verb_is(self) -> Agreement:
        """The agreement of "this ..."."""
        return Agreement.THEY if self.noun in PAIRS else Agreement.IT


# English nouns that are plural only
PAIRS = {
    "hands",
    "teeth",
    "words",
    "dishes",
    "clothes",
    "pants",
    "shoes",
    "glasses",
    "gloves",
    "socks",
    "sneakers",
    "noodles",
    "vegetables",
}


def thing(ko: str, en: str) -> Thing:
    """Make a thing from its English entry: "apple" is countable, "~bread" not, "flower+" plural, "the x" fixed."""
    if en.startswith(("the ", "{poss} ")):
        return Thing(ko, en.split(" ", 1)[1], en, en)
    if en.startswith("~"):
        return Thing(ko, en[1:], en[1:], en[1:])
    if en.endswith("+"):
        return Thing(ko, en[:-1], plural(en[:-1]), plural(en[:-1]))
    return Thing(ko, en, with_article(en), plural(en))


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


def table(text: str) -> dict[str, str]:
    """Parse "ko=en, ko=en" into a mapping."""
    return dict(cell.strip().split("=") for cell in text.replace("\n", " ").split(",") if cell.strip())


THINGS = {
    ko: thing(ko, en)
    for ko, en in table(
        """밥=~rice, 빵=~bread, 김치=~kimchi, 불고기=~bulgogi, 비빔밥=~bibimbap, 국수=~noodles, 고기=~meat, 생선=~fish,
        과일=~fruit, 채소=~vegetables, 아침=~breakfast, 점심=~lunch, 저녁=~dinner, 케이크=~cake, 사과=apple, 바나나=banana,
        오렌지=orange, 계란=egg, 약=the medicine, 커피=~coffee, 차=~tea, 물=~water, 우유=~milk, 주스=~juice, 맥주=~beer,
        책=book, 소설=novel, 잡지=magazine, 신문=the newspaper, 편지=letter, 이메일=email, 보고서=report, 시=poem,
        코트=coat, 치마=skirt, 바지=~pants, 셔츠=shirt, 한복=hanbok, 정장=suit, 신발=~shoes, 운동화=~sneakers,
        양말=~socks, 모자=hat, 안경=~glasses, 장갑=~gloves, 반지=ring, 영화=movie, 드라마=drama,
        축구 경기=soccer game, 텔레비전=~television, 음악=~music, 라디오=the radio, 뉴스=the news, 노래=song,
        피아노=the piano, 기타=the guitar, 바이올린=the violin, 테니스=~tennis, 축구=~soccer, 야구=~baseball,
        농구=~basketball, 배구=~volleyball, 한국어=~Korean, 영어=~English, 수학=~math, 역사=~history, 음악=~music,
        중국어=~Chinese, 태권도=~taekwondo, 버스=the bus, 지하철=the subway, 택시=taxi, 기차=the train, 비행기=the plane,
        자전거=bicycle, 배=the boat, 방=the room, 부엌=the kitchen, 교실=the classroom, 창문=the window,
        문=the door, 불=the light, 컴퓨터=computer, 숙제={poss} homework, 손={poss} hands, 이={poss} teeth,
        지갑={poss} wallet{s}, 열쇠={poss} key{s}, 여권={poss} passport{s}, 휴대폰={poss} cell phone{s}, 우산=umbrella, 가방=bag,
        시계=watch, 선물=present, 꽃=flower+, 장미=rose, 사진=picture, 그림=picture, 집=house, 의자=chair, 책상=desk,
        침대=bed, 자동차=car, 표=ticket, 단어=the words, 고양이=cat, 개=dog, 새=bird, 물고기=fish, 의사=doctor,
        친구=friend, 변호사=lawyer, 손님=guest, 음식=~food, 옷=~clothes, 설거지=the dishes, 빨래=the laundry, 돈=~money,
        공책=notebook, 연필=pencil, 자리=table, 호텔=hotel, 나무=tree, 카메라=camera, 가게=store"""
    ).items()
}


@dataclass(frozen=True)
class Place:
    """A place: `at` as in "I eat at home", `to` as in "I go home"."""

    ko: str
    noun: str
    at: str
    to: str


def place(ko: str, en: str) -> Place:
    """Make a place from its English entry "at the market"; the direction is "to the market"."""
    preposition, noun = en.split(" ", 1)
    if noun == "home":
        return Place(ko, noun, en, noun)
    return Place(ko, noun, en, f"to {noun}" if preposition != "to" else en)


PLACES = {
    ko: place(ko, en)
    for ko, en in table(
        """집=at home, 학교=at school, 도서관=at the library, 식당=at the restaurant, 카페=at the cafe, 공원=in the park,
        시장=at the market, 백화점=at the department store, 회사=at the office, 은행=at the bank, 병원=at the hospital,
        우체국=at the post office, 극장=at the theater, 서점=at the bookstore, 역=at the station, 공항=at the airport,
        부엌=in the kitchen, 박물관=at the museum, 바닷가=at the beach, 서울=in Seoul, 부산=in Busan, 제주도=on Jeju Island,
        편의점=at the convenience store, 빵집=at the bakery, 호텔=at the hotel, 약국=at the pharmacy, 체육관=at the gym,
        수영장=at the pool, 방=in the room, 교실=in the classroom, 정류장=at the bus stop, 길=on the street,
        마당=in the yard, 거실=in the living room, 강=by the river, 가게=at the store, 시골=in the countryside"""
    ).items()
}


@dataclass(frozen=True)
class Time:
    """A time: first in the Korean sentence, last in the English one (a frequency: before the verb)."""

    ko: str
    en: str


def times(text: str) -> tuple[Time, ...]:
    """Parse times from "ko=en, ko=en"."""
    return tuple(Time(ko, en) for ko, en in table(text).items())


PAST_TIMES = times(
    "어제=yesterday, 지난주에=last week, 작년에=last year, 아까=a little while ago, 그저께=the day before yesterday, "
    "어젯밤에=last night, 지난 토요일에=last Saturday, 지난달에=last month, 오늘 아침에=this morning, 이틀 전에=two days ago"
)
# actions that take days or months use the times further back
RECENT_TIMES = tuple(time for time in PAST_TIMES if time.ko not in ("작년에", "지난달에"))
LONG_TIMES = tuple(time for time in PAST_TIMES if time.ko in ("작년에", "지난달에"))
HABIT_TIMES = times(
    "매일=every day, 주말마다=every weekend, 아침마다=every morning, 토요일마다=every Saturday, 저녁마다=every evening, "
    "일요일마다=every Sunday"
)
FREQUENCIES = times("자주=often, 항상=always, 보통=usually, 가끔=sometimes")
NOW_TIMES = times("지금=now, 지금=now")
FUTURE_TIMES = times(
    "내일=tomorrow, 다음 주에=next week, 오늘 저녁에=this evening, 이번 주말에=this weekend, 모레=the day after tomorrow, "
    "다음 토요일에=next Saturday, 오늘 오후에=this afternoon, 내일 아침에=tomorrow morning"
)
DAYS = times(
    "월요일=Monday, 화요일=Tuesday, 수요일=Wednesday, 목요일=Thursday, 금요일=Friday, 토요일=Saturday, 일요일=Sunday"
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
COUNTRIES = {  # country: (in English, its language in English, its adjective)
    "프랑스": ("France", "French", "French"),
    "독일": ("Germany", "German", "German"),
    "일본": ("Japan", "Japanese", "Japanese"),
    "중국": ("China", "Chinese", "Chinese"),
    "스페인": ("Spain", "Spanish", "Spanish"),
    "이탈리아": ("Italy", "Italian", "Italian"),
    "러시아": ("Russia", "Russian", "Russian"),
    "베트남": ("Vietnam", "Vietnamese", "Vietnamese"),
}
CITIES = table(
    "서울=Seoul, 부산=Busan, 대구=Daegu, 광주=Gwangju, 인천=Incheon, 대전=Daejeon, 전주=Jeonju, 경주=Gyeongju"
)
JOBS = table(
    "의사=doctor, 변호사=lawyer, 간호사=nurse, 요리사=cook, 기자=reporter, 가수=singer, 화가=painter, 소설가=novelist, "
    "경찰관=police officer, 소방관=firefighter, 대학생=college student, 회사원=office worker"
)
