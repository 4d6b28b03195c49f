"""What a profile would build and cost: parameters, steps, memory, disk and hours of every model.

The parts are those that the notebooks make (`arms`). Models are built on torch's meta device, which
knows shapes and holds no numbers. Operations of the small models are counted on one forward pass.
Those of the language model are, per token,

    2 N forward + 2 N for the gradient of the activations + 2 N' for that of the weights

with N parameters of which N' are trained. The output layer is computed only where a token is
predicted. Disk is what remains after training. Hours are operations over `hardware.tflops`, a
sustained throughput that the profile states. All are estimates, good to a factor of about two.
"""

import importlib
import math

import pandas as pd
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from ecglib.classify import deep_sl, deep_ssl, frozen_head, raw_network
from ecglib.classify.deep_ssl_network import ContrastiveNetwork
from ecglib.classify.efficientnet import EfficientNetV2, LinearProbe
from ecglib.labels.label_set import LABELS
from ecglib.language.small_model import llama_config
from ecglib.language.system import Shapes
from ecglib.run import arms
from ecglib.run.assets import pin
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import QUANTISERS
from ecglib.training.part import Part

ECGS_PER_PATIENT = 1.25  # of the simulator
TRAIN = 0.7  # of the ECGs
REPORT, QUESTION = 32, 18  # tokens of a report and of a question with its answer, on average
BYTES = {"auto": 2, "bfloat16": 2, "float32": 4}
TRAINED = 16  # bytes per trained parameter: float32 weight, gradient, two moments of AdamW
# Bytes per token, layer and hidden unit that a half-precision transformer layer keeps for its
# backward pass (Korthikanti et al. 2022, without the attention matrix, which is never formed).
KEPT = 34
# The columns of an estimate: memory (of the largest moment) and disk are in bytes.
FORMATS = dict.fromkeys(("parameters", "trained", "steps"), "{:,}".format)
FORMATS |= {"memory": lambda n: f"{n / 1e9:.2f} GB", "disk": lambda n: f"{n / 1e9:.3f} GB"}
FORMATS |= {"hours": "{:.2f}".format}


def estimate(profile: dict) -> pd.DataFrame:
    """One row per trained model, one for the cohort and one for each base language model.

    Parts with the same cost per step (`Part.like`) share a row, which counts the steps of all.
    `profile` is a whole profile, as notebooks/profiles/*.yaml. Returns the columns FORMATS, indexed
    by the model's name.
    """
    ecgs = int(profile["cohort"]["patients"] * ECGS_PER_PATIENT)
    store, listed = ecgs * len(LEADS) * SAMPLES * 2, arms.parts(profile)
    rows: dict[str, tuple] = {
        "cohort (simulated)": (0, 0, 0, store / max(1, ecgs // 256), store, 0.0),
    }
    operations_per_hour = profile["hardware"]["tflops"] * 1e12 * 3600
    trained = {name: part for name, part in listed.items() if trains(part)}
    for name, part in listed.items():
        if name.startswith("base_") and name not in trained:
            size = count(base_model(profile, name))
            number = size * BYTES[profile["hardware"]["dtype"]]
            rows[name] = (size, 0, 0, number, number, 0.0)
        if name not in trained or part.like:
            continue  # nothing to train, or counted with another part
        alike = [one for one in trained.values() if name in (one.name, one.like)]
        steps = sum(updates(one, round(TRAIN * ecgs)) for one in alike)
        parameters, new, memory, operations = price(part, listed, profile)
        hours = operations * part.settings["batch"] * steps / operations_per_hour
        title = f"{part.stage}/{name}" + (f" and {len(alike) - 1} alike" if alike[1:] else "")
        rows[title] = (parameters, new, steps, memory, 4 * new, hours)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(FORMATS))
    return frame.rename_axis("model", axis=1)


def trains(part: Part) -> bool:
    """Whether a part has updates to count; an entry has them once, in its training."""
    has_updates = bool({"steps", "epochs"} & set(part.settings))
    return has_updates and not (part.shared and part.name != part.entry)


def updates(part: Part, ecgs: int) -> int:
    """Updates of a training; `ecgs`: of the training patients, for parts with epochs."""
    if "steps" in part.settings:
        return part.settings["steps"]
    return part.settings["epochs"] * -(-ecgs // part.settings["batch"])


def price(part: Part, listed: dict[str, Part], profile: dict) -> tuple[int, int, float, float]:
    """Parameters, those trained, memory, and operations per ECG (of a base: per text)."""
    if part.name.startswith("base_"):
        return _price_language(part, base_model(profile, part.name), None, (0, 1, 0), profile)
    if part.shared:
        prefix, base = prefix_of(part, listed, profile), base_model(profile, part.inputs["base"])
        answers = part.settings.get("objective") != "next_token"
        asked = min(part.settings["questions_per_ecg"], profile["questions"]["per_ecg"])
        tokens = (prefix.positions, int(answers), asked * answers)
        return _price_language(part, base, prefix, tokens, profile)
    if part.name.endswith("_warm_up"):
        owner = listed[part.entry]
        network = prefix_of(owner, listed, profile)
        return _price_small(network, latent_inputs(profile), part.settings["batch"])
    inputs = [torch.zeros(1, len(LEADS), SAMPLES)]
    if "codes" in part.inputs:
        inputs = latent_inputs(profile)
    elif "epochs" in part.settings:  # the network on the raw signal reads the valid lengths too
        inputs.append(torch.full((1,), SAMPLES))
    with torch.device("meta"):
        network = small_network(part, profile)
    return _price_small(network, inputs, part.settings["batch"])


def small_network(part: Part, profile: dict) -> nn.Module:
    """What a training of a tokenizer or a classifier trains."""
    fn, sizes = part.fn.removeprefix("ecglib."), part.settings
    if fn == "tokenizers.train.train_leadwise":
        return LeadwiseTokenizer(**sizes["model"])
    if fn.startswith("tokenizers.train."):
        books = profile["tokenizer"]["quantisers"]
        books = books | {"qinco": books["rvq"] | books["qinco"]}
        own, method = sizes.get("autoencoder"), sizes["method"]
        if part.name.startswith("vq_fine"):
            own = profile["classify"]["vq_fine"]
        encoder = Autoencoder(**own) if own else autoencoder(profile)
        return LatentTokenizer(encoder, QUANTISERS[method](encoder.widths[-1], **books[method]))
    if fn == "classify.frozen_head.train":
        dim = autoencoder(profile).widths[-1]
        if sizes["network"] == "linear":
            return LinearProbe(dim, len(LABELS))
        return EfficientNetV2(dim, len(LABELS), **{k: sizes[k] for k in frozen_head.SIZES})
    if fn == "classify.deep_ssl.pretrain":
        return ContrastiveNetwork(**{key: sizes[key] for key in deep_ssl.SIZES})
    if fn == "classify.deep_sl.train":
        return deep_sl.build(sizes, len(LABELS))
    return raw_network.RawNetwork(len(LABELS), **{key: sizes[key] for key in raw_network.SIZES})


def autoencoder(profile: dict) -> Autoencoder:
    """The autoencoder of the latent tokenizers."""
    return Autoencoder(**profile["tokenizer"]["train_jointly"]["autoencoder"])


def latent_inputs(profile: dict) -> list[torch.Tensor]:
    """Latent vectors of one ECG and their valid length."""
    with torch.device("meta"):
        latents = autoencoder(profile)
        length = torch.full((1,), latents.positions)
        return [torch.zeros(1, latents.positions, latents.widths[-1]), length]


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


def prefix_of(part: Part, listed: dict[str, Part], profile: dict) -> nn.Module:
    """The prefix of a system, by its entry, on the meta device."""
    with torch.device("meta"):
        shapes, tokenizer = {}, part.settings.get("tokenizer")
        if tokenizer == "fsq":
            lead = profile["leadwise"]["model"]
            shapes["positions"] = -(-SAMPLES // math.prod(lead["strides"]))
            shapes["codewords"] = lead["levels"] ** lead["dims"]
        elif tokenizer:
            latents = autoencoder(profile)
            shapes = {"positions": latents.positions, "dim": latents.widths[-1]}
        width = base_model(profile, part.inputs["base"]).config.hidden_size
        module = importlib.import_module(f"ecglib.language.{part.settings['kind']}")
        return module.Prefix.build(part.settings, Shapes(width, 1.0, **shapes))


def _price_small(
    model: nn.Module, inputs: list[torch.Tensor], batch: int
) -> tuple[int, int, float, float]:
    operations, kept = _forward_pass(model, [part.to("meta") for part in inputs])
    size = count(model)
    # AdamW's state, and the activations twice: kept, and their gradients
    return size, size, TRAINED * size + 2 * kept * batch, 3 * operations


def _price_language(
    part: Part, base: nn.Module, prefix: nn.Module | None, tokens: tuple, profile: dict
) -> tuple[int, int, float, float]:
    """The same of a part that trains a language model or its LoRA. `tokens`: positions of the
    prefix, reports and questions per ECG."""
    size, config, sizes = count(base), base.config, part.settings
    whole = sizes.get("adapt", "full") == "full"
    trained = size if whole else _lora_size(base, sizes)
    trained += count(prefix) if prefix else 0
    positions, reports, questions = tokens
    text = reports * REPORT + questions * QUESTION
    output = config.vocab_size * config.hidden_size  # the matrix that embeds and scores
    number = BYTES[profile["hardware"]["dtype"]]
    ecgs_at_once = -(-sizes["batch"] // sizes.get("parts", 1))
    kept = KEPT * number // 2 * config.num_hidden_layers * config.hidden_size * (positions + text)
    logits = 3 * 4 * config.vocab_size * text  # scores, their float32 copy and its gradient
    memory = size * number + TRAINED * trained + ecgs_at_once * (kept + logits)
    # a LoRA also runs forward and passes a gradient on; the trained base is counted already
    own = 2 * (trained - output) if whole else 6 * trained
    scored = (6 if whole else 4) * output * text
    operations = (4 * (size - output) + own) * (positions + text) + scored
    return size + (0 if whole else trained), trained, memory, operations


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def _forward_pass(model: nn.Module, inputs: list[torch.Tensor]) -> tuple[int, int]:
    """Operations of a forward pass, and bytes of all layer outputs."""
    kept = 0

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal kept
        is_layer = isinstance(output, torch.Tensor) and not list(module.children())
        if torch.is_grad_enabled() and is_layer:  # codes are searched for without a graph
            kept += 4 * output.numel()

    model.requires_grad_(False)  # the counter asks for graphs that quantisers do not build
    handle = register_module_forward_hook(note)
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    handle.remove()
    return counter.get_total_flops(), kept


def _lora_size(base: nn.Module, lora: dict) -> int:
    """Parameters of a LoRA: rank x (in + out) of every linear layer it is put on."""
    return sum(
        lora["rank"] * (module.in_features + module.out_features)
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in lora["targets"]
    )
