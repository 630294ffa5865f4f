"""Ten wrong recipes, and more: each gives one clear message, and exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nmt.cli.app import app

DATA = "data: {src: de, tgt: en, train: train, valid: val}\n"
WRONG = {
    "an unknown cell": ("encoder:\n  cell: ltsm", "3:9: encoder.cell: no 'ltsm', did you mean 'lstm'?"),
    "an unknown cell in a list": (
        "decoder: {layers: 2, cell: [gru, GRU]}",
        "2:34: decoder.cell: no 'GRU', choose one of ",
    ),
    "a misspelt setting": (
        "training: {optimizer: adam}",
        "2:12: training.optimizer: no such setting, did you mean 'optimiser'?",
    ),
    "a misspelt section": ("serach: {beam: 1}", "2:1: serach: no such setting, did you mean 'search'?"),
    "a setting in the wrong section": (
        "encoder: {attention: dot}",
        "2:11: encoder.attention: no such setting, did you mean decoder.attention?",
    ),
    "a word for a number": (
        "decoder: {hidden: big}",
        "2:19: decoder.hidden: expected a whole number (got 'big')",
    ),
    "a number in quotes": ("seed: '1'", "2:7: seed: expected a whole number (got '1'; leave the quotes out)"),
    "a fraction for a count": ("search: {beam: 2.5}", "2:16: search.beam: expected a whole number (got 2.5)"),
    "yes for true": ("subwords: {joint: yes}", "2:19: subwords.joint: expected true or false (got 'yes')"),
    "a dropout of one": (
        "encoder: {dropout: {word: 1.0}}",
        "2:27: encoder.dropout.word: expected less than 1 (got 1.0)",
    ),
    "a negative rate": ("training: {learning_rate: {peak: -1e-3}}", "expected more than 0 (got -0.001)"),
    "infinity": (
        "training: {clip_norm: .inf}",
        "2:23: training.clip_norm: expected a finite number (got .inf)",
    ),
    "a duration without its unit": (
        "training: {stop_after: 10}",
        "2:24: training.stop_after: expected epochs, updates or minutes, such as 10e, 5000u or 30m (got 10)",
    ),
    "minutes where they would decide on what is learnt": (
        "training: {validation: {every: 30m}}",
        "2:32: training.validation.every: expected epochs or updates, such as 10e or 5000u (got '30m')",
    ),
    "a cosine that is to end after minutes": (
        "training: {stop_after: 30m, learning_rate: {schedule: cosine}}",
        "training.learning_rate.span: cosine cannot end with the run, after 30m: give epochs or updates",
    ),
    "a duration beyond all counting": (
        f"training: {{stop_after: {'9' * 400}e}}",
        "2:24: training.stop_after: expected epochs, updates or minutes, such as 10e, 5000u or 30m (got '999",
    ),
    "a roll-back without cuts": (
        "training: {learning_rate: {schedule: cosine, rollback: weights}}",
        "training.learning_rate.rollback: cosine never reduces the rate: rollback needs plateau",
    ),
    "a patience given twice": (
        "training: {validation: {metric: bleu, patience: 3, stop_on: {loss: 5, bleu: 5}}}",
        "training.validation.stop_on: the patience for bleu is given twice, also as `patience`",
    ),
    "a patience with what is not measured": (
        "training: {validation: {metric: loss, stop_on: {chrf: 5}}}",
        "training.validation.stop_on: chrf is not measured: metric: loss translates nothing",
    ),
    "a patience with an unknown metric": (
        "training: {validation: {stop_on: {blue: 5}}}",
        "2:35: training.validation.stop_on.blue: no 'blue', did you mean 'bleu'?",
    ),
    "an average that forgets nothing": (
        "training: {ema: 1.0}",
        "training.ema: expected less than 1 (got 1.0)",
    ),
    "a noam without warm-up": (
        "training: {learning_rate: {schedule: noam, peak: 2.0}}",
        "training.learning_rate.warmup: noam needs a warm-up: give it a few thousand updates",
    ),
    "a likelihood that counts for nothing, in parts": (
        "training: {objective: minimum-risk, coverage: 1.0}",
        "2:37: training.coverage: is a part of the likelihood, whose weight is 0: set risk.likelihood",
    ),
    "one sample that is to be compared with the others": (
        "training: {objective: reinforce, risk: {samples: 1}}",
        "training.risk.samples: a single sample has no others: use more, or risk.baseline greedy",
    ),
    "spikes of a loss around nothing": (
        "training: {objective: reinforce, guards: {spike: 3.0}}",
        "training.guards.spike: the loss of reinforce is near 0, so spikes cannot be detected",
    ),
    "one translation that is to be weighed": (
        "training: {objective: minimum-risk, risk: {samples: 1, reference: false}}",
        "training.risk.samples: a single translation cannot be compared: use more",
    ),
    "links for an attention that is not there": (
        "decoder: {attention: none}\ntraining: {guided_alignment: 0.1}",
        "3:12: training.guided_alignment: needs an attention, and decoder.attention is none",
    ),
    "links that are not there": (
        "training: {guided_alignment: 0.1}",
        "2:12: training.guided_alignment: needs word alignments: give a corpus of data.train its",
    ),
    "two passes that cannot differ": (
        "training: {r_drop: 5.0}",
        "2:12: training.r_drop: compares two passes with different dropout, but there is no dropout",
    ),
    "an unknown metric of sentences": (
        "training: {risk: {metric: rouge}}",
        "2:27: training.risk.metric: no 'rouge', choose one of bleu, chrf, chrf++, ter",
    ),
    "a part of an update": (
        "training: {stop_after: 1.5u}",
        "expected a whole number of updates (got '1.5u')",
    ),
    "a validation every zero epochs": (
        "training: {validation: {every: 0e}}",
        "2:32: training.validation.every: expected a duration longer than zero (got '0e')",
    ),
    "a wrong word of a few": (
        "training: {batch: {by: token}}",
        "2:24: training.batch.by: no 'token', did you mean 'tokens'?",
    ),
    "true for a word of a few": (
        "encoder: {bidirectional: true}",
        "2:26: encoder.bidirectional: expected one of all, first, none (got true)",
    ),
    "a short list": ("training: {betas: [0.9]}", "2:19: training.betas: the list is too short (got [0.9])"),
    "an empty list": (
        "evaluation: {metrics: []}",
        "2:23: evaluation.metrics: expected a list of at least 1 (got [])",
    ),
    "null for a section": ("search: null", "2:9: search: expected a section with beam, length_penalty"),
    "a setting given twice": (
        "search:\n  beam: 1\n  beam: 2",
        "4:3: search.beam: given twice, first on line 3",
    ),
    "cells that do not match the layers": (
        "encoder: {layers: 3, cell: [lstm, gru]}",
        "2:22: encoder.cell: a list has one cell per layer: it has 2, layers is 3",
    ),
    "a residual above the top": (
        "encoder: {layers: 2, residual_from: 3}",
        "2:22: encoder.residual_from: there is no layer 3: layers is 2",
    ),
    "a residual between widths": (
        "encoder: {layers: 3, bidirectional: first, residual_from: 2}",
        "2:44: encoder.residual_from: layer 2 reads 512 numbers and writes 256, so they cannot be added",
    ),
    "a residual first layer": (
        "decoder: {layers: 2, residual_from: 1}",
        "2:22: decoder.residual_from: the first layer of a decoder cannot be residual, start at 2",
    ),
    "feeding without attention": (
        "decoder: {attention: none, input_feeding: true}",
        "2:28: decoder.input_feeding: needs an attention, and decoder.attention is none",
    ),
    "a dot product of two widths": (
        "decoder: {attention: dot, hidden: 256}",
        "2:11: decoder.attention: dot needs encoder and decoder states of the same size, not 512 and 256",
    ),
    "heads that do not divide": (
        "decoder: {attention: multi-head, hidden: 512, heads: 3}",
        "2:47: decoder.heads: 3 heads do not divide decoder.hidden, 512",
    ),
    "a tie between widths": (
        "decoder: {features: 300}",
        "2:11: decoder.features: decoder.tie target needs it null or decoder.embedding, 256",
    ),
    "all tied with two vocabularies": (
        "subwords: {joint: false}\ndecoder: {tie: all}",
        "3:11: decoder.tie: 'all' shares one vocabulary between both sides: it needs subwords.joint: true",
    ),
    "all tied with two widths": (
        "encoder: {embedding: 64}\ndecoder: {tie: all}",
        "3:11: decoder.tie: 'all' needs encoder.embedding (64) and decoder.embedding (256) to be equal",
    ),
    "sampling words": (
        "subwords: {kind: char, sampling: 0.1}",
        "2:24: subwords.sampling: needs subwords.kind unigram or bpe, not char",
    ),
    "a floor above the peak": (
        "training: {learning_rate: {floor: 0.1}}",
        "2:28: training.learning_rate.floor: 0.1 is above the peak, 0.001",
    ),
    "forcing that grows": (
        "training: {teacher_forcing: {schedule: linear, start: 0.2, end: 0.5}}",
        "2:60: training.teacher_forcing.end: 0.5 is above start, 0.2, and the ratio only falls",
    ),
}


TEXT = "{task: language-model, data: {train: a, valid: b}, "
WRONG_TEXT = {
    "an encoder": ("encoder: {cell: gru}}", "encoder: no such setting here, only where task is translation"),
    "an attention": (
        "decoder: {attention: dot}}",
        "decoder.attention: no such setting here, only where task is translation",
    ),
    "BLEU": (
        "training: {validation: {metric: bleu}}}",
        "training.validation.metric: no such setting here, only where task is translation",
    ),
    "a misspelt setting": ("training: {chnk: 3}}", "training.chnk: no such setting, did you mean 'chunk'?"),
    "no positions": ("training: {chunk: 0}}", "training.chunk: expected at least 1 (got 0)"),
    "a width that cannot be tied": ("decoder: {features: 3}}", "decoder.features: decoder.tie target needs"),
    "tokens as streams": (
        "training: {chunk: 8, batch: {by: tokens}}}",
        "training.batch.by: with training.chunk, batch.size counts streams",
    ),
    "lines left out of a stream": (
        "data: {train: a, valid: b, max_length: 9}, training: {chunk: 8}}",
        "data.max_length: with training.chunk, every line is read",
    ),
    "two kinds of pieces": (
        "subwords: {kind: char, same_as: run}}",
        "subwords.kind: subwords.same_as sets the vocabulary",
    ),
    "two models whose pieces are taken over": (
        "subwords: {same_as: run}, training: {start_from: other}}",
        "training.start_from: sets the vocabulary, and so does subwords.same_as",
    ),
    "two passes over one stream": (
        "decoder: {dropout: {output: 0.1}}, training: {chunk: 8, r_drop: 1.0}}",
        "training.r_drop: with training.chunk, one state is carried over, which two passes cannot share",
    ),
    "two passes that cannot differ": (
        "training: {r_drop: 1.0}}",
        "training.r_drop: compares two passes with different dropout",
    ),
    "risk": ("training: {objective: reinforce}}", "training.objective: no such setting here"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_TEXT.values(), ids=WRONG_TEXT)
def test_a_wrong_recipe_of_a_language_model_gives_one_clear_message(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    given = TEXT.replace("data: {train: a, valid: b}, ", "") if text.startswith("data:") else TEXT
    file.write_text(given + text, encoding="utf-8")
    result = CliRunner().invoke(app, ["recipes", "validate", str(file)])
    assert result.exit_code == 2
    head, line = result.stderr.splitlines()
    assert head == "nmt: 1 mistake in the recipe"
    assert message in line


def test_a_chunk_is_a_language_models_and_a_task_one_of_two(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(DATA + "training: {chunk: 3}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["recipes", "validate", str(file)])
    assert "training.chunk: no such setting here, only where task is language-model" in result.stderr
    file.write_text(DATA + "task: language-modle\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["recipes", "validate", str(file)])
    assert "task: no 'language-modle', did you mean 'language-model'?" in result.stderr


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_recipe_gives_one_clear_message_and_exit_code_2(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(DATA + text, encoding="utf-8")
    result = CliRunner().invoke(app, ["recipes", "validate", str(file)])
    assert result.exit_code == 2
    head, line = result.stderr.splitlines()
    assert head == "nmt: 1 mistake in the recipe"
    assert line.startswith(f"{file}:")
    assert message in line
    assert not any(
        word in line.lower() for word in ("pydantic", "input should", "validation error", "extra_forbidden")
    )


def test_two_conflicts_of_one_section_are_both_said(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        DATA + "decoder:\n  attention: none\n  conditional: true\n  input_feeding: true\n", encoding="utf-8"
    )
    result = CliRunner().invoke(app, ["recipes", "validate", str(file)])
    assert [line.split(": ")[1] for line in result.stderr.splitlines()[1:]] == [
        "decoder.conditional",
        "decoder.input_feeding",
    ]
