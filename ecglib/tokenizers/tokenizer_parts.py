"""The steps of notebook 02, from the sections `tokenizer`, `leadwise` and `bpe` of a profile."""

from ecglib.training.part import Part

TRAIN = "ecglib.tokenizers.train"
COHORT = {"cohort": "cohort"}
LATENT = ("vq", "rvq", "qinco")
NAMES = (*LATENT, "fsq", "bpe")


def tokenizer_parts(profile: dict) -> list[Part]:
    """Joint trainings, the tokenizers, their codes, and the controls with the literal loss."""
    sizes = profile["tokenizer"]
    listed = [joint_part(profile, method) for method in ("vq", "rvq")]
    listed += [frozen_part(profile, method) for method in LATENT]
    listed.append(Part("02", "fsq", f"{TRAIN}.train_leadwise", profile["leadwise"], COHORT))
    listed.append(Part("02", "bpe", "ecglib.tokenizers.bpe.fit_bpe", profile["bpe"], COHORT))
    listed += [codes_part(profile, "02", name) for name in NAMES]
    short = listed[1].settings | sizes["controls"] | {"init": "kmeans", "revive_every": 0}
    literal = short | {"literal": True}
    controls = {"corrected": short, "literal_first": literal | {"steps": 1}, "literal": literal}
    fn = f"{TRAIN}.train_jointly"
    return listed + [
        Part("02", f"control_{name}", fn, settings, COHORT, like="joint_rvq")
        for name, settings in controls.items()
    ]


def joint_part(profile: dict, method: str, stage: str = "02", name: str = "", **change) -> Part:
    """The training of an autoencoder jointly with VQ or RVQ; `change`: other settings."""
    sizes = profile["tokenizer"]
    settings = sizes["train_jointly"] | {"quantiser": sizes["quantisers"][method]} | change
    settings |= {"method": method}
    return Part(stage, name or f"joint_{method}", f"{TRAIN}.train_jointly", settings, COHORT)


def frozen_part(profile: dict, method: str, stage: str = "02", name: str = "") -> Part:
    """The further training of a quantiser and its decoder, behind the encoder of VQ or RVQ."""
    sizes, name = profile["tokenizer"], name or method
    settings = sizes["train_frozen_encoder"] | {"method": method}
    settings |= {"networks": sizes["quantisers"]["qinco"]} if method == "qinco" else {}
    inputs = COHORT | {"joint": "joint_rvq" if method == "qinco" else f"joint_{name}"}
    return Part(stage, name, f"{TRAIN}.train_frozen_encoder", settings, inputs)


def codes_part(profile: dict, stage: str, name: str) -> Part:
    """The encoding of the cohort by a tokenizer."""
    settings, inputs = profile["tokenizer"]["encode"], COHORT | {"tokenizer": name}
    return Part(stage, f"{name}_codes", "ecglib.tokenizers.encode.encode", settings, inputs)
