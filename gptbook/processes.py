"""Several processes that train one model, and how busy their processors are.

    torchrun --nproc_per_node 2 -m gptbook.training --config tales
    python -m gptbook.processes 2 -m gptbook.training --config tales    # on Windows

`torchrun` starts the processes and gives each its number in environment variables; the
rest happens here. One process that is started without it is number 0 of 1.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import os
import socket
import subprocess
import sys
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gptbook.checkpoint import count_parameters

# After so long without a word from the others, a process gives up. It must be longer
# than what process 0 does alone: making the tokenizer, writing a checkpoint.
TIMEOUT = datetime.timedelta(minutes=10)


class Processes:
    """This process, its number `rank` among `world` of them, and its `device`.

    device: "cpu", "cuda", ...; None takes CUDA where there is one, else the CPU.
    """

    def __init__(self, device=None):
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:
            # On one machine, each process has a GPU of its own.
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(self.device)
        if self.world > 1 and not dist.is_initialized():
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=TIMEOUT)

    def gather(self, number):
        """The number that each process gives, in the order of rank, on all of them."""
        if self.world == 1:
            return [number]
        own = torch.tensor([number], dtype=torch.float64, device=self.device)
        found = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(found, own)
        return torch.cat(found).tolist()

    @contextlib.contextmanager
    def in_turn(self):
        """Process 0 goes first, so that the others find the files that it makes."""
        if self.rank > 0:
            self.gather(0)
        yield
        if self.rank == 0:
            self.gather(0)

    def parallel(self, model):
        """The model, whose gradients are then means over the processes."""
        return DistributedDataParallel(model) if self.world > 1 else model

    def exchange(self, parallel, now):
        """The context of a backward pass after which gradients are, or not, shared."""
        if now or self.world == 1:
            return contextlib.nullcontext()
        return parallel.no_sync()


def leave():
    """The last word to the others; nothing made by `parallel` may be in use any more.

    PyTorch can wait for ever where such a model outlives the group of processes.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


# How fast


def training_flops(config, lengths):
    """The operations that training on sequences of these lengths needs, padding aside.

    For each token 6 for each weight of a product, and 12 L C T for attention: 2 forward
    and 4 backward for each pair that is multiplied and added (Chowdhery et al. 2022,
    appendix B). The position table is in no product.
    """
    weights = count_parameters(config) - config.block_size * config.d_model
    attention = 12 * config.n_layer * config.d_model
    return sum(T * (6 * weights + attention * T) for T in lengths)


def measure_peak(device, dtype, size=None, repeats=20):
    """The operations a second of the best of some products of large square matrices."""
    size = size or (8192 if device.type == "cuda" else 512)
    a, best = torch.rand(size, size, device=device).to(dtype), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


class Speed:
    """Tokens a second, and with a peak the model FLOPs utilisation, so far.

    peak: operations a second of which this process is capable.
    """

    def __init__(self, peak=None):
        self.peak = peak
        self.steps = self.tokens = self.flops = self.seconds = 0

    def add(self, tokens, flops, seconds):
        self.steps += 1
        if self.steps > 1:  # the first step also makes everything ready
            self.tokens += tokens
            self.flops += flops
            self.seconds += seconds

    def __str__(self):
        if not self.seconds:
            return ""
        rate = f"{self.tokens / self.seconds:,.0f} tokens/s"
        if self.peak is None:
            return rate
        return f"{rate}, MFU {self.flops / self.seconds / self.peak:.0%}"


# On one Windows machine


def launch(n, command):
    """What torchrun does, in brief: n numbered processes, all ended when one fails.

    PyTorch's own doesn't start on Windows, where it lacks a library (libuv).
    command: the arguments of Python. Returns the exit status: the first that is not 0.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"OMP_NUM_THREADS": "1", **os.environ, "WORLD_SIZE": str(n)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(n)
    ]
    try:
        while None in (found := [p.poll() for p in started]) and not any(found):
            time.sleep(0.1)
        return next((status for status in found if status), 0)
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(launch(int(sys.argv[1]), sys.argv[2:]))
