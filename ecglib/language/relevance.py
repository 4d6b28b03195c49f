"""On which ECG tokens an answer depends: attention, occlusion and deletion.

    attention   how much of the attention of the answer's first word falls on a token
    occlusion   by how much the answer gets less likely when a token is hidden
    deletion    whether the answer changes when the first tokens of an order are hidden
    words       how that attention is spread over the patient, the ECG and the question's words

Attention says where a model looks, and not whether it matters. Occlusion asks the model itself, and
the deletion compares orders by the same question. A hidden token has the mean vector of all tokens
of these ECGs.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.alignment import enter, first_answer_attention
from ecglib.language.packing import backbone
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, open_system, prompted
from ecglib.training import seeds
from ecglib.training.device import Machine

ORDERS = ("attention", "above_mean", "occlusion", "random")


def score(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `relevance.safetensors`, float32: `attention` and `occlusion` (N, T), NaN behind the
    last token of an ECG, and for each of `ORDERS` `kept_<order>` (N, K), whether the first word
    piece of the answer stays the same.

    The answer is the model's own. The occlusion is the loss of its first word piece's
    log-probability, in nats, spread over the tokens that were hidden together.

    Config:
        rows: record numbers.
        question: the same for all.
        layers: the attention is a mean over the heads of so many last layers.
        width: tokens that are hidden together in the occlusion.
        deleted: numbers of tokens that are deleted.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: a HeartLLM or an ECG-Byte.
        tokenizer (optional): read by ECG-Byte.
        codes: of the tokenizer.
    """
    system, words = _asked(inputs, config, machine)
    rows = config["rows"]
    with torch.no_grad(), machine.autocast():
        numbers = tqdm(range(len(rows)), desc="attention")
        shares = [first_answer_attention(system, i, words, config["layers"]) for i in numbers]
        shares = [share.float().cpu() for share in shares]  # (T,) of each ECG
        habit = _padded(shares).nanmean(0)
        parts = [enter(system, index, words) for index in range(len(rows))]
        neutral = torch.stack([x[0, tokens].mean(0) for x, tokens in parts]).mean(0)  # (d,)
        result: dict[str, list] = {"occlusion": []} | {f"kept_{order}": [] for order in ORDERS}
        for index, part in enumerate(tqdm(parts, desc="hide")):
            loss = occlusion(system, *part, neutral, config["width"])
            draw = seeds.generator(seed, "deletion", int(rows[index]))
            chance = torch.rand(len(loss), generator=draw)
            first = shares[index], shares[index] - habit[: len(loss)], loss, chance
            result["occlusion"].append(loss)
            for order, ranked in zip(ORDERS, first, strict=True):
                same = stays(system, *part, neutral, ranked, config["deleted"])
                result[f"kept_{order}"].append(same)
    result["attention"] = shares
    arrays = {name: _padded(of).numpy() for name, of in result.items()}
    save_file(arrays, out / "relevance.safetensors")


def spread(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `words.safetensors`, float32: `share` (N, 2 + W), how the attention of a question's
    last word piece, which decides the answer's first, is spread over the line about the patient
    (with a begin token), the ECG's tokens with their brackets, and each of the question's W word
    pieces. A row sums to 1. `positions` (N, 2) is how many the patient and the ECG have.
    `pieces.json` has the W word pieces.

    Config:
        rows: record numbers.
        question: the same for all.
        layers: the attention is a mean over the heads of so many last layers.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: a HeartLLM or an ECG-Byte.
        tokenizer (optional): read by ECG-Byte.
        codes: of the tokenizer.
    """
    system, words = _asked(inputs, config, machine)
    shares, positions = [], []
    with torch.no_grad(), machine.autocast():
        for index in tqdm(range(len(config["rows"])), desc="words"):
            x, tokens = enter(system, index, words)
            of = backbone(system.model)(inputs_embeds=x, use_cache=False, output_attentions=True)
            last = [weights[0, :, -1].float() for weights in of.attentions[-config["layers"] :]]
            mean = torch.stack(last).mean((0, 1)).cpu()  # (L,), which sums to 1
            ecg = slice(tokens.start - 1, tokens.stop + 1)
            parts = mean[: ecg.start].sum()[None], mean[ecg].sum()[None], mean[ecg.stop :]
            shares.append(torch.cat(parts))
            positions.append(torch.tensor([ecg.start, ecg.stop - ecg.start]))
    arrays = {"share": torch.stack(shares).numpy(), "positions": torch.stack(positions).numpy()}
    save_file(
        {name: of.astype(np.float32) for name, of in arrays.items()}, out / "words.safetensors"
    )
    decode = system.base.tokenizer.decode  # `Base.decode` takes blanks away
    pieces = [decode([word]).replace(" ", "·") for word in words]
    (out / "pieces.json").write_text(json.dumps(pieces), encoding="utf-8")


def _asked(inputs: dict[str, Path], config: dict, machine: Machine) -> tuple[System, list[int]]:
    """The system with these ECGs, and the word pieces of the question."""
    machine.configure_torch()
    rows, prompt = np.array(config["rows"]), Prompt.of(inputs["system"])
    system = open_system(inputs, machine, rows)
    system = prompted(system, prompt, Cohort.open(inputs["cohort"]).records.iloc[rows])
    system.base.model.set_attn_implementation("eager")  # fused kernels never form the weights
    return system, system.base.encode(prompt.question(config["question"]))


def _padded(parts: list[torch.Tensor]) -> torch.Tensor:
    """Numbers (T,) of each ECG in one float32 table (N, T), NaN behind the last."""
    return pad_sequence([part.float() for part in parts], True, torch.nan)


def hide(
    x: torch.Tensor, tokens: slice, masks: torch.Tensor, neutral: torch.Tensor
) -> torch.Tensor:
    """Copies of x (1, L, d) in which the tokens of each mask (B, T) are neutral: (B, L, d)."""
    copies = x.repeat(len(masks), 1, 1)
    inside = copies[:, tokens]
    copies[:, tokens] = torch.where(masks[..., None].to(x.device), neutral.to(x.dtype), inside)
    return copies


def first_words(system: System, x: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the word piece behind x (B, L, d): (B, words)."""
    last = backbone(system.model)(inputs_embeds=x, use_cache=False).last_hidden_state[:, -1]
    return system.model.get_output_embeddings()(last).float().log_softmax(-1).cpu()


def occlusion(
    system: System, x: torch.Tensor, tokens: slice, neutral: torch.Tensor, width: int
) -> torch.Tensor:
    """Loss of the log-probability of the answer's first word piece by hidden token: (T,)."""
    n = tokens.stop - tokens.start
    window = torch.arange(n) // width  # the number of each token's window
    masks = torch.arange(int(window[-1]) + 1)[:, None] == window  # (windows, T)
    masks = torch.cat([torch.zeros(1, n, dtype=torch.bool), masks])
    scores = first_words(system, hide(x, tokens, masks, neutral))
    own = int(scores[0].argmax())
    return ((scores[0, own] - scores[1:, own]) / masks[1:].sum(1))[window]


def stays(
    system: System,
    x: torch.Tensor,
    tokens: slice,
    neutral: torch.Tensor,
    order: torch.Tensor,
    deleted: list[int],
) -> torch.Tensor:
    """Whether the first word piece stays when the highest tokens of an order (T,) are hidden:
    bool (K,), for each number in `deleted`."""
    place = order.argsort(descending=True, stable=True).argsort()
    masks = place[None] < torch.tensor([0, *deleted])[:, None]
    pieces = first_words(system, hide(x, tokens, masks, neutral)).argmax(-1)
    return pieces[1:] == pieces[0]
