"""The vocabulary shortlist of a run: made from its encoded pairs, kept beside its vocabularies."""

from pathlib import Path

from nmt.data.shortlist import Measured, load_shortlist, make_shortlist, measure
from nmt.data.store import MANIFEST, TokenStore
from nmt.data.subwords import SIDES
from nmt.errors import UsageError
from nmt.recipe.assemble.artifact import SHORTLIST, Loaded, load_translator
from nmt.recipe.assemble.home import home
from nmt.recipe.assemble.material import load_vocabularies, store_file


def write_shortlist(run: Path, *, best: int, frequent: int) -> tuple[Path, Measured]:
    """Make the shortlist of a run and write it whole; UsageError where the encoded pairs are not there."""
    train, valid = (store_file(run, part) for part in ("train", "valid"))
    for file in (train, valid):
        if not (file / MANIFEST).is_file():
            raise UsageError(f"a shortlist is made from a run's encoded pairs, and there is no {file}")
    source, target = load_vocabularies(run)
    shortlist = make_shortlist(TokenStore(train), len(source), len(target), best=best, frequent=frequent)
    file = run / SHORTLIST
    shortlist.save(file, dict(zip(SIDES, (source, target), strict=True)))
    return file, measure(shortlist, TokenStore(valid))


def load_with_shortlist(path: Path) -> Loaded:
    """The translator at `path` with its shortlist.

    Raises UsageError where none has been made, DataError where it is damaged or of other vocabularies.
    """
    translator, folder = load_translator(path), home(path)
    file = folder / SHORTLIST
    if not file.is_file():
        raise UsageError(
            f"{folder} has no shortlist: make it with `nmt shortlist RUN` in the run "
            "(`nmt average` then copies it into model directories)"
        )
    vocabularies = dict(zip(SIDES, (translator.source, translator.target), strict=True))
    shortlist = load_shortlist(file, vocabularies, f"make it again with `nmt shortlist {folder}`")
    return translator._replace(shortlist=shortlist)
