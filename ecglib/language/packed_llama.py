"""The forward pass of a Llama over packed rows, for training on a CPU.

The numbers are those of transformers' `LlamaModel`, with the modules and weights of the model, in
about two thirds of the time (tests/benchmarks/lm_step_share.py):

    - all positions are one matrix, so that rows of different lengths need no common length;
    - queries, keys and values are one product, and so are gate and up projection;
    - what is between two products stays in their number format; only sums are in float32, and so
      is the residual stream, without which gradients lose digits.
"""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import LlamaModel


def computes(core: nn.Module, device: torch.device) -> bool:
    """Whether `hidden_states` computes this model."""
    return isinstance(core, LlamaModel) and device.type == "cpu"


def hidden_states(
    core: LlamaModel, x: torch.Tensor, position: torch.Tensor, masks: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Last hidden states (N, d) of N positions in blocks of packed rows.

    Args:
        core: the model below its output layer; a LoRA may wrap its linear layers.
        x: input embeddings (N, d).
        position: (N,) as if each sequence were alone.
        masks: for each block of R rows of T positions which key each query may attend to, boolean
            (R, 1, T, T). The blocks follow one another, so the R T of all blocks add up to N.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    x, rotation = x.float(), rotary_factors(core, position, dtype)
    masks = [additive(mask, dtype) for mask in masks]
    for layer in core.layers:
        attention, mlp = layer.self_attn, layer.mlp
        normed = rms_norm(layer.input_layernorm, x, dtype)
        qkv = joint(normed, attention.q_proj, attention.k_proj, attention.v_proj)
        x = x + attention.o_proj(attend(attention, qkv, rotation, masks))
        normed = rms_norm(layer.post_attention_layernorm, x, dtype)
        gate, up = joint(normed, mlp.gate_proj, mlp.up_proj).chunk(2, -1)
        x = x + mlp.down_proj(mlp.act_fn(gate) * up)
    return rms_norm(core.norm, x, dtype)


def additive(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores: 0 where a boolean mask allows attention, else the smallest
    number, which gives a query without any key no NaN."""
    zeros = torch.zeros_like(allowed, dtype=dtype)
    return zeros.masked_fill_(~allowed, torch.finfo(dtype).min)


def joint(x: torch.Tensor, *layers: nn.Module) -> torch.Tensor:
    """The outputs of several linear layers side by side, by one product if none has a LoRA."""
    if all(type(layer) is nn.Linear and layer.bias is None for layer in layers):
        return nn.functional.linear(x, torch.cat([layer.weight.to(x.dtype) for layer in layers]))
    return torch.cat([layer(x) for layer in layers], -1)


def rotary_factors(
    core: LlamaModel, position: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and signed sin of the rotary embedding, (N, head width) each, scaled so that the product
    of a query and a key is the attention score."""
    cos, sin = core.rotary_emb(torch.empty(0, device=position.device), position[None])
    scale = core.layers[0].self_attn.scaling ** 0.5
    first, second = sin[0].chunk(2, -1)
    signed = torch.cat([-first, second], -1)
    return tuple((factor * scale).to(dtype) for factor in (cos[0], signed))


def attend(
    attention: nn.Module,
    qkv: torch.Tensor,
    rotation: tuple[torch.Tensor, torch.Tensor],
    masks: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Attention within each row of each block: qkv (N, ...) -> (N, heads x head width)."""
    width, groups = attention.head_dim, attention.num_key_value_groups
    qkv = qkv.unflatten(1, (-1, width))
    key_heads = qkv.shape[1] // (groups + 2)
    heads, outputs = groups * key_heads, []
    sizes = [mask.shape[0] * mask.shape[-1] for mask in masks]
    parts = (part.split(sizes) for part in (qkv, *rotation))
    for mask, block, cos, sin in zip(masks, *parts, strict=True):
        block = block.transpose(0, 1).contiguous()  # heads first: the fastest for all that follows
        qk, v = block.split([heads + key_heads, key_heads])
        q, k = (qk * cos + qk.roll(width // 2, -1) * sin).split([heads, key_heads])
        if groups > 1:
            k, v = (part.repeat_interleave(groups, 0) for part in (k, v))
        q, k, v = (part.unflatten(1, (len(mask), -1)) for part in (q, k, v))
        shares = (q @ k.mT).add_(mask[:, 0]).softmax(-1)  # (heads, R, T, T)
        outputs.append((shares @ v).permute(1, 2, 0, 3).flatten(2).flatten(0, 1))
    return torch.cat(outputs)


def rms_norm(norm: nn.Module, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x / sqrt(mean of x^2 + eps) * weight, over the last dimension of x (N, d)."""
    return _RmsNorm.apply(x, norm.weight, norm.variance_epsilon, dtype)


class _RmsNorm(torch.autograd.Function):
    """With r = 1 / sqrt(mean of x^2 + eps) and g = weight * gradient of the output,
    dx = r (g - r^2 x mean(g x)). torch's layer norm has the same but for a term -r mean(g), so its
    backward pass, one kernel, does most of the work."""

    @staticmethod
    def forward(ctx, x, weight, eps, dtype):
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        r = square.div_(x.shape[1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, r)
        return (x * r).to(dtype).mul_(weight.to(dtype))

    @staticmethod
    def backward(ctx, gradient):
        x, weight, r = ctx.saved_tensors
        gradient, weight, size = gradient.to(x.dtype), weight.to(x.dtype), x.shape[1]
        mean = torch.zeros_like(r)  # what a layer norm would subtract
        wanted = [True, ctx.needs_input_grad[1], False]
        dx, dweight, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, x, [size], mean, r, weight, None, wanted
        )
        lacking = torch.mv(gradient, weight)[:, None].mul_(r).div_(size)
        return dx.add_(lacking), dweight, None, None
