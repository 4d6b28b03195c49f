"""What an older torch than the pinned one needs, on machines that are only measured."""

from collections.abc import Callable

from torch.utils import flop_counter


def count_grouped_queries() -> None:
    """Let torch's counter of operations count attention whose query heads share keys.

    Before torch 2.13 it refuses. Here it gets each key as often as it is read, which torch 2.13
    counts. This process alone is changed, not those that torchrun starts."""
    for name, first in {"sdpa_flop_count": 0, "sdpa_backward_flop_count": 1}.items():
        count = getattr(flop_counter, name)
        try:
            count(*[(1, 2, 1, 1)] * (first + 1), (1, 1, 1, 1), (1, 1, 1, 1))
        except AssertionError:

            def repeated(*shapes: tuple[int, ...], of: Callable = count, at: int = first) -> int:
                heads = shapes[at][1]
                return of(*((batch, heads, *rest) for batch, _, *rest in shapes))

            setattr(flop_counter, name, repeated)
