"""The interface of nmt itself: `/v1/translate`, `/v1/models`, `/health` and `/metrics`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from nmt.decoding.glossary import list_fields
from nmt.decoding.job import LineConstraints, Split
from nmt.decoding.options import Beam
from nmt.decoding.translation import Candidate, Translation
from nmt.errors import NmtError
from nmt.serve.http.bodies import FirstMistake, adapt, parse_json
from nmt.serve.http.gateway import Gateway, TextRequest, TranslatedText, split_lines
from nmt.serve.http.problems import JsonResponse, RequestProblem, describe_service_error, format_json
from nmt.serve.requests import ServedModel, TranslatedPart, TranslationSettings

STRICT_SHAPE = {"extra": "forbid", "strict": True, "allow_inf_nan": False, "use_attribute_docstrings": True}
"""How pydantic reads requests; the docstrings are the descriptions in the OpenAPI document."""
MOST_WEIGHTS = 2_000_000
"""Attention weights of an answer, estimated from the characters of its lines; 15 bytes each."""
Phrase = Annotated[str, MinLen(1)]
TermFields = Phrase | tuple[Phrase] | tuple[Phrase, Literal["suggested"]]


@dataclass(frozen=True, kw_only=True)
class TranslateRequest:
    """Texts to translate, and how."""

    text: str | Annotated[list[str], FirstMistake()]
    """A text, or a list of texts. A text of several lines is translated line by line."""
    model: str | None = None
    """The name of a model (`GET /v1/models`). By default the first one of these languages."""
    source: str | None = None
    """The code of the language of the texts, such as `ko`."""
    target: str | None = None
    """The code of the language to translate into, such as `en`."""
    beam: Beam | None = None
    """Hypotheses of the search; by default the model's own setting. 1 is greedy, and fastest."""
    n_best: Beam = 1
    """Translations of each line: the best ones."""
    scores: bool = False
    """Add scores, and the tokens of each translation with their log probabilities."""
    alignments: bool = False
    """Add word alignments, pairs of a source word and a target word."""
    attention: bool = False
    """Add attention weights, for each token of a translation over the tokens of its source."""
    quality: bool = False
    """Add the probability that each line is good, if `nmt tune` has calibrated it for the model's search."""
    split: Split = "auto"
    """`auto`: a line is divided into its sentences; `never`: it is translated as one."""
    prefix: str = ""
    """Each translation begins with it; for texts of one line."""
    must: Annotated[list[Phrase], FirstMistake()] = field(default_factory=list)
    """Phrases that each translation contains; for texts of one line."""
    must_not: Annotated[list[Phrase], FirstMistake()] = field(default_factory=list)
    """Phrases that no translation contains."""
    glossary: dict[Phrase, TermFields] = field(default_factory=dict)
    """Source terms and their translations; with `suggested`, they may be left out (see the guide)."""
    stream: bool = False
    """Answer with one JSON object a line (NDJSON), sentence by sentence, as they are translated."""

    __pydantic_config__ = STRICT_SHAPE

    @property
    def has_details(self) -> bool:
        """Whether the answer has more than the text of each translation."""
        return self.scores or self.alignments or self.attention or self.quality or self.n_best > 1


ANSWER_SHAPE = {"use_attribute_docstrings": True}


@dataclass(frozen=True)
class CandidateAnswer:
    """One of the n-best translations of a line."""

    text: str
    score: float
    """Its log probability, normalised by its length: what the search ranks by."""
    log_prob: float | None = None
    """The natural logarithm of its probability."""
    tokens: list[str] | None = None
    token_log_probs: list[float] | None = None
    """Of each token."""
    attention: list[list[float]] | None = None
    """For each token, the weights of the source tokens."""

    __pydantic_config__ = ANSWER_SHAPE


@dataclass(frozen=True)
class LineAnswer:
    """The translation of a line."""

    text: str
    source_tokens: list[str]
    candidates: list[CandidateAnswer]
    """The best ones, as many as `n_best`."""
    alignment: list[tuple[int, int]] | None = None
    """Pairs of the numbers, from 0, of a source word and a target word."""
    quality: float | None = None
    """The probability that it is good; none of a blank line."""

    __pydantic_config__ = ANSWER_SHAPE


@dataclass(frozen=True)
class TextAnswer:
    """The translation of a text."""

    text: str
    notes: list[str] | None = None
    """Warnings."""
    lines: list[LineAnswer] | None = None
    """Its lines, if more than the text was asked for."""

    __pydantic_config__ = ANSWER_SHAPE


@dataclass(frozen=True)
class TranslateAnswer:
    """The translations of the texts, in order, and the model that they are of."""

    model: str
    source: str
    """The code of the source language; empty if the model does not know it."""
    target: str
    translations: list[TextAnswer]

    __pydantic_config__ = ANSWER_SHAPE


@dataclass(frozen=True)
class ModelAnswer:
    """A model."""

    name: str
    source: str
    target: str
    kind: str
    precision: str
    attention: bool
    """Whether it gives alignments and attention."""
    quality: bool
    """Whether it gives the probability that a line is good."""
    explains: bool
    """Whether `/v1/inside` works."""
    beam: int

    __pydantic_config__ = ANSWER_SHAPE


@dataclass(frozen=True)
class ModelsAnswer:
    """The models, of which the first is the default, and the limits of requests."""

    models: list[ModelAnswer]
    limits: dict[str, int]


def to_plain_answer(answer: Any) -> Any:
    """Return an answer as JSON values, without what was not asked for."""
    return adapt(type(answer)).dump_python(answer, mode="json", exclude_none=True)


async def translate(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `POST /v1/translate`."""
    gateway.check_key(request)
    asked = parse_json(body, TranslateRequest)
    model = gateway.choose_model(asked.model, asked.source, asked.target)
    requests = build_requests(asked, model, gateway)
    gateway.count_texts(request, [one.text for one in requests])
    head = {"model": model.name, "source": model.languages[0], "target": model.languages[1]}
    if asked.stream:
        events = _stream(requests, asked, head, gateway)
        first = await anext(events)  # so that a request that cannot be answered has the status of an error
        return StreamingResponse(_join(first, events), media_type="application/x-ndjson")
    found = await gateway.translate(requests)
    answer = TranslateAnswer(model.name, *model.languages, [describe_text(one, asked) for one in found])
    return JsonResponse(to_plain_answer(answer))


def build_requests(asked: TranslateRequest, model: ServedModel, gateway: Gateway) -> list[TextRequest]:
    """Return the request for each text; RequestProblem beyond the limits."""
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    gateway.check_texts(texts, "text")
    gateway.check_beam("beam", asked.beam)
    gateway.check_beam("n_best", asked.n_best)
    if (asked.alignments or asked.attention) and not model.attends:
        where = "alignments" if asked.alignments else "attention"
        raise RequestProblem(400, f"the model {model.name} has no attention", where, "leave it out")
    if asked.quality and not model.estimates:
        what, advice = f"the model {model.name} has no estimate of quality", "leave it out"
        raise RequestProblem(400, what, "quality", f"{advice}, or calibrate it with `nmt tune RUN --write`")
    _check_answer_size(texts, asked, gateway)
    terms = list_fields(asked.glossary)
    phrases = [asked.prefix, *asked.must, *asked.must_not, *(text for term in terms for text in term)]
    gateway.check_texts(["".join(phrases)], "prefix, must, must_not and glossary together")
    for where, required in (("prefix", asked.prefix), ("must", asked.must)):
        if required and any(len(split_lines(text)[0]) > 1 for text in texts):
            raise RequestProblem(400, "it is for texts of one line", where, "send a list of lines")
    if any(not phrase.strip() for phrase in phrases[1:]):
        raise RequestProblem(400, "a phrase is blank", "must, must_not or glossary", "leave it out")
    constraints = LineConstraints(asked.prefix, tuple(asked.must), tuple(asked.must_not), None, tuple(terms))
    settings = TranslationSettings(
        asked.beam, asked.n_best, asked.alignments, asked.attention, asked.split, asked.quality
    )
    return [TextRequest(text, model.name, settings, constraints) for text in texts]


def _check_answer_size(texts: Sequence[str], asked: TranslateRequest, gateway: Gateway) -> None:
    """Raise RequestProblem if the answer would be much longer than the request."""
    if asked.n_best > 1 and asked.n_best * sum(map(len, texts)) > gateway.limits.body:
        what = f"{asked.n_best} translations of all texts have more than {gateway.limits.body:,} characters"
        raise RequestProblem(400, what, "n_best", "send fewer texts at once, or reduce it")
    squares = (len(line) ** 2 for text in texts for line in split_lines(text)[0])
    if asked.attention and asked.n_best * sum(squares) > MOST_WEIGHTS:
        what = f"the answer may have more than {MOST_WEIGHTS:,} weights"
        raise RequestProblem(400, what, "attention", "send fewer or shorter lines at once, or reduce n_best")


def describe_text(found: TranslatedText, asked: TranslateRequest) -> TextAnswer:
    """Return the answer about a text."""
    notes = list(dict.fromkeys(note for line in found.lines for note in line.notes))
    lines = [describe_line(line, asked) for line in found.lines] if asked.has_details else None
    return TextAnswer(found.text, notes or None, lines)


def describe_line(line: Translation, asked: TranslateRequest) -> LineAnswer:
    """Return the answer about a line."""
    candidates = [describe_candidate(one, asked) for one in line.candidates]
    alignment = line.alignment if asked.alignments else None
    return LineAnswer(line.text, line.source_tokens, candidates, alignment, line.quality)


def describe_candidate(candidate: Candidate, asked: TranslateRequest) -> CandidateAnswer:
    """Return the answer about one of the n-best translations."""
    attention = candidate.attention
    return CandidateAnswer(
        candidate.text,
        candidate.score,
        candidate.log_prob if asked.scores else None,
        candidate.tokens if asked.scores or asked.attention else None,
        candidate.token_log_probs if asked.scores else None,
        None if attention is None else attention.astype(float).round(6).tolist(),
    )


async def _stream(
    requests: Sequence[TextRequest], asked: TranslateRequest, head: dict[str, str], gateway: Gateway
) -> AsyncIterator[bytes]:
    """Yield the lines of a streamed answer: parts of each text, then the text; or an error."""
    try:
        with gateway.service.hold_models() as version:
            for index, one in enumerate(requests):
                async with aclosing(gateway.stream(one, version, is_first=index == 0)) as results:
                    async for found in results:
                        yield format_json({"index": index, **_describe_event(found, asked)}) + b"\n"
        yield format_json({"done": True, **head}) + b"\n"
    except NmtError as error:
        raise describe_service_error(error) from error


def _describe_event(
    found: tuple[int, str, TranslatedPart] | TranslatedText, asked: TranslateRequest
) -> dict[str, Any]:
    if isinstance(found, TranslatedText):
        return {"translation": to_plain_answer(describe_text(found, asked))}
    line, end, part = found
    place = {"line": line, "part": part.index, "parts": part.count}
    return {**place, "text": end + part.text, "source": [*part.source], "target": [*part.target]}


async def _join(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a streamed answer; an error after the first is the last line."""
    yield first
    try:
        async for line in others:
            yield line
    except RequestProblem as problem:
        parts = {"what": problem.what, "where": problem.where, "advice": problem.advice}
        yield format_json({"error": {"status": problem.status, **parts}}) + b"\n"


async def list_models(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /v1/models`."""
    models = [
        ModelAnswer(m.name, *m.languages, m.kind, m.precision, m.attends, m.estimates, m.explains, m.beam)
        for m in gateway.service.models.values()
    ]
    limits = {name: getattr(gateway.limits, name) for name in ("characters", "texts", "beam")}
    return JsonResponse(to_plain_answer(ModelsAnswer(models, limits)))


async def check_health(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /health`."""
    if gateway.is_stopping or not gateway.service.models:
        raise RequestProblem(503, "the server is stopping", "", "use another server", {"Retry-After": "5"})
    return JsonResponse({"status": "ok"})


async def report_metrics(request: Request, body: bytes, gateway: Gateway) -> Response:
    """Answer `GET /metrics`."""
    gateway.check_key(request)
    text = gateway.metrics.format(gateway.service.statistics, gateway.service.models)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
