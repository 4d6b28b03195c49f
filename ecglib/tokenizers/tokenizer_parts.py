"""The steps of notebook 02, from the sections `tokenizer`, `leadwise` and `bpe` of a profile.

    pca_rvq -> encoder -> latents -> codebooks -> <method>_quantiser -> <method>_codes -> <method>

VQ, RVQ and QINCo share the encoder and all steps before their quantisers. `rvq_one` is the placebo
of VQ: an RVQ with one codebook, which is VQ, trained with other draws.
"""

from collections.abc import Iterable
from dataclasses import replace

from ecglib.tokenizers import plugin
from ecglib.training.part import Part

ROOM = "ecglib.tokenizers"
COHORT = {"cohort": "cohort"}
LATENT = ("vq", "rvq", "qinco")
NAMES = (*LATENT, "fsq", "bpe")


def tokenizer_parts(profile: dict) -> list[Part]:
    """The floor, the encoder and its latents, the tokenizers and their codes."""
    sizes = profile["tokenizer"]
    settings = sizes["fit_pca_rvq"] | sizes["quantisers"]["rvq"]
    floor = Part("02", "pca_rvq", f"{ROOM}.pca_rvq.fit_pca_rvq", settings, COHORT)
    listed = [floor, codes_part(profile, "02", "pca_rvq"), encoder_part(profile)]
    settings, inputs = sizes["cache"], COHORT | {"tokenizer": "encoder"}
    listed.append(Part("02", "latents", f"{ROOM}.cached_latents.cache", settings, inputs))
    for method in LATENT:
        listed += quantiser_parts(profile, method)
    same = {"codebooks": 1} | sizes["quantisers"]["vq"]
    placebo = quantiser_parts(profile, "rvq", name="rvq_one", **same)
    listed += [replace(part, seed=100) for part in placebo]  # no run's own seed
    listed.append(Part("02", "fsq", f"{ROOM}.train.train_leadwise", profile["leadwise"], COHORT))
    listed.append(Part("02", "bpe", f"{ROOM}.bpe.fit_bpe", profile["bpe"], COHORT))
    return listed + [codes_part(profile, "02", name) for name in ("fsq", "bpe")]


def check(key: str, value: str, known: Iterable[str]) -> None:
    """Raise ValueError for a value of a key of the profile that is not known."""
    if value not in known:
        raise ValueError(f"expected {key} out of {', '.join(known)}, got {value!r}")


def encoder_part(profile: dict) -> Part:
    """The autoencoder, trained together with an RVQ. One of kind `pca` starts at the floor."""
    sizes = profile["tokenizer"]
    settings = sizes["train_jointly"] | {"method": "rvq", "quantiser": sizes["quantisers"]["rvq"]}
    settings |= {"autoencoder": autoencoder_of(profile)}
    inputs = COHORT | ({"start": "pca_rvq"} if sizes["autoencoder"] == "pca" else {})
    return Part("02", "encoder", f"{ROOM}.train.train_jointly", settings, inputs)


def autoencoder_of(profile: dict) -> dict:
    """Kind and arguments of the run's autoencoder."""
    sizes, kind = profile["tokenizer"], profile["tokenizer"]["autoencoder"]
    check("tokenizer.autoencoder", kind, sizes["autoencoders"])
    floor = {key: sizes["fit_pca_rvq"][key] for key in ("hop", "dim")} if kind == "pca" else {}
    return {"kind": kind, **floor, **sizes["autoencoders"][kind]}


def quantiser_parts(profile: dict, method: str, name: str = "", **change: int) -> list[Part]:
    """Codebooks, quantiser, codes and decoder of a method behind the encoder.

    `name`: of the result, the method where empty. `change`: other codebooks or codewords.
    """
    sizes, name = profile["tokenizer"], name or method
    shape = {"codebooks": 1} | sizes["quantisers"]["vq" if method == "vq" else "rvq"] | change
    start = "codebooks" if name in ("rvq", "qinco") else f"{name}_codebooks"
    settings = sizes["train_quantiser"] | {"method": method}
    if method == "qinco":
        from ecglib.tokenizers.qinco import SIZES  # with torch, for which the command line waits

        size = sizes["quantisers"]["qinco"]["size"]
        check("tokenizer.quantisers.qinco.size", size, SIZES)
        settings |= {"networks": SIZES[size]}
    elif method not in ("vq", "rvq"):  # one of your own: further arguments of its class
        settings |= {"networks": sizes["quantisers"][method] or {}}
    inputs = {"encoder": "encoder", "latents": "latents", "start": start}
    decoded = COHORT | {"quantiser": f"{name}_quantiser", "codes": f"{name}_codes"}
    training, latents = f"{ROOM}.train_quantiser", {"latents": "latents"}
    fitted = Part("02", start, f"{training}.fit_codebooks", sizes["fit_codebooks"] | shape, latents)
    return ([] if name == "qinco" else [fitted]) + [
        Part("02", f"{name}_quantiser", f"{training}.train_quantiser", settings, inputs),
        codes_part(profile, "02", name, f"{name}_quantiser"),
        Part("02", name, f"{ROOM}.train_decoder.train_decoder", sizes["train_decoder"], decoded),
    ]


def codes_part(profile: dict, stage: str, name: str, tokenizer: str = "") -> Part:
    """The encoding of the cohort; codes do not depend on the decoder, which may come later."""
    settings, inputs = profile["tokenizer"]["encode"], COHORT | {"tokenizer": tokenizer or name}
    return Part(stage, f"{name}_codes", f"{ROOM}.encode.encode", settings, inputs)


def plugin_parts(profile: dict) -> list[Part]:
    """A tokenizer of a file outside the library and its codes, which a study makes."""
    settings = plugin.part("SETTINGS")
    if settings is None:
        return []
    fitted = Part("study", "plugin", f"{plugin.NAME}.fit", dict(settings), COHORT)
    return [fitted, codes_part(profile, "study", "plugin")]
