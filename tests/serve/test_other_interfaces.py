"""The interfaces of LibreTranslate and OpenNMT-py, with the clients that people use."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from nmt.lab.language_detection import detect_language, find_language_name
from nmt.serve.configuration import ApiKeys
from nmt.serve.http.markup import find_texts, replace_texts
from nmt.serve.requests import ServedModel
from tests.serve.stand_in import RunningServer, model

HOSTILE = (
    "<!",
    "<!--",
    "<![",
    "<a ",
    "<a b='",
    "</",
    "<",
    "<?",
    "&",
    "<p><",
    "<a b=\"'",
    "<script>",
    "<![CDATA[",
)
DISPOSITION = b"Content-Disposition: form-data"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_client_of_libretranslate_works(server: RunningServer) -> None:
    client = pytest.importorskip("libretranslatepy").LibreTranslateAPI(server.url)
    assert client.translate("der alte hund", "de", "en") == "hund alte der"
    assert client.translate("안녕 세계", "auto", "en") == "세계 안녕"
    assert client.translate("a & b=c?ü\nd e", "de", "en") == "b=c?ü & a\ne d"
    assert client.detect("안녕하세요") == [{"confidence": 100.0, "language": "ko"}]
    assert client.languages() == [
        {"code": "de", "name": "German", "targets": ["en"]},
        {"code": "en", "name": "English", "targets": ["ko"]},
        {"code": "ko", "name": "Korean", "targets": ["en"]},
    ]
    with pytest.raises(HTTPError) as error:
        client.translate("a", "de", "fr")
    assert (error.value.code, json.load(error.value)) == (400, {"error": "fr is not supported"})


def test_the_client_of_libretranslate_sends_a_key(server: RunningServer) -> None:
    client = pytest.importorskip("libretranslatepy").LibreTranslateAPI
    server.configure(keys=ApiKeys.of(["secret"]))
    assert client(server.url, "secret").translate("a b", "de", "en") == "b a"
    assert client(server.url, "secret").detect("안녕")[0]["language"] == "ko"
    with pytest.raises(HTTPError, match="403"):
        client(server.url, "wrong").translate("a", "de", "en")
    assert server.ask("/frontend/settings").json["keyRequired"] is True


def test_requests_sends_json_forms_and_files(server: RunningServer) -> None:
    requests = pytest.importorskip("requests")
    fields = {"q": "der hund", "source": "de", "target": "en"}
    expected = {"translatedText": "hund der"}
    assert requests.post(f"{server.url}/translate", json=fields).json() == expected
    assert requests.post(f"{server.url}/translate", data=fields).json() == expected
    assert requests.post(f"{server.url}/translate", params=fields).json() == expected
    parts = {name: (None, value) for name, value in fields.items()}
    assert requests.post(f"{server.url}/translate", files=parts).json() == expected
    parts["q"] = (None, "zwei\r\nzeilen ü")
    assert requests.post(f"{server.url}/translate", files=parts).json() == {
        "translatedText": "zwei\r\nü zeilen"
    }


def translate(server: RunningServer, **fields: Any) -> Any:
    answer = server.ask("/translate", {"q": "a b", "source": "de", "target": "en", **fields})
    return answer.json if answer.status == 200 else (answer.status, answer.json["error"])


def test_lists_alternatives_and_detected_languages(server: RunningServer) -> None:
    assert translate(server, q=["a b", "c d"]) == {"translatedText": ["b a", "d c"]}
    assert translate(server, alternatives=2) == {"translatedText": "b a", "alternatives": ["b a'", "b a''"]}
    assert translate(server, alternatives="1", q=["a\nb"]) == {
        "translatedText": ["a\nb"],
        "alternatives": [["a'\nb'"]],
    }
    korean = {"confidence": 100.0, "language": "ko"}
    assert translate(server, q="안녕", source="auto") == {
        "translatedText": "안녕",
        "detectedLanguage": korean,
    }
    assert translate(server, q=["안녕", "세계"], source="auto")["detectedLanguage"] == [korean, korean]


def test_html_is_translated_between_its_tags(server: RunningServer) -> None:
    markup = '<p class="x">a b <b>c d</b>&amp;<br/>\n<script>e f</script><i translate="no">g h</i></p>'
    assert translate(server, q=markup, format="html", alternatives=1) == {
        "translatedText": markup.replace("a b", "b a").replace("c d", "d c"),
        "alternatives": [],
    }


MARKUP = (
    *("", "a", "<", "<p", "a<b", "</p>", "<p>a</q></p>", "&lt;a&gt; &nbsp;&#8212;", "<P>A</P>", "a\0<b>"),
    *("<!DOCTYPE html><!-- a -->b", "<![CDATA[a]]>b", "<?php a ?>b", "<pre> a <b>b</b></pre>c"),
    "<textarea>a</textarea>",
)


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_without_its_texts_replaced_stays_equivalent(markup: str) -> None:
    texts = find_texts(markup)
    again = replace_texts(markup, texts)
    assert find_texts(again) == texts
    assert replace_texts(again, texts) == again


@pytest.mark.parametrize("piece", HOSTILE)
def test_markup_is_divided_in_linear_time(piece: str) -> None:
    """In a small part of a second; the test ends if it is not quadratic."""
    texts = find_texts(piece * 100_000)
    assert len(texts) <= 100_001


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no text": ({"q": ""}, "Invalid request: missing q parameter"),
    "no source": ({"source": None}, "Invalid request: missing source parameter"),
    "no target": ({"target": ""}, "Invalid request: missing target parameter"),
    "a number": ({"q": 5}, "Invalid request: q must be a text or a list of texts"),
    "a list of numbers": ({"q": [5]}, "Invalid request: q must be a text or a list of texts"),
    "an object": ({"q": {"a": 1}}, "Invalid request: q must be a text or a list of texts"),
    "a source that is a list": ({"source": ["de"]}, "Invalid request: source must be a language code"),
    "an unknown source": ({"source": "fr"}, "fr is not supported"),
    "an unknown target": ({"target": "auto"}, "auto is not supported"),
    "an unknown pair": (
        {"target": "ko"},
        "Korean (ko) is not available as a target language from German (de)",
    ),
    "an unknown format": ({"format": "pdf"}, "pdf format is not supported"),
    "a format that is a list": ({"format": ["text"]}, "Invalid request: format must be a text"),
    "alternatives that are not a number": (
        {"alternatives": "x"},
        "Invalid request: alternatives parameter is not a number",
    ),
    "alternatives in a list": (
        {"alternatives": [1]},
        "Invalid request: alternatives parameter is not a number",
    ),
    "too many alternatives": ({"alternatives": 50}, "Invalid request: alternatives parameter must be <= 49"),
    "half a surrogate": ({"q": "\ud800"}, "q: U+D800 at character 0 is half of a surrogate pair"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fields_have_the_errors_of_libretranslate(server: RunningServer, name: str) -> None:
    fields, message = WRONG[name]
    status, error = translate(server, **fields)
    assert (status, error.partition(";")[0]) == (400, message)


@pytest.mark.parametrize("body", [b"q=%ff&source=de&target=en", b"q=\xff", b"&".join([b"a=b"] * 101), b"%"])
def test_wrong_forms_are_answered(server: RunningServer, body: bytes) -> None:
    answer = server.ask("/translate", body, headers=FORM)
    assert answer.status == 400
    assert {*answer.json} == {"error"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\n\xff\r\n--a--"),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="q"\r\n\r\n\xff\r\n--a--',
        ),
        ("text/plain", b"x"),
        ("application/json", b"[]"),
    ],
)
def test_wrong_bodies_are_answered(server: RunningServer, kind: str, body: bytes) -> None:
    assert server.ask("/translate", body, headers={"Content-Type": kind}).status == 400


def test_a_form_has_its_line_ends_as_they_are(server: RunningServer) -> None:
    body = urlencode({"q": "a b\r\nc d", "source": "de", "target": "en"}).encode()
    assert server.ask("/translate", body, headers=FORM).json == {"translatedText": "b a\r\nd c"}


def test_settings_of_the_frontend(server: RunningServer) -> None:
    assert server.ask("/frontend/settings").json == {
        **{"charLimit": 20_000, "frontendTimeout": 500, "apiKeys": False, "keyRequired": False},
        **{"suggestions": False, "filesTranslation": False, "supportedFilesFormat": []},
        "language": {
            "source": {"code": "auto", "name": "Auto Detect"},
            "target": {"code": "en", "name": "English"},
        },
    }


def test_the_interface_of_opennmt(server: RunningServer) -> None:
    requests = pytest.importorskip("requests")
    url = f"{server.url}/translator"
    models = requests.get(f"{url}/models").json()
    assert [(one["model_id"], one["model"], one["loaded"]) for one in models] == [
        (0, "de-en", True),
        (1, "ko-en", True),
        (2, "en-ko", True),
    ]
    found = requests.post(
        f"{url}/translate", json=[{"src": "a b", "id": 1}, {"src": "c d", "id": "de-en"}]
    ).json()
    assert found == [
        [
            {"src": "a b", "tgt": "b a", "n_best": 1, "pred_score": 0.0},
            {"src": "c d", "tgt": "d c", "n_best": 1, "pred_score": 0.0},
        ]
    ]
    assert [request.model for request in server.service.requests] == ["ko-en", "de-en"]
    answer = requests.post(f"{url}/translate", json=[{"src": "a", "id": 100}])
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert "No model with id '100'" in answer.json()["error"]
    assert requests.post(f"{url}/translate", json={"src": "a"}).status_code == 400
    assert requests.post(f"{url}/translate", json=[]).json() == [[]]


def test_languages_are_detected_by_their_script() -> None:
    def detect(text: str, *languages: str) -> list[str]:
        return [one.language for one in detect_language(text, languages)]

    assert detect("안녕 hello", "ko", "en") == ["en"]  # more letters of one
    assert detect("漢字", "ja", "zh") == ["zh"]
    assert detect("漢字かな", "ja", "zh") == ["ja"]
    assert detect("漢字かな", "zh", "en") == ["zh"]  # the only one of its script
    assert detect("мир", "ko", "en") == detect("123 !", "ko", "en") == detect("", "ko") == []
    assert detect("한국어", "zh-Hans", "ko_KR") == ["ko_KR"]
    assert [one.confidence for one in detect_language("한국어ab", ["ko"])] == [60.0]


def test_languages_of_one_script_are_told_apart() -> None:
    pytest.importorskip("py3langid")
    german, other = detect_language("Der alte Hund sucht einen kleinen Vogel.", ["en", "de", "xx"])[:2]
    assert german.language == "de"
    assert german.confidence > 90 > 10 > other.confidence


def test_languages_of_one_script_are_listed_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from nmt.lab import language_detection

    monkeypatch.setattr(language_detection, "_load_classifier", lambda: (None, frozenset()))
    assert detect_language("hello", ["en", "de"]) == [("en", 50.0), ("de", 50.0)]


def test_every_language_with_a_script_has_a_name() -> None:
    from nmt.data.script import LANGUAGES

    assert [code for code in LANGUAGES if find_language_name(code) == code] == []
    assert (find_language_name("zh-Hant"), find_language_name("tlh")) == ("Chinese", "tlh")


def test_models_of_unknown_languages_are_not_listed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown: dict[str, ServedModel] = {"mine": model("mine", "", "")}
    monkeypatch.setattr(server.service, "models", unknown)
    assert server.ask("/languages").json == []
    assert server.ask("/detect", {"q": "hello"}).json == [{"confidence": 0.0, "language": "en"}]
    assert server.ask("/v1/translate", {"text": "a b"}).json["translations"] == [{"text": "b a"}]
    assert translate(server)[0] == 400
