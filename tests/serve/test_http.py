"""The HTTP interface of the server: requests, answers, errors and limits."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from nmt.errors import UsageError
from nmt.serve.configuration import ApiKeys
from nmt.serve.http.bodies import adapt
from nmt.serve.http.gateway import map_concurrently
from nmt.serve.http.native import TranslateRequest
from nmt.serve.http.opennmt import SourceTexts
from nmt.serve.requests import QueueFull, ServiceStopping, TimeLimitExceeded, WorkerFailure
from tests.serve.stand_in import HELD, RunningServer, run_server


def test_a_text_is_translated(server: RunningServer) -> None:
    answer = server.ask("/v1/translate", {"text": "der alte hund"})
    assert answer.status == 200
    assert answer.json == {
        "model": "de-en",
        "source": "de",
        "target": "en",
        "translations": [{"text": "hund alte der"}],
    }
    assert answer.headers["content-type"] == "application/json"


def test_texts_are_translated_line_by_line_with_their_line_ends(server: RunningServer) -> None:
    texts = ["a b\nc d", "a b\r\n\r\nc d\r", "", "\n"]
    answer = server.ask("/v1/translate", {"text": texts})
    assert [one["text"] for one in answer.json["translations"]] == ["b a\nd c", "b a\r\n\r\nd c\r", "", "\n"]


def test_a_model_is_chosen_by_name_or_languages(server: RunningServer) -> None:
    def chosen(**words: str) -> Any:
        answer = server.ask("/v1/translate", {"text": "a", **words}).json
        return answer.get("model") or answer["error"]["what"]

    assert chosen() == "de-en"
    assert chosen(model="en-ko") == "en-ko"
    assert chosen(source="ko") == "ko-en"
    assert chosen(target="ko") == "en-ko"
    assert chosen(source="ko", target="en") == "ko-en"
    assert chosen(model="ko-de") == "no model 'ko-de', did you mean 'ko-en'?"
    assert chosen(target="fr") == "no model with the target language 'fr', choose one of en, ko"
    assert chosen(source="de", target="ko") == "no model with the target language 'ko', choose one of en"
    assert chosen(model="de-en", source="ko") == "no model with the source language 'ko', choose one of de"


def test_details_are_given_if_they_are_asked_for(server: RunningServer) -> None:
    body = {"text": "a b", "n_best": 2, "scores": True, "alignments": True}
    [translation] = server.ask("/v1/translate", body).json["translations"]
    tokens = {"token_log_probs": [-0.5], "tokens": ["b", "a", "</s>"]}
    assert translation["lines"] == [
        {
            "text": "b a",
            "source_tokens": ["a", "b"],
            "alignment": [[0, 0]],
            "candidates": [
                {"text": "b a", "score": 0.0, "log_prob": 0.0, **tokens},
                {"text": "b a'", "score": -1.0, "log_prob": -2.0, **tokens},
            ],
        }
    ]


def test_the_quality_of_lines_is_given_by_models_that_estimate_it(server: RunningServer) -> None:
    for stream in (False, True):
        answer = server.ask("/v1/translate", {"text": "a b\nc", "quality": True, "stream": stream})
        last = json.loads(answer.body.splitlines()[-2])["translation"] if stream else None
        lines = (last or answer.json["translations"][0])["lines"]
        assert [line["quality"] for line in lines] == [0.75, 0.75]
    refused = server.ask("/v1/translate", {"text": "a", "quality": True, "model": "en-ko"})
    assert (refused.status, refused.json["error"]["where"]) == (400, "quality")
    assert refused.json["error"]["what"] == "the model en-ko has no estimate of quality"
    assert [one["quality"] for one in server.ask("/v1/models").json["models"]] == [True, True, False]


def test_settings_and_constraints_reach_the_search(server: RunningServer) -> None:
    glossary = {"a": "b", "c": ["d", "suggested"], "e": ["f"]}
    constraints = {"prefix": "x", "must": ["y"], "must_not": ["z"], "glossary": glossary}
    server.ask("/v1/translate", {"text": "a", "beam": 3, "split": "never", "attention": True, **constraints})
    [request] = server.service.requests
    assert request.settings == (3, 1, False, True, "never", False)
    assert request.line.constraints == (
        "x",
        ("y",),
        ("z",),
        None,
        (("a", "b"), ("c", "d", "suggested"), ("e", "f")),
    )


def test_a_text_is_streamed_sentence_by_sentence(server: RunningServer) -> None:
    answer = server.ask("/v1/translate", {"text": ["a | b\n\nc", "d"], "stream": True})
    assert answer.headers["content-type"] == "application/x-ndjson"
    events = [json.loads(line) for line in answer.body.splitlines()]
    for index, text in enumerate(("b | a\n\nc", "d")):
        of_text = [event for event in events if event.get("index") == index]
        assert "".join(event["text"] for event in of_text if "text" in event) == text
        assert of_text[-1] == {"index": index, "translation": {"text": text}}
    assert events[0] == {
        **{"index": 0, "line": 0, "part": 0, "parts": 2, "text": "b"},
        **{"source": [0, 1], "target": [0, 1]},
    }
    assert events[-1] == {"done": True, "model": "de-en", "source": "de", "target": "en"}


@pytest.mark.parametrize("stream", [False, True])
def test_all_lines_of_a_request_are_translated_by_the_models_that_it_began_with(stream: bool) -> None:
    with run_server() as server, ThreadPoolExecutor(1) as pool:
        texts = ["a", "b\n" * 40 + HELD, "c\n" * 80]
        answer = pool.submit(server.ask, "/v1/translate", {"text": texts, "stream": stream})
        server.service.arrived.wait(60)
        server.service.version = 2
        server.release()
        assert answer.result().status == 200
        assert [one.version for one in server.service.requests] == [1] * 123
        server.ask("/v1/translate", {"text": "a"})
        assert server.service.requests[-1].version == 2


def test_a_streamed_request_that_fails_at_once_has_the_status_of_its_error(server: RunningServer) -> None:
    server.service.error = QueueFull("no room", 2.5)
    answer = server.ask("/v1/translate", {"text": "a", "stream": True})
    assert (answer.status, answer.headers["retry-after"]) == (429, "3")


WRONG: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "", "invalid JSON: Expecting value"),
    "not JSON": (b"{", "", "invalid JSON: Expecting property name"),
    "a list": (b"[]", "", "expected a JSON object"),
    "a text": (b'"a"', "", "expected a JSON object"),
    "no text": (b"{}", "", "the field 'text' is missing"),
    "a number": (b'{"text": 1}', "text", "expected text (got 1)"),
    "a number in a list": (b'{"text": ["a", 1]}', "text[1]", "expected text (got 1)"),
    "null": (b'{"text": null}', "text", "expected text (got null)"),
    "an unknown field": (b'{"text": "a", "n_bset": 2}', "n_bset", "no such field, did you mean 'n_best'?"),
    "a beam of 0": (b'{"text": "a", "beam": 0}', "beam", "expected at least 1 (got 0)"),
    "a wide beam": (b'{"text": "a", "beam": 51}', "beam", "expected 1 to 50 (got 51)"),
    "a huge beam": (b'{"text": "a", "beam": %d}' % 10**99, "beam", ""),
    "a true beam": (b'{"text": "a", "beam": true}', "beam", "expected a whole number (got true)"),
    "many of the best": (b'{"text": "a", "n_best": 51}', "n_best", "expected 1 to 50 (got 51)"),
    "a wrong choice": (b'{"text": "a", "split": "atuo"}', "split", "no 'atuo', did you mean 'auto'?"),
    "NaN": (b'{"text": "a", "beam": NaN}', "", "invalid JSON: NaN is not a JSON number"),
    "infinity": (b'{"text": "a", "beam": 1e999}', "", "invalid JSON: 1e999 is not a JSON number"),
    "a name twice": (b'{"text": "a", "text": "b"}', "", "invalid JSON: the name 'text' is given twice"),
    "half a surrogate": (
        b'{"text": ["a\\ud800"]}',
        "text[0]",
        "U+D800 at character 1 is half of a",
    ),
    "NUL": (b'{"text": "a\\u0000"}', "text", "the character U+0000 is not text"),
    "NUL in a name": (b'{"text": "a", "glossary": {"\\u0000": "b"}}', "glossary", "the character U+0000"),
    "not UTF-8": (b'{"text": "\xff"}', "", "byte 10 of the request is not UTF-8"),
    "deep": (b"[" * 100_000, "", "invalid JSON: nested deeper than 50"),
    "deep objects": (b'{"a":' * 100_000, "", "invalid JSON: nested deeper than 50"),
    "a long number": (b'{"text": "a", "beam": %s}' % (b"1" * 5_000), "", "invalid JSON"),
    "a blank phrase": (b'{"text": "a", "must": [" "]}', "must, must_not or glossary", "a phrase is blank"),
    "an empty phrase": (b'{"text": "a", "must": [""]}', "must[0]", ""),
    "a blank suggestion": (
        b'{"text": "a", "glossary": {"b": [" ", "suggested"]}}',
        "must, must_not or glossary",
        "a phrase is blank",
    ),
    "a suggestion forced": (b'{"text": "a", "glossary": {"b": ["c", "forced"]}}', "glossary.b[1]", ""),
    "a prefix of lines": (b'{"text": "a\\nb", "prefix": "c"}', "prefix", "it is for texts of one line"),
    "alignments without attention": (
        b'{"text": "a", "model": "en-ko", "alignments": true}',
        "alignments",
        "the model en-ko has no attention",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_answered_with_what_is_wrong_and_where(server: RunningServer, name: str) -> None:
    body, where, what = WRONG[name]
    answer = server.ask("/v1/translate", body)
    assert answer.status == 400
    error = answer.json["error"]
    assert {*error} == {"status", "what", "where", "advice"}
    assert (error["status"], error["where"]) == (400, where)
    assert what in error["what"]
    assert server.service.requests == []


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 499_000, b'["' + b'","' * 300_000, b"[" + b"{}," * 300_000])
def test_bodies_are_checked_in_linear_time(server: RunningServer, body: bytes) -> None:
    assert server.ask("/v1/translate", body).status == 400


def test_brackets_in_texts_are_not_depth(server: RunningServer) -> None:
    text = "[" * 1_000 + '"' + "{" * 1_000
    assert server.ask("/v1/translate", {"text": text}).json["translations"] == [{"text": text}]


def test_limits_are_answered(server: RunningServer) -> None:
    server.configure(characters=10, texts=2, body=300)

    def error(body: Any) -> tuple[int, str, str]:
        answer = server.ask("/v1/translate", body)
        return answer.status, answer.json["error"]["where"], answer.json["error"]["what"]

    assert server.ask("/v1/translate", {"text": ["a" * 10] * 2}).status == 200
    assert error({"text": "a" * 11}) == (400, "text", "11 characters, and a text may have 10")
    assert error({"text": ["a", "a" * 11]}) == (400, "text[1]", "11 characters, and a text may have 10")
    assert error({"text": ["a"] * 3}) == (400, "text", "3 texts, and a request may have 2")
    assert error({"text": "a", "must": ["b" * 6, "c" * 5]})[2] == "11 characters, and a text may have 10"
    assert error({"text": "a" * 300}) == (413, "", "the request has more than 300 bytes")


SERVICE_ERRORS = (
    (
        QueueFull("1,000 lines are waiting already: send it later", 0.2),
        429,
        "1,000 lines are waiting already",
    ),
    (TimeLimitExceeded("the line was not translated within 60 s"), 504, "the line was not translated"),
    (ServiceStopping("the service is stopping"), 503, "the service is stopping"),
    (UsageError("the beam is too wide: reduce it"), 400, "the beam is too wide"),
    (WorkerFailure("its workers died"), 500, "its workers died"),
)


@pytest.mark.parametrize(("error", "status", "what"), SERVICE_ERRORS)
@pytest.mark.parametrize("path", ["/v1/translate", "/translate", "/translator/translate"])
def test_errors_of_the_service_are_answered_in_the_shape_of_the_interface(
    server: RunningServer, path: str, error: Exception, status: int, what: str
) -> None:
    server.service.error = error  # type: ignore[assignment]
    body = {
        "/v1/translate": {"text": "a"},
        "/translate": {"q": "a", "source": "de", "target": "en"},
        "/translator/translate": [{"src": "a"}],
    }[path]
    answer = server.ask(path, body)
    found = answer.json["error"]
    assert answer.status == status
    assert what in (found["what"] if path == "/v1/translate" else found)
    assert ("retry-after" in answer.headers) == (status in (429, 503))


def test_a_key_is_asked_for(server: RunningServer) -> None:
    server.configure(keys=ApiKeys.of(["first", "sécond"]))
    body = {"text": "a"}

    def status(path: str = "/v1/translate", **headers: str) -> int:
        return server.ask(path, body if "v1/t" in path else None, headers=headers).status

    assert status() == 401
    assert server.ask("/v1/translate", body).headers["www-authenticate"] == "Bearer"
    assert status(Authorization="Bearer third") == 403
    assert status(Authorization="Bearer first") == status(**{"X-API-Key": "first"}) == 200
    assert status("/metrics") == 401
    assert status("/metrics", Authorization="bearer first") == 200
    assert status("/health") == status("/v1/models") == status("/languages") == 200
    fields = {"q": "a", "source": "de", "target": "en"}
    assert server.ask("/translate", fields).status == 401
    assert server.ask("/translate", {**fields, "api_key": "sécond"}).status == 200
    assert server.ask("/translate", {**fields, "api_key": "no"}).json == {
        "error": "Invalid API key; ask the operator of this server for one"
    }
    assert server.ask("/translate", {**fields, "api_key": 5}).status == 403
    assert server.ask("/translator/translate", [{"src": "a"}]).status == 401


def test_other_hosts_are_refused_at_the_loopback(server: RunningServer) -> None:
    def status(host: str) -> int:
        return server.ask("/health", headers={"Host": host}).status

    assert [status(host) for host in ("localhost", "127.0.0.1:80", "[::1]:5000", "LOCALHOST:5000")] == [
        200
    ] * 4
    assert [status(host) for host in ("evil.example", "127.0.0.1.evil.example", "a b", "[")] == [421] * 4
    server.configure(hosts=["translate.example"])
    assert [status(host) for host in ("translate.example", "localhost", "evil.example")] == [200, 200, 421]
    server.configure(hosts=[], host="0.0.0.0")
    assert status("evil.example") == 200


def test_pages_of_other_sites_are_refused_unless_allowed(server: RunningServer) -> None:
    def ask(origin: str, method: str = "POST") -> tuple[int, str | None]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = server.ask("/v1/translate", {"text": "a"}, method, headers)
        return answer.status, answer.headers.get("access-control-allow-origin")

    assert ask(server.url) == (200, None)  # the server's own page
    assert ask("https://a.example") == (403, None)
    assert ask("null") == (403, None)
    server.configure(origins=["https://a.example"])
    assert ask("https://a.example") == (200, "https://a.example")
    assert ask("https://a.example", "OPTIONS") == (204, "https://a.example")
    assert ask("https://b.example", "OPTIONS") == (403, None)
    server.configure(origins=["*"])
    assert ask("https://b.example") == (200, "https://b.example")


def test_answers_have_headers_of_security(server: RunningServer) -> None:
    for path in ("/v1/models", "/nothing", "/"):
        headers = server.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_paths_and_methods_that_there_are_not(server: RunningServer) -> None:
    assert server.ask("/v1/nothing").json["error"]["what"] == "there is no /v1/nothing"
    answer = server.ask("/v1/translate")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert server.ask("/translate").json == {
        "error": "GET is not a method of this path; GET /openapi.json lists the methods"
    }


def test_models_and_health_are_reported(server: RunningServer) -> None:
    answer = server.ask("/v1/models").json
    assert [(one["name"], one["source"], one["target"]) for one in answer["models"]] == [
        ("de-en", "de", "en"),
        ("ko-en", "ko", "en"),
        ("en-ko", "en", "ko"),
    ]
    assert answer["limits"] == {"characters": 20_000, "texts": 1_000, "beam": 50}
    assert server.ask("/health").json == {"status": "ok"}
    server.gateway.is_stopping = True
    assert server.ask("/health").status == 503
    server.gateway.is_stopping = False


def test_metrics_are_in_the_format_of_prometheus(server: RunningServer) -> None:
    server.ask("/v1/translate", {"text": "abc"})
    answer = server.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['nmt_model_info{model="ko-en",source="ko",target="en",precision="float32"}'] == "1"
    assert int(values['nmt_requests_total{path="/v1/translate",status="200"}']) >= 1
    assert (
        values['nmt_request_seconds_bucket{path="/v1/translate",le="+Inf"}']
        == (values['nmt_request_seconds_count{path="/v1/translate"}'])
    )
    assert int(values["nmt_characters_total"]) >= 3
    assert values["nmt_workers"] == "1"


def test_a_defect_is_answered_and_logged(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.service, "models", None)
    answer = server.ask("/v1/models")
    assert (answer.status, answer.json["error"]["what"]) == (500, "the server failed")
    assert "this is a bug, sorry: /v1/models" in caplog.text
    monkeypatch.undo()
    assert server.ask("/v1/models").status == 200


def test_texts_are_not_logged_unless_asked_for(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nmt.serve")
    server.ask("/v1/translate", {"text": ["a secret", "text"]})
    server.ask("/v1/translate%1b%0a")
    server.configure(log_texts=True)
    server.ask("/v1/translate", {"text": "no secret\n\x1b"})
    first, second, third = caplog.messages
    assert "POST /v1/translate 200" in first
    assert first.endswith("ms 2 texts, 12 characters")
    assert "/v1/translate\\x1b\\n 404" in second
    assert third.endswith("1 text, 11 characters 'no secret\\n\\x1b'")


@pytest.mark.parametrize(
    "body", ['{"text":[%s]}', '{"text":"a","must":[%s]}', '{"text":"a","must_not":[%s]}']
)
def test_of_a_long_list_the_first_mistake_is_reported(body: str) -> None:
    for shape, text in ((TranslateRequest, body), (SourceTexts, "[%s]")):
        with pytest.raises(ValidationError) as found:
            adapt(shape).validate_json(text % ",".join("1" * 50))
        assert found.value.error_count() <= 2  # of a text, and of the list


def test_an_object_of_too_many_names_is_refused(server: RunningServer) -> None:
    glossary = {f"a{index}": 1 for index in range(10_001)}
    answer = server.ask("/v1/translate", {"text": "a", "glossary": glossary})
    assert answer.json["error"]["what"] == "invalid JSON: an object of 10,001 names is too large"


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/translate", {"text": "a" * 15_000, "attention": True}, "attention"),
        ("/v1/translate", {"text": ["a" * 500] * 9, "attention": True}, "attention"),
        ("/v1/translate", {"text": "a" * 300, "attention": True, "n_best": 50}, "attention"),
        ("/v1/translate", {"text": ["a" * 9_000] * 3, "n_best": 50}, "n_best"),
        ("/v1/alternatives", {"text": "a", "word": "b" * 101}, "word"),
    ],
)
def test_answers_that_would_be_huge_are_refused(
    server: RunningServer, path: str, body: dict[str, Any], where: str
) -> None:
    answer = server.ask(path, body)
    assert (answer.status, answer.json["error"]["where"]) == (400, where)
    assert server.service.requests == []


def test_the_lines_of_a_request_are_made_when_there_is_room_for_them() -> None:
    made = list[int]()

    async def never(item: int) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        work = asyncio.ensure_future(map_concurrently(never, (made.append(n) for n in range(1_000)), 8))
        for _ in range(20):
            await asyncio.sleep(0)
        work.cancel()

    with ThreadPoolExecutor(1) as thread:  # where no driver of a browser has its event loop
        thread.submit(asyncio.run, run()).result()
    assert len(made) == 8
