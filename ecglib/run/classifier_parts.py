"""The parts of notebook 03: tokenizers of further seeds, DeepSSL, and all classifiers; and the
classifiers whose predictions notebook 04 puts through the report templates.

The heads on all kinds of vectors are priced as the one on QINCo's, although a sequence of twice the
length costs twice as much.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from ecglib.classify import deep_sl, deep_ssl, frozen_head, raw_network, report_targets
from ecglib.classify.deep_ssl_network import ContrastiveNetwork
from ecglib.classify.efficientnet import EfficientNetV2, LinearProbe
from ecglib.labels.label_set import LABELS
from ecglib.run.part import Part
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.vq import VQ

CODED = ("qinco", "rvq", "vq", "fsq", "bpe")  # the tokenizers of notebook 02
ONCE = ("fsq", "bpe", "latents", "untrained")  # beside the paper's methods: first seed only
AGAIN = [name for name in CODED if name not in ONCE]
AGAIN += ["joint_vq", "joint_rvq", *(f"{name}_codes" for name in AGAIN)]


def parts(profile: dict, tokenizers: list[Part], dim: int) -> list[Part]:
    """The parts of notebook 03; `tokenizers` are those of 02, `dim` the numbers of a vector."""
    settings = profile["classify"]
    raw, supervised, seeds = settings["raw"], settings["deep_sl"], settings["training_seeds"]
    sizes = {key: raw[key] for key in raw_network.SIZES}
    network = partial(raw_network.RawNetwork, len(LABELS), **sizes)
    of_raw = Part("03/raw", raw_network.train, raw, "cohort", network)
    if not seeds:
        return [of_raw]
    network = partial(deep_sl.build, supervised, len(LABELS))
    first = [
        of_raw,
        *_fine(profile),
        *_pretrained(settings),
        *_heads(settings, "head", "efficientnet", dim),
        Part("03/deepsl", deep_sl.train, supervised, "cohort", network),
    ]
    again = [part for part in tokenizers if part.id.removeprefix("02/") in AGAIN]
    listed = first + _heads(settings, "linear", "linear", dim)
    once = [f"03/head_{name}" for name in ONCE]
    again += [part for part in first if part.id not in once]
    for s in range(1, seeds):
        listed += [_further(part, s) for part in again]
    return listed


def template_parts(profile: dict, dim: int) -> list[Part]:
    """The classifiers of notebook 04. The first one is that of 03, and reused."""
    settings = profile["classify"]
    if not settings["training_seeds"]:
        return []
    (first,) = (p for p in _heads(settings, "head", "efficientnet", dim) if not p.like)
    targets = "04/report_targets"
    reads = f"{first.reads} targets={targets}"
    return [
        Part(targets, report_targets.make_targets, {}, "cohort"),
        replace(first, id="04/probe", like=first.id),
        replace(first, id="04/probe_reports", reads=reads, like=first.id),
    ]


def _further(part: Part, s: int) -> Part:
    """A part of the first seed for seed `s`; all that it reads but the cohort has this seed."""
    words = [word.partition("=") for word in part.reads.split()]
    reads = " ".join(f"{label}={_name(of, s)}" if of else label for label, _, of in words)
    return replace(part, id=_name(part.id, s), reads=reads, like=part.like or part.id)


def _name(part_id: str, s: int) -> str:
    return f"03/{part_id[3:]}_{s}"


def _fine(profile: dict) -> list[Part]:
    """A VQ with shorter steps in time: as many bits as the first codebooks of RVQ."""
    sizes, latents = profile["tokenizer"], profile["classify"]["vq_fine"]
    book, method = sizes["quantisers"]["vq"], {"method": "vq"}
    jointly = sizes["train_jointly"] | method | {"quantiser": book, "autoencoder": latents}
    frozen = sizes["train_frozen_encoder"] | method

    def model() -> nn.Module:
        return LatentTokenizer(Autoencoder(**latents), VQ(latents["widths"][-1], **book))

    reads = ("cohort", "cohort joint=03/joint_vq_fine", "cohort tokenizer=03/vq_fine")
    return [
        Part("03/joint_vq_fine", train.train_jointly, jointly, reads[0], model),
        Part("03/vq_fine", train.train_frozen_encoder, frozen, reads[1], model),
        Part("03/vq_fine_codes", encode.encode, sizes["encode"], reads[2]),
    ]


def _pretrained(settings: dict) -> list[Part]:
    """DeepSSL, trained without labels, and its features."""
    config, reads = settings["deep_ssl"], "cohort model=03/deep_ssl"
    network = partial(ContrastiveNetwork, **{key: config[key] for key in deep_ssl.SIZES})
    return [
        Part("03/deep_ssl", deep_ssl.pretrain, config, "cohort", network),
        Part("03/deep_ssl_features", deep_ssl.features, {}, reads),
    ]


def _heads(settings: dict, section: str, network: str, dim: int) -> list[Part]:
    """The classifiers of one profile section on everything that is frozen."""
    config, model = settings[section] | {"network": network}, partial(LinearProbe, dim, len(LABELS))
    if network == "efficientnet":
        sizes = {key: config[key] for key in frozen_head.SIZES}
        model = partial(EfficientNetV2, dim, len(LABELS), **sizes)
    folders = {name: f"02/{name}" for name in CODED} | {"vq_fine": "03/vq_fine"}
    coded = {name: f"cohort tokenizer={at} codes={at}_codes" for name, at in folders.items()}
    reads = {name: ({"kind": "codes"}, inputs) for name, inputs in coded.items()}
    encoder = f"cohort tokenizer={folders['rvq']}"
    reads |= {kind: ({"kind": kind}, encoder) for kind in ("latents", "untrained")}
    reads["deepssl"] = ({"kind": "features"}, "cohort features=03/deep_ssl_features")
    low = {"kind": "codes", "codebooks": settings["low_codebooks"]}
    reads["rvq_low"] = (low, coded["rvq"])
    priced, listed = f"03/{section}_{CODED[0]}", []
    for name, (kind, inputs) in reads.items():
        part = Part(f"03/{section}_{name}", frozen_head.train, config | kind, inputs, model)
        listed.append(part if part.id == priced else replace(part, like=priced))
    return listed
