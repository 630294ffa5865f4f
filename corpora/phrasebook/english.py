"""English inflection: verbs, articles, plurals, comparison, and clauses with their auxiliaries."""

import re
from enum import Enum

IRREGULAR_VERBS = {
    base: (past, participle)
    for base, past, participle in (
        row.split()
        for row in [
            "eat ate eaten",
            "drink drank drunk",
            "read read read",
            "write wrote written",
            "wear wore worn",
            "buy bought bought",
            "sell sold sold",
            "sing sang sung",
            "teach taught taught",
            "meet met met",
            "take took taken",
            "ride rode ridden",
            "make made made",
            "build built built",
            "lose lost lost",
            "send sent sent",
            "draw drew drawn",
            "do did done",
            "swim swam swum",
            "run ran run",
            "sleep slept slept",
            "get got gotten",
            "go went gone",
            "come came come",
            "leave left left",
            "sit sat sat",
            "lie lay lain",
            "know knew known",
            "give gave given",
            "lend lent lent",
            "choose chose chosen",
            "become became become",
            "begin began begun",
            "tell told told",
            "say said said",
            "think thought thought",
            "hear heard heard",
            "speak spoke spoken",
            "grow grew grown",
            "forget forgot forgotten",
            "find found found",
            "have had had",
            "keep kept kept",
            "catch caught caught",
            "bring brought brought",
            "pay paid paid",
            "feel felt felt",
            "put put put",
            "stand stood stood",
            "spend spent spent",
            "see saw seen",
            "wake woke woken",
            "win won won",
            "cut cut cut",
            "bake baked baked",
        ]
    )
}
DOUBLED = {"stop", "plan", "run", "swim", "get", "sit", "jog", "put", "chat", "shop", "win", "cut", "forget"}
BE = {"I": ("am", "was"), "you": ("are", "were"), "it": ("is", "was"), "they": ("are", "were")}
AUXILIARIES = ("be", "will", "can", "could", "would", "may", "should", "have*")
IRREGULAR_PLURALS = {"child": "children", "person": "people", "man": "men", "woman": "women", "fish": "fish"}
IRREGULAR_COMPARISON = {"good": ("better", "best"), "far": ("farther", "farthest")}
LONG_ADJECTIVES = (
    "expensive",
    "beautiful",
    "delicious",
    "difficult",
    "interesting",
    "famous",
    "tired",
    "bitter",
)


class Agreement(Enum):
    """The agreement of a finite verb, named by a pronoun."""

    ME = "I"
    YOU = "you"
    IT = "it"
    THEY = "they"


def inflect(phrase: str, form: str) -> str:
    """Inflect the first word of a verb phrase: base, third, past, participle or ing."""
    verb, _, rest = phrase.partition(" ")
    return f"{verb_form(verb, form)} {rest}".strip()


def verb_form(verb: str, form: str) -> str:
    """Return a form of a verb."""
    if form == "base":
        return verb
    if verb == "be":
        return {"past": "was", "participle": "been", "ing": "being", "third": "is"}[form]
    if form == "third":
        return {"have": "has", "do": "does", "go": "goes"}.get(verb) or with_s(verb)
    if form == "ing":
        if verb == "lie":
            return "lying"
        dropped = verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb
        return (verb + verb[-1] if verb in DOUBLED else dropped) + "ing"
    if verb in IRREGULAR_VERBS:
        return IRREGULAR_VERBS[verb][form == "participle"]
    return regular_past(verb)


def regular_past(verb: str) -> str:
    """Return the past of a regular verb."""
    if verb in DOUBLED:
        return verb + verb[-1] + "ed"
    if re.search("[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def with_s(word: str) -> str:
    """Add the -s of the third person or of the plural."""
    if re.search("[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search("(s|x|ch|sh|[^o]to)$", word) else "s")


def plural(noun: str) -> str:
    """Return the plural of a noun; in "cup of tea" the first part changes."""
    first, of, rest = noun.partition(" of ")
    *before, last = first.split(" ")
    return " ".join([*before, IRREGULAR_PLURALS.get(last) or with_s(last)]) + of + rest


def with_article(noun: str) -> str:
    """Return a noun with a or an."""
    an = re.match("[aeiou]|hour|honest", noun.lower()) and not re.match("uni|use|euro", noun.lower())
    return f"an {noun}" if an else f"a {noun}"


def comparative(adjective: str) -> str:
    """Return the comparative: bigger, more expensive."""
    return inflect_adjective(adjective, "er", "more", 0)


def superlative(adjective: str) -> str:
    """Return the superlative: biggest, most expensive."""
    return inflect_adjective(adjective, "est", "most", 1)


def inflect_adjective(adjective: str, ending: str, word: str, place: int) -> str:
    """Inflect an adjective with an ending or with a word."""
    if adjective in IRREGULAR_COMPARISON:
        return IRREGULAR_COMPARISON[adjective][place]
    if adjective in LONG_ADJECTIVES:
        return f"{word} {adjective}"
    if adjective.endswith("y"):
        return adjective[:-1] + "i" + ending
    if re.search("[^aeiou][aeiou][bdgmnt]$", adjective):
        return adjective + adjective[-1] + ending
    return adjective.removesuffix("e") + ending


def inflect_finite(verb: str, tense: str, agreement: Agreement) -> str:
    """Return a verb or auxiliary in the present or past that agrees with its subject."""
    if verb == "be":
        return BE[agreement.value][tense == "past"]
    if verb in AUXILIARIES[1:-1]:
        return verb
    verb = verb.removesuffix("*")
    if tense == "past":
        return verb_form(verb, "past")
    return verb_form(verb, "third" if agreement is Agreement.IT else "base")


# mood: (finite verb, its tense, form of the verb phrase, words before the phrase); "": the verb of the phrase
MOODS = {
    "present": ("", "present", "base", ""),
    "past": ("", "past", "base", ""),
    "future": ("be", "present", "base", "going to "),
    "promise": ("will", "", "base", ""),
    "progressive": ("be", "present", "ing", ""),
    "was doing": ("be", "past", "ing", ""),
    "want": ("want", "present", "base", "to "),
    "wanted": ("want", "past", "base", "to "),
    "can": ("can", "", "base", ""),
    "could": ("could", "", "base", ""),
    "must": ("have", "present", "base", "to "),
    "had to": ("have", "past", "base", "to "),
    "plan": ("plan", "present", "base", "to "),
    "experience": ("have*", "present", "participle", ""),
    "would like": ("would", "", "base", "like to "),
    "may": ("may", "", "base", ""),
    "should": ("should", "", "base", ""),
}


def clause(
    subject: str,
    agreement: Agreement,
    mood: str,
    phrase: str,
    *,
    negative: bool = False,
    question: bool = False,
    adverb: str = "",
) -> str:
    """Return a clause without capital letter: subject, auxiliaries, verb phrase."""
    verb, tense, form, link = MOODS[mood]
    if verb:
        rest = link + inflect(phrase, form)
    else:
        verb, _, rest = phrase.partition(" ")
    if verb not in AUXILIARIES:
        if not (negative or question):
            return collapse_spaces(f"{subject} {adverb} {inflect_finite(verb, tense, agreement)} {rest}")
        verb, rest = "do", f"{verb} {rest}"
    head = inflect_finite(verb, tense, agreement)
    no = ("never" if verb == "have*" else "not") if negative else ""
    order = (head, subject, no) if question else (subject, head, no)
    return collapse_spaces(" ".join((*order, adverb, rest))).replace("can not", "cannot")


def collapse_spaces(text: str) -> str:
    """Replace white space by single spaces."""
    return " ".join(text.split())


CONTRACTED = (
    (r"\b(do|does|did|is|are|was|were|could|should) not\b", r"\1n't"),
    (r"\bcannot\b", "can't"),
    (r"\bwill not\b", "won't"),
    (r"\bI am\b", "I'm"),
    (r"\b(we|they|you) are\b", r"\1're"),
    (r"\b(We|They|You) are\b", r"\1're"),
    (r"\b(he|she|it|He|She|It) is\b", r"\1's"),
    (r"\b(I|we|they|he|she|it|We|They|He|She|It) will\b", r"\1'll"),
)


def contract(text: str) -> str:
    """Contract don't, I'm, she's as in spoken English."""
    for long, short in CONTRACTED:
        text = re.sub(long, short, text)
    return text


def sentence(text: str, mark: str = ".", *, spoken: bool = False) -> str:
    """Return a clause as a sentence: capital letter, punctuation, contractions if spoken."""
    text = collapse_spaces(contract(text) if spoken else text).replace(" ,", ",")
    return text[0].upper() + text[1:] + mark
