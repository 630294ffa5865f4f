"""The text format of `nmt inspect sentence`."""

from pathlib import Path

from rich.cells import cell_len

from nmt.cli.inspect_sentence import describe_sentence
from nmt.cli.terminal import WIDTH
from nmt.lab.inspect.sentence import SentenceTrace, trace_sentence
from nmt.trust import trust_file
from tests.lab.small_models import TEXT, small
from tests.lab.test_sentence import LEAKY


def lines(found: SentenceTrace) -> list[str]:
    return "\n".join(describe_sentence(found)).split("\n")


def test_no_line_of_a_long_sentence_is_wider_than_the_terminal() -> None:
    found = trace_sentence(*small(), "ab " * 70)
    found = found._replace(text="오늘 " * 70, translation="학" * 200)
    assert all(cell_len(line) <= WIDTH for line in lines(found))


def test_a_line_break_in_a_sentence_does_not_split_the_form() -> None:
    found = trace_sentence(*small(), TEXT)
    found = found._replace(text="one\ntwo\x1b", source=["a\nb"] * len(found.source))
    assert lines(found)[:2] == [r"source       one\ntwo\x1b", f"translation  {found.translation}".rstrip()]
    assert len(lines(found)) == len(lines(trace_sentence(*small(), TEXT)))


def test_a_beam_without_finished_hypotheses_is_reported() -> None:
    found = trace_sentence(*small(), TEXT)
    found = found._replace(
        attention=None, words=found.words[:1] * 3, beam=[b for b in found.beam if b.score is None]
    )
    assert "finished hypotheses: none; the output was cut at 3 tokens" in lines(found)


def test_gates_of_a_custom_cell_may_have_long_names_or_none(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LEAKY.replace("leak", "leaking_valve"), encoding="utf-8")
    trust_file(tmp_path / "own.py")
    found = lines(trace_sentence(*small(decoder={"cell": f"{tmp_path / 'own.py'}:Leaky"}), TEXT))
    index = found.index("leaking_valve")  # wrapped inside its column
    assert found[index - 1].index(".") == found[index + 1].index(".")
    assert found[-1] == "  (decoder, layer 1, forward: the cell's step assigns no variable to new)"
