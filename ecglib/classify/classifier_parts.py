"""The steps of notebook 03: tokenizers of further seeds, DeepSSL, floors and all classifiers; and
those of notebook 04 that put a classifier's findings through the report templates.

The heads on all kinds of vectors are priced as the one on QINCo's, although a sequence of twice the
length costs twice as much.
"""

from dataclasses import replace

from ecglib.tokenizers.tokenizer_parts import COHORT, NAMES, codes_part
from ecglib.training.part import Part

HEAD = "ecglib.classify.frozen_head.train"
ONCE = ("fsq", "bpe", "latents", "untrained")  # beside the paper's methods: first seed only
AGAIN = [name for name in NAMES if name not in ONCE]
AGAIN += [f"{name}_{of}" for name in AGAIN for of in ("quantiser", "codes")]
AGAIN += ["pca_rvq", "encoder", "latents", "codebooks", "vq_codebooks"]


def classifier_parts(profile: dict, tokenizers: list[Part]) -> list[Part]:
    """The parts of notebook 03, and the classifiers of 04; `tokenizers` are the parts of 02."""
    settings = profile["classify"]
    raw = Part("03", "raw", "ecglib.classify.raw_network.train", settings["raw"], COHORT)
    listed = [
        Part("03", f"floor_{numbers}", "ecglib.classify.linear_floors.train", sizes, COHORT)
        for numbers in ("summary", "median_beat")
        for sizes in [settings["floors"] | {"numbers": numbers}]
    ]
    listed += [raw, *_floors(settings)]
    if not settings["training_seeds"]:
        return listed
    supervised, scratch = settings["deep_sl"], "ecglib.classify.deep_sl.train"
    heads = _heads(settings, "head", "efficientnet")
    first = [*_fine(profile), *_pretrained(settings), *heads]
    first.append(Part("03", "deepsl", scratch, supervised, COHORT))
    again = [part for part in tokenizers if part.name in AGAIN]
    again += [raw, *(part for part in first if part.name.removeprefix("head_") not in ONCE)]
    listed += first + _heads(settings, "linear", "linear")
    for s in range(1, settings["training_seeds"]):
        listed += [_further(part, s) for part in again]
    return listed + _templates(heads[2])


def _floors(settings: dict) -> list[Part]:
    """What reads the ECG beside a language system without being one: of 04 for reports, of 06 for
    questions, where the classifiers also learn what decides the answers."""
    fn, sizes = "ecglib.classify", settings["floors"]
    tokens = {name: {"tokenizer": name, "codes": f"{name}_codes"} for name in ("qinco", "fsq")}
    asked = COHORT | {"targets": "question_targets"}
    measured = COHORT | {"measurements": "measurements"}
    decoded = COHORT | tokens["fsq"] | {"raw": "asked_raw"}
    return [
        Part("04", "decoded", f"{fn}.decoded.score", {}, COHORT | tokens["qinco"] | {"raw": "raw"}),
        Part("06", "question_targets", f"{fn}.question_targets.make_targets", {}, measured),
        *(
            Part("06", f"asked_{n}", f"{fn}.linear_floors.train", sizes | {"numbers": n}, asked)
            for n in ("summary", "median_beat")
        ),
        Part("06", "asked_raw", f"{fn}.raw_network.train", settings["raw"], asked, like="raw"),
        Part("06", "asked_decoded", f"{fn}.decoded.score", {}, decoded),
    ]


def _templates(first: Part) -> list[Part]:
    """The classifiers of notebook 04; the first one is a part of 03 under another name."""
    fn = "ecglib.classify.report_targets.make_targets"
    reported = first.inputs | {"targets": "report_targets"}
    return [
        Part("04", "report_targets", fn, {}, COHORT),
        replace(first, stage="04", name="probe", like=first.name),
        replace(first, stage="04", name="probe_reports", inputs=reported, like=first.name),
    ]


def _further(part: Part, s: int) -> Part:
    """A part of the first seed for seed `s`; all that it reads but the cohort has this seed."""
    inputs = {k: of if of == "cohort" else f"{of}_{s}" for k, of in part.inputs.items()}
    named = {"stage": "03", "name": f"{part.name}_{s}", "inputs": inputs, "seed": s}
    return replace(part, **named, like=part.like or part.name)


def _fine(profile: dict) -> list[Part]:
    """A VQ with shorter steps in time: as many bits as the first codebooks of RVQ."""
    sizes = profile["tokenizer"]
    settings = sizes["train_jointly"] | {"quantiser": sizes["quantisers"]["vq"], "method": "vq"}
    settings |= {"autoencoder": {"kind": "strided"} | profile["classify"]["vq_fine"]}
    fn = "ecglib.tokenizers.train.train_jointly"
    return [Part("03", "vq_fine", fn, settings, COHORT), codes_part(profile, "03", "vq_fine")]


def _pretrained(settings: dict) -> list[Part]:
    """DeepSSL, trained without labels, and its features."""
    fn = "ecglib.classify.deep_ssl"
    features = COHORT | {"model": "deep_ssl"}
    return [
        Part("03", "deep_ssl", f"{fn}.pretrain", settings["deep_ssl"], COHORT),
        Part("03", "deep_ssl_features", f"{fn}.features", {}, features),
    ]


def _heads(settings: dict, section: str, network: str) -> list[Part]:
    """The classifiers of one profile section on everything that is frozen."""
    sizes = settings[section] | {"network": network}
    coded = {n: COHORT | {"tokenizer": n, "codes": f"{n}_codes"} for n in (*NAMES, "vq_fine")}
    reads = {name: ({"kind": "codes"}, inputs) for name, inputs in coded.items()}
    encoder = COHORT | {"tokenizer": "rvq"}
    reads |= {kind: ({"kind": kind}, encoder) for kind in ("latents", "untrained")}
    reads["deepssl"] = ({"kind": "features"}, COHORT | {"features": "deep_ssl_features"})
    low = {"kind": "codes", "codebooks": settings["low_codebooks"]}
    reads["rvq_low"] = (low, coded["rvq"])
    like = {name: "" if name == "qinco" else f"{section}_qinco" for name in reads}
    return [
        Part("03", f"{section}_{name}", HEAD, sizes | kind, inputs, like=like[name])
        for name, (kind, inputs) in reads.items()
    ]
