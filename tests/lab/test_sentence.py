"""The trace of a sentence has the values that search and model computed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.data.protection import build_protection
from nmt.data.protection.spans import DEFAULT_KINDS
from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.beam import search
from nmt.decoding.job import Line
from nmt.decoding.options import Request
from nmt.decoding.translation import translate_window
from nmt.errors import UsageError
from nmt.lab.inspect.sentence import find_heat_map_range, trace_sentence, trace_to_dict
from nmt.trust import trust_file
from tests.decoding.test_case import plain
from tests.lab.small_models import TEXT, small, with_job
from tests.model.test_translator import build

VARIANTS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru, fed": {"encoder": {"cell": "gru"}, "decoder": {"cell": "gru", "input_feeding": True}},
    "conditional": {"decoder": {"cell": "gru", "conditional": True}},
    "no attention": {"decoder": {"attention": "none"}},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_words_are_those_of_the_search_with_their_probabilities(name: str) -> None:
    model, job = small(**VARIANTS[name])
    found = trace_sentence(model, job, TEXT)
    options = job.options
    [(_, [best])] = search(job.model, [Request(0, job.source.encode(TEXT))], options)
    assert [word.piece for word in found.words] == job.target.tokens([*best.ids, *[EOS] * best.finished])
    assert [word.log_prob for word in found.words] == pytest.approx(best.token_log_probs, abs=1e-5)
    assert found.score == best.score
    assert found.log_prob == pytest.approx(best.log_prob, abs=1e-5)


def test_the_likeliest_pieces_are_the_models() -> None:
    model, job = small()
    found = trace_sentence(model, job, TEXT)
    ids = job.source.encode(TEXT)
    with torch.no_grad():
        features = model.unroll(model.encode(torch.tensor([[*ids, EOS]])), torch.tensor([[BOS]])).features
        values, pieces = model.output(features[0, 0]).log_softmax(-1).topk(3)
    first = found.words[0].likeliest[:3]
    assert [piece for piece, _ in first] == job.target.tokens(pieces.tolist())
    assert [value for _, value in first] == pytest.approx(values.tolist(), abs=1e-5)


def test_attention_has_a_row_for_each_written_piece_and_a_column_for_each_read() -> None:
    found = trace_sentence(*small(), TEXT)
    assert found.attention is not None
    assert found.attention.shape == (len(found.words), len(found.source))
    assert found.attention.sum(dim=1).tolist() == pytest.approx([1.0] * len(found.words), abs=1e-5)
    assert trace_sentence(*small(decoder={"attention": "none"}), TEXT).attention is None


def test_recurrences_run_over_the_source_and_over_what_was_written() -> None:
    found = trace_sentence(*small(encoder={"bidirectional": "all"}), TEXT)
    assert [one.path.title for one in found.recurrences] == [
        "encoder, layer 1, forward",
        "encoder, layer 1, backward",
        "decoder, layer 1, forward",
    ]
    for one in found.recurrences:
        assert [*one.values] == ["i", "f", "g", "o", "h", "c"]
        length = len(found.source) if one.path.side == "encoder" else len(found.words)
        assert {len(value) for value in one.values.values()} == {length}
        assert torch.allclose(one.values["h"], one.values["o"] * one.values["c"].tanh(), atol=1e-6)


LEAKY = """
from typing import NamedTuple
import torch
from nmt.cells.cell import Cell

class Leaky(Cell):
    gates = ("leak", "new")

    class State(NamedTuple):
        h: torch.Tensor

    def step(self, x, s, U):
        leak = torch.sigmoid(x.leak + U.leak(s.h))
        return self.State(h=leak * s.h + (1 - leak) * torch.tanh(x.new))
"""


def test_a_cell_of_ones_own_shows_its_gates_and_says_which_it_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LEAKY, encoding="utf-8")
    trust_file(tmp_path / "own.py")
    model, job = small(decoder={"cell": f"{tmp_path / 'own.py'}:Leaky"})
    one = trace_sentence(model, job, TEXT).recurrences[-1]
    assert (one.path.cell, one.gates, one.unnamed, [*one.values]) == (
        "Leaky",
        ("leak",),
        ("new",),
        ["leak", "h"],
    )
    assert one.equations.splitlines()[1].strip() == "leak = torch.sigmoid(x.leak + U.leak(s.h))"


def test_a_sentence_has_the_tokens_with_which_it_is_translated() -> None:
    words = plain("bpe")
    model = build(vocabulary=len(words)).float()
    _, job = with_job(model)
    protection = build_protection(DEFAULT_KINDS, words, words)
    job = job._replace(source=words, target=words, protection=protection)
    for text, tokens in (
        ("the dog sees <b> a@b.org", "<copy1> <copy2>"),
        ("THE DOG SEES {0}", "▁the|▁The ▁dog ▁sees <copy1>"),
    ):
        found = trace_sentence(model, job, text)
        [translated] = translate_window([Line(1, text)], job)
        assert (found.translation, found.score) == (translated.text, translated.score)
        assert found.source == [*translated.source_tokens, "</s>"]
        shown = found.source
        assert all(any(one in shown for one in token.split("|")) for token in tokens.split(" "))
    with pytest.raises(UsageError, match="translated in parts"):
        trace_sentence(model, job, "{0} {1} {2}")


@pytest.mark.parametrize(
    ("text", "message"),
    [("  ", "no tokens in the source vocabulary"), ("a " * 300, "300 tokens, more than 200")],
)
def test_what_cannot_be_looked_at_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trace_sentence(*small(), text)


def test_a_gate_is_drawn_from_0_to_1_and_all_else_around_0() -> None:
    assert find_heat_map_range(torch.tensor([[0.2, 0.9]])) == (0.0, 1.0)
    assert find_heat_map_range(torch.tensor([[-0.5, 0.25]])) == (-0.5, 0.5)
    assert find_heat_map_range(torch.tensor([[0.0, 4.0]])) == (-4.0, 4.0)


def test_everything_is_in_the_plain_values() -> None:
    found = trace_sentence(*small(), TEXT)
    told = json.loads(json.dumps(trace_to_dict(found)))
    assert [word["piece"] for word in told["words"]] == [word.piece for word in found.words]
    assert [branch["piece"] for branch in told["beam"]] == [found.spelling[b.piece] for b in found.beam]
    for one, numbers in zip(found.recurrences, told["recurrences"], strict=True):
        for name, value in one.values.items():
            assert torch.tensor(numbers["values"][name]) == pytest.approx(value, abs=1e-5)
