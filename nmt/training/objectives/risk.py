"""Sequence-level objectives: minimum risk and REINFORCE over sampled translations."""

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
from nmt.model.translator import TranslationModel
from nmt.recurrence.state import map_tensors
from nmt.settings import Count, OneOf, Positive, Settings, Weight
from nmt.training.loss import LossTerm, log_probs, to_float32
from nmt.training.objectives.likelihood import LossOutput, Objective

TokenIds = tuple[int, ...]
Utility = Callable[[Sequence[int], Sequence[int]], float]
"""The quality, 0 to 1, of a translation given its reference, both as token ids without bos and eos."""


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
    """`reinforce` only: the term subtracted from a sample's reward: the mean reward of the sentence's other
    samples, the reward of its greedy translation, or nothing."""


class CandidateTranslations(NamedTuple):
    """N translations of the sentences of a batch, grouped by sentence."""

    rows: Tensor  # [N]: the index of the sentence
    tgt: Tensor  # [N, T+1]: bos, tokens, eos (unless truncated), then pad
    risks: Tensor  # [N]: 1 - utility


@dataclass(frozen=True, kw_only=True)
class CandidateSampler:
    """A sampler of translations from a model, without dropout, and of their scores with the references.

    `options` contains the length limits of the search.
    """

    samples: int
    utility: Utility
    options: Options

    def sample(self, model: TranslationModel, batch: Batch) -> list[list[TokenIds]]:
        """Sample translations of each sentence, with eos unless truncated."""
        seed = int(torch.randint(1 << 31, ()))
        options = replace(self.options, sample=True, n_best=self.samples, seed=seed)
        return translate_batch(model, batch, options)

    def score_candidates(
        self, model: TranslationModel, batch: Batch, translations: Sequence[Sequence[TokenIds]]
    ) -> CandidateTranslations:
        """Batch the translations of each sentence with their risks."""
        rows = [row for row, of_row in enumerate(translations) for _ in of_row]
        sequences = [torch.tensor([BOS, *tokens]) for of_row in translations for tokens in of_row]
        tgt = pad_sequence(sequences, batch_first=True, padding_value=model.pad)
        risks = [
            1.0 - self.utility([token for token in tokens if token != EOS], ref[:-1])
            for of_row, ref in zip(translations, references(batch), strict=True)
            for tokens in of_row
        ]
        like = to_float32(model.decoder.output.bias)
        return CandidateTranslations(
            torch.tensor(rows).to(like.device), tgt.to(like.device), like.new_tensor(risks)
        )


@dataclass(frozen=True, kw_only=True)
class RiskObjective:
    """The base class: the loss of a pair is `risk_loss` plus `settings.likelihood` times its likelihood loss.

    (Wu et al., 2016, eq. 9.)
    """

    likelihood: Objective
    settings: RiskSettings
    sampler: CandidateSampler

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        """Return the loss; the likelihood is reported even with weight 0."""
        with torch.set_grad_enabled(self.settings.likelihood > 0):
            loss, carried = self.likelihood(model, batch, teacher_forced, state)
        values, risks = self.risk_loss(model, batch)
        loss = loss._replace(smoothed=self.settings.likelihood * loss.smoothed)
        loss = loss.add_term("risk", values, 1.0, batch.weights, len(risks))
        terms = {**loss.terms, "risk": LossTerm(risks.detach().sum(), len(risks))}
        return LossOutput(loss._replace(terms=terms), carried)

    def risk_loss(self, model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the value to minimise for each sentence, and its expected risk: [B] both."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MinimumRisk(RiskObjective):
    """Expected risk under the model, over a few translations (Shen et al., 2016, eqs. 9-11).

    Σ_y Q(y) (1 - utility(y)), Q(y) ∝ p(y | x)^sharpness over distinct samples, including the reference if
    `settings.reference`.
    """

    def risk_loss(self, model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
        candidates = self.sampler.score_candidates(model, batch, self.distinct_translations(model, batch))
        log_p = self.settings.sharpness * sentence_log_probs(model, batch.src, candidates)
        q = group_by_sentence(log_p, candidates.rows, len(batch.src), -torch.inf).softmax(1)
        expected = (q * group_by_sentence(candidates.risks, candidates.rows, len(batch.src), 0.0)).sum(1)
        return expected, expected

    def distinct_translations(self, model: TranslationModel, batch: Batch) -> list[list[TokenIds]]:
        """Sample translations of each sentence, without duplicates."""
        pairs = zip(references(batch), self.sampler.sample(model, batch), strict=True)
        return [list(dict.fromkeys([ref, *hyps] if self.settings.reference else hyps)) for ref, hyps in pairs]


@dataclass(frozen=True, kw_only=True)
class Reinforce(RiskObjective):
    """-(reward - baseline) log p of samples (REINFORCE; Williams, 1992; Ranzato et al., 2016, eq. 11).

    The expectation of its gradient is that of the expected risk, for any baseline: the mean reward of
    the sentence's other samples, `others` (Kool et al., 2019), the reward of its `greedy` translation (Rennie
    et al., 2017), or `none`.
    """

    def risk_loss(self, model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
        candidates = self.sampler.score_candidates(model, batch, self.sampler.sample(model, batch))
        log_p = sentence_log_probs(model, batch.src, candidates)
        rewards = 1.0 - candidates.risks.view(len(batch.src), -1)
        advantage = rewards - self.baseline_reward(model, batch, rewards)
        return -(advantage * log_p.view(len(batch.src), -1)).mean(1), 1.0 - rewards.mean(1)

    def baseline_reward(self, model: TranslationModel, batch: Batch, rewards: Tensor) -> Tensor | float:
        """Return the baseline of rewards [B, samples]."""
        if self.settings.baseline == "others":
            return (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
        if self.settings.baseline == "greedy":
            greedy = translate_batch(model, batch, replace(self.sampler.options, beam=1))
            return 1.0 - self.sampler.score_candidates(model, batch, greedy).risks.unsqueeze(1)
        return 0.0


def references(batch: Batch) -> Iterator[TokenIds]:
    """Return the targets of a batch, without bos, with eos."""
    rows = zip(batch.tgt.tolist(), batch.tgt_lengths.tolist(), strict=True)
    return (tuple(row[1 : length + 1]) for row, length in rows)


def translate_batch(model: TranslationModel, batch: Batch, options: Options) -> list[list[TokenIds]]:
    """Translate each sentence, with eos unless truncated; samples depend on the number of the pair."""
    rows = zip(batch.src.tolist(), batch.src_lengths.tolist(), batch.pairs.tolist(), strict=True)
    requests = [Request(i, row[: length - 1], draws=[pair]) for i, (row, length, pair) in enumerate(rows)]
    bias, tensors = model.decoder.output.bias, (*model.parameters(), *model.buffers())
    if to_float32(bias).dtype != bias.dtype:  # a type shorter than float32: numpy has no bfloat16
        model = copy.deepcopy(model, {id(tensor): to_float32(tensor.detach()) for tensor in tensors})
    by_number = dict(search(InferenceModel(model, eos=EOS), requests, options))
    return [
        [(*hyp.ids, *([EOS] if hyp.finished else [])) for hyp in by_number[request.number]]
        for request in requests
    ]


def sentence_log_probs(model: TranslationModel, src: Tensor, candidates: CandidateTranslations) -> Tensor:
    """Return log p(candidate | its sentence of src [B, S]), [N]."""
    memory = map_tensors(lambda t: t.index_select(0, candidates.rows), model.encode(src))
    features = model.unroll(memory, candidates.tgt[:, :-1]).features
    targets = candidates.tgt[:, 1:].flatten()
    indices = (targets != model.pad).nonzero().squeeze(1)
    by_token = log_probs(
        features.flatten(0, 1).index_select(0, indices),
        model.decoder.output.weight,
        model.decoder.output.bias,
        targets.index_select(0, indices),
    )
    return by_token.new_zeros(len(candidates.rows)).index_add(0, indices // features.shape[1], by_token)


def group_by_sentence(values: Tensor, rows: Tensor, sentences: int, missing: float) -> Tensor:
    """Return values [N] of candidates as a table [B, candidates], padded with `missing`."""
    counts = torch.bincount(rows, minlength=sentences)
    first = counts.cumsum(0) - counts
    column = torch.arange(len(rows), device=rows.device) - first[rows]
    table = values.new_full((sentences, int(counts.max())), missing)
    return table.index_put((rows, column), values)
