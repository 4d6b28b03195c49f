"""QINCo with all options of its papers, against their equations; the library's form against it."""

import pytest
import torch
from builds import refused
from qinco_published import PublishedQINCo
from tokenizer_toys import noise

from ecglib.tokenizers.qinco import QINCo

DIM = 12


def published_codes(quantiser: PublishedQINCo, z: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """The codes and the sum of one vector z (D,), by the papers' equations and plain loops."""
    sizes = quantiser.config()
    sums = [([], torch.zeros(quantiser.dim))]
    for number, codebook in enumerate(quantiser.codebooks.detach()):
        longer = []
        for codes, x in sums:
            chosen = range(sizes["codewords"])
            if number and sizes["candidates"] < sizes["codewords"]:
                shift = quantiser.selection[number - 1] if sizes["preselection"] else 0.0
                distance = (z - x - (codebook + shift)).norm(dim=1)
                chosen = distance.argsort()[: sizes["candidates"]].tolist()
            for k in chosen:
                word = codebook[k]
                if number:
                    part = quantiser.adapt[number - 1]
                    e = part.project(word)
                    weight = torch.cat([part.from_base.weight, part.from_sum.weight], 1)
                    e = e + weight @ torch.cat([e, x]) + part.from_base.bias
                    for up, _, down in part.blocks:
                        e = e + down.weight @ torch.relu(up.weight @ e)
                    word = word + part.back(e) if sizes["form"] == "qinco2" else e
                longer.append(([*codes, k], x + word))
        sums = sorted(longer, key=lambda pair: (z - pair[1]).norm().item())[: sizes["beam"]]
    return sums[0]


@pytest.mark.parametrize(
    "options",
    [
        {},  # the exact search of QINCo2, as wide as the latents
        {"width": 7},
        {"width": 7, "candidates": 3},
        {"width": 7, "candidates": 3, "preselection": True},
        {"width": 7, "candidates": 3, "preselection": True, "beam": 4},
        {"form": "qinco"},
        {"form": "qinco", "beam": 9},
    ],
    ids=str,
)
@torch.no_grad()
def test_qinco_gives_the_codes_of_the_published_networks(options):
    """With weights written by a seed. QINCo2 as wide as its latents has no P and Q: they are 1."""
    sizes = {"hidden": 10, "blocks": 2, "candidates": 6} | options
    quantiser = PublishedQINCo(DIM, codebooks=4, codewords=6, **sizes)
    for seed, parameter in enumerate(quantiser.parameters()):
        parameter.copy_(0.3 * noise(*parameter.shape, seed=seed))
    for part in quantiser.adapt if not options else ():
        part.project.weight.copy_(torch.eye(DIM))
        part.back.weight.copy_(torch.eye(DIM))
    z = noise(40, DIM, seed=99)
    codes = quantiser.encode(z)
    sums = quantiser.decode(codes)
    for vector, code, zhat in zip(z, codes, sums, strict=True):
        expected, sum_ = published_codes(quantiser, vector)
        assert code.tolist() == expected
        torch.testing.assert_close(zhat, sum_, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_library_has_the_published_form_without_beam_and_preselection():
    """The same weights give the same codes and sums."""
    sizes = {"width": 7, "hidden": 10, "blocks": 2, "candidates": 3}
    theirs, ours = PublishedQINCo(DIM, 4, 6, **sizes), QINCo(DIM, 4, 6, **sizes)
    for seed, parameter in enumerate(theirs.parameters()):
        parameter.copy_(0.3 * noise(*parameter.shape, seed=seed))
    ours.load_state_dict(theirs.state_dict())
    z = noise(100, DIM, seed=99)
    codes = theirs.encode(z)
    assert torch.equal(ours.encode(z), codes)
    torch.testing.assert_close(ours.partial_sums(codes), theirs.partial_sums(codes))
    for wrong in ({"form": "qinco3"}, {"form": "qinco"}):
        refused("a form out of qinco2, qinco, the", PublishedQINCo, DIM, 4, 6, **sizes | wrong)
