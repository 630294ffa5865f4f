"""Objectives of whole sentences: what translations drawn from the model are worth."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from nmt.evaluation.metrics import METRICS
from nmt.model.decoder import DecoderState
from nmt.model.inference import InferenceModel
from nmt.model.translator import Translator
from nmt.recurrence.state import map_tensors
from nmt.settings import Count, OneOf, Positive, Settings, Weight
from nmt.training.loss import LossTerm, log_probs, wide
from nmt.training.objectives.likelihood import LossOutput, Objective

TokenIds = tuple[int, ...]
Utility = Callable[[Sequence[int], Sequence[int]], float]
"""How good a translation is, given the reference, both in pieces without bos and eos: 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class RiskSettings(Settings):
    """`minimum-risk` and `reinforce` only: the translations that are drawn, and their reward."""

    metric: Annotated[str, OneOf(lambda: METRICS)] = "chrf"
    """Score of each sentence; its risk is 1 - score / 100, or score / 100 for `ter`."""
    samples: Count = 8
    """Translations drawn of each sentence, within the length limits of `search`."""
    likelihood: Weight = 0.0
    """Weight of a sentence's likelihood, added to its risk (Wu et al., 2016, eq. 9)."""
    sharpness: Positive = 0.005
    """`minimum-risk` only: exponent of the probabilities that weight the different translations (alpha of
    Shen et al., 2016)."""
    reference: bool = True
    """`minimum-risk` only: include the reference among the translations."""
    baseline: Literal["others", "greedy", "none"] = "others"
    """`reinforce` only: what is subtracted from a sample's reward: the mean reward of the sentence's other
    samples, the reward of its greedy translation, or nothing."""


class CandidateTranslations(NamedTuple):
    """Translations of a batch's N sentences and more; those of one sentence stand side by side."""

    rows: Tensor  # [N]: the sentence of each
    tgt: Tensor  # [N, T+1]: bos, pieces, eos (unless it was cut), then pad
    risks: Tensor  # [N]: 1 - utility


@dataclass(frozen=True, kw_only=True)
class CandidateSampler:
    """Draws translations from a model and judges them by their references.

    The model is as in translating, without dropout. `options` has the limits of the search.
    """

    samples: int
    utility: Utility
    options: Options

    def sample(self, model: Translator, batch: Batch) -> list[list[TokenIds]]:
        """So many samples of each sentence, with eos where they end."""
        seed = int(torch.randint(1 << 31, ()))
        return translate_batch(
            model, batch, replace(self.options, sample=True, n_best=self.samples, seed=seed)
        )

    def greedy(self, model: Translator, batch: Batch) -> list[list[TokenIds]]:
        """What greedy search finds of each sentence, one in a list."""
        return translate_batch(model, batch, replace(self.options, beam=1))

    def score_candidates(
        self, model: Translator, batch: Batch, translations: Sequence[Sequence[TokenIds]]
    ) -> CandidateTranslations:
        """Translations of each sentence as candidates."""
        rows = [row for row, own in enumerate(translations) for _ in own]
        tgt = pad_sequence(
            [torch.tensor([BOS, *pieces]) for own in translations for pieces in own],
            batch_first=True,
            padding_value=model.pad,
        )
        risks = [
            1.0 - self.utility([piece for piece in pieces if piece != EOS], ref[:-1])
            for own, ref in zip(translations, references(batch), strict=True)
            for pieces in own
        ]
        like = wide(model.decoder.output.bias)
        return CandidateTranslations(
            torch.tensor(rows).to(like.device), tgt.to(like.device), like.new_tensor(risks)
        )


@dataclass(frozen=True, kw_only=True)
class RiskObjective:
    """What the objectives here share: the loss of a pair is what `of` says, and a part of its likelihood.

    The likelihood's part is `settings.likelihood` times it (Wu et al., 2016, eq. 9).
    """

    likelihood: Objective
    settings: RiskSettings
    drawing: CandidateSampler

    def __call__(
        self, model: Translator, batch: Batch, *, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> LossOutput:
        """As of any objective; the likelihood is reported even where it counts for nothing."""
        with torch.set_grad_enabled(self.settings.likelihood > 0):
            loss, carried = self.likelihood(model, batch, teacher_forced=teacher_forced, carried=carried)
        values, risks = self.risk_loss(model, batch)
        loss = loss._replace(smoothed=self.settings.likelihood * loss.smoothed)
        shown = LossTerm(risks.detach().sum(), len(risks))
        return LossOutput(loss.add_term("risk", values, 1.0, batch.weights, shown), carried)

    def risk_loss(self, model: Translator, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is minimised for each sentence, with its gradient, and its expected risk: [B] both."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MinimumRisk(RiskObjective):
    """Expected risk under the model, over a few translations (Shen et al., 2016, eqs. 9-11).

    Σ_y Q(y) (1 - utility(y)), Q(y) ∝ p(y | x)^sharpness over the different ones that were drawn, with the
    reference among them if `reference` says so.
    """

    def risk_loss(self, model: Translator, batch: Batch) -> tuple[Tensor, Tensor]:
        found = self.drawing.score_candidates(model, batch, self.chosen(model, batch))
        log_p = self.settings.sharpness * sentence_log_probs(model, batch.src, found)
        q = group_by_sentence(log_p, found.rows, len(batch.src), -torch.inf).softmax(1)
        expected = (q * group_by_sentence(found.risks, found.rows, len(batch.src), 0.0)).sum(1)
        return expected, expected

    def chosen(self, model: Translator, batch: Batch) -> list[list[TokenIds]]:
        """The different translations of each sentence."""
        pairs = zip(references(batch), self.drawing.sample(model, batch), strict=True)
        return [list(dict.fromkeys([ref, *own] if self.settings.reference else own)) for ref, own in pairs]


@dataclass(frozen=True, kw_only=True)
class Reinforce(RiskObjective):
    """-(reward - baseline) log p of samples (REINFORCE; Williams, 1992; Ranzato et al., 2016, eq. 11).

    Its gradient is, in the mean, that of the expected risk, whatever the baseline. The baseline is the mean
    reward of the sentence's `others` (Kool et al., 2019), the reward of its `greedy` translation (Rennie et
    al., 2017), or `none`.
    """

    def risk_loss(self, model: Translator, batch: Batch) -> tuple[Tensor, Tensor]:
        found = self.drawing.score_candidates(model, batch, self.drawing.sample(model, batch))
        log_p = sentence_log_probs(model, batch.src, found)
        rewards = 1.0 - found.risks.view(len(batch.src), -1)
        surplus = rewards - self.expected(model, batch, rewards)
        return -(surplus * log_p.view(len(batch.src), -1)).mean(1), 1.0 - rewards.mean(1)

    def expected(self, model: Translator, batch: Batch, rewards: Tensor) -> Tensor | float:
        """The baseline of rewards [B, samples]."""
        if self.settings.baseline == "others":
            return (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
        if self.settings.baseline == "greedy":
            best = self.drawing.greedy(model, batch)
            return 1.0 - self.drawing.score_candidates(model, batch, best).risks.unsqueeze(1)
        return 0.0


def references(batch: Batch) -> Iterator[TokenIds]:
    """The targets of a batch, without bos, with eos."""
    rows = zip(batch.tgt.tolist(), batch.tgt_lengths.tolist(), strict=True)
    return (tuple(row[1 : length + 1]) for row, length in rows)


def translate_batch(model: Translator, batch: Batch, options: Options) -> list[list[TokenIds]]:
    """What a search finds of each sentence, with eos where it ends; what it draws follows from the pair."""
    rows = zip(batch.src.tolist(), batch.src_lengths.tolist(), batch.pairs.tolist(), strict=True)
    requests = [
        Request(number, row[: length - 1], draws=[pair]) for number, (row, length, pair) in enumerate(rows)
    ]
    found = dict(search(InferenceModel(float32_model(model), eos=EOS), requests, options))
    return [
        [(*hypothesis.ids, *([EOS] if hypothesis.finished else [])) for hypothesis in found[number]]
        for number in range(len(requests))
    ]


def float32_model(model: Translator) -> Translator:
    """The model, or where it computes in short numbers one of float32: numpy has no bfloat16."""
    tensors = (*model.parameters(), *model.buffers())
    if wide(model.decoder.output.bias).dtype == model.decoder.output.bias.dtype:
        return model
    return copy.deepcopy(model, {id(tensor): wide(tensor.detach()) for tensor in tensors})


def sentence_log_probs(model: Translator, src: Tensor, found: CandidateTranslations) -> Tensor:
    """log p(candidate | its sentence of src [B, S]), [N]."""
    memory = map_tensors(lambda t: t.index_select(0, found.rows), model.encode(src))
    features = model.unroll(memory, found.tgt[:, :-1]).features
    gold = found.tgt[:, 1:].flatten()
    real = (gold != model.pad).nonzero().squeeze(1)
    output = model.decoder.output
    each = log_probs(
        features.flatten(0, 1).index_select(0, real), output.weight, output.bias, gold.index_select(0, real)
    )
    return each.new_zeros(len(found.rows)).index_add(0, real // features.shape[1], each)


def group_by_sentence(values: Tensor, rows: Tensor, sentences: int, missing: float) -> Tensor:
    """Values [N] of candidates as a table [B, most of a sentence], `missing` where one has fewer."""
    counts = torch.bincount(rows, minlength=sentences)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(rows), device=rows.device) - first[rows]
    table = values.new_full((sentences, int(counts.max())), missing)
    return table.index_put((rows, place), values)
