"""Devices and number types of a training process."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from nmt.errors import UsageError
from nmt.recipe.reader import read_any_recipe
from nmt.recipe.schema import LanguageModelRecipe, TranslationRecipe
from nmt.recipe.tasks.language_model import build_language_model
from nmt.recipe.tasks.translation import build_translator
from nmt.recurrence.c import bfloat16, compiler
from nmt.training import checkpoint
from nmt.training.distributed import LaunchInfo
from nmt.training.guards import DivergenceError
from nmt.training.hardware import TYPES, Precision, select_device, select_precision
from nmt.training.loss import cross_entropy
from tests.training.runs import (
    Duration,
    make_batch,
    make_forcing,
    make_guards,
    make_learner,
    make_training,
)
from tests.training.test_loop import same

SHORT = ("bfloat16", "float16")
needs_bfloat16 = pytest.mark.skipif(
    bfloat16.find_bfloat16_obstacle() is not None, reason=str(bfloat16.find_bfloat16_obstacle())
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
PARTS = (
    "encoder={cell: gru, embedding: 6, hidden: 6}",
    "decoder={cell: lstm, embedding: 6, hidden: 6, attention: additive}",
)
KINDS = {
    "by layer": (),
    "input feeding": ("decoder.input_feeding=true", "training.recompute=2"),
    "conditional": (
        "decoder.conditional=true",
        "decoder.attention=multi-head",
        "decoder.heads=2",
        "decoder.layer_norm=true",
    ),
    "linear": ("encoder.cell=mingru", "decoder.cell=qrnn"),
    "reference": ("engine=reference",),
}
DATA = ("data={src: a, tgt: b, train: t, valid: v}", "subwords={kind: pretokenized}")


def recipe(*settings: str) -> TranslationRecipe:
    found = read_any_recipe([], [*DATA, *PARTS, *settings])
    assert isinstance(found, TranslationRecipe)
    return found


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("input feeding", "bfloat16"),
        ("reference", "float16"),
        *(
            pytest.param(kind, "bfloat16", marks=pytest.mark.slow)
            for kind in KINDS
            if kind != "input feeding"
        ),
        *(pytest.param(kind, "float16", marks=pytest.mark.slow) for kind in KINDS if kind != "reference"),
    ],
)
def test_every_kind_of_model_learns_in_short_numbers(kind: str, name: str) -> None:
    torch.manual_seed(1)
    model = build_translator(recipe(*KINDS[kind]), 12, 12)
    learner = make_learner(
        model=model,
        precision=Precision(name, "cpu"),
        forcing=make_forcing("fixed", start=0.5),
    )
    learner.precision.scaler._init_scale = 16.0  # a toy's gradients are large
    batch = [make_batch(index) for index in range(3)]
    losses = [learner.update(batch, rate=0.05, ratio=0.5).totals.means()["loss"] for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize("name", SHORT)
def test_short_numbers_are_close_to_long_ones_and_not_they(name: str) -> None:
    norms = {}
    for precision in ("float32", name):
        torch.manual_seed(1)
        model = build_translator(recipe(), 12, 12)
        learner = make_learner(model=model, precision=Precision(precision, "cpu"))
        norms[precision] = learner.update([make_batch(0)], rate=0.0, ratio=1.0).norm
    assert norms[name] == pytest.approx(norms["float32"], rel=0.05)
    assert norms[name] != norms["float32"]


def test_a_language_model_learns_in_short_numbers() -> None:
    settings = ["task=language-model", "data={train: t, valid: v}", "decoder={cell: gru, hidden: 6}"]
    found = read_any_recipe([], [*settings, "subwords={kind: char}", "decoder.embedding=6"])
    assert isinstance(found, LanguageModelRecipe)
    model = build_language_model(found, 12)
    learner = make_learner(model=model, precision=Precision("bfloat16", "cpu"))
    outcome = learner.update([make_batch(0)._replace(is_continued=True)], rate=0.02, ratio=1.0)
    assert outcome.carried is not None
    assert outcome.carried.layers[0].h.dtype == torch.bfloat16
    again = learner.update([make_batch(1)], rate=0.02, ratio=1.0, carried=outcome.carried)
    assert again.totals.tokens > 0


@pytest.mark.parametrize("name", SHORT)
def test_the_loss_is_summed_in_float32(name: str) -> None:
    """Thousands of losses of about 2.5: a sum in short numbers would stand still at 512 or 4,096."""
    features, weight = torch.randn(3000, 6), torch.randn(12, 6)
    bias, gold = torch.randn(12), torch.randint(12, (3000,))
    short: list[Tensor] = [t.to(TYPES[name]).requires_grad_() for t in (features, weight, bias)]
    long = [t.detach().float().requires_grad_() for t in short]
    found = cross_entropy(*short, gold, label_smoothing=0.1)
    expected = cross_entropy(*long, gold, label_smoothing=0.1)
    assert found.smoothed.dtype == torch.float32
    torch.testing.assert_close(found.smoothed, expected.smoothed, rtol=2e-3, atol=0.0)
    torch.testing.assert_close(found.nll, expected.nll, rtol=2e-3, atol=0.0)
    (found.smoothed / 3000).backward()  # type: ignore[no-untyped-call]
    (expected.smoothed / 3000).backward()  # type: ignore[no-untyped-call]
    for mine, theirs in zip(short, long, strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad.float(), theirs.grad, rtol=0.05, atol=0.02)


def test_where_scaled_gradients_overflow_the_update_is_left_out_and_the_scale_falls() -> None:
    learner = make_learner(precision=Precision("float16", "cpu"))
    learner.precision.scaler._init_scale = 2.0**40
    before = [p.clone() for p in learner.model.parameters()]
    outcome = learner.update([make_batch(0)], rate=0.1, ratio=1.0)
    assert outcome.norm == float("inf") or outcome.norm != outcome.norm
    assert all(torch.equal(mine, was) for mine, was in zip(learner.model.parameters(), before, strict=True))
    assert learner.precision.scaler.get_scale() == 2.0**39


def test_gradients_that_no_scale_makes_finite_are_a_fault(tmp_path: Path) -> None:
    precision = Precision("float16", "cpu")
    precision.scaler._init_scale = 4.0
    training = make_training(tmp_path, precision=precision, settings={"guards": make_guards(skip=2)})
    weight = training.learner.model.get_parameter("cell.weight_ih")
    weight.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(
        DivergenceError, match="the gradient norm became NaN at update 6, in 3 updates in a row"
    ):
        training.train()


def test_a_spike_whose_scaled_gradients_overflow_is_a_spike() -> None:
    learner = make_learner(precision=Precision("float16", "cpu"))
    learner.precision.scaler._init_scale = 2.0**40
    outcome = learner.update([make_batch(0)], rate=0.1, ratio=1.0, limit=0.1)
    assert outcome.bad_update is not None
    assert outcome.bad_update.is_spike


def test_a_run_in_float16_goes_on_with_its_scale(tmp_path: Path) -> None:
    def go(run: Path, updates: int) -> None:
        precision = Precision("float16", "cpu")
        precision.scaler.set_growth_interval(4)
        precision.scaler._init_scale = 4.0
        make_training(run, precision=precision, settings={"stop_after": Duration(updates, "u")}).train()

    go(tmp_path / "stopped", 10)
    for run in ("straight", "stopped"):
        go(tmp_path / run, 20)
    facts = checkpoint.read(tmp_path / "stopped" / "checkpoints" / "last").metadata
    assert facts["scaler"]["scale"] > 4.0
    assert same(*(make_training(tmp_path / run) for run in ("straight", "stopped")))


def test_what_the_hardware_lacks_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert select_precision("float32", cpu).dtype == torch.float32
    with pytest.raises(UsageError, match="training.precision: float16: slower than float32 on a CPU"):
        select_precision("float16", cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(UsageError, match="bfloat16: this CPU .* has no instructions for it"):
        select_precision("bfloat16", cpu)
    assert select_precision("auto", cpu).description == ""


@needs_bfloat16
def test_a_cpu_with_bfloat16_rounds_products_alone() -> None:
    precision = select_precision("auto", torch.device("cpu"))
    assert precision.dtype == torch.float32
    assert precision.description.startswith("products in bfloat16 (A")
    with pytest.raises(UsageError, match="engine: torch has no products in bfloat16 on a CPU"):
        select_precision("bfloat16", torch.device("cpu"), "torch")


@needs_bfloat16
@pytest.mark.parametrize(
    ("has", "permitted", "reason"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, 0, "the system does not permit AMX tiles"),
        ({"avx512_bf16": True, "amx_bf16": True}, 1, "the compiler does not know AMX"),
        ({"avx512_bf16": True}, 1, None),
    ],
)
def test_bfloat16_is_refused_where_vectors_of_it_would_be_slower(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], permitted: int, reason: str | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    monkeypatch.setattr(bfloat16, "load_product", lambda: SimpleNamespace(prepare=lambda: permitted))
    obstacle = bfloat16.find_bfloat16_obstacle()
    assert obstacle is None if reason is None else reason in (obstacle or "")


def test_bfloat16_is_refused_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(compiler, "find_obstacle", lambda: "there is no C compiler")
    with pytest.raises(UsageError, match="training.precision: bfloat16: there is no C compiler; use float32"):
        select_precision("bfloat16", torch.device("cpu"))


@needs_bfloat16
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "reference"])
def test_every_kind_of_model_learns_with_products_in_bfloat16(kind: str) -> None:
    losses = {}
    for name in ("float32", "bfloat16"):
        torch.manual_seed(1)
        model = build_translator(recipe(*KINDS[kind]), 12, 12)
        learner = make_learner(model=model, precision=select_precision(name, torch.device("cpu")))
        batch = [make_batch(index) for index in range(3)]
        updates = [learner.update(batch, rate=0.05, ratio=1.0) for _ in range(20)]
        losses[name] = [update.totals.means()["loss"] for update in updates]
        assert losses[name][-1] < 0.7 * losses[name][0]
    assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], rel=0.01)
    assert losses["bfloat16"][0] != losses["float32"][0]


@needs_bfloat16
def test_a_run_with_products_in_bfloat16_resumes_exactly(tmp_path: Path) -> None:
    def train(run: Path, updates: int) -> None:
        torch.manual_seed(1)
        model = build_translator(recipe(), 12, 12)
        precision = select_precision("bfloat16", torch.device("cpu"))
        settings = {"stop_after": Duration(updates, "u")}
        make_training(run, model=model, precision=precision, settings=settings).train()

    train(tmp_path / "stopped", 10)
    for run in ("straight", "stopped"):
        train(tmp_path / run, 20)
    weights = [
        checkpoint.read_model(tmp_path / run / "checkpoints" / "last")[0] for run in ("straight", "stopped")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_old_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(UsageError, match="Tesla T4 does not support it .* try float16"):
        select_precision("bfloat16", torch.device("cuda"))


@needs_gpu
@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_learns_on_a_gpu(kind: str, name: str) -> None:
    torch.manual_seed(1)
    model = build_translator(recipe(*KINDS[kind]), 12, 12).cuda()
    learner = make_learner(model=model, precision=select_precision(name, torch.device("cuda", 0)))
    batch = [make_batch(index) for index in range(3)]
    losses = [learner.update(batch, rate=0.02, ratio=1.0).totals.means()["loss"] for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]


ALONE, SECOND, TOLD_NOTHING = LaunchInfo(0, 1), LaunchInfo(3, 4, 1, 2), LaunchInfo(4, 5)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with two GPUs, and which of them were made the current one."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize(
    ("name", "place", "found"),
    [
        ("auto", ALONE, "cuda:0"),
        ("cuda", SECOND, "cuda:1"),
        ("auto", TOLD_NOTHING, "cuda:0"),
        ("cuda:1", ALONE, "cuda:1"),
        ("cpu", SECOND, "cpu"),
    ],
)
def test_each_process_of_a_machine_has_a_gpu_of_its_own(
    gpus: list[torch.device], name: str, place: LaunchInfo, found: str
) -> None:
    assert select_device(name, place) == torch.device(found)
    assert [str(device) for device in gpus] == ([] if found == "cpu" else [found])


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("cuda:2", ALONE, "needs GPU 2, but torch finds 2"),
        ("auto", LaunchInfo(2, 3, 2, 3), "process 2 needs GPU 2, but torch finds 2"),
        ("cuda:0", SECOND, "is one GPU for 2 processes"),
    ],
)
@pytest.mark.usefixtures("gpus")
def test_more_processes_than_gpus_are_refused(name: str, place: LaunchInfo, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        select_device(name, place)


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto", SECOND) == torch.device("cpu")
    with pytest.raises(UsageError, match="cuda: torch finds no GPU"):
        select_device("cuda", ALONE)
