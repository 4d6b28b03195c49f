"""The steps of notebook 03: floors, DeepSSL and every classifier.

Notebooks 04 and 06 take from them what puts a classifier's findings through the templates.

The primary reader of tokens is the network on the raw signal: it reads what they decode to, after
some further epochs on such ECGs (`decoded_*`). `raw_further` gets the same epochs on the original.
The paper's reader is an EfficientNetV2 on the frozen vectors (`head_*`).
"""

from dataclasses import replace

from ecglib.tokenizers.tokenizer_parts import COHORT, NAMES
from ecglib.training.part import Part

TRAIN = "ecglib.classify.train_classifier.train"
IN_FIGURE = ("vq", "rvq", "qinco")  # tokens whose frozen vectors are classified in ECG-Tok, Fig. 2
BEST = {"keep_best": True}  # of the methods of that figure, trained to convergence in the paper


def classifier_parts(profile: dict) -> list[Part]:
    """The parts of notebook 03, and the classifiers of 04 and 06."""
    settings = profile["classify"]
    raw = settings["raw"] | {"network": "raw", "reads": "signals"}
    deep_sl = settings["deep_sl"] | BEST | {"network": "deep_sl", "reads": "signals"}
    heads = [head_part(profile, name) for name in IN_FIGURE]
    floors = settings["floors"]
    return [
        _floor("03", "floor_summary", floors, COHORT),
        _floor("03", "floor_median_beat", floors, COHORT),
        Part("03", "raw", TRAIN, raw, COHORT),
        further_part(profile, "raw_further", COHORT),
        *(further_part(profile, f"decoded_{name}", coded(name)) for name in NAMES),
        *_pretrained(settings),
        *heads,
        head_part(profile, "deepssl", COHORT | {"features": "deep_ssl_features"}),
        Part("03", "deepsl", TRAIN, deep_sl, COHORT),
        *_templates(settings, heads[-1]),
    ]


def coded(name: str) -> dict[str, str]:
    """What a reader of a tokenizer's codes reads."""
    return COHORT | {"tokenizer": name, "codes": f"{name}_codes"}


def head_part(profile: dict, name: str, inputs: dict[str, str] | None = None) -> Part:
    """The paper's reader, of the vectors of a tokenizer or of features."""
    inputs = coded(name) if inputs is None else inputs
    settings = profile["classify"]["head"] | BEST | {"network": "efficientnet"}
    settings |= {"reads": "features" if "features" in inputs else "vectors"}
    like = "" if name == "qinco" else "head_qinco"
    return Part("03", f"head_{name}", TRAIN, settings, inputs, like=like)


def further_part(profile: dict, name: str, inputs: dict[str, str]) -> Part:
    """The raw network, trained further on the originals, or on decoded ECGs."""
    settings = profile["classify"]["raw"] | profile["classify"]["further"] | {"network": "raw"}
    settings |= {"reads": "decoded" if "codes" in inputs else "signals"}
    return Part("03", name, TRAIN, settings, inputs | {"start": "raw"}, like="raw")


def _floor(stage: str, name: str, settings: dict, inputs: dict[str, str]) -> Part:
    """A floor; its name ends in the numbers that it reads."""
    numbers = name.removeprefix("floor_").removeprefix("asked_")
    fn = "ecglib.classify.linear_floors.train"
    return Part(stage, name, fn, settings | {"numbers": numbers}, inputs)


def _pretrained(settings: dict) -> list[Part]:
    """DeepSSL, trained without labels, and its features."""
    fn = "ecglib.classify.deep_ssl"
    features = COHORT | {"model": "deep_ssl"}
    return [
        Part("03", "deep_ssl", f"{fn}.pretrain", settings["deep_ssl"], COHORT),
        Part("03", "deep_ssl_features", f"{fn}.features", {}, features),
    ]


def _templates(settings: dict, head: Part) -> list[Part]:
    """What reads the ECG beside a language system without being one: of 04 for reports, of 06 for
    questions, where the classifiers also learn what decides the answers. `head` is that of QINCo's
    vectors; 04 has it once more, and once with the labels of the reports."""
    fn = "ecglib.classify.{}_targets.make_targets"
    reported = head.inputs | {"targets": "report_targets"}
    asked = COHORT | {"targets": "question_targets"}
    measured = COHORT | {"measurements": "measurements"}
    raw = settings["raw"] | {"network": "raw", "reads": "signals"}
    further, decoded = raw | settings["further"] | {"reads": "decoded"}, coded("fsq") | asked
    return [
        Part("04", "report_targets", fn.format("report"), {}, COHORT),
        replace(head, stage="04", name="probe", like=head.name),
        replace(head, stage="04", name="probe_reports", inputs=reported, like=head.name),
        Part("06", "question_targets", fn.format("question"), {}, measured),
        _floor("06", "asked_summary", settings["floors"], asked),
        _floor("06", "asked_median_beat", settings["floors"], asked),
        Part("06", "asked_raw", TRAIN, raw, asked, like="raw"),
        Part("06", "asked_decoded", TRAIN, further, decoded | {"start": "asked_raw"}, like="raw"),
    ]
