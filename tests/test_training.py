"""The training loop: schedule, seeds, choice of device, and continuing to the same weights."""

import math

import pytest
import torch
from builds import raises, refused
from torch import nn

from ecglib.training import device, seeds
from ecglib.training.loop import Schedule, fit
from ecglib.training.memory import Parts

SHARES = [  # options, step, share
    ({"warmup": 2}, 0, 1 / 2),
    ({"warmup": 2}, 1, 1.0),
    ({"warmup": 2}, 2, 1.0),
    ({"warmup": 2}, 6, 0.5),  # cos(pi / 2) = 0
    ({"warmup": 2}, 9, 0.5 * (1 + math.cos(math.pi * 7 / 8))),
    ({"warmup": 0, "final_lr_share": 0.2}, 5, 0.6),
    ({"warmup": 0, "final_lr_share": 0.2}, 10, 0.2),
]


def test_learning_rate_by_hand_and_seeds_that_depend_on_every_name():
    """10 steps: the warm-up is linear, then a cosine falls to its final share."""
    for options, step, share in SHARES:
        assert Schedule(steps=10, **options).lr_share(step) == pytest.approx(share, abs=1e-15)
    others = [(0, "rvq", "step", 18), (1, "rvq", "step", 17), (0, "qinco", "step", 17)]
    assert seeds.sub_seed(0, "rvq", "step", 17) == 382285834190061359 < 2**63
    assert 382285834190061359 not in [seeds.sub_seed(*names) for names in others]
    assert sorted(seeds.draw_rows(4, 9, 0, "x").tolist()) == [0, 1, 2, 3]
    drawn = seeds.draw_rows(100, 10, 0, "x")
    assert len(set(drawn.tolist())) == 10
    assert torch.equal(drawn, seeds.draw_rows(100, 10, 0, "x"))
    # two epochs of ten rows in batches of four: each has all rows, in an order of its own
    walk = torch.cat([seeds.epoch_rows(10, 4, step, 0, "x") for step in range(5)]).tolist()
    assert sorted(walk[:10]) == sorted(walk[10:]) == list(range(10)) and walk[:10] != walk[10:]
    assert walk[:4] != seeds.epoch_rows(10, 4, 0, 1, "x").tolist()  # of another seed


def test_a_fit_follows_its_schedule_and_clips_the_gradient(tmp_path):
    """Gradients of 1 to 512, clipped to 1: AdamW moves by the rate of each step. Without either,
    all systems would be those of another training than their configs name."""
    net, schedule = nn.Linear(1, 1, bias=False), Schedule(10, warmup=4)
    before = net.weight.item()
    arguments = ({"net": net}, {"net": 0.1}, schedule, 0, tmp_path, "toy")
    fit(lambda step: [lambda: 2.0**step * net.weight.sum()], *arguments)
    moved = 0.1 * sum(schedule.lr_share(step) for step in range(10))
    assert before - net.weight.item() == pytest.approx(moved, rel=1e-4)


def train(folder, steps: int = 8, killed_at: int | None = None):
    """A small net with dropout, batch norm (a buffer) and a frozen part."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 1))
    net[0].bias.requires_grad_(False)
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))

    def loss_at(step: int) -> list:
        if step == killed_at:
            raise RuntimeError("killed")
        rows = seeds.draw_rows(64, 16, 0, "toy", step)
        return [lambda g=g: (net(x[g]) - x[g].sum(1, True)).square().mean() for g in rows.chunk(2)]

    schedule = Schedule(steps, warmup=2, checkpoint_every=3)
    losses = fit(loss_at, {"net": net}, {"net": 1e-2}, schedule, 0, folder, "toy")
    return net, losses


@pytest.mark.parametrize(("killed_at", "renamed"), [(1, 0), (3, 0), (5, 0), (7, 0), (7, 1)])
def test_a_killed_training_continues_to_the_same_weights(tmp_path, killed_at, renamed):
    """Also when it is killed between the two renames of a checkpoint."""
    net, losses = train(tmp_path / "through")
    raises(RuntimeError, "killed", train, tmp_path / "killed", killed_at=killed_at)
    if renamed:
        folder = tmp_path / "killed" / "checkpoint" / "toy"
        folder.rename(folder.with_name("toy.old"))
    torch.manual_seed(123)  # draws of the new process before the training must not matter
    again, continued = train(tmp_path / "killed")
    assert continued == losses
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    net = nn.Linear(1, 1)
    losses = [lambda: net.weight.sum() * math.nan]
    arguments = ({"net": net}, {"net": 1.0}, Schedule(1), 0, tmp_path, "bad")
    raises(FloatingPointError, "got nan at step 0", fit, lambda step: losses, *arguments)


def train_in_parts(folder, count: int, fitting: int) -> tuple[torch.Tensor, list[float], int]:
    """A linear layer on 16 rows per update; a micro-batch of more than `fitting` has no memory."""
    torch.manual_seed(0)
    net, parts = nn.Linear(3, 1), Parts(count, 16)
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))

    def loss(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return (net(x[rows]) - x[rows].sum(1, True)).square().sum() / 16

    def loss_at(step: int) -> list:
        drawn = seeds.draw_rows(64, 16, 0, "toy", step).chunk(parts.count)
        return [lambda rows=rows: loss(rows) for rows in drawn]

    schedule = Schedule(6, warmup=2)
    losses = fit(loss_at, {"net": net}, {"net": 1e-2}, schedule, 0, folder, "toy", parts)
    return net.weight.detach(), losses, parts.count


def test_memory_that_runs_out_halves_the_micro_batches(tmp_path, capsys):
    weight, losses, count = train_in_parts(tmp_path, count=4, fitting=4)
    assert count == 4 and capsys.readouterr().out == ""
    halved, others, count = train_in_parts(tmp_path, count=1, fitting=4)
    assert count == 4 and others == losses and torch.equal(halved, weight)
    assert "toy: out of memory, so an update has 4 micro-batches" in capsys.readouterr().out
    raises(torch.OutOfMemoryError, "cannot be smaller .CUDA out", train_in_parts, tmp_path, 1, 0)


def test_unknown_hardware_is_refused_the_timed_format_is_kept_and_autocast(tmp_path, monkeypatch):
    hardware = {"device": "cpu", "dtype": "auto", "threads": torch.get_num_threads()}
    first = device.choose_machine(hardware, tmp_path / "machine.json")
    before = (tmp_path / "machine.json").read_bytes()
    assert device.choose_machine(hardware, tmp_path / "machine.json") == first
    assert (tmp_path / "machine.json").read_bytes() == before
    x = torch.ones(2, 2)
    for dtype in ("float32", "bfloat16"):
        machine = device.Machine("cpu", dtype, 1, "test")
        with machine.autocast():
            assert (x @ x).dtype == machine.torch_dtype
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = "device auto, cpu or cuda, got .tpu."
    refused(message, device.choose_machine, hardware | {"device": "tpu"})
    message = "dtype auto, float32 or bfloat16, got .float16."
    refused(message, device.choose_machine, hardware | {"dtype": "float16"})
    refused("sees no CUDA device", device.choose_machine, hardware | {"device": "cuda"})
