"""DeepSSL: features of ECGs that are learned without labels.

ECG-Tok, Fig. 2, compares its tokens with a network of wav2vec 2.0, contrastive multi-segment coding
and random lead masking (Oh et al., Conference on Health, Inference, and Learning 2022; the release
uses fairseq-signals). This is a small network of that kind. It is trained on the two 5-s segments
of each ECG, and a head is trained later on its frozen features of the whole 10 s.

Features that the authors' own weights gave take the place of ours where a folder holds them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn
from tqdm import tqdm

from ecglib.classify import deep_ssl_losses as losses
from ecglib.classify.deep_ssl_network import HOP, ContrastiveNetwork, positions
from ecglib.classify.train_classifier import write_budget
from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.contract import save_model
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

CHUNK = 128  # ECGs whose features are computed at a time
TARGET = 64  # numbers of a quantised target
SOFTNESS = (2.0, 0.5)  # first and last temperature of the Gumbel softmax
DIVERSITY_WEIGHT = 0.1  # wav2vec 2.0, section 4.2
WEIGHT_DECAY = 0.01
SIZES = ("widths", "width", "layers", "heads")
PARTS = ("masked_loss", "masked_accuracy", "diversity_loss", "code_perplexity")
PARTS += ("segment_loss", "segment_accuracy")


class Pretraining(nn.Module):
    """The network with what only its pretraining needs; `parts` (steps, 6) grows as it trains.

    Args:
        sizes: arguments of `ContrastiveNetwork`.
        codewords: of each of the two codebooks of the targets.
        mask_share: expected share of the positions that are masked.
        mask_span: positions of a masked span.
        steps: updates.
    """

    def __init__(self, sizes: dict, codewords: int, mask_share: float, mask_span: int, steps: int):
        super().__init__()
        self.network = ContrastiveNetwork(**sizes)
        self.quantiser = losses.ProductQuantiser(sizes["widths"][-1], codewords, TARGET)
        self.prediction = nn.Linear(sizes["width"], TARGET)
        self.mask_share, self.mask_span, self.steps = mask_share, mask_span, steps
        # A buffer is part of every checkpoint, so a resumed training keeps the whole history.
        self.register_buffer("parts", torch.zeros(steps, len(PARTS)))

    def loss(
        self,
        segments: torch.Tensor,
        n_valid: torch.Tensor,
        units: torch.Tensor,
        step: int,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Masked contrast + 0.1 diversity + contrast of segments; its parts go into `parts[step]`.

        Args:
            segments: (2 B, 12, 1250) in mV, the B first segments before the B second.
            n_valid: samples of each segment, int64 (2 B,).
            units: patient of each ECG, int64 (B,).
            step: of the training.
            generator: draws the masks, on the CPU.
        """
        keep = losses.draw_leads(len(segments), generator).to(segments.device)
        valid = positions(n_valid)
        longest = int(positions(torch.tensor(segments.shape[2])))
        spans = (self.mask_share, self.mask_span, generator)
        masked = losses.draw_spans(len(segments), longest, *spans).to(segments.device)
        masked = masked & (torch.arange(longest, device=segments.device) < valid[:, None])
        latents, context = self.network(segments * keep[..., None], n_valid, masked)
        first, last = SOFTNESS
        softness = first * (last / first) ** (step / self.steps)
        targets, codes, probabilities = self.quantiser(latents, softness)
        contrast = losses.masked_loss(self.prediction(context), targets, masked, codes)
        diversity = losses.diversity_loss(probabilities[masked])
        pooled = context.sum(1) / valid[:, None]
        pairs = losses.segment_loss(*pooled.chunk(2), units)
        used = nn.functional.one_hot(codes[masked], probabilities.shape[-1]).float().mean(0)
        used = losses.perplexity(used).mean()
        with torch.no_grad():
            self.parts[step] = torch.stack([*contrast, diversity, used, *pairs])
        return contrast[0] + DIVERSITY_WEIGHT * diversity + pairs[0]


def pretrain(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: train the network on the ECGs of the role tokenizer_train, without their labels.

    Writes model.safetensors and config.json of the network, history.csv (loss, its parts, how often
    each contrast is right, and the perplexity of the codes; a step's numbers are of its batch) and
    budget.csv (parameters of the network, operations of a forward pass of one ECG, and views).

    Inputs: cohort (its role tokenizer_train).

    Config:
        widths: channels of the three convolutions of the encoder.
        width: of the transformer, and numbers of a feature vector.
        layers: of the transformer.
        heads: of its attention.
        codewords: of each of the two codebooks of the masked targets.
        mask_share: share of the positions that is masked.
        mask_span: positions of a masked span.
        epochs: how often each training ECG is seen.
        batch: ECGs per update, two segments each.
        learning_rate: peak of the schedule.
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "deep_ssl"))
    cohort = Cohort.open(inputs["cohort"])
    order = seeds.sub_seed(seed, "deep_ssl", "order")
    loader = Loader(cohort, cohort.rows("tokenizer_train"), config["batch"], order)
    units = cohort.records["unit"].to_numpy(dtype=np.int64)
    steps = config["epochs"] * len(loader)
    options = {key: config[key] for key in ("codewords", "mask_share", "mask_span")}
    model = Pretraining({key: config[key] for key in SIZES}, **options, steps=steps)
    model.to(machine.device).train()

    def loss(batch: Batch, step: int) -> torch.Tensor:
        segments = losses.two_segments(batch.signals, batch.mask.sum(1))
        arrays = [*segments, torch.tensor(units[batch.rows])]
        generator = seeds.generator(seed, "deep_ssl", "masks", step)
        return model.loss(*(array.to(machine.device) for array in arrays), step, generator)

    def loss_at(step: int) -> list:
        return [lambda: loss(loader.at(step), step)]

    schedule = Schedule(steps, warmup=min(100, steps // 5), weight_decay=WEIGHT_DECAY)
    rates = {"deep_ssl": config["learning_rate"]}
    total = fit(loss_at, {"deep_ssl": model}, rates, schedule, seed, out, "deep_ssl")
    history = pd.DataFrame(model.parts.cpu().numpy(), columns=list(PARTS))
    history.insert(0, "loss", total)
    history.rename_axis("step").to_csv(out / "history.csv")
    network = model.network.cpu().eval()
    ecg = (torch.zeros(1, len(LEADS), SAMPLES), torch.tensor([SAMPLES]))
    counts = {"epochs": config["epochs"], "ecg_views": config["epochs"] * len(loader.rows)}
    write_budget(out, network, ecg, **counts, labelled_ecgs=0)
    save_model(network.state_dict(), network.config(), out)


def load_network(folder: Path) -> ContrastiveNetwork:
    """The network that `pretrain` saved in `folder`, in evaluation mode, on the CPU."""
    network = ContrastiveNetwork(**json.loads((folder / "config.json").read_text()))
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()


def features(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: features of every record of the cohort, with all leads and nothing masked.

    Writes features.npy, float16 (N, T, D), zero behind the end of a recording, and lengths.npy,
    int64 (N,), the valid positions of each record.

    `model` is a folder of `pretrain`. `authors` is a folder with the two files above, computed
    elsewhere with the authors' weights, in the order of the cohort's records. One of them is given.

    Inputs: cohort, model (optional), authors (optional).

    Raises:
        ValueError: not one of model and authors, or the authors' arrays do not fit the cohort.
        FileNotFoundError: one of the authors' files is missing.
    """
    if ("model" in inputs) == ("authors" in inputs):
        raise ValueError(f"expected the input model or authors, got {sorted(inputs)}; give one")
    cohort = Cohort.open(inputs["cohort"])
    if "authors" in inputs:
        vectors, lengths = read_authors(inputs["authors"], len(cohort))
        np.save(out / "features.npy", vectors)
        np.save(out / "lengths.npy", lengths)
        return
    machine.configure_torch()
    network, rows = load_network(inputs["model"]).to(machine.device), cohort.rows()
    lengths = positions(torch.tensor(cohort.records["n_valid"].to_numpy(), dtype=torch.int64))
    np.save(out / "lengths.npy", lengths.numpy())
    shape = (len(rows), -(-SAMPLES // HOP), network.config()["width"])
    vectors = np.lib.format.open_memmap(out / "features.npy", "w+", np.float16, shape)
    for chunk in tqdm(np.split(rows, range(CHUNK, len(rows), CHUNK)), desc="features"):
        vectors[chunk] = compute_features(network, cohort, chunk, machine.device)
    vectors.flush()


@torch.no_grad()
def compute_features(
    network: ContrastiveNetwork, cohort: Cohort, rows: np.ndarray, device: str
) -> np.ndarray:
    """Features float16 (len(rows), 79, D) of the given records, by a network on that device."""
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    x, lengths = (torch.tensor(array).to(device) for array in (cohort.signals(rows), n_valid))
    return network(x, lengths)[1].cpu().numpy().astype(np.float16)


def read_authors(folder: Path, records: int) -> tuple[np.ndarray, np.ndarray]:
    """Features float16 (records, T, D) and lengths int64 (records,) that somebody else computed."""
    paths = [folder / "features.npy", folder / "lengths.npy"]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; export it with the authors' weights")
    vectors, lengths = (np.load(path, allow_pickle=False) for path in paths)
    if vectors.ndim != 3 or len(vectors) != records or lengths.shape != (records,):
        raise ValueError(
            f"{folder}: expected features ({records}, T, D) and lengths ({records},), got "
            f"{vectors.shape} and {lengths.shape}; export them for the records of this cohort"
        )
    if lengths.dtype.kind != "i" or lengths.min() < 1 or lengths.max() > vectors.shape[1]:
        raise ValueError(
            f"{paths[1]}: expected integers from 1 to {vectors.shape[1]}, got {lengths.dtype} from "
            f"{lengths.min()} to {lengths.max()}; count the valid positions of each record"
        )
    vectors = vectors.astype(np.float16)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{paths[0]}: expected finite float16 numbers, got others; scale them")
    return vectors, lengths.astype(np.int64)
