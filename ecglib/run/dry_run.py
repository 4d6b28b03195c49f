"""What a profile would build and cost: parameters, steps, memory, disk and hours of every model.

Models are built on torch's meta device, which knows shapes and holds no numbers. Operations of the
small models are counted on one forward pass; for the language model they are

    2 N forward + 2 N for the gradient of the activations + 2 N' for that of the weights

a token, with N parameters of which N' are trained; the output layer is computed only where a token
is predicted. Disk is what stays after training. Hours are operations over `hardware.tflops`, a
sustained throughput that the profile states. All are estimates, good to a factor of two or so.
"""

import math

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecglib.classify.probe import Probe
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import LABELS
from ecglib.language.ecg_embedding import EcgTokenEmbedding
from ecglib.language.ecg_tok import Adapter
from ecglib.run import bases
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

ECGS_PER_PATIENT = 1.25  # of the simulator
REPORT, QUESTION = 32, 18  # tokens of a report and of a question with its answer, on average
BYTES = {"auto": 2, "bfloat16": 2, "float32": 4}
TRAINED = 16  # bytes a trained parameter: float32 weight, gradient, two moments of AdamW
# Bytes a token, layer and hidden unit that a half-precision transformer layer keeps for its
# backward pass (Korthikanti et al. 2022, without the attention matrix, which is never formed).
KEPT = 34


def estimate(profile: dict) -> list[dict]:
    """One row a trained model, one for the cohort and one for the base language model.

    Args:
        profile: a whole profile, as notebooks/profiles/*.yaml.

    Returns:
        Rows with model, parameters, trained, steps, memory (of the largest moment), disk, hours;
        all values are text.
    """
    ecgs = int(profile["cohort"]["patients"] * ECGS_PER_PATIENT)
    store = ecgs * len(LEADS) * SAMPLES * 2
    rows = [_row("cohort (simulated)", 0, 0, 0, store / max(1, ecgs // 256), store, 0.0)]
    for name, model, steps, batch in _small_models(profile):
        operations, kept = _one_ecg(model)
        count = _count(model)
        # AdamW's state, and the activations twice: kept, and their gradients
        memory = TRAINED * count + 2 * kept * batch
        hours = 3 * operations * batch * steps / _speed(profile)
        rows.append(_row(name, count, count, steps, memory, 4 * count, hours))
    return rows + _language_rows(profile)


def _speed(profile: dict) -> float:
    """Operations an hour."""
    return profile["hardware"]["tflops"] * 1e12 * 3600


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _is_leaf(module: nn.Module) -> bool:
    return not list(module.children())


class _Forward(nn.Module):
    """A tokenizer with the pass that its training runs."""

    def __init__(self, tokenizer: LatentTokenizer | LeadwiseTokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n) -> reconstruction (B, 12, n)."""
        return self.tokenizer(x)[0]


class _Latents(nn.Module):
    """A model of latents (B, T, D), fed with full-length ones."""

    def __init__(self, model: nn.Module, positions: int, dim: int):
        super().__init__()
        self.model, self.shape = model, (positions, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, ...) -> what the model makes of B records."""
        z = x.new_zeros(len(x), *self.shape)
        return self.model(z, torch.full((len(x),), self.shape[0], device=x.device))


def _small_models(profile: dict) -> list[tuple[str, nn.Module, int, int]]:
    """Name, model, steps and batch of everything that is not a language model."""
    t, w, e = (profile[key] for key in ("tokenizer", "leadwise", "ecg_tok"))
    c = profile["classify"]["probe"]
    books, joint, frozen = t["quantisers"], t["train_jointly"], t["train_frozen_encoder"]
    dim = joint["autoencoder"]["widths"][-1]
    with torch.device("meta"):
        autoencoder = Autoencoder(**joint["autoencoder"])
        vq, rvq = VQ(dim, **books["vq"]), ResidualVQ(dim, **books["rvq"])
        qinco = QINCo(dim, **books["rvq"], **books["qinco"])
        leadwise = LeadwiseTokenizer(**w["model"])
        probe = Probe(dim, len(LABELS), c["width"], c["blocks"], c["heads"], c["dropout"])
        positions, width = autoencoder.positions, bases.shape(profile["language"])["hidden_size"]
        adapter = Adapter(dim, positions, **e["prefix"], width=width, scale=1.0)
        adapter.head = nn.Linear(e["prefix"]["vectors"] * width, len(FINDINGS))
    made = {
        name: _Forward(LatentTokenizer(autoencoder, quantiser))
        for name, quantiser in {"VQ": vq, "RVQ": rvq, "QINCo": qinco}.items()
    }
    batch, before = joint["batch"], {"VQ": joint["steps"], "RVQ": joint["steps"]}
    steps = {name: before.get(name, 0) + frozen["steps"] for name in made}
    # k-means or not, revival or not; the loss taken literally; of RVQ with one step more
    short = t["controls"]["steps"]
    controls = {name: 4 * short for name in made}
    controls["RVQ"] += short + 1
    return [
        *((f"autoencoder + {name}", model, steps[name], batch) for name, model in made.items()),
        *(
            (f"controls of 02, {name}", model, controls[name], batch)
            for name, model in made.items()
        ),
        ("lead-wise FSQ", _Forward(leadwise), w["steps"], w["batch"]),
        ("probe, two tokenizers", _Latents(probe, positions, dim), 2 * c["steps"], c["batch"]),
        (
            "ECG-Tok adapter, warm-up",
            _Latents(adapter, positions, dim),
            e["warm_up"]["steps"],
            e["warm_up"]["batch"],
        ),
    ]


def _one_ecg(model: nn.Module) -> tuple[int, int]:
    """Operations of the forward pass of one ECG, and bytes of all layer outputs."""
    kept = 0

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal kept
        # codes are searched for without a graph: nothing is kept there
        if torch.is_grad_enabled() and isinstance(output, torch.Tensor) and _is_leaf(module):
            kept += 4 * output.numel()

    handles = [module.register_forward_hook(count) for module in model.modules()]
    x = torch.zeros(1, len(LEADS), SAMPLES, device="meta")
    model.requires_grad_(False)  # the counter asks for graphs that quantisers do not build
    with FlopCounterMode(display=False) as counter:
        model(x)
    for handle in handles:
        handle.remove()
    return counter.get_total_flops(), kept


def _base(shape: dict) -> nn.Module:
    """The language model on the meta device."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(LlamaConfig(**shape))


def _lora_size(base: nn.Module, lora: dict) -> int:
    """Parameters of a LoRA: rank x (in + out) of every linear layer it is put on."""
    return sum(
        lora["rank"] * (module.in_features + module.out_features)
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in lora["targets"]
    )


def _language_rows(profile: dict) -> list[dict]:
    """ECG-Tok and HeartLLM: the base model with LoRA and what stands in the ECG's place."""
    language, e = profile["language"], profile["ecg_tok"]
    ask, w, vectors = profile["instruction_tuning"], profile["leadwise"], e["prefix"]["vectors"]
    pre, tune, style = profile["pretraining"]["training"], ask["training"], e["report_style"]
    shape = bases.shape(language)
    base = _base(shape)
    with torch.device("meta"):
        rows = EcgTokenEmbedding(w["model"]["levels"] ** w["model"]["dims"], shape["hidden_size"])
    adapter = next(m.model for n, m, *_ in _small_models(profile) if n.startswith("ECG-Tok"))
    adapter_size = _count(adapter) - _count(adapter.head)
    ecg = -(-SAMPLES // math.prod(w["model"]["strides"])) + 2
    asked = min(tune["questions_per_ecg"], profile["question_sets"]["per_ecg"]) * QUESTION
    tuning = ecg + REPORT + asked
    work = [  # name, trained beside LoRA, section, tokens of one ECG, text among them
        ("ECG-Tok, wording", 0, e["training"] | style, vectors + REPORT, REPORT),
        ("ECG-Tok", adapter_size, e["training"], vectors + REPORT, REPORT),
        ("ECG-Tok, no ECG", 0, e["training"], vectors + REPORT, REPORT),
        ("HeartLLM, pretraining", _count(rows), pre, ecg, 0),
        ("HeartLLM, tuning", _count(rows), tune, tuning, tuning - ecg),
        ("HeartLLM, no ECG", 0, tune, tuning - ecg + ask["control"]["vectors"], tuning - ecg),
        ("HeartLLM, no pretraining", _count(rows), tune, tuning, tuning - ecg),
    ]
    lora, size = _lora_size(base, language["lora"]), _count(base)
    disk = size * BYTES[profile["hardware"]["dtype"]]
    return [_row("base language model", size, 0, 0, disk, disk, 0.0)] + [
        _language_row(name, base, lora + beside, section, tokens, text, profile)
        for name, beside, section, tokens, text in work
    ]


def _language_row(
    name: str,
    base: nn.Module,
    trained: int,
    section: dict,
    tokens: int,
    text: int,
    profile: dict,
) -> dict:
    size, config = _count(base), base.config
    output = config.vocab_size * config.hidden_size  # the matrix that embeds and scores
    number = BYTES[profile["hardware"]["dtype"]]
    ecgs_at_once = -(-section["batch"] // section["parts"])
    kept = KEPT * number // 2 * config.num_hidden_layers * config.hidden_size * tokens
    logits = 3 * 4 * config.vocab_size * text  # scores, their float32 copy and its gradient
    memory = size * number + TRAINED * trained + ecgs_at_once * (kept + logits)
    operations = (4 * (size - output) + 6 * trained) * tokens + 4 * output * text
    hours = operations * section["batch"] * section["steps"] / _speed(profile)
    return _row(name, size + trained, trained, section["steps"], memory, 4 * trained, hours)


def _row(
    model: str, parameters: int, trained: int, steps: int, memory: float, disk: float, hours: float
) -> dict:
    return {
        "model": model,
        "parameters": f"{parameters:,}",
        "trained": f"{trained:,}",
        "steps": f"{steps:,}",
        "memory": f"{memory / 1e9:.2f} GB",
        "disk": f"{disk / 1e9:.3f} GB",
        "hours": f"{hours:.2f}",
    }
