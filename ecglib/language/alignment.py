"""Where ECG tokens and words are in the model's space, and what an answer attends to.

    embed    matched ECGs and reports, mean-pooled at two levels: the input of the model and its
             last layer
    attend   attention from the position that writes the first word of an answer to the ECG tokens

ECG and report pass through the model separately. In one sequence the report's states could copy
the ECG's through attention, and any model would look aligned.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.base import Base
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.packing import backbone
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, open_system, prompted
from ecglib.training.device import Machine

LEVELS = ("input", "hidden")


def embed(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `embeddings.safetensors`, float32 (N, d) of unit length: `ecg_input`, `text_input`,
    `ecg_hidden` and `text_hidden`.

    Config:
        rows: record numbers.
        batch: ECGs at a time.

    Inputs:
        cohort: the cohort.
        base: the language model.
        system: the system.
        codes (optional): of the tokenizer, read by systems of tokens.
        tokenizer (optional): read by ECG-Byte.
    """
    machine.configure_torch()
    rows, size = config["rows"], config["batch"]
    system = open_system(inputs, machine, np.array(rows))
    model, reports = system.model.eval(), Cohort.open(inputs["cohort"]).records["report"].to_numpy()
    parts: list[list[np.ndarray]] = []
    for start in tqdm(range(0, len(rows), size), desc="embed"):
        part = slice(start, start + size)
        texts = [str(reports[row]) for row in rows[part]]
        with torch.no_grad(), machine.autocast():
            of_ecgs = ecg_levels(system, model, part)
            of_texts = text_levels(system.base, model, texts)
        parts.append([cloud.float().cpu().numpy() for cloud in (*of_ecgs, *of_texts)])
    names = [f"{modality}_{at}" for modality in ("ecg", "text") for at in LEVELS]
    embeddings = map(np.concatenate, zip(*parts, strict=True))
    save_file(dict(zip(names, embeddings, strict=True)), out / "embeddings.safetensors")


def attend(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `attention.npy`, float32 (N, T): the share of each ECG token in the attention that
    falls on ECG tokens, at the position that writes the first word of the answer.

    Config:
        rows: record numbers.
        question: the same for all.
        layers: the mean is over the heads of so many last layers, of all where there are fewer.

    Inputs: cohort, codes (of the tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    rows, prompt = np.array(config["rows"]), Prompt.of(inputs["system"])
    system = open_system(inputs, machine, rows)
    system = prompted(system, prompt, Cohort.open(inputs["cohort"]).records.iloc[rows])
    system.base.model.set_attn_implementation("eager")  # fused kernels never form the weights
    words = system.base.encode(prompt.question(config["question"]))
    shares = []
    for index in tqdm(range(len(rows)), desc="attend"):
        with torch.no_grad(), machine.autocast():
            shares.append(first_answer_attention(system, index, words, config["layers"]))
    np.save(out / "attention.npy", torch.stack(shares).cpu().numpy())


def pool(x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over the valid positions, scaled to length 1: x (B, L, d), valid (B, L) -> (B, d)."""
    mean = (x.float() * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
    return nn.functional.normalize(mean, dim=-1)


def ecg_levels(system: System, model: nn.Module, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """`levels` of some ECGs of a system: twice (B, d).

    The means are over the positions that stand for a part of the ECG: of tokens those between the
    brackets, of other vectors those behind the first `front`. An end token comes before the latter,
    as before texts.
    """
    if isinstance(system.prefix, EcgTokenEmbedding):
        codes = system.ecgs[0][part]
        valid = (codes >= 0).to(system.base.model.device)  # -1 is padding
        return levels(model, system.ecg_prefix(part)[0].to(model.dtype), valid)
    ecg, lengths = system.ecg_prefix(part)
    edge = torch.full((len(ecg), 1), system.base.eos, device=ecg.device)
    edge = model.get_input_embeddings()(edge).to(model.dtype)
    front = system.prefix.front
    count = ecg.shape[1] - front
    valid = torch.arange(count, device=ecg.device) < (lengths - front)[:, None]
    return levels(model, torch.cat([edge, ecg.to(model.dtype)], 1), valid, 1 + front)


def levels(
    model: nn.Module, entering: torch.Tensor, valid: torch.Tensor, first: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled input and last-layer embeddings: twice (B, d).

    `entering`: (B, L, d); what stands before position `first` is not part of the means. `valid`:
    (B, n) which of the n positions from there on are, n < L; for an ECG all between its brackets.
    """
    hidden = backbone(model)(inputs_embeds=entering, use_cache=False).last_hidden_state
    inside = slice(first, first + valid.shape[1])
    return pool(entering[:, inside], valid), pool(hidden[:, inside], valid)


def text_levels(
    base: Base, model: nn.Module, texts: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """`levels` of texts: B texts -> twice (B, d).

    An end token comes first, because language models direct spare attention to it. It is not part
    of the means, and neither is <start_ecg>, its counterpart. Raises ValueError: a text is empty.
    """
    tokens = [base.encode(" " + text) for text in texts]
    if not all(tokens) or not all(text.strip() for text in texts):
        raise ValueError("expected reports with words, got an empty one; leave it out of `rows`")
    # the padding is behind the text, where a causal model does not attend to it
    rows = [torch.tensor([base.eos, *words]) for words in tokens]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=base.eos)
    valid = torch.arange(ids.shape[1] - 1) < torch.tensor([[len(words)] for words in tokens])
    device = base.model.device
    return levels(model, model.get_input_embeddings()(ids.to(device)), valid.to(device))


def enter(system: System, index: int, words: list[int]) -> tuple[torch.Tensor, slice]:
    """What enters the model for one ECG and a question (1, L, d), and where its tokens are."""
    model = system.model.eval()
    question = torch.tensor([words], device=system.base.model.device)
    question = model.get_input_embeddings()(question)
    prefix, (length,) = system.ecg_prefix([index])  # patient, <start_ecg>, T, <end_ecg>
    tokens = slice(len(system.lines[index] if system.lines else ()) + 1, int(length) - 1)
    return torch.cat([prefix[:, :length].to(question.dtype), question], 1), tokens


def first_answer_attention(
    system: System, index: int, words: list[int], layers: int
) -> torch.Tensor:
    """Attention from the last of some words to the T tokens of one ECG of the system: (T,).

    `system`: with eager attention; `layers`: as in `attend`. Raises ValueError: `layers` is not
    positive.
    """
    if layers < 1:
        raise ValueError(f"expected at least 1 of the last layers, got {layers}")
    x, tokens = enter(system, index, words)
    forward = backbone(system.model)
    weights = forward(inputs_embeds=x, use_cache=False, output_attentions=True).attentions
    mean = torch.stack([w[0, :, -1, tokens].float() for w in weights[-layers:]]).mean((0, 1))
    return mean / mean.sum()
