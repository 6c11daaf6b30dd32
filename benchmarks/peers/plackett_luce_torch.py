#!/usr/bin/env python3
"""Plackett-Luce distillation in PyTorch (argsort, logcumsumexp, autograd), value and gradient, on the CPU.

    benchmarks/peers/plackett_luce_torch.py [BENCHMARK]

BENCHMARK is the built plackett_luce_benchmark. It is run first: both must find the same mean loss and gradient, then
the medians and their ratio are printed. Needs numpy and torch; one thread, like execution::along."""

import json
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

ROWS, CLASSES = 4096, 1000


def draws(count, state=2463534242):
    """The benchmark's 32-bit xorshift."""
    out = np.empty(count, dtype=np.uint32)
    for i in range(count):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        out[i] = state
    return out


def problem():
    n = ROWS * CLASSES
    words = draws(2 * n + ROWS)
    logits = (words[: 2 * n] >> 8).astype(np.float32) * np.float32(8 / 2**24) - np.float32(4)
    student, teacher = (torch.from_numpy(part.reshape(ROWS, CLASSES)) for part in (logits[:n], logits[n:]))
    return student, teacher, torch.from_numpy((words[2 * n :] % CLASSES).astype(np.int64))


def distil(student, teacher, label):
    """Losses of all rows, and the gradient of their sum."""
    student = student.detach().requires_grad_(True)
    first = teacher.scatter(1, label[:, None], float("inf"))
    order = torch.argsort(first, dim=1, descending=True, stable=True)
    weights = torch.softmax(teacher, 1).gather(1, order)
    ranked = student.gather(1, order)
    suffix = torch.logcumsumexp(ranked.flip(1), 1).flip(1)
    losses = (weights * (suffix - ranked)).sum(1)
    losses.sum().backward()
    return losses.detach(), student.grad


def main():
    torch.set_num_threads(1)
    student, teacher, label = problem()
    losses, gradient = distil(student, teacher, label)
    mean_loss = losses.double().mean().item()
    norm = gradient.abs().double().sum(1).mean().item()
    print(f"mean loss {mean_loss:.6f}, mean 1-norm of the gradient {norm:.6f}")

    poise = None
    if len(sys.argv) > 1:
        command = [sys.argv[1], "--benchmark_filter=along>/4096", "--benchmark_format=json", "--benchmark_repetitions=5"]
        runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["benchmarks"]
        alone = [r for r in runs if "parallel" not in r["name"]]
        for r in alone:
            if r.get("run_type") == "iteration":
                assert abs(r["mean_loss"] - mean_loss) < 1e-4 * mean_loss, (r["mean_loss"], mean_loss)
                assert abs(r["mean_gradient_1_norm"] - norm) < 1e-4 * norm, (r["mean_gradient_1_norm"], norm)
        poise = next(r["cpu_time"] for r in alone if r.get("aggregate_name") == "median")
        print(f"poise, execution::along: {poise:.1f} ms")

    times = []
    for _ in range(7):
        start = time.process_time()
        distil(student, teacher, label)
        times.append(1e3 * (time.process_time() - start))
    torch_time = statistics.median(times)
    print(f"torch {torch.__version__}, one thread: {torch_time:.1f} ms")
    if poise:
        print(f"ratio {torch_time / poise:.1f}")


if __name__ == "__main__":
    main()
