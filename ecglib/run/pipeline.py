"""The parts of the pipeline that cost something, listed once, with what each trains.

`dry_run` prices the parts, `trainings` runs them to measure a machine. Names, step functions and
configs are those of the notebooks; a test compares them with the manifests of a smoke run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from torch import nn

from ecglib.classify import probe
from ecglib.labels.label_set import LABELS
from ecglib.language import (
    ecg_tok,
    finding_warmup,
    heartllm,
    no_ecg,
    pretraining,
    train_system,
    write_texts,
)
from ecglib.language.ecg_embedding import EcgTokenEmbedding
from ecglib.run import base_shapes
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import fit_bpe
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

QUANTISERS = {"vq": VQ, "rvq": ResidualVQ, "qinco": QINCo}


@dataclass(frozen=True)
class Tokens:
    """What the language model reads per ECG: prefix positions, reports and questions."""

    prefix: int
    reports: int = 0
    questions: int = 0

    def text(self, report: float, question: float) -> float:
        """Positions behind the prefix, with texts of these mean lengths."""
        return self.reports * report + self.questions * question


@dataclass(frozen=True)
class Part:
    """One step of a notebook.

    Attributes:
        inputs: label -> "NN/name" of an earlier part, or of 01/cohort, 04/base, 06/questions.
        model: builds what is trained beside the LoRA. A small model maps latents or ECGs, as
            `reads` says; None where nothing is trained, or the LoRA alone.
        reads: "ecgs" or "latents", of a small model.
        tokens: of a part that trains or uses the language model.
        like: the part with the same cost per step. It is priced with that one and not measured.
    """

    notebook: str
    name: str
    fn: Callable
    config: dict
    inputs: dict[str, str] = field(default_factory=dict)
    model: Callable[[], nn.Module] | None = None
    reads: str = "ecgs"
    tokens: Tokens | None = None
    like: str = ""

    @property
    def id(self) -> str:
        """Notebook and name, as in `01/cohort`."""
        return f"{self.notebook}/{self.name}"

    @property
    def trains(self) -> bool:
        """Whether the part has updates to count."""
        return "steps" in self.config


def parts(profile: dict) -> list[Part]:
    """All parts of a run, each after those that it reads."""
    listed = [*_tokenizers(profile), *_classify(profile), *_ecg_tok(profile), *_heartllm(profile)]
    return sorted(listed, key=lambda part: part.notebook)


def _latent_tokenizer(autoencoder: dict, quantiser: type[nn.Module], sizes: dict) -> nn.Module:
    width = autoencoder["widths"][-1]
    return LatentTokenizer(Autoencoder(**autoencoder), quantiser(width, **sizes))


def _tokenizers(profile: dict) -> list[Part]:
    step, sizes, cohort = partial(Part, "02"), profile["tokenizer"], {"cohort": "01/cohort"}
    joint, frozen, lead = sizes["train_jointly"], sizes["train_frozen_encoder"], profile["leadwise"]
    books, networks = sizes["quantisers"], sizes["quantisers"]["qinco"]
    books = books | {"qinco": books["rvq"] | networks}
    models = {
        name: partial(_latent_tokenizer, joint["autoencoder"], kind, books[name])
        for name, kind in QUANTISERS.items()
    }

    def jointly(name: str, method: str, config: dict, like: str = "") -> Part:
        config = {"method": method, "quantiser": books[method]} | config
        return step(name, train.train_jointly, config, cohort, models[method], like=like)

    listed = [jointly(f"joint_{name}", name, joint) for name in ("vq", "rvq")]
    for name, model in models.items():
        config = frozen | {"method": name} | ({"networks": networks} if name == "qinco" else {})
        inputs = cohort | {"joint": "02/joint_vq" if name == "vq" else "02/joint_rvq"}
        listed.append(step(name, train.train_frozen_encoder, config, inputs, model))
    leadwise = partial(LeadwiseTokenizer, **lead["model"])
    listed.append(step("fsq", train.train_leadwise, lead, cohort, leadwise))
    listed.append(step("bpe", fit_bpe, profile["bpe"], cohort))
    for name in (*models, "fsq", "bpe"):
        inputs = cohort | {"tokenizer": f"02/{name}"}
        listed.append(step(f"{name}_codes", encode.encode, sizes["encode"], inputs))
    short = joint | sizes["controls"]
    for name, init, revival in product(models, ("kmeans", "uniform"), ("revival", "none")):
        every = short["revive_every"] if revival == "revival" else 0
        config = short | {"init": init, "revive_every": every}
        like = "02/qinco" if name == "qinco" else f"02/joint_{name}"
        listed.append(jointly(f"control_{name}_{init}_{revival}", name, config, like))
    literal = short | {"init": "kmeans", "revive_every": 0, "literal": True}
    listed.append(jointly("control_literal_first", "rvq", literal | {"steps": 1}, "02/joint_rvq"))
    listed.append(jointly("control_literal", "rvq", literal, "02/joint_rvq"))
    return listed


def _classify(profile: dict) -> list[Part]:
    config = profile["classify"]["probe"]
    sizes = (config["width"], config["blocks"], config["heads"], config["dropout"])
    model = partial(probe.Probe, _autoencoder(profile)["widths"][-1], len(LABELS), *sizes)
    listed = []
    for name, like in (("qinco", ""), ("rvq", "03/probe_qinco")):
        inputs = {"cohort": "01/cohort", "tokenizer": f"02/{name}", "codes": f"02/{name}_codes"}
        step = partial(Part, "03", f"probe_{name}", probe.train, config, inputs)
        listed.append(step(model, reads="latents", like=like))
    return listed


def _ecg_tok(profile: dict) -> list[Part]:
    step, settings, fn = partial(Part, "04"), profile["ecg_tok"], train_system.train
    vectors, training = {"vectors": settings["prefix"]["vectors"]}, settings["training"]
    words = {"cohort": "01/cohort", "base": "04/base"}
    latent = words | {"tokenizer": "02/qinco", "codes": "02/qinco_codes"}
    drawn, styled = latent | {"prefix": "04/initial"}, latent | {"lora": "04/report_style"}
    full = styled | {"prefix": "04/warm_adapter"}
    without = styled | {"prefix": "04/initial_no_ecg"}
    style = training | settings["report_style"] | {"lora": profile["language"]["lora"]}
    control, base = vectors | {"control_of": "ecg_tok"}, {"base": "04/base"}
    constant, words = (
        vectors | {"control_of": "report_style"},
        words | {"prefix": "04/initial_style"},
    )
    tokens = Tokens(vectors["vectors"], reports=1)

    def adapter() -> nn.Module:
        latents = Autoencoder(**_autoencoder(profile))
        sizes = settings["prefix"] | {"width": _hidden(profile), "scale": 1.0}
        return ecg_tok.Adapter(_autoencoder(profile)["widths"][-1], latents.positions, **sizes)

    warm_up = partial(step, "warm_adapter", finding_warmup.warm_up, settings["warm_up"], drawn)
    written = latent | {"system": "04/ecg_tok"}
    return [
        step("initial_style", no_ecg.initialise, constant, base),
        step("report_style", fn, style, words, tokens=tokens),
        step("initial", ecg_tok.initialise, settings["prefix"], latent),
        warm_up(adapter, reads="latents"),
        step("ecg_tok", fn, training, full, adapter, tokens=tokens),
        step("initial_no_ecg", no_ecg.initialise, control, base),
        step("no_ecg", fn, training, without, tokens=tokens),
        step("reports_ecg_tok", write_texts.write, settings["writing"], written, tokens=tokens),
    ]


def _heartllm(profile: dict) -> list[Part]:
    first, settings = profile["pretraining"], profile["instruction_tuning"]
    lead, training, fn = profile["leadwise"]["model"], settings["training"], train_system.train
    positions = -(-SAMPLES // math.prod(lead["strides"])) + 2  # <start_ecg> and <end_ecg>
    per_ecg = profile["question_sets"]["per_ecg"]
    questions = min(training["questions_per_ecg"], per_ecg)
    tuning = Tokens(positions, 1, questions)
    control = Tokens(settings["control"]["vectors"], 1, questions)
    embedding = partial(EcgTokenEmbedding, lead["levels"] ** lead["dims"], _hidden(profile))

    base, model = {"base": "04/base"}, {"tokenizer": "02/fsq", "base": "04/base"}
    codes = {"cohort": "01/cohort", "codes": "02/fsq_codes", "base": "04/base"}
    asked = codes | {"tokenizer": "02/fsq", "questions": "06/questions"}
    drawn = {"start": first["start"]}
    constant = settings["control"] | {"control_of": "heartllm"}
    warm_up = partial(Part, fn=finding_warmup.warm_up, config=first["warm_up"])
    tune = partial(Part, fn=fn, config=training)
    pretrained = partial(Part, "05", "pretrained", pretraining.pretrain, first["training"])
    begun, written = asked | {"lora": "05/pretrained"}, asked | {"system": "06/tuned"}
    other = asked | {"lora": "04/ecg_tok", "prefix": "07/warmed_up_without"}
    written = partial(
        Part, "06", "answers_heartllm", write_texts.write, settings["writing"], written
    )
    return [
        Part("05", "initial", heartllm.initialise, drawn, model),
        pretrained(
            codes | {"lora": "04/ecg_tok", "prefix": "05/initial"},
            embedding,
            tokens=Tokens(positions),
        ),
        warm_up("05", "warmed_up", inputs=codes | {"prefix": "05/pretrained"}),
        tune(
            "06", "tuned", inputs=begun | {"prefix": "05/warmed_up"}, model=embedding, tokens=tuning
        ),
        Part("06", "initial_no_ecg", no_ecg.initialise, constant, base),
        tune("06", "no_ecg", inputs=begun | {"prefix": "06/initial_no_ecg"}, tokens=control),
        written(tokens=tuning),
        warm_up(
            "07", "warmed_up_without", inputs=codes | {"prefix": "05/initial"}, like="05/warmed_up"
        ),
        tune("07", "tuned_without", inputs=other, model=embedding, tokens=tuning, like="06/tuned"),
    ]


def _autoencoder(profile: dict) -> dict:
    return profile["tokenizer"]["train_jointly"]["autoencoder"]


def _hidden(profile: dict) -> int:
    return base_shapes.shape(profile["language"])["hidden_size"]
