"""Numerals in words: native Korean, Sino-Korean and English."""

NATIVE_UNITS = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
SINO_UNITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
ENGLISH = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
ENGLISH_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [
    "_",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]


def native(number: int) -> str:
    """Return a native Korean number below 100 in its form before a counter: 세, 스무, 스물한."""
    if number == 20:
        return "스무"
    return NATIVE_TENS[number // 10] + NATIVE_UNITS[number % 10]


def sino(number: int) -> str:
    """Return a Sino-Korean number: 삼십오, 만 이천; 일 is omitted before 십, 백, 천, 만."""
    high, low = divmod(number, 10000)
    if high:
        return f"{'' if high == 1 else sino(high)}만 {sino(low)}".strip()
    said = ""
    for power, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, number = divmod(number, power)
        said += ("" if digit == 1 and name else SINO_UNITS[digit]) + (name if digit else "")
    return said


def english(number: int) -> str:
    """Return a number below a million in English words."""
    if number < 20:
        return ENGLISH[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return ENGLISH_TENS[tens] + (f"-{ENGLISH[unit]}" if unit else "")
    for power, name in ((1000, "thousand"), (100, "hundred")):
        if number >= power:
            high, low = divmod(number, power)
            return f"{english(high)} {name}" + (f" {english(low)}" if low else "")
    raise ValueError(f"not a number from 0 to 999,999: {number}")
