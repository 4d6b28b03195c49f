"""What a report's words look at while they are written, and how much they depend on the ECG.

    attention    how the attention of the position that writes a word piece is spread over the line
                 about the patient, the ECG, the prompt, and the report so far
    dependence   log of how many times more likely the piece is behind this ECG than, on average,
                 behind ECGs of other patients of the hospital, in nats. The patient's line, the
                 prompt and the report so far stay as they are
    received     the released view (ECG-Byte, `runners/interpret.py`): what a piece gets from the
                 positions of its own block, prompt or report, over all layers and heads. Zeros of
                 the causal mask count, so early pieces are favoured

The report is the model's own. A piece that grammar alone decides depends on nothing.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.alignment import enter
from ecglib.language.packing import backbone
from ecglib.language.prompt import Prompt
from ecglib.language.system import System, open_system, prompted
from ecglib.language.write_texts import generate
from ecglib.training import seeds
from ecglib.training.device import Machine

PROMPT, REPORT, END = "prompt", "report", "end"  # blocks
SHARES = ("patient", "ecg", "prompt", "report")  # what attention goes to


def measure(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `words.parquet`, a row per word piece of the prompt and of the report of each ECG.

    Columns: row (the record), block, number (within prompt or report), text, received; of a report
    also the shares `to_patient`, `to_ecg`, `to_prompt` and `to_report` of the attention of the
    position that writes the piece, which sum to 1, `even` (the ECG's share of all positions),
    `log_p` of the piece in nats, and `dependence` in nats. The end mark is a block of its own; a
    report that was cut off has none.

    Config:
        rows: record numbers, of two patients or more.
        max_new: word pieces of a report at most.
        layers: the shares are a mean over the heads of so many last layers.
        others: ECGs of other patients, whose mean probability the dependence has.

    Inputs:
        cohort: the cohort.
        base: the prepared language model.
        system: the trained system.
        tokenizer (optional): read by ECG-Byte and ECG-Tok.
        codes: of the tokenizer.
    """
    machine.configure_torch()
    rows, prompt = np.array(config["rows"]), Prompt.of(inputs["system"])
    records = Cohort.open(inputs["cohort"]).records.iloc[rows]
    system = prompted(open_system(inputs, machine, rows), prompt, records)
    asked = [system.base.encode(prompt.report(site)) for site in records["site"]]
    strangers = draw_others(records, config["others"], seed)
    with torch.no_grad(), machine.autocast():
        numbers = tqdm(range(len(rows)), desc="write")
        written = [own_report(system, i, asked[i], config["max_new"]) for i in numbers]
        system.base.model.set_attn_implementation("eager")  # fused kernels never form the weights
        tables = []
        for i in tqdm(range(len(rows)), desc="words"):
            table = of_report(system, i, asked[i], written[i], strangers[i], config["layers"])
            tables.append(table.assign(row=rows[i]))
    pd.concat(tables, ignore_index=True).to_parquet(out / "words.parquet", index=False)


def draw_others(records: pd.DataFrame, count: int, seed: int) -> list[np.ndarray]:
    """For each of N ECGs the places of `count` ECGs of other patients of its site, or of all there
    are. A site without another patient takes any.

    `records`: N rows with columns unit and site. Raises ValueError: all are of one patient.
    """
    units, sites = records["unit"].to_numpy(), records["site"].to_numpy()
    if len(set(units)) < 2:
        raise ValueError("expected ECGs of two patients or more, got one; choose more `rows`")
    draw, places = seeds.generator(seed, "other patients"), []
    for unit, site in zip(units, sites, strict=True):
        near = np.flatnonzero((units != unit) & (sites == site))
        others = near if len(near) else np.flatnonzero(units != unit)
        places.append(others[torch.randperm(len(others), generator=draw)[:count].numpy()])
    return places


def own_report(system: System, index: int, asked: list[int], most: int) -> list[int]:
    """What the system writes about an ECG, with the end token unless it is cut off."""
    prefix = system.ecg_prefix([index])
    eos = system.base.eos
    ((pieces, why),) = generate(system.model, *prefix, [[asked]], eos, most)[0]
    return [*pieces, eos] if why == "eos" else pieces


def behind(system: System, about: int, ecg: int, words: list[int]) -> tuple[torch.Tensor, slice]:
    """What enters the model for words about one patient behind the ECG of another (1, L, d), and
    where that ECG is, brackets included."""
    (own, place), (other, of_other) = (enter(system, index, words) for index in (about, ecg))
    start, length = place.start - 1, of_other.stop - of_other.start + 2
    x = torch.cat([own[:, :start], other[:, of_other.start - 1 :]], 1)
    return x, slice(start, start + length)


def log_probabilities(system: System, hidden: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """Of the last pieces of a sequence, whose end is not read: hidden (L, d) -> (n,) nats.

    In float32 also where the model runs in bfloat16, which rounds scores by some hundredths."""
    writes = hidden[len(hidden) - len(pieces) :].float()
    with torch.autocast(hidden.device.type, enabled=False):
        scores = writes @ system.model.get_output_embeddings().weight.float().T
    return scores.log_softmax(-1)[torch.arange(len(pieces)), torch.tensor(pieces)].cpu()


def of_report(
    system: System, index: int, asked: list[int], pieces: list[int], others: np.ndarray, layers: int
) -> pd.DataFrame:
    """The rows of `measure` of one ECG: `asked` and `pieces` are word pieces, `others` places."""
    read = [*asked, *pieces[:-1]]  # the last piece is written and not read
    n, core = len(pieces), backbone(system.model)
    x, ecg = behind(system, index, index, read)
    of = core(inputs_embeds=x, use_cache=False, output_attentions=True)
    own = log_probabilities(system, of.last_hidden_state[0], pieces)
    without = []
    for other in others:
        swapped, _ = behind(system, index, other, read)
        hidden = core(inputs_embeds=swapped, use_cache=False).last_hidden_state[0]
        without.append(log_probabilities(system, hidden, pieces))
    last = torch.stack([weights[0].float() for weights in of.attentions[-layers:]])
    spread = last.mean((0, 1))[-n:].cpu()  # (n, L), of the positions that write
    spread = spread / spread.sum(1, keepdim=True)  # 1 already, but for bfloat16
    ends = [ecg.start, ecg.stop - ecg.start, len(asked), n - 1]
    shares = [part.sum(1).numpy() for part in spread.split(ends, 1)]
    everything = torch.stack([weights[0].float().mean(0) for weights in of.attentions]).mean(0)
    _, _, prompt, report = (
        everything[place, place].mean(0).cpu().numpy()
        for place in map(slice, np.cumsum([0, *ends[:-1]]), np.cumsum(ends))
    )
    visible = np.arange(x.shape[1] - n, x.shape[1]) + 1
    frame = pd.DataFrame({f"to_{name}": of for name, of in zip(SHARES, shares, strict=True)})
    frame["even"] = ends[1] / visible
    elsewhere = torch.stack(without).logsumexp(0) - np.log(len(without))  # log of the mean
    frame["log_p"], frame["dependence"] = own.numpy(), (own - elsewhere).numpy()
    frame["received"] = np.append(report, np.nan)
    is_end = [piece == system.base.eos for piece in pieces]
    frame["block"] = np.where(is_end, END, REPORT)
    frame.insert(0, "text", texts(system, pieces))
    head = pd.DataFrame({"text": texts(system, asked), "received": prompt, "block": PROMPT})
    parts = [part.assign(number=np.arange(len(part))) for part in (head, frame)]
    return pd.concat(parts, ignore_index=True)


def texts(system: System, pieces: list[int]) -> list[str]:
    """Each word piece as text, with its blanks (which `Base.decode` takes away)."""
    return [system.base.tokenizer.decode([piece]) for piece in pieces]
