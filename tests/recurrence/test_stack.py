"""Sizes of the C code's arrays on the stack: none depends on the length of a sentence, a list or a row."""

import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import nmt
from nmt.data.vocabulary import BOS, EOS
from nmt.model.inference import InferenceModel
from nmt.model.output_layer import BLOCK, OutputLayer, TokenList
from nmt.model.position import SourceSentence
from nmt.recurrence.c import compiler
from nmt.recurrence.c.code_generator import C_HEADER, generate_source
from nmt.recurrence.c.compiler import read_sources
from nmt.recurrence.c.native import CBackend
from nmt.recurrence.trace.kernel import RESULT, VALUE, Kernel, trace_kernel
from tests.model.test_translator import build

pytestmark = pytest.mark.skipif(compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle()))
LONG = 100_000  # numbers that do not fit on the stack of the thread


def attend(attention: str) -> None:
    model = InferenceModel(build(decoder={"attention": attention}).float(), eos=EOS)
    [encoded] = model.encode([[5]])
    start, keys, values = encoded.source.start, encoded.source.keys, encoded.source.values
    long = SourceSentence(start, keys[:1].repeat(LONG, 1), values[:1].repeat(LONG, 1), None)
    sources = [encoded._replace(source=long)]
    [weights] = model.step(np.array([BOS]), None, np.array([-1]), sources).weights
    np.testing.assert_allclose(weights, 1 / LONG, rtol=1e-2)


def list_everything() -> None:
    output = OutputLayer(CBackend(), torch.zeros(LONG, 1), torch.zeros(LONG))
    everything = TokenList(np.arange(LONG))
    values, tokens = output.best(np.zeros((1, 1), np.float32), 2, [everything])
    assert values[0].tolist() == pytest.approx([-np.log(LONG)] * 2, abs=1e-3)
    assert tokens[0].tolist() == [0, 1]


def normalise_kernel(size: int) -> Kernel:
    """A kernel that stores the values of a row for their mean."""
    return trace_kernel(
        lambda v: {RESULT: torch.nn.functional.layer_norm(v[VALUE].tanh(), (size,))},
        {VALUE: torch.zeros(2, size)},
    )


def normalise() -> None:
    x, y = torch.linspace(-2, 2, LONG).expand(1, 1, LONG), torch.empty(1, 1, LONG)
    CBackend().kernel(normalise_kernel(LONG), {VALUE: x, RESULT: y})(0)
    assert torch.allclose(y[0, 0], torch.nn.functional.layer_norm(x[0, 0].tanh(), (LONG,)), atol=1e-4)


@pytest.mark.parametrize(
    "run",
    [partial(attend, "general"), partial(attend, "multi-head"), list_everything, normalise],
    ids=["attention", "heads", "list", "layer norm"],
)
def test_long_rows_fit_on_a_small_stack(run: Callable[[], None]) -> None:
    """An array that does not fit ends the process."""
    errors = list[BaseException]()

    def catch() -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(LONG * 2)  # bytes: half of what the numbers need
    try:
        thread = threading.Thread(target=catch)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert not errors, errors


def test_no_array_on_the_stack_has_a_variable_size(tmp_path: Path) -> None:
    own, header = Path(nmt.__file__).parent, C_HEADER[torch.float32]
    texts = [
        f"{header}enum {{ BLOCK = {BLOCK} }};\n" + (own / "model/position.c").read_text(encoding="utf-8")
    ]
    texts += [header + (own / "training/cross_entropy.c").read_text(encoding="utf-8")]
    texts += [header + read_sources("product.h", "loop.c")]
    texts += ["typedef float number;\n" + read_sources("product.h", "product_int8.c")]
    if torch.cpu.get_capabilities().get("avx512_bf16"):
        texts += ["typedef float number;\n" + read_sources("product.h", "product_bf16.c")]
    texts += [generate_source(normalise_kernel(8), frozenset(), torch.float32) or ""]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.c").write_text(text, encoding="utf-8")
    command = [*compiler._find_compiler(), "-march=native", "-fopenmp", "-fsyntax-only", "-Werror=vla"]
    assert len(texts) >= len([*own.rglob("*.c")])  # a new file is checked, too
    subprocess.run([*command, *map(str, tmp_path.glob("*.c"))], check=True)
