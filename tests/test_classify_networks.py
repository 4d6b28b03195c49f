"""EfficientNetV2, the linear probe and DeepSL: shapes, counts, padding, and a block by hand."""

import numpy as np
import pytest
import torch
from builds import refused

from ecglib.classify.deep_sl import DeepSL
from ecglib.classify.efficientnet import (
    EfficientNetV2,
    LinearProbe,
    MBConv,
    PlainBlock,
    drop_branch,
    strided,
    valid_positions,
)
from ecglib.classify.train_classifier import forward_operations

SIZES = {"widths": [8, 8, 12, 16], "depths": [1, 2, 2, 1], "expansions": [1, 1, 2, 2]}
SIZES |= {"kernels": [3, 3, 5, 3], "strides": [1, 2, 1, 2], "dropout": 0.0}
SIZES |= {"stochastic_depth": 0.0}
STEM = {"stem_widths": [6, 8], "stem_strides": [4, 2]}


def networks() -> dict[str, tuple[torch.nn.Module, torch.Tensor]]:
    """Networks whose norms have seen data, and inputs of 20 positions or 160 samples."""
    torch.manual_seed(0)
    built = {
        "efficientnet": (EfficientNetV2(6, 3, **SIZES), torch.randn(4, 20, 6)),
        "linear": (LinearProbe(6, 3), torch.randn(4, 20, 6)),
        "deep_sl": (DeepSL(3, **STEM, **SIZES), torch.randn(4, 12, 160)),
    }
    for network, x in built.values():
        full = torch.full((4,), x.shape[2] if x.shape[1] == 12 else x.shape[1])
        network(x, full)
        for buffer in network.buffers():
            if buffer.dtype == torch.float32:
                buffer += 0.2
    return built


@pytest.mark.parametrize("name", ["efficientnet", "linear", "deep_sl"])
@pytest.mark.parametrize("training", [False, True])
def test_padding_does_not_reach_the_output(name: str, training: bool):
    """Neither the logits nor, in training, the statistics of the norms depend on it."""
    network, x = networks()[name]
    network.train(training)
    time = 2 if name == "deep_sl" else 1
    unit = 8 if name == "deep_sl" else 1
    lengths = torch.tensor([20, 7, 13, 19]) * unit - (3 if name == "deep_sl" else 0)
    other = x.clone()
    for row, length in enumerate(lengths.tolist()):
        other[row].transpose(0, time - 1)[length:] = 50.0
    kept = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    one = network(x, lengths)
    after = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    torch.testing.assert_close(network(other, lengths), one)
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, after[key], msg=key)
    if not training:  # alone, and beside longer ones
        for row, length in enumerate(lengths.tolist()):
            alone = x[row : row + 1].narrow(time, 0, length)
            logits = network(alone, lengths[row : row + 1])
            torch.testing.assert_close(logits, one[row : row + 1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet", "linear", "deep_sl"])
def test_a_network_is_rebuilt_from_its_config_and_every_weight_learns(name: str):
    network, x = networks()[name]
    again = type(network)(**network.config())
    again.load_state_dict(network.state_dict())
    lengths = torch.full((4,), 160 if name == "deep_sl" else 20)
    torch.testing.assert_close(again.eval()(x, lengths), network.eval()(x, lengths))
    network.train()(x, lengths).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


def test_the_released_size_by_hand():
    """b0 on 128 numbers per position: 2 plain stages, 2 of MBConv, 1x1 convolution, 77 labels."""

    def mbconv(before: int, after: int, kernel: int) -> int:
        inner, squeezed = 6 * before, before // 4
        gate = inner * squeezed + squeezed + squeezed * inner + inner
        return before * inner + inner * kernel + inner * after + gate + 2 * (2 * inner + after)

    plain = 3 * (128 * 160 + 160 * 160 + 160 * 192 + 192 * 192) + 2 * (160 + 160 + 192 + 192)
    third = mbconv(192, 256, 5) + 2 * mbconv(256, 256, 5)
    fourth = mbconv(256, 320, 3) + 2 * mbconv(320, 320, 3)
    expected = plain + third + fourth + 320 * 320 + 2 * 320 + 320 * 77 + 77
    sizes = {"widths": [160, 192, 256, 320], "depths": [2, 2, 3, 3], "expansions": [4, 6, 6, 6]}
    sizes |= {"kernels": [3, 3, 5, 3], "strides": [1, 2, 1, 2]}
    network = EfficientNetV2(128, 77, **sizes, dropout=0.3, stochastic_depth=0.2)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    shapes, lengths = [], torch.tensor([79, 40])
    for block in network.blocks:
        block.register_forward_hook(lambda _, __, y: shapes.append(tuple(y.shape[1:])))
    assert network(torch.randn(2, 79, 128), lengths).shape == (2, 77)
    assert shapes == [(79, 160)] * 2 + [(40, 192)] * 2 + [(40, 256)] * 3 + [(20, 320)] * 3
    drops = [block.drop for block in network.blocks]
    np.testing.assert_allclose(drops, 0.2 * np.arange(10) / 10)
    skips = [block.skip for block in network.blocks]
    assert skips == [False, True, False, True, False, True, True, False, True, True]
    probe = LinearProbe(128, 77)  # the number of parameters of the released strict probe
    assert sum(parameter.numel() for parameter in probe.parameters()) == 128 * 77 + 77 == 9933


def test_blocks_by_hand_with_a_stride_and_padding():
    """numpy, position by position, on the first 5 of 7 positions."""
    torch.manual_seed(0)
    x, length = torch.randn(1, 7, 4), 5
    lengths = torch.tensor([length])
    before = valid_positions(lengths, 7, x.dtype)
    after = valid_positions(strided(lengths, 2), 4, x.dtype)
    assert strided(lengths, 2).tolist() == [3]

    def swish(v: np.ndarray) -> np.ndarray:
        return v / (1 + np.exp(-v))

    def normed(norm, v: np.ndarray) -> np.ndarray:
        w, b, m, s = (t.detach().numpy() for t in (norm.weight, norm.bias, *moving(norm)))
        return (v - m) / np.sqrt(s + norm.eps) * w + b

    def moving(norm) -> tuple[torch.Tensor, torch.Tensor]:
        return norm.running_mean, norm.running_var

    block = MBConv(4, 6, 2, 3, 2, 0.0).eval()
    for norm in (block.norm1, block.norm2, block.norm3):
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
    w = {key: tensor.detach().numpy() for key, tensor in block.state_dict().items()}
    signal = x[0, :length].numpy()
    e = swish(normed(block.norm1, signal @ w["expand.weight"].T))
    e = np.vstack([np.zeros((1, 8)), e, np.zeros((2, 8))])
    kernel = w["depthwise.weight"][:, 0, 0]  # (8, 3)
    d = np.array([sum(e[2 * t + k] * kernel[:, k] for k in range(3)) for t in range(3)])
    d = swish(normed(block.norm2, d))
    gate = swish(d.mean(0) @ w["squeeze.weight"].T + w["squeeze.bias"])
    gate = 1 / (1 + np.exp(-(gate @ w["excite.weight"].T + w["excite.bias"])))
    expected = normed(block.norm3, (d * gate) @ w["project.weight"].T)
    output = block(x, before, after).detach().numpy()
    np.testing.assert_allclose(output[0, :3], expected, atol=1e-5)

    plain = PlainBlock(4, 4, 3, 1, 0.0).eval()
    kernel = plain.conv.weight.detach().numpy()[:, :, 0]  # (out, in, 3)
    padded = np.vstack([np.zeros((1, 4)), signal, np.zeros((1, 4))])
    h = np.array([sum(kernel[..., k] @ padded[t + k] for k in range(3)) for t in range(length)])
    expected = signal + swish(normed(plain.norm, h))
    output = plain(x, before, before).detach().numpy()
    np.testing.assert_allclose(output[0, :length], expected, atol=1e-5)


def test_stochastic_depth_drops_whole_branches_and_keeps_their_mean():
    torch.manual_seed(0)
    dropped = drop_branch(torch.ones(4000, 2, 3), 0.25, training=True)
    values = dropped.flatten(1)
    assert (values == values[:, :1]).all()
    np.testing.assert_allclose(values.unique(), [0.0, 1 / 0.75], rtol=1e-6)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)
    assert (drop_branch(torch.ones(9, 1, 1), 0.25, training=False) == 1).all()


def test_operations_of_a_forward_pass_by_hand():
    """2 per product: of the mean 6 x 3; of a convolution positions x kernel x in x out."""
    lengths = torch.tensor([20])
    assert forward_operations(LinearProbe(6, 3), torch.zeros(1, 20, 6), lengths) == 2 * 6 * 3
    sizes = SIZES | {"widths": [4, 4], "depths": [1, 1], "strides": [1, 2]}
    sizes |= {"expansions": [1, 1], "kernels": [3, 3]}
    network = EfficientNetV2(6, 3, **sizes)
    by_hand = 20 * 3 * 6 * 4 + 10 * 3 * 4 * 4 + 10 * 4 * 4 + 4 * 3
    assert forward_operations(network, torch.zeros(1, 20, 6), lengths) == 2 * by_hand


def test_wrong_sizes_are_named():
    refused("one length with odd kernels", EfficientNetV2, 6, 3, **SIZES | {"depths": [1]})
    refused("odd kernels", EfficientNetV2, 6, 3, **SIZES | {"kernels": [3, 3, 4, 3]})
    refused("as many stem_widths", DeepSL, 3, [8], [4, 2], **SIZES)
