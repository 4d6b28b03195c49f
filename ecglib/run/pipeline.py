"""The parts of the pipeline that cost something, listed once, with what each trains.

`dry_run` prices the parts, the benchmark `measure_machine` runs them to measure a machine. Names,
step functions and configs are those of the notebooks; a test compares them with the manifests of a
smoke run.
"""

import math
from dataclasses import replace
from functools import partial

from torch import nn

from ecglib.language import ecg_tok, heartllm, no_ecg
from ecglib.language.finding_warmup import warm_up
from ecglib.language.train_system import train as tune
from ecglib.language.write_texts import write
from ecglib.run import base_shapes, classifier_parts
from ecglib.run.part import Part
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.bpe import fit_bpe
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import QUANTISERS


def parts(profile: dict) -> list[Part]:
    """All parts of a run, each after those that it reads."""
    tokenizers, latents = _tokenizers(profile), autoencoder(profile).widths[-1]
    classifiers = classifier_parts.parts(profile, tokenizers, latents)
    templates = classifier_parts.template_parts(profile, latents)
    return [*tokenizers, *classifiers, *_ecg_tok(profile), *templates, *_heartllm(profile)]


def autoencoder(profile: dict) -> Autoencoder:
    """The autoencoder of the latent tokenizers."""
    return Autoencoder(**profile["tokenizer"]["train_jointly"]["autoencoder"])


def _tokenizers(profile: dict) -> list[Part]:
    sizes, lead = profile["tokenizer"], profile["leadwise"]
    joint, networks = sizes["train_jointly"], sizes["quantisers"]["qinco"]
    books = sizes["quantisers"] | {"qinco": sizes["quantisers"]["rvq"] | networks}

    def model(method: str) -> nn.Module:
        encoder = autoencoder(profile)
        return LatentTokenizer(encoder, QUANTISERS[method](encoder.widths[-1], **books[method]))

    def jointly(name: str, method: str, config: dict, like: str = "") -> Part:
        config = {"method": method, "quantiser": books[method]} | config
        build = partial(model, method)
        return Part(f"02/{name}", train.train_jointly, config, "cohort", build, like=like)

    listed = [jointly(f"joint_{name}", name, joint) for name in ("vq", "rvq")]
    for name in books:
        config = sizes["train_frozen_encoder"] | {"method": name}
        config |= {"networks": networks} if name == "qinco" else {}
        reads = f"cohort joint=02/joint_{'vq' if name == 'vq' else 'rvq'}"
        build = partial(model, name)
        listed.append(Part(f"02/{name}", train.train_frozen_encoder, config, reads, build))
    leadwise = partial(LeadwiseTokenizer, **lead["model"])
    listed.append(Part("02/fsq", train.train_leadwise, lead, "cohort", leadwise))
    listed.append(Part("02/bpe", fit_bpe, profile["bpe"], "cohort"))
    for name in (*books, "fsq", "bpe"):
        reads = f"cohort tokenizer=02/{name}"
        listed.append(Part(f"02/{name}_codes", encode.encode, sizes["encode"], reads))
    short = joint | sizes["controls"]
    short |= {"init": "kmeans", "revive_every": 0}
    literal = short | {"literal": True}
    listed.append(jointly("control_corrected", "rvq", short, "02/joint_rvq"))
    listed.append(jointly("control_literal_first", "rvq", literal | {"steps": 1}, "02/joint_rvq"))
    listed.append(jointly("control_literal", "rvq", literal, "02/joint_rvq"))
    return listed


def _ecg_tok(profile: dict) -> list[Part]:
    settings = profile["ecg_tok"]
    training, vectors = settings["training"], settings["prefix"]["vectors"]
    tokens, control = (vectors, 1, 0), {"vectors": vectors, "control_of": "ecg_tok"}
    style = training | settings["report_style"] | {"lora": profile["language"]["lora"]}
    style_control = control | {"control_of": "report_style"}
    latent = "cohort base tokenizer=02/qinco codes=02/qinco_codes"
    drawn, styled = f"{latent} prefix=04/initial", f"{latent} lora=04/report_style"
    behind_style, written = "cohort base prefix=04/initial_style", f"{latent} system=04/ecg_tok"

    def adapter() -> nn.Module:
        latents = autoencoder(profile)
        sizes = settings["prefix"] | {"width": _hidden(profile), "scale": 1.0}
        return ecg_tok.Adapter(latents.widths[-1], latents.positions, **sizes)

    return [
        Part("04/initial_style", no_ecg.initialise, style_control, "base"),
        Part("04/report_style", tune, style, behind_style, tokens=tokens),
        Part("04/initial", ecg_tok.initialise, settings["prefix"], latent),
        Part("04/warm_adapter", warm_up, settings["warm_up"], drawn, adapter),
        Part("04/ecg_tok", tune, training, f"{styled} prefix=04/warm_adapter", adapter, tokens),
        Part("04/initial_no_ecg", no_ecg.initialise, control, "base"),
        Part("04/no_ecg", tune, training, f"{styled} prefix=04/initial_no_ecg", tokens=tokens),
        Part("04/reports_ecg_tok", write, settings["writing"], written),
    ]


def _heartllm(profile: dict) -> list[Part]:
    first, settings = profile["pretraining"], profile["instruction_tuning"]
    lead, training = profile["leadwise"]["model"], settings["training"]
    positions = -(-SAMPLES // math.prod(lead["strides"])) + 2  # <start_ecg> and <end_ecg>
    questions = min(training["questions_per_ecg"], profile["question_sets"]["per_ecg"])
    tuning, control = (positions, 1, questions), (settings["control"]["vectors"], 1, questions)
    codewords = lead["levels"] ** lead["dims"]
    embedding = partial(heartllm.EcgTokenEmbedding, codewords, _hidden(profile))
    start, learned = {"start": first["start"]}, settings["control"] | {"control_of": "heartllm"}

    codes = "cohort base codes=02/fsq_codes"
    cold = f"{codes} prefix=05/initial"
    asked = f"{codes} questions tokenizer=02/fsq"
    behind_both = f"{asked} lora=05/pretrained prefix=05/warmed_up"
    behind_control = f"{asked} lora=05/pretrained prefix=06/initial_no_ecg"
    behind_ecg_tok = f"{asked} lora=04/ecg_tok prefix=07/warmed_up_without"
    pretrained = Part(
        "05/pretrained", heartllm.pretrain, first["training"], f"{cold} lora=04/ecg_tok"
    )
    warmed_up = Part("05/warmed_up", warm_up, first["warm_up"], f"{codes} prefix=05/pretrained")
    tuned = Part("06/tuned", tune, training, behind_both, embedding, tuning)
    return [
        Part("05/initial", heartllm.initialise, start, "base tokenizer=02/fsq"),
        replace(pretrained, model=embedding, tokens=(positions, 0, 0)),
        warmed_up,
        tuned,
        Part("06/initial_no_ecg", no_ecg.initialise, learned, "base"),
        Part("06/no_ecg", tune, training, behind_control, tokens=control),
        Part("06/answers_heartllm", write, settings["writing"], f"{asked} system=06/tuned"),
        replace(warmed_up, id="07/warmed_up_without", reads=cold, like=warmed_up.id),
        replace(tuned, id="07/tuned_without", reads=behind_ecg_tok, like=tuned.id),
    ]


def _hidden(profile: dict) -> int:
    return base_shapes.shape(profile["language"])["hidden_size"]
