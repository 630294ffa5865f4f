"""A thousand real lines: the same bits in any batch and order."""

import random
from dataclasses import replace
from pathlib import Path

import torch

from nmt.data.text import read_lines
from nmt.data.vocabulary import EOS
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.decoding.beam import search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.options import Options, Request
from nmt.model.inference import InferenceModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator

OPTIONS = Options(beam=4, batch=64, n_best=2, length_penalty=0.6, max_ratio=0.5, max_extra=3)
DATA = {"src": "de", "tgt": "en", "train": "train", "valid": "valid"}


def found(model: InferenceModel, sources: dict[int, list[int]], batch: int) -> dict[int, list[Hypothesis]]:
    requests = (Request(number, source) for number, source in sources.items())
    return dict(search(model, requests, replace(OPTIONS, batch=batch)))


def test_a_thousand_real_lines_are_the_same_in_every_batch_and_order(shared_corpora: Path) -> None:
    lines = list(read_lines(shared_corpora / "multi30k" / "test_2016_flickr.de.gz"))
    vocabulary = train_vocabulary(lines, SubwordSettings(kind="unigram", size=500))
    side = {"cell": "gru", "embedding": 32, "hidden": 32}
    recipe = validate(
        TranslationRecipe, {"data": DATA, "encoder": side, "decoder": {**side, "input_feeding": True}}
    )
    torch.manual_seed(1)
    model = InferenceModel(build_translator(recipe, len(vocabulary), len(vocabulary)), eos=EOS)
    sources = {number: vocabulary.encode(line) for number, line in enumerate(lines)}
    assert len(sources) == 1000
    whole = found(model, sources, batch=64)
    shuffled = random.Random(2).sample(sorted(sources), len(sources))
    assert found(model, {number: sources[number] for number in shuffled}, batch=13) == whole
    alone = found(model, {number: sources[number] for number in shuffled[:100]}, batch=1)
    assert alone == {number: whole[number] for number in alone}
