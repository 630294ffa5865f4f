"""Training and translating compared with Eole and OpenNMT-py, in processor time per token on one thread.

    python -m benchmarks.peers [DIRECTORY] [--rounds N] [--updates N] [--only NAME ...]

All programs train the same model (one bidirectional LSTM layer, one LSTM layer with general attention and
input feeding, 8,000 words, 12.7 M parameters) on the same random sentences of 16 words, and translate such
sentences into exactly 16 words: weights are random, so nothing else would end a sentence, and the work is
equal. Each command runs twice, for a small and for a larger number of updates or lines, in turn with the
other programs; the difference of the processor times is that of the additional tokens, without loading and
start-up. Medians over the rounds are printed as time per token, and compared with that of nmt in float32. A
table that is to be quoted needs a machine that does nothing else.

DIRECTORY (by default `peers`) keeps the environments, which use this one's torch: pip must not replace it.
What a peer needs besides its own requirements:

- Eole 0.6.4: aiohttp, which it imports and does not declare; `bucket_size`, or it reads the text dozens of
  times before the first update.
- OpenNMT-py 3.5.1 declares torch below 2.3, so it is installed without dependencies; setuptools below 81 for
  `pkg_resources`; TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1, because its checkpoints are pickles with settings.

A peer that pip cannot install, or that fails, is reported with the reason. torch.nn, measured in this process
with the model of `multi30k-de-en-lstm`, needs no installation.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import yaml

from benchmarks.training import PIECES, Pair
from benchmarks.translate import PlainSearch, Translate, ours
from nmt.data.vocabulary import EOS
from nmt.decoding.options import Options
from nmt.model.inference import InferenceModel
from nmt.recipe.tasks.translation import LoadedTranslator

WORDS, LENGTH = 7996, 16
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONWARNINGS": "ignore"}
SEARCHES = ((1, 64), (5, 64), (1, 1), (5, 1))  # beam, batch

NMT = {
    "data": {"root": ".", "src": "src", "tgt": "tgt", "train": "train", "valid": "valid"},
    "subwords": {"kind": "pretokenized", "size": WORDS + 4},
    "encoder": {"cell": "lstm", "embedding": 256, "hidden": 256, "bidirectional": "all"},
    "decoder": {
        **{"cell": "lstm", "embedding": 256, "hidden": 512, "features": 512, "attention": "general"},
        **{"input_feeding": True, "tie": "none", "bridge": "copy"},
    },
    "training": {
        **{"optimiser": "adam", "clip_norm": 1.0, "label_smoothing": 0.1, "threads": 1},
        "validation": {"every": "1000000u", "metric": "loss"},
    },
}
CORPUS = {
    "corpus_1": {"path_src": "train.src", "path_tgt": "train.tgt", "transforms": []},
    "valid": {"path_src": "valid.src", "path_tgt": "valid.tgt", "transforms": []},
}
COMMON = {  # to Eole and OpenNMT-py
    **{"valid_steps": 1_000_000, "batch_type": "sents", "bucket_size": 2048, "num_workers": 0},
    **{"optim": "adam", "learning_rate": 0.001, "max_grad_norm": 1.0, "label_smoothing": 0.1},
    **{"dropout": [0.0], "normalization": "tokens", "gpu_ranks": []},
}
VOCABULARY = {
    **{"src_vocab": "vocab.src", "tgt_vocab": "vocab.tgt", "seed": 1},
    **{"src_vocab_size": WORDS + 4, "tgt_vocab_size": WORDS + 4},
}


class Program(NamedTuple):
    """The commands of a program: training for some updates, and translating a file."""

    name: str
    train: Callable[[int, int], list[str]] | None  # of batch and updates
    translate: Callable[[int, int, str], list[str]] | None  # of beam, batch and file


class ProgramError(Exception):
    """A command that failed, with the end of its output."""


def write_texts() -> None:
    """Write random sentences, and the vocabulary, to the current directory."""
    draw = random.Random(1)
    words = [f"w{i}" for i in range(WORDS)]
    for name, count in (("train", 6400), ("valid", 8), ("test", 512)):
        for side in ("src", "tgt"):
            lines = (" ".join(draw.choices(words, k=LENGTH)) for _ in range(count))
            Path(f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for side in ("src", "tgt"):
        Path(f"vocab.{side}").write_text("".join(f"{word}\t1\n" for word in words), encoding="utf-8")


def write_yaml(name: str, settings: dict[str, Any]) -> str:
    """Write settings to NAME.yaml; return the path."""
    file = Path(f"{name}.yaml")
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return str(file)


def run(command: Sequence[str]) -> float:
    """Run a command; return its processor time in seconds."""
    shutil.rmtree("nmt-trained", ignore_errors=True)  # a complete run is not trained again
    with Path("last.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **ENVIRONMENT}, stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = Path("last.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ProgramError(f"{' '.join(command[:3])} ...: {lines[-1] if lines else process.returncode}")
    return usage.ru_utime + usage.ru_stime


def install(name: str, *commands: Sequence[str]) -> Path:
    """Create an environment that sees this one's packages, and install others; return its programs."""
    folder = Path(name).absolute()
    done = folder / "installed"
    if not done.exists():
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
        [packages] = folder.glob("lib/python*/site-packages")
        (packages / "shared.pth").write_text(f"{Path(torch.__file__).parents[1]}\n", encoding="utf-8")
        constraint = folder / "constraints.txt"
        constraint.write_text(f"torch=={torch.__version__}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install"]
        for arguments in commands:
            run([*pip, "-c", str(constraint), *arguments])
        done.touch()
    return folder / "bin"


def prepare_nmt(name: str, *, precision: str = "float32", options: Sequence[str] = ()) -> Program:
    """Return nmt's commands."""
    recipe = write_yaml("nmt", NMT)
    verb = [sys.executable, "-m", "nmt"]

    def train(batch: int, updates: int) -> list[str]:
        size = f"training.batch={{by: sentences, size: {batch}}}"
        settings = [size, f"training.stop_after={updates}u", f"training.precision={precision}"]
        return [*verb, "train", recipe, *settings, "-o", "nmt-trained"]

    def translate(beam: int, batch: int, file: str) -> list[str]:
        limits = ["--min-ratio", "1", "--max-ratio", "1", "--max-extra", "0"]
        sizes = ["--beam", str(beam), "--batch", str(batch), "-i", file, "-o", f"{file}.nmt"]
        return [*verb, "translate", "nmt-run", "-q", *sizes, *limits, *options]

    if not Path("nmt-run").exists():
        run([*train(64, 2)[:-1], "nmt-run"])
    return Program(name, train if not options else None, translate if precision == "float32" else None)


def prepare_eole(precision: str = "fp32") -> Program:
    """Install Eole, and return its commands; its predictor needs a trained model."""
    programs = install("eole", ["eole==0.6.4", "aiohttp", "itsdangerous"])
    stack = {"rnn_type": "LSTM", "hidden_size": 512, "layers": 1}
    model = {
        **{"architecture": "rnn", "hidden_size": 512, "layers": 1},
        "embeddings": {"src_word_vec_size": 256, "tgt_word_vec_size": 256},
        "encoder": {**stack, "encoder_type": "brnn", "src_word_vec_size": 256},
        "decoder": {**stack, "decoder_type": "rnn", "tgt_word_vec_size": 256, "global_attention": "general"},
    }

    def train(batch: int, updates: int) -> list[str]:
        steps = {"train_steps": updates, "save_checkpoint_steps": updates, "batch_size": batch}
        places = {"model_path": f"eole-{precision}", "world_size": 0, "compute_dtype": precision}
        settings = {**VOCABULARY, "data": CORPUS, "overwrite": True, "model": model}
        settings["training"] = {**COMMON, **steps, **places}
        return [
            str(programs / "eole"),
            "train",
            "-config",
            write_yaml(f"eole-{precision}-{batch}-{updates}", settings),
        ]

    def translate(beam: int, batch: int, file: str) -> list[str]:
        sizes = ["--beam_size", str(beam), "--batch_size", str(batch), "--batch_type", "sents"]
        limits = ["--max_length", str(LENGTH), "--min_length", str(LENGTH), "--world_size", "0"]
        files = ["--model_path", f"eole-{precision}", "--src", file, "--output", f"{file}.eole"]
        return [str(programs / "eole"), "predict", *files, *sizes, *limits]

    run(train(64, 2))
    return Program("Eole 0.6.4" + f", {precision}" * (precision != "fp32"), train, translate)


def prepare_opennmt() -> Program:
    """Install OpenNMT-py, and return its commands."""
    needed = ["configargparse", "ctranslate2", "flask", "waitress", "pyonmttok", "rapidfuzz", "pyahocorasick"]
    needed += ["fasttext-wheel", "spacy", "six", "setuptools<81"]
    programs = install("opennmt", needed, ["--no-deps", "opennmt-py==3.5.1"])
    model = {
        **{"encoder_type": "brnn", "decoder_type": "rnn", "rnn_type": "LSTM", "hidden_size": 512},
        **{"enc_layers": 1, "dec_layers": 1, "src_word_vec_size": 256, "tgt_word_vec_size": 256},
        **{"global_attention": "general", "input_feed": 1},
    }

    def train(batch: int, updates: int) -> list[str]:
        steps = {"train_steps": updates, "save_checkpoint_steps": updates, "batch_size": batch}
        settings = {**VOCABULARY, **COMMON, **model, **steps, "data": CORPUS, "save_model": "opennmt-model"}
        file = write_yaml(f"opennmt-{batch}-{updates}", {**settings, "world_size": 1})
        return [str(programs / "onmt_train"), "-config", file]

    def translate(beam: int, batch: int, file: str) -> list[str]:
        sizes = ["-beam_size", str(beam), "-batch_size", str(batch), "-batch_type", "sents"]
        limits = ["-max_length", str(LENGTH), "-min_length", str(LENGTH)]
        files = ["-model", "opennmt-model_step_2.pt", "-src", file, "-output", f"{file}.opennmt"]
        return [str(programs / "onmt_translate"), *files, *sizes, *limits]

    run(train(64, 2))
    return Program("OpenNMT-py 3.5.1", train, translate)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "nmt": partial(prepare_nmt, "nmt"),
    "nmt-bfloat16": partial(prepare_nmt, "nmt, bfloat16", precision="bfloat16"),
    "nmt-int8": partial(prepare_nmt, "nmt, int8", options=["--int8"]),
    "eole": prepare_eole,
    "eole-bf16": partial(prepare_eole, "bf16"),
    "opennmt": prepare_opennmt,
}


def prepare(names: Sequence[str]) -> list[Program]:
    """Prepare the programs that can be had; report the others."""
    programs = []
    for name in names:
        try:
            programs.append(PROGRAMS[name]())
        except ProgramError as error:
            print(f"{name} is left out: {error}", flush=True)
    return programs


def time_of(pairs: Sequence[tuple[str, list[str], list[str], int]], rounds: int) -> dict[str, float]:
    """Microseconds per token of each program: its name, a short command, a longer one, additional tokens."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, short, long, tokens in pairs:
            try:
                times.setdefault(name, []).append((run(long) - run(short)) / tokens * 1e6)
            except ProgramError as error:
                print(f"{name} failed: {error}", flush=True)
    return {name: statistics.median(values) for name, values in times.items() if values}


def report(task: str, times: dict[str, float]) -> None:
    """Print a line for each program: time per token, and how it compares with the first one's."""
    first = next(iter(times.values()), 0.0)
    print(f"\n{task}")
    for name, time_taken in times.items():
        print(
            f"  {name:18} {time_taken:9.1f} us a token, {time_taken / first:5.2f} times the first", flush=True
        )


def compare_training(programs: Sequence[Program], batch: int, updates: int, rounds: int) -> None:
    """Compare updates with a batch size."""
    tokens, pairs = updates * batch * (LENGTH + 1), []
    for program in programs:
        if train := program.train:
            pairs.append((program.name, train(batch, 2), train(batch, 2 + updates), tokens))
    report(f"training, batch {batch}", time_of(pairs, rounds))


def compare_translation(programs: Sequence[Program], beam: int, batch: int, rounds: int) -> None:
    """Compare translating with a beam and a batch size."""
    lines = Path("test.src").read_text(encoding="utf-8").splitlines(keepends=True)
    more = 256 if batch > 1 else 32
    Path("short.src").write_text("".join(lines[:batch]), encoding="utf-8")
    Path("long.src").write_text("".join(lines[: batch + more]), encoding="utf-8")
    pairs = [
        (program.name, translate(beam, batch, "short.src"), translate(beam, batch, "long.src"), more * LENGTH)
        for program in programs
        if (translate := program.translate)
    ]
    report(f"beam {beam}, batch {batch}", time_of(pairs, rounds))


def compare_torch(rounds: int) -> None:
    """Compare with the model of torch.nn and a plain search over it, in this process."""
    torch.set_num_threads(1)
    for batch in (64, 16):
        pair = Pair(True, batch, LENGTH, LENGTH)
        updates = {name: (thing, batch * LENGTH) for name, thing in pair.updates().items()}
        report(f"training, batch {batch}", time_functions(updates, rounds))
    pair.ours.eval()
    stub = cast(Any, range(PIECES))  # of the vocabularies, only the size is read
    options = Options(min_ratio=1.0, max_ratio=1.0, max_extra=0, unk=False)
    fixed = replace(pair.recipe.search, max_ratio=1.0, max_extra=0)
    loaded = LoadedTranslator(pair.ours, stub, stub, replace(pair.recipe, search=fixed))
    ways: dict[str, Translate] = {
        "nmt": ours(InferenceModel(pair.ours, eos=EOS), options),
        "nmt, int8": ours(InferenceModel(pair.ours, eos=EOS, int8=True), options),
        "torch.nn": PlainSearch(loaded),
    }
    for beam, batch in SEARCHES:
        sources = torch.randint(4, PIECES, (256 if batch > 1 else 32, LENGTH)).tolist()
        tokens = len(sources) * LENGTH
        things = {name: (partial(way, sources, beam, batch), tokens) for name, way in ways.items()}
        report(f"beam {beam}, batch {batch}", time_functions(things, rounds))


def time_functions(
    functions: Mapping[str, tuple[Callable[[], object], int]], rounds: int
) -> dict[str, float]:
    """Microseconds of processor time per token of functions that run in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for counted in range(rounds + 1):
        for name, (function, tokens) in functions.items():
            start = time.process_time()
            function()
            if counted:
                times[name].append((time.process_time() - start) / tokens * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("peers"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=list(PROGRAMS), choices=PROGRAMS)
    arguments = parser.parse_args()
    print("nmt and torch.nn, in one process", flush=True)
    compare_torch(arguments.rounds)
    arguments.directory.mkdir(exist_ok=True)
    root = str(Path(__file__).resolve().parents[1])
    ENVIRONMENT["PYTHONPATH"] = root
    os.chdir(arguments.directory)
    write_texts()
    print("\nprograms, as a user runs them", flush=True)
    programs = prepare(arguments.only)
    for batch in (64, 16):
        compare_training(programs, batch, arguments.updates, arguments.rounds)
    for beam, batch in SEARCHES:
        compare_translation(programs, beam, batch, arguments.rounds)


if __name__ == "__main__":
    main()
