"""What a run would build and cost: parameters, steps, memory, disk and hours of every model.

The parts are those that the notebooks make (`arms`). Models are built on torch's meta device, which
knows shapes and holds no numbers. Operations and layer outputs are counted on one forward pass: for
a language model, on the prefix and the text of one ECG, whose tokens are scored in the text only.
An update costs twice the forward pass more for the gradients of activations and weights, or as much
again where the weights are frozen. Passes are over the training ECGs: many more than a training
needs show that the profile is for more ECGs. Disk is what remains after training. Hours are
operations over a sustained throughput that the profile states: `hardware.tflops` for language
models, `hardware.tflops_float32` for tokenizers and classifiers. All are estimates.
"""

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from math import nan
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from ecglib.classify import deep_ssl, train_classifier
from ecglib.classify.deep_ssl_network import ContrastiveNetwork
from ecglib.labels.label_set import LABELS
from ecglib.language.base import Base, add_lora
from ecglib.language.small_model import llama_config
from ecglib.language.system import Shapes
from ecglib.run import arms, releases, studies
from ecglib.run.assets import pin
from ecglib.run.same_parts import as_in_run, trains, twice
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers import plugin
from ecglib.tokenizers.amplitude_bins import LETTERS
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import QUANTISERS, make_autoencoder
from ecglib.tokenizers.strided_autoencoder import StridedAutoencoder
from ecglib.tokenizers.tokenizer_parts import autoencoder_of
from ecglib.training.part import Part

if TYPE_CHECKING:
    from ecglib.run.context import Run

ECGS_PER_PATIENT = 1.25  # of the simulator, and where no release states the number
TRAIN = 0.7  # of the ECGs
BYTE_PAIRS = 3060  # per ECG, with 3,500 merges
# Tokens on average, by SmolLM2's tokenizer: the patient, a report and a question, each with its
# prompt, the report and the answer with an end.
PATIENT, REPORT, QUESTION = 20, 29, 23
BYTES = {"auto": 2, "bfloat16": 2, "float32": 4}
TRAINED = 16  # bytes per trained parameter: float32 weight, gradient, two moments of AdamW
# The columns of an estimate: memory (of the largest moment) and disk are in bytes.
FORMATS = dict.fromkeys(("parameters", "trained", "steps"), "{:,}".format)
FORMATS |= {"passes": "{:,.1f}".format}
FORMATS |= {"memory": lambda n: f"{n / 1e9:.2f} GB", "disk": lambda n: f"{n / 1e9:.3f} GB"}
FORMATS |= {"hours": "{:.2f}".format}


def print_costs(run: "Run") -> None:
    """Print models and costs of a run, or of the systems that a study's YAML file lists."""
    name, title, number = studies.named(run.tag), f"profile {run.profile_name}", ecgs(run)
    if name and not any(part.stage == studies.STAGE for part in run.parts.values()):
        print(f"study {name} lists no systems; what its notebook trains by itself is not counted")
        return
    stage, listed = studies.STAGE if name else "", run.parts
    table = estimate(run.profile, number, stage)
    # A study's number `times` is how many times the updates of the run its systems have.
    times = run.profile.get(studies.STAGE, {}).get("times", 1)
    more = isinstance(times, int) and times > 1
    if more:
        table[["steps", "passes", "hours"]] *= times
    again = twice(listed, stage)
    of_run = as_in_run(listed) if name and not more else {}
    if name:
        title = f"study {name}, {title}: the systems that it lists"
    of_data = f"data plan {run.data_name}, at most {number:,} ECGs, {TRAIN:.0%} of them to train"
    hours = f"hours in all: {table['hours'].sum():.1f}"
    print(f"{title}; {of_data}", table.to_string(formatters=FORMATS, na_rep="-"), hours, sep="\n")
    if again:
        print(f"trained once, under the name in brackets: {_pairs(again)}")
    if of_run:
        text = "taken from the run, in brackets, where the notebook changes nothing of them"
        print(f"{text}: {_pairs(of_run)}")


def _pairs(names: dict[str, str]) -> str:
    return ", ".join(f"{name} ({of})" for name, of in names.items())


def ecgs(run: "Run") -> int:
    """How many ECGs the run may have: those of its plan's releases, in the profile's patients."""
    most, number, published = run.profile["cohort"]["patients"], 0.0, releases.pins()
    for cohort in run.plan["cohorts"].values():
        release = published.get(cohort.get("source"), {})
        patients = release.get("patients", most)
        per_patient = release["ecgs"] / patients if release else ECGS_PER_PATIENT
        number += min(most or patients, patients) * per_patient
    return round(number)


def estimate(profile: dict, ecgs: int = 0, stage: str = "") -> pd.DataFrame:
    """One row per trained model, one for the cohort and one for each base language model.

    Parts with the same cost per step (`Part.like`) share a row, which counts the steps of all. What
    has two names is trained, and counted, once (`twice`).
    `profile` is a whole profile, as notebooks/profiles/*.yaml; `ecgs` of the data, or 0 for as many
    as the simulator makes; `stage`: the trained models of one stage alone. Returns the columns
    FORMATS, indexed by the model's name.
    """
    ecgs = ecgs or int(profile["cohort"]["patients"] * ECGS_PER_PATIENT)
    store, listed = ecgs * len(LEADS) * SAMPLES * 2, arms.parts(profile)
    rows: dict = {}
    if not stage:
        rows["cohort"] = (0, 0, 0, nan, store / max(1, ecgs // 256), store, 0.0)
    again = twice(listed, stage)
    trained = {name: part for name, part in listed.items() if trains(part) and name not in again}
    for name, part in listed.items():
        if name.startswith("base_") and name not in trained and not stage:
            size = count(base_model(profile, name).parameters())
            number = size * BYTES[profile["hardware"]["dtype"]]
            rows[name] = (size, 0, 0, nan, number, number, 0.0)
        if name not in trained or part.like or stage not in ("", part.stage):
            continue  # nothing to train, counted with another part, or of another stage
        alike = [one for one in trained.values() if name in (one.name, one.like)]
        steps = sum(updates(one, round(TRAIN * ecgs)) for one in alike)
        parameters, new, memory, operations = price(part, listed, profile)
        rate = "tflops" if is_language_model(part) else "tflops_float32"
        operations_per_hour = profile["hardware"][rate] * 1e12 * 3600
        hours = operations * part.settings["batch"] * steps / operations_per_hour
        title = f"{part.stage}/{name}" + (f" and {len(alike) - 1} alike" if alike[1:] else "")
        once = passes(part, profile, round(TRAIN * ecgs))
        rows[title] = (parameters, new, steps, once, memory, 4 * new, hours)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(FORMATS))
    return frame.rename_axis("model", axis=1)


def is_language_model(part: Part) -> bool:
    """Whether a part trains a language model, in `hardware.dtype`; the others are in float32."""
    return part.shared or part.name.startswith("base_")


def updates(part: Part, ecgs: int) -> int:
    """Updates of a training; `ecgs`: of the training patients, for parts with epochs."""
    if "steps" in part.settings:
        return part.settings["steps"]
    return part.settings["epochs"] * -(-ecgs // part.settings["batch"])


def passes(part: Part, profile: dict, ecgs: int) -> float:
    """How often a training of `updates` sees each of its ECGs; NaN where it reads texts alone."""
    if part.name.startswith("base_"):
        return nan
    seen = updates(part, ecgs) * part.settings["batch"]
    if part.fn.endswith("train_quantiser.train_quantiser"):  # its batches are of vectors
        seen /= autoencoder(profile).positions
    return seen / max(1, ecgs)


def price(part: Part, listed: dict[str, Part], profile: dict) -> tuple[int, int, float, float]:
    """Parameters, those trained, memory, and operations per ECG, text (of a base) or latent."""
    with torch.device("meta"):
        if is_language_model(part):
            model, forward = language_model(part, profile)
            at_once, number = 1, BYTES[profile["hardware"]["dtype"]]
        else:
            model, inputs = small_network(part, listed, profile)
            at_once = len(inputs[0])
            forward, number = partial(model, *inputs), 8  # float32, each output with its gradient
    size, new = count(model.parameters()), count(p for p in model.parameters() if p.requires_grad)
    operations, outputs = (n / at_once for n in forward_pass(model, forward))
    ecgs_at_once = -(-part.settings["batch"] // part.settings.get("parts", 1))
    memory = TRAINED * new + number * (size - new + outputs * ecgs_at_once)
    return size, new, memory, (3 if 2 * new > size else 2) * operations


def language_model(part: Part, profile: dict) -> tuple[nn.Module, Callable]:
    """A base or a system with its prefix, and the base's pass over a prefix and its text."""
    sizes, prefix, text = part.settings, None, PATIENT + REPORT
    model = base_model(profile, part.inputs.get("base", part.name))
    if part.shared:
        prefix = prefix_of(part, profile)
        asked = min(sizes["questions_per_ecg"], profile["questions"]["per_ecg"])
        text = 0 if sizes.get("objective") == "next_token" else text + asked * QUESTION
        if sizes["adapt"] == "lora":
            model = add_lora(Base(model.requires_grad_(False), None), sizes, 0)
    length = text + (prefix.positions if prefix else 0)
    mask = torch.zeros(1, 1, length, length)  # one of another shape would be looked into
    embeddings = torch.zeros(1, length, model.config.hidden_size)
    scores = {"attention_mask": mask, "logits_to_keep": max(text, 1)}
    whole = nn.ModuleList([model, prefix] if prefix else [model])
    return whole, partial(model, inputs_embeds=embeddings, **scores)


def small_network(
    part: Part, listed: dict[str, Part], profile: dict
) -> tuple[nn.Module, list[torch.Tensor]]:
    """What any other training trains, and what it reads of one ECG; of latents, a whole batch."""
    fn, sizes = part.fn.removeprefix("ecglib."), part.settings
    signal, valid = torch.zeros(1, len(LEADS), SAMPLES), torch.full((1,), SAMPLES)
    if fn == "tokenizers.train.train_leadwise":
        return LeadwiseTokenizer(**sizes["model"]), [signal]
    if fn == "tokenizers.train_decoder.train_decoder":
        return autoencoder(profile), [signal]  # its encoder is counted too
    if fn == "tokenizers.train_quantiser.train_quantiser":
        start, dim = listed[part.inputs["start"]].settings, autoencoder(profile).dim
        shape = {"codewords": start["codewords"]}
        shape |= {} if sizes["method"] == "vq" else {"codebooks": start["codebooks"]}
        quantiser = QUANTISERS[sizes["method"]](dim, **shape, **sizes.get("networks", {}))
        return quantiser, [torch.zeros(sizes["batch"], dim)]  # QINCo adapts codewords once for all
    if fn.startswith("tokenizers.train."):
        encoder = make_autoencoder(sizes["autoencoder"])
        books = QUANTISERS[sizes["method"]](encoder.dim, **sizes["quantiser"])
        return LatentTokenizer(encoder, books), [signal]
    if fn == "classify.deep_ssl.pretrain":
        return ContrastiveNetwork(**{key: sizes[key] for key in deep_ssl.SIZES}), [signal, valid]
    if sizes.get("network") in train_classifier.OF_SIGNALS:
        return train_classifier.build(sizes, len(LABELS)), [signal, valid]
    if part.entry:  # a warm-up, of a system that has an adapter
        adapter = prefix_of(listed[part.entry], profile)
        return adapter, vectors(adapter.config["positions"], adapter.config["dim"])
    shape = autoencoder(profile)  # the others read latent vectors
    network = train_classifier.build(sizes, len(LABELS), shape.dim)
    return network, vectors(shape.positions, shape.dim)


def vectors(positions: int, dim: int) -> list[torch.Tensor]:
    """The vectors of one ECG (1, positions, dim), and how many of them are signal (1,)."""
    return [torch.zeros(1, positions, dim), torch.full((1,), positions)]


def autoencoder(profile: dict) -> Autoencoder | StridedAutoencoder:
    """The autoencoder of the latent tokenizers."""
    return make_autoencoder(autoencoder_of(profile))


def base_model(profile: dict, name: str) -> nn.Module:
    """A base language model, by the name of its part, on the meta device."""
    entry = dict(profile["bases"][name.removeprefix("base_")])
    if "asset" in entry:
        shape = pin(entry["asset"])["shape"]
    else:
        shape = {key: entry[key] for key in ("width", "feed_forward", "layers", "heads")}
        shape |= {"vocabulary": entry["pieces"], "key_value_heads": entry["heads"]}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(llama_config(**shape, eos=0))


def prefix_of(part: Part, profile: dict) -> nn.Module:
    """The prefix of a system, by its entry."""
    shapes, tokenizer = {}, part.settings.get("tokenizer")
    base = base_model(profile, part.inputs["base"]).config
    more = {"words": base.vocab_size}  # what `initialise` of a system adds to its settings
    if tokenizer == "fsq":
        leadwise = LeadwiseTokenizer(**profile["leadwise"]["model"])
        rate, more = leadwise.rate(), more | {"dim": leadwise.fsq.dim}
        shapes = {"positions": rate.tokens_per_ecg, "codewords": rate.vocabulary_size}
        shapes |= {"dim": leadwise.fsq.dims}  # of its grid, which an adapter reads
    elif tokenizer == "bpe":
        shapes = {"positions": BYTE_PAIRS, "codewords": LETTERS + profile["bpe"]["merges"]}
    elif tokenizer:
        latents = autoencoder(profile)
        shapes = {"positions": latents.positions, "dim": latents.dim}
    kind = part.settings["kind"]
    module = importlib.import_module(plugin.system_module(kind) or f"ecglib.language.{kind}")
    return module.Prefix.build(part.settings | more, Shapes(base.hidden_size, 1.0, **shapes))


def count(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers they hold."""
    return sum(parameter.numel() for parameter in parameters)


def forward_pass(model: nn.Module, forward: Callable) -> tuple[int, int]:
    """Operations of a forward pass, and how many numbers the layers put out."""
    outputs = 0

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal outputs
        is_layer = isinstance(output, torch.Tensor) and not list(module.children())
        if torch.is_grad_enabled() and is_layer:  # codes are searched for without a graph
            outputs += output.numel()

    model.requires_grad_(False)  # the counter asks for graphs that quantisers do not build
    handle = register_module_forward_hook(note)
    with FlopCounterMode(display=False) as counter:
        forward()
    handle.remove()
    return counter.get_total_flops(), outputs
