"""`nmt new`: from files of pairs to a directory that can be trained."""

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from string import ascii_letters

import pytest

from nmt.api.runs import load_recipe
from nmt.data.pairs import find_corpus, read_pairs
from nmt.files import file_sha256, shipped_directory
from nmt.lab.doctor.trial_run import TrainingCost
from nmt.lab.project import fitting
from nmt.lab.project.choices import (
    FILE,
    ChoiceTable,
    ChosenSetting,
    CorpusFacts,
    choose_settings,
    count_frequent,
)
from nmt.lab.project.languages import find_side_language
from nmt.lab.project.pair_files import find_pair_files
from nmt.recipe.reader import read_recipe
from nmt.recipe.settings_file import read_settings
from tests.data.test_splitting import corpus, leaks
from tests.end_to_end.toy import done, nmt, write_lines

Pairs = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates that take time by the size of the decoder, a second for 256, instead of being measured."""

    def timed(folder: Path, settings: Sequence[ChosenSetting]) -> tuple[TrainingCost, list[object]]:
        [hidden] = [one.value for one in settings if one.setting == "decoder.hidden"]
        return TrainingCost(1, 1, hidden / 256, 1.0, None, None), []

    monkeypatch.setattr(fitting, "_time_updates", timed)


def two_files(pairs: Pairs, name: str = "all", languages: tuple[str, str] = ("de", "en")) -> list[str]:
    files = [f"{name}.{language}" for language in languages]
    for side, file in enumerate(files):
        write_lines(Path(file), [pair[side] for pair in pairs])
    return files


def parts(directory: Path, src: str = "de", tgt: str = "en") -> dict[str, Pairs]:
    found = (
        find_corpus(part, root=directory / "data", src=src, tgt=tgt) for part in ("train", "valid", "test")
    )
    return dict(zip(("train", "valid", "test"), (list(read_pairs(one)) for one in found), strict=True))


def test_a_directory_is_made_and_trained() -> None:
    """With the trial on this machine, and with the commands of its README."""
    files = two_files(corpus(200))
    output = done(nmt("new", "mine", *files))
    assert "116 train, 42 valid, 42 test" in output
    assert "now train it: nmt run mine" in output
    directory = Path("mine")
    assert {path.name for path in directory.iterdir()} == {
        *("recipe.yaml", "README.md", "report.md", "report.html", "split.json", "data")
    }
    assert "nmt translate mine/run -i in.de -o out.en" in (directory / "README.md").read_text("utf-8")
    written = json.loads((directory / "split.json").read_text("utf-8"))
    assert written["files"]["data/train.de"] == file_sha256(directory / "data/train.de")
    assert written["made of"] == {file: file_sha256(Path(file)) for file in files}
    tiny = ["encoder.hidden=8", "decoder.hidden=8", "subwords.size=300", "training.stop_after=2u"]
    assert "BLEU" in done(nmt("run", "mine", *tiny, "training.validation.every=2u"))
    assert (directory / "run" / "scores.json").is_file()
    assert "nothing to do" not in done(nmt("doctor", "mine/", "--updates", 0, *tiny))
    assert load_recipe("mine").data.root == str(directory.resolve() / "data")
    assert nmt("new", "mine", *files).exit_code == 2
    assert "give its run, mine/run" in nmt("translate", "mine").stderr


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize("form", ["files", "swapped", "prefix", "tsv", "jsonl", "tmx", "several"])
def test_pairs_are_read_in_every_format(form: str) -> None:
    pairs = corpus(150)
    named, options = list[str](), ["--src", "de", "--tgt", "en"]
    if form == "jsonl":
        write_lines(Path("a.jsonl"), [json.dumps({"de": src, "en": tgt}) for src, tgt in pairs])
        named, options = ["a.jsonl"], []
    elif form == "tmx":
        units = "".join(
            f'<tu><tuv xml:lang="en-GB"><seg>{tgt}</seg></tuv><tuv xml:lang="de"><seg>{src}</seg></tuv></tu>'
            for src, tgt in pairs
        )
        Path("a.tmx").write_text(f'<tmx><header srclang="de"/><body>{units}</body></tmx>', "utf-8")
        named, options = ["a.tmx"], []
    elif form == "tsv":
        write_lines(Path("a.tsv"), ["\t".join(pair) for pair in pairs])
        named = ["a.tsv"]
    elif form == "several":
        write_lines(Path("a.tsv"), ["\t".join(pair) for pair in pairs[:70]])
        named, options = ["a.tsv", *two_files(pairs[70:])], []
    else:
        files = two_files(pairs)
        named = {"files": files, "swapped": files[::-1], "prefix": ["all"]}[form]
        options = [] if form == "files" else options
    output = done(nmt("new", "mine", *named, *options))
    assert "de to en" in output
    found = parts(Path("mine"))
    assert sorted(pair for part in found.values() for pair in part) == sorted(pairs)


@pytest.mark.usefixtures("speed")
def test_bad_pairs_are_removed_and_reported() -> None:
    pairs = corpus(150)
    bad = [("", "blank"), ("same", "same"), pairs[0], ("bell\a", "x"), ("совсем другое письмо", "Yes, that.")]
    files = two_files([*pairs, *bad])
    assert "155; 5 removed by cleaning" in done(nmt("new", "mine", *files))
    report = Path("mine/report.md").read_text("utf-8")
    for reason in ("blank side", "identical sides", "duplicate", "control character", "source not in Latin"):
        assert f"| {reason} | 1 |" in report
    assert "1 pair (0.6%) with a blank side" in report


@pytest.mark.usefixtures("speed")
def test_near_copies_do_not_leak() -> None:
    pairs = corpus(120)
    copies = [(src.upper(), tgt.replace(".", " 7!")) for src, tgt in pairs[::2]]
    done(nmt("new", "mine", *two_files([*pairs, *copies])))
    assert list(leaks(parts(Path("mine")))) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.de", "missing.en"], 1, "no file missing.de"),
        (["one.de"], 2, "one.de has one side only"),
        (["short.de", "one.de"], 2, "both sides are in 'de'"),
        (["short.de", "one.en"], 1, "short.de has 1 lines but one.en has 2"),
        (["one.de", "one.en"], 1, "too few good pairs, at least 100 are needed: kept 2 of 2 pairs"),
        (["wide.tsv"], 1, "wide.tsv, line 1: 3 columns, expected two"),
        (["bad.jsonl"], 1, "bad.jsonl, line 2: invalid JSON"),
        (["latin1.de", "one.en"], 1, "latin1.de, line 1: byte 0xfc at position 2 is not UTF-8"),
        (["."], 2, "is a directory"),
        (["one"], 2, "say which is the source, by --src de --tgt en or --src en --tgt de"),
        (["numbers.tsv"], 2, "the language of the source side is not known: give it by --src"),
        (["one.de", "one.en", "--src", "../x"], 2, "expected the code of a language"),
        (["one.de", "one.en", "--tgt", "fr"], 2, "the files are in de and en, not in fr"),
        (["three.jsonl"], 2, "found texts in de, en, fr: choose two by --src and --tgt"),
        (["empty.tsv", "--src", "de", "--tgt", "en"], 1, "too few good pairs"),
        (
            ["many.de", "many.en", "--held-out", 60],
            2,
            "60 pairs each for validation and test leave none of 120",
        ),
        (["many.de", "many.en", "--seed", 1 << 60], 2, "--seed"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_left(words: list[object], code: int, message: str) -> None:
    two_files([("Ein Hund.", "A dog."), ("Zwei Hunde.", "Two dogs.")], "one")
    two_files(corpus(120), "many")
    write_lines(Path("short.de"), ["Ein Hund."])
    write_lines(Path("wide.tsv"), ["a\tb\tc"])
    write_lines(Path("bad.jsonl"), ['{"de": "a", "en": "b"}', "{"])
    write_lines(Path("three.jsonl"), ['{"de": "a", "en": "b", "fr": "c"}'])
    write_lines(Path("numbers.tsv"), ["1\t2"])
    Path("empty.tsv").write_bytes(b"")
    Path("latin1.de").write_bytes("für\nzwei\n".encode("latin-1"))
    before = {path.name for path in Path().iterdir()}
    result = nmt("new", "mine", *words)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert {path.name for path in Path().iterdir()} == before


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize(
    ("minutes", "hidden", "stop_after"), [(1000, 256, "60e"), (8, 256, "45.3e"), (3, 128, "34e")]
)
def test_minutes_limit_the_epochs_and_then_the_size(minutes: float, hidden: int, stop_after: str) -> None:
    done(nmt("new", "mine", *two_files(corpus(300)), "--minutes", minutes, "--held-out", 20))
    recipe = read_recipe(["mine/recipe.yaml"])
    assert recipe.decoder.hidden == hidden
    assert str(recipe.training.stop_after) == stop_after


def test_a_smaller_model_must_get_many_more_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the few epochs that fit, dropout is lower, too."""

    def timed(folder: Path, settings: Sequence[ChosenSetting]) -> tuple[TrainingCost, list[object]]:
        [hidden] = [one.value for one in settings if one.setting == "decoder.hidden"]
        return TrainingCost(1, 1, 0.6 + 0.4 * hidden / 256, 1.0, None, None), []

    monkeypatch.setattr(fitting, "_time_updates", timed)
    done(nmt("new", "mine", *two_files(corpus(300)), "--minutes", 3, "--held-out", 20))
    recipe = read_recipe(["mine/recipe.yaml"])
    assert (recipe.decoder.hidden, str(recipe.training.stop_after)) == (256, "17e")
    assert 0.1 <= recipe.decoder.dropout.output < 0.35
    assert recipe.decoder.dropout.output == recipe.encoder.dropout.embedding
    assert "less than by size alone, 0.35" in Path("mine/recipe.yaml").read_text("utf-8")


@pytest.mark.usefixtures("speed")
def test_long_lines_raise_the_limit_of_their_length() -> None:
    """Only where 99% of the lines would not fit, by the characters of a token in their script."""
    pairs = corpus(150)
    long = [(" ".join([src] * 8), " ".join([tgt] * 8)) for src, tgt in pairs]
    done(nmt("new", "short", *two_files(pairs)))
    done(nmt("new", "long", *two_files(long)))
    assert read_recipe(["short/recipe.yaml"]).data.max_length == 100
    assert 100 < read_recipe(["long/recipe.yaml"]).data.max_length <= 300


@pytest.mark.usefixtures("speed")
def test_minutes_that_no_model_fits_are_refused() -> None:
    result = nmt("new", "mine", *two_files(corpus(300)), "--minutes", 0.001)
    assert result.exit_code == 2
    assert not Path("mine").exists()


@pytest.mark.parametrize("pairs", [300, 1000, 5000, 29_000, 170_000, 5_000_000])
@pytest.mark.parametrize(
    "scripts", [("Latin", "Latin"), ("Han", "Latin"), ("Cyrillic", "Latin"), (None, None)]
)
def test_the_chosen_settings_are_a_valid_recipe(
    pairs: int, scripts: tuple[str | None, str | None], tmp_path: Path
) -> None:
    chosen = choose_settings(CorpusFacts(pairs, scripts))
    overrides = [f"{one.setting}={one.value}" for one in chosen]
    recipe = read_recipe([], [*overrides, "data.src=a", "data.tgt=b", "data.train=t", "data.valid=v"])
    assert recipe.subwords.joint == (scripts[0] == scripts[1])
    assert (recipe.subwords.character_coverage < 1) == ("Han" in scripts)


def test_the_vocabulary_has_a_token_for_each_character() -> None:
    """Few pairs in Chinese have more characters than the vocabulary that their number asks for has tokens."""
    pairs = [
        ("".join(chr(0x4E00 + (i + 7 * word) % 1600) for word in range(2 + i % 9)), f"{i} " * (2 + i % 9))
        for i in range(1600)
    ]
    output = done(nmt("new", "mine", *two_files(pairs, languages=("zh", "en")), "--held-out", 20))
    assert "now train it" in output
    recipe = Path("mine/recipe.yaml").read_text("utf-8")
    assert read_recipe(["mine/recipe.yaml"]).subwords.size > 1600
    assert "one token for each character" in recipe


def test_frequent_characters_are_counted() -> None:
    characters = Counter("aaaabbbccd")
    assert [count_frequent(characters, share) for share in (0, 0.4, 0.7, 0.9, 1)] == [0, 1, 2, 3, 4]
    assert count_frequent(Counter(), 1.0) == 0


def test_every_choice_has_a_reason_and_its_evidence_a_study() -> None:
    table, _ = read_settings(ChoiceTable, shipped_directory("recipes") / FILE, "table")
    known = {"benchmarks.new"} | {path.stem for path in shipped_directory("recipes").rglob("*.yaml")}
    for choice in table.choices:
        assert choice.reason
        assert {one.study for one in choice.evidence} <= known, choice.setting


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        (["개가 잔다.", "고양이"], "ko"),
        (["我喜欢猫。", "他来了。"], "zh"),
        (["犬が好きです。", "猫もいます。"], "ja"),
        (["1 2 3"], None),
    ],
)
def test_a_script_of_one_language_tells_the_language(lines: list[str], language: str | None) -> None:
    assert find_side_language(lines) == language


def test_the_language_of_an_alphabet_is_detected_with_py3langid() -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    assert (
        find_side_language(["Der Hund läuft über die grüne Wiese.", "Ich habe gestern ein Buch gelesen."])
        == "de"
    )


@pytest.mark.usefixtures("speed")
def test_files_that_do_not_belong_together_are_refused() -> None:
    pairs = corpus(200)
    shifted = [(src, tgt) for (src, _), (_, tgt) in pairwise(pairs)]
    result = nmt("new", "mine", *two_files(shifted))
    assert result.exit_code == 1
    assert "source and target lines do not seem to belong together" in " ".join(result.stderr.split())
    assert not Path("mine").exists()


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize(("share", "code"), [(0.5, 1), (1.0, 1), (0.05, 0), (0.0, 0)])
def test_pairs_with_exchanged_sides_are_found(share: float, code: int) -> None:
    """As in a file that was joined from two, one with its columns in the other order."""
    hangul = str.maketrans({letter: chr(0xAC00 + 28 * code) for code, letter in enumerate(ascii_letters)})
    pairs = [(src.translate(hangul), tgt) for src, tgt in corpus(200)]
    first = round(share * len(pairs))
    pairs = [pair[::-1] for pair in pairs[:first]] + pairs[first:]
    result = nmt("new", "mine", *two_files(pairs, languages=("ko", "en")))
    assert result.exit_code == code, result.stderr
    message = " ".join(result.stderr.split())
    assert ("exchange" in message) is (share > 0)
    assert "do not seem to belong together" not in message
    assert Path("mine").exists() is (code == 0)


@pytest.mark.usefixtures("speed")
def test_exchanged_sides_in_one_script_are_found_by_language() -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    german = "Der Hund läuft {} über die grüne Wiese und das Wasser"
    english = "The dog runs {} over the green meadow and the water"
    pairs = [(german.format(src), english.format(tgt)) for src, tgt in corpus(200)]
    files = two_files([pair[::-1] for pair in pairs[:90]] + pairs[90:])
    result = nmt("new", "mine", *files)
    assert result.exit_code == 1
    assert "of a sample of pairs seem to have exchanged sides" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("speed")
def test_more_pairs_for_training_than_for_the_test() -> None:
    result = nmt("new", "mine", *two_files(corpus(200)), "--held-out", "80")
    assert result.exit_code == 1
    assert "40 pairs are left for training, 80 for the test" in " ".join(result.stderr.split())
    assert not Path("mine").exists()


@pytest.mark.usefixtures("speed")
def test_few_pairs_are_reported() -> None:
    result = nmt("new", "mine", *two_files(corpus(200)))
    assert "200 pairs are few" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize(
    ("directory", "command"),
    [("my model", "nmt run 'my model'"), ("./-mine", "nmt run ./-mine"), ("-mine", "nmt run ./-mine")],
)
def test_the_next_command_can_be_copied(directory: str, command: str) -> None:
    output = done(nmt("new", "--", directory, *two_files(corpus(200))))
    assert f"now train it: {command}\n" in output
    [document] = Path().glob("*m*/README.md")
    assert f"    {command}  " in document.read_text("utf-8")
    assert f"command:  {command}\n" in (document.parent / "recipe.yaml").read_text("utf-8")


@pytest.mark.usefixtures("speed")
def test_a_pair_of_ten_megabytes_is_removed() -> None:
    """Also if one side is short, so that the lengths of all pairs do not correlate."""
    pairs = corpus(150)
    long = [("Wort " * 2_000_000, "word " * 2_000_000), ("Wort" * 2_500_000, "word")]
    output = done(nmt("new", "mine", *two_files([*pairs, *long])))
    assert "152; 2 removed by cleaning" in output
    assert "| longer than 10,000 characters | 2 |" in Path("mine/report.md").read_text("utf-8")


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize("keys", [("source", "target"), ("src", "tgt")])
def test_texts_that_are_named_by_their_side_are_read(keys: tuple[str, str]) -> None:
    pairs = corpus(150)
    rows = [{"id": str(i), keys[1]: tgt, keys[0]: src} for i, (src, tgt) in enumerate(pairs)]
    write_lines(Path("a.jsonl"), map(json.dumps, rows))
    assert "de to en (as given)" in done(nmt("new", "mine", "a.jsonl", "--src", "de", "--tgt", "en"))
    assert sorted(pair for part in parts(Path("mine")).values() for pair in part) == sorted(pairs)


@pytest.mark.parametrize("suffixes", [("src", "tgt"), ("src", "trg"), ("source", "target")])
@pytest.mark.parametrize("form", ["files", "swapped", "prefix", "compressed"])
def test_suffixes_may_name_the_side(suffixes: tuple[str, str], form: str) -> None:
    files = two_files([("eins", "one")], languages=suffixes)
    if form == "compressed":
        for file in files:
            Path(f"{file}.gz").write_bytes(gzip.compress(Path(file).read_bytes()))
            Path(file).unlink()
    words = {"files": files, "swapped": files[::-1]}.get(form, ["all"])
    found = find_pair_files(words, "de", "en")
    assert found.languages == ("de", "en")
    assert list(read_pairs(found.corpora[0])) == [("eins", "one")]


@pytest.mark.parametrize(
    "words", [["all.src", "all.tgt"], ["all"], ["all.hyp", "all.ref"], ["all.out", "b.txt"]]
)
def test_suffixes_that_name_no_language_are_not_taken_for_one(words: list[str]) -> None:
    pairs = [(f"{i} {i}", f"{i}, {i}") for i in range(150)]
    two_files(pairs, languages=("src", "tgt"))
    for file in ("all.hyp", "all.ref", "all.out", "b.txt"):
        write_lines(Path(file), ["1"] * 150)
    result = nmt("new", "mine", *words)
    assert result.exit_code == 2
    assert "the language of the source side is not known: give it by --src" in " ".join(result.stderr.split())


def test_texts_in_languages_precede_texts_that_are_named_by_their_side() -> None:
    for suffixes in (("de", "en"), ("src", "tgt")):
        two_files([("eins", "one")], languages=suffixes)
    [found] = find_pair_files(["all"], "de", "en").corpora
    assert [file.name for file in found.files] == ["all.de", "all.en"]


@pytest.mark.parametrize(
    ("words", "src", "tgt", "languages", "source"),
    [
        (["a.en", "b.txt"], "de", "en", ("de", "en"), "b.txt"),
        (["b.txt", "a.en"], "de", "en", ("de", "en"), "b.txt"),
        (["b.txt", "a.en"], "en", "de", ("en", "de"), "a.en"),
        (["a.en", "b.txt"], "en", "de", ("en", "de"), "a.en"),
        (["a.en", "b.txt"], "ko", None, ("ko", "en"), "b.txt"),
        (["a.en", "b.txt"], None, "ko", ("en", "ko"), "a.en"),
        (["a.en", "b.txt"], None, "en", ("ko", "en"), "b.txt"),
        (["b.txt", "a.en"], "en", None, ("en", "ko"), "a.en"),
        (["a.en", "b.txt"], None, None, ("en", "ko"), "a.en"),
        (["b.txt", "a.en"], None, None, ("ko", "en"), "b.txt"),
        (["a.en", "c.zh"], "zh-TW", "en", ("zh-TW", "en"), "c.zh"),
        (["a.en.gz", "c.zh"], "zh-TW", "en", ("zh-TW", "en"), "c.zh"),
    ],
)
def test_one_known_suffix_tells_the_sides(
    words: list[str], src: str | None, tgt: str | None, languages: tuple[str, str], source: str
) -> None:
    write_lines(Path("a.en"), ["A dog sleeps."])
    Path("a.en.gz").write_bytes(gzip.compress(Path("a.en").read_bytes()))
    write_lines(Path("b.txt"), ["개가 집에서 잔다."])
    write_lines(Path("c.zh"), ["狗睡覺。"])
    found = find_pair_files(words, src, tgt)
    assert found.languages == languages
    assert found.files[0].name == source


@pytest.mark.usefixtures("speed")
def test_quotation_marks_of_another_program_are_reported() -> None:
    write_lines(Path("a.tsv"), [f'"{src}"\t"{tgt}"' for src, tgt in corpus(150)])
    result = nmt("new", "mine", "a.tsv", "--src", "de", "--tgt", "en")
    assert "150 pairs (100%) with both sides in quotation marks" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["attribution.tsv", "--src", "de", "--tgt", "en"],
            1,
            "3 columns, expected two: source, tab, target; `cut -f1,2` keeps",
        ),
        (
            ["array.jsonl", "--src", "de", "--tgt", "en"],
            1,
            "looks like an array: `jq -c .[]` writes an object per line",
        ),
        (["line.jsonl"], 1, "`jq -c .[]` writes the objects of an array, one per line"),
        (["nested.jsonl"], 1, "its first entry has no text: expected texts in two languages"),
        (["one.jsonl"], 1, "its first entry has 'text': expected texts in two languages"),
        (["pairs.csv"], 2, "pairs.csv: .csv files are not read: convert it to pairs in .tsv or .jsonl"),
        (["pairs.json"], 2, "pairs.json: .json files are not read"),
        (["torn.tmx", "--src", "de", "--tgt", "en"], 1, "the file ends too early"),
        (["three.tmx"], 2, "found texts in de, en, fr: choose two by --src and --tgt"),
        (["three.tmx", "--src", "de", "--tgt", "ko"], 1, "no text in 'ko'; available: de, en, fr"),
        (["cp949.ko", "all.en"], 1, "it looks like CP949 text"),
        (["utf16.tsv"], 1, "it looks like UTF-16 text"),
        (["all.de", "all.de"], 2, "both sides are in 'de'"),
        (["all.de", "all.de", "--tgt", "en", "--src", "de"], 1, "identical sides"),
        (["all.de", "short.en"], 1, "all.de has 120 lines but short.en has 100"),
    ],
)
def test_what_newcomers_have_is_refused_with_what_to_do(words: list[str], code: int, message: str) -> None:
    pairs = corpus(120)
    two_files(pairs)
    objects = [{"de": src, "en": tgt} for src, tgt in pairs]
    units = "".join(
        f'<tu><tuv xml:lang="de"><seg>{src}</seg></tuv><tuv xml:lang="en"><seg>{tgt}</seg></tuv>'
        f'<tuv xml:lang="fr"><seg>{tgt}</seg></tuv></tu>'
        for src, tgt in pairs
    )
    memory = f'<tmx><header srclang="de"/><body>{units}</body></tmx>'
    texts = {
        "attribution.tsv": "".join(f"{src}\t{tgt}\tCC-BY 2.0\n" for src, tgt in pairs),
        "array.jsonl": json.dumps(objects, indent=1),
        "line.jsonl": json.dumps(objects),
        "nested.jsonl": json.dumps({"pair": objects[0]}),
        "one.jsonl": json.dumps({"text": "Ein Hund."}),
        "pairs.csv": "".join(f'"{src}","{tgt}"\n' for src, tgt in pairs),
        "pairs.json": json.dumps(objects),
        "torn.tmx": memory[:-400],
        "three.tmx": memory,
        "short.en": "".join(f"{tgt}\n" for _, tgt in pairs[:100]),
    }
    for name, text in texts.items():
        Path(name).write_text(text, "utf-8")
    Path("cp949.ko").write_bytes("".join(f"개가 {i}번 집에서 잔다\n" for i in range(120)).encode("cp949"))
    Path("utf16.tsv").write_text("".join("\t".join(pair) + "\n" for pair in pairs), "utf-16")
    before = sorted(Path().iterdir())
    result = nmt("new", "mine", *words)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split())
    assert sorted(Path().iterdir()) == before


def test_a_directory_that_was_forgotten_is_asked_for() -> None:
    files = two_files(corpus(120))
    result = nmt("new", *files)
    assert result.exit_code == 2
    assert "all.de is a file: first name the directory to create" in " ".join(result.stderr.split())


def test_nothing_is_left_of_directories_that_were_not_there() -> None:
    two_files(corpus(10))
    assert nmt("new", "far/away/mine", "all.de", "all.en").exit_code == 1
    assert not Path("far").exists()
