"""`data.first`: a run learns from the first pairs or lines alone, and is judged on all."""

from pathlib import Path

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part, find_training_corpora
from nmt.recipe.prepare_data import prepare_pairs
from nmt.recipe.reader import read_any_recipe, read_recipe
from tests.end_to_end.toy import copied, write_corpus, write_recipe


def test_the_first_pairs_alone_are_learnt_from_and_judged_is_on_all(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", copied, train=50, held_out=9)
    recipe = read_recipe([str(write_recipe(tmp_path / "r.yaml", corpus))], ["data.first=20"])
    run = tmp_path / "run"
    run.mkdir()
    material = prepare_pairs(recipe, run)
    assert (len(material.train), len(material.valid)) == (20, 9)
    assert len(list(read_pairs(find_part(recipe.data, "test")))) == 9


def test_pieces_are_learnt_from_the_first_pairs_alone(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", copied, train=50, held_out=9)
    (corpus / "train.src").write_text("a b\n" * 49 + "late-word\n", "utf-8")
    names = [str(write_recipe(tmp_path / "r.yaml", corpus))]
    known = []
    for first in (49, 50):
        run = tmp_path / str(first)
        run.mkdir()
        source = prepare_pairs(read_recipe(names, [f"data.first={first}"]), run).source
        known.append("late-word" in source.decode(range(len(source))))
    assert known == [False, True]


def test_of_several_corpora_the_first_of_each_are_read(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", copied, train=50, held_out=9)
    several = "data.train=[{name: a, pairs: train}, {name: b, pairs: valid}]"
    recipe = read_recipe([str(write_recipe(tmp_path / "r.yaml", corpus))], [several, "data.first=4"])
    assert [len(list(read_pairs(found))) for found in find_training_corpora(recipe.data)] == [4, 4]


def test_a_text_is_read_up_to_its_first_lines() -> None:
    recipe = read_any_recipe(["hello"], ["data.first=1"])
    assert [len(list(read_pairs(find_part(recipe.data, part)))) for part in ("train", "valid")] == [1, 7]
    assert len(list(read_pairs(find_part(read_any_recipe(["hello"]).data, "train")))) > 1
