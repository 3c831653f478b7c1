"""Would jobs of different LoRAs be faster in one forward, each row with its own, than in a forward for each LoRA?

Each LoRA is a copy of the model around the same weights. Its calls can run in it by themselves, or in the model's own
module together with those of others, each adding to its own rows (`device/rows/adapter_rows.py`). This measures both on
small UNets shaped like SD 1.x's and SDXL's, in turns, in processor time; and counts the operations that are dispatched,
which is what a GPU waits for when calls are small. Usage: python -m benchmarks.lora_rows [rounds]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from peft import LoraConfig
from torch.utils._python_dispatch import TorchDispatchMode

from engine.device import adapter_rows, fibers
from engine.device.fibers import Call, Fiber
from engine.models.derived.variants import shared_copy

LORAS, ROWS, RANK, ROUNDS, SIDE = 4, 2, 8, 5, 16
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]


def sd1() -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=SIDE, block_out_channels=(64, 128, 256, 256), layers_per_block=2, cross_attention_dim=128
    )


def sdxl() -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=SIDE,
        block_out_channels=(64, 128, 256),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(1, 2, 4),
        use_linear_projection=True,
        cross_attention_dim=256,
    )


def adapted(unet: Any, seed: int) -> Any:
    """A copy around the same weights, with a LoRA."""
    torch.manual_seed(seed)
    copied: Any = shared_copy(unet)
    copied.add_adapter(LoraConfig(r=RANK, target_modules=TARGETS, init_lora_weights=False))
    adapter_rows.share(copied, unet)
    return copied.eval()


def call(unet: Any) -> Call:
    """A step of one job, guided: two rows."""
    words = torch.randn(ROWS, 77, unet.config.cross_attention_dim)
    named = {"encoder_hidden_states": words, "return_dict": False}
    args = torch.randn(ROWS, 4, SIDE, SIDE), torch.tensor(500)
    return Call(unet, "__call__", "denoise", args, named, ROWS, Fiber(lambda: None))


class Counted(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(what: str, unet: Any, rounds: int) -> None:
    calls = [call(adapted(unet, number)) for number in range(LORAS)]
    unadapted = [call(unet) for _ in range(LORAS)]

    def separate() -> list[Any]:
        return [each.run() for each in calls]

    def together() -> list[Any]:
        return fibers.forward(calls)

    def plain() -> list[Any]:
        return fibers.forward(unadapted)

    apart = max(float((one[0] - other[0]).abs().max()) for one, other in zip(separate(), together(), strict=True))
    counts = []
    for work in (separate, together, plain):
        with Counted() as counted:
            work()
        counts.append(counted.count)
    took = [[seconds(work) for work in (separate, together, plain)] for _ in range(rounds)]
    ratios = sorted(one[1] / one[0] for one in took)
    medians = [statistics.median(column) for column in zip(*took, strict=True)]
    print(
        f"{what}: {LORAS} LoRAs of rank {RANK}, {ROWS} rows each; processor seconds, medians of {rounds} rounds",
        flush=True,
    )
    print(f"  a copy each {medians[0]:.3f}, in one call {medians[1]:.3f}, without LoRAs {medians[2]:.3f}")
    print(f"  one call / copies: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"  operations: {counts[0]}, {counts[1]}, {counts[2]}: {counts[1] / counts[0]:.2f}")
    print(f"  largest difference: {apart:.1e}", flush=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    with torch.no_grad():
        for what, build in (("SD 1.x", sd1), ("SDXL", sdxl)):
            torch.manual_seed(0)
            measure(what, build().eval(), rounds)


if __name__ == "__main__":
    main()
