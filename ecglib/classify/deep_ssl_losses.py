"""What DeepSSL learns from: segments, masks, quantised targets and the two contrastive losses.

wav2vec 2.0: Baevski et al., Advances in Neural Information Processing Systems 2020, sections 2 and
3.2. Contrastive multi-segment coding: Kiyasseh et al., CLOCS, International Conference on Machine
Learning 2021. Random lead masking, and all three together: Oh et al., Conference on Health,
Inference, and Learning 2022.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, gumbel_softmax, normalize

from ecglib.signals.leads import LEADS, SAMPLES

SEGMENT = SAMPLES // 2  # samples, 5 s
TEMPERATURE = 0.1  # of both contrastive losses
CODEBOOKS = 2  # of the product quantiser


def two_segments(signals: np.ndarray, n_valid: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last 5 s of each recording; they overlap in recordings below 10 s.

    `signals`: float32 (B, 12, 2500) in mV, zero from sample n_valid (B,) on.

    Returns segments (2 B, 12, 1250), the B first before the B last, and their samples int64 (2 B,).
    """
    starts = np.maximum(n_valid - SEGMENT, 0)
    samples = starts[:, None, None] + np.arange(SEGMENT)
    last = np.take_along_axis(signals, np.broadcast_to(samples, signals[..., :SEGMENT].shape), 2)
    segments = torch.from_numpy(np.concatenate([signals[..., :SEGMENT], last]))
    return segments, torch.from_numpy(np.minimum(n_valid, SEGMENT).astype(np.int64)).repeat(2)


def draw_spans(
    batch: int, length: int, share: float, span: int, generator: torch.Generator
) -> torch.Tensor:
    """Masks bool (batch, length) of spans that may overlap; each position is True with `share`.

    Every position begins a span with the same probability p, also the `span` - 1 positions before
    the first, so that  1 - (1 - p)^span = share  for all positions alike.
    """
    p = 1 - (1 - share) ** (1 / span)
    starts = torch.rand(batch, length + span - 1, generator=generator) < p
    return starts.unfold(1, span, 1).any(-1)


def draw_leads(batch: int, generator: torch.Generator) -> torch.Tensor:
    """Leads that are kept, bool (batch, 12): each with probability 0.5, and at least one."""
    draws = torch.rand(batch, len(LEADS), generator=generator)
    return (draws < 0.5) | (draws == draws.amin(1, keepdim=True))


class ProductQuantiser(nn.Module):
    """Chooses one codeword of each of two codebooks for a latent; wav2vec 2.0, section 2.

    Args:
        latent: numbers of a latent.
        codewords: of each codebook.
        dim: numbers of a quantised target; even.
    """

    def __init__(self, latent: int, codewords: int, dim: int):
        super().__init__()
        # Ours: where all latents are alike, as before training, they would all get the same codes.
        self.norm = nn.BatchNorm1d(latent, affine=False, track_running_stats=False)
        self.logits = nn.Linear(latent, CODEBOOKS * codewords)
        nn.init.normal_(self.logits.weight)  # as released: large, so noise decides few codes
        nn.init.zeros_(self.logits.bias)
        self.codebooks = nn.Parameter(torch.randn(CODEBOOKS, codewords, dim // CODEBOOKS))
        self.projection = nn.Linear(dim, dim)

    def forward(
        self, latents: torch.Tensor, softness: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantise with Gumbel noise.

        The forward pass uses one codeword of each codebook, and the backward pass the softmax.

        Args:
            latents: (B, T, latent).
            softness: temperature of the Gumbel softmax.

        Returns:
            Targets (B, T, dim), codes int64 (B, T, 2) and the probabilities (B, T, 2, codewords)
            without noise, of which `diversity_loss` takes the mean.
        """
        latents = self.norm(latents.transpose(1, 2)).transpose(1, 2)
        logits = self.logits(latents).unflatten(-1, (CODEBOOKS, -1))
        choice = gumbel_softmax(logits, softness, hard=True)
        chosen = torch.einsum("...gv,gvd->...gd", choice, self.codebooks).flatten(-2)
        return self.projection(chosen), choice.argmax(-1), logits.softmax(-1)


def masked_loss(
    predicted: torch.Tensor, target: torch.Tensor, masked: torch.Tensor, codes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Name the target of a masked position out of those of the same segment.

        L_m = -log( exp(cos(c_t, q_t) / k) / sum over q of exp(cos(c_t, q) / k) )

    q runs over the target of t and the distractors: the targets of all other masked positions of
    the segment but those with the codes of t, which are no wrong answer (wav2vec 2.0, equation 3;
    the paper draws 100 distractors, and the released code leaves out equal ones, too).

    Args:
        predicted, target: (B, T, d).
        masked: bool (B, T).
        codes: int64 (B, T, codebooks) of the targets.

    Returns the mean over the masked positions, and the share of them whose own target comes first.
    """
    logits = normalize(predicted, dim=-1) @ normalize(target, dim=-1).transpose(1, 2) / TEMPERATURE
    own = torch.eye(masked.shape[1], dtype=torch.bool, device=masked.device)
    equal = (codes[:, :, None] == codes[:, None]).all(-1)
    logits = logits.masked_fill(~own & (equal | ~masked[:, None]), -torch.inf)
    log_share = logits.log_softmax(-1).diagonal(dim1=1, dim2=2)
    right = (logits.argmax(-1) == torch.arange(masked.shape[1], device=masked.device)).float()
    count = masked.sum().clamp(min=1)
    return -(log_share * masked).sum() / count, (right * masked).sum() / count


def diversity_loss(probabilities: torch.Tensor) -> torch.Tensor:
    """Share of the codewords that is not used: 0 if all are equally frequent, near 1 for one alone.

    (G V - sum over codebooks of exp(H(mean probabilities))) / (G V), with G codebooks of V words.
    This is the released form of wav2vec 2.0's equation 4, which has -H instead.

    `probabilities`: (N, G, V).
    """
    mean = probabilities.mean(0)
    return 1 - perplexity(mean).sum() / mean.numel()


def perplexity(shares: torch.Tensor) -> torch.Tensor:
    """exp of the entropy of each row of shares (G, V), (G,): how many codewords are in use."""
    return (-(shares * (shares + 1e-7).log()).sum(-1)).exp()


def segment_loss(
    one: torch.Tensor, other: torch.Tensor, units: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrastive multi-segment coding: segments of one patient are alike, of two are not.

        L_ij = -log( exp(s_ij) / (exp(s_ij) + sum over k of other patients of exp(s_ik)) )

    with s the cosine over the temperature, one's segment i and other's segment j of one patient:
    the two halves of an ECG, and those of two ECGs of the patient (CLOCS, section 4.3). Ours: a
    segment of the same patient is never in the sum of the others. The codes of CLOCS and of
    fairseq-signals sum over all segments, so one positive counts against another there.

    Args:
        one, other: mean features (B, D) of the first and second segment of each ECG.
        units: patient of each ECG, int64 (B,).

    Returns:
        The mean over i, over its positives j and over both directions; and the share of the
        segments whose most similar segment is of the same patient.
    """
    cosine = cosine_similarity(one[:, None], other[None], dim=-1) / TEMPERATURE
    same = units[:, None] == units[None]
    losses, accuracies = [], []
    for scores in (cosine, cosine.T):
        negatives = scores.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
        pairs = torch.logaddexp(scores, negatives.expand_as(scores)) - scores
        losses.append(((pairs * same).sum(1) / same.sum(1)).mean())
        accuracies.append(same.gather(1, scores.argmax(1, keepdim=True)).float().mean())
    return torch.stack(losses).mean(), torch.stack(accuracies).mean()
