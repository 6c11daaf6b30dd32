#!/usr/bin/env python3
"""The loss of token_loss_benchmark.cpp in PyTorch: eager, one thread, on the CPU, in float; value and gradient.

    benchmarks/peers/token_loss_torch.py [BENCHMARK]

BENCHMARK is the built token_loss_benchmark. It is run first: both must find the same loss and norm of the gradient."""

import json
import math
import statistics
import subprocess
import sys
import time

import torch

PROMPTS, ROLLOUTS, TOKENS = 4096, 16, 512


def numbers(shape, scale, shift, period):
    i = torch.arange(math.prod(shape)) % period
    return (shift + scale * torch.sin(0.7 * i.float())).reshape(shape)


def loss_of(reward, log_p, old, reference):
    advantage = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, correction=0, keepdim=True) + 1e-6)
    advantage = advantage.reshape(-1, 1)
    ratio = torch.exp(log_p - old)
    surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage)
    d = reference - log_p
    k3 = torch.exp(d) - d - 1
    return (0.04 * k3 - surrogate).mean(1).mean()


def main():
    torch.set_num_threads(1)
    tokens = (PROMPTS * ROLLOUTS, TOKENS)
    reward = numbers((PROMPTS, ROLLOUTS), 1, 0, 101)
    log_p = numbers(tokens, 0.2, -1, 1009).requires_grad_()
    old, reference = numbers(tokens, 0.2, -1, 1013), numbers(tokens, 0.2, -1, 1019)

    times = []
    for _ in range(5):
        log_p.grad = None
        start = time.process_time()
        loss = loss_of(reward, log_p, old, reference)
        loss.backward()
        times.append(1e3 * (time.process_time() - start))
    norm = log_p.grad.double().norm().item()
    torch_time = statistics.median(times)
    print(f"torch {torch.__version__}, one thread: {torch_time:.0f} ms, loss {loss.item():.6e}, gradient {norm:.6e}")
    if len(sys.argv) > 1:
        command = [sys.argv[1], "--benchmark_filter=simd", "--benchmark_format=json", "--benchmark_repetitions=5"]
        runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["benchmarks"]
        for r in runs:
            if r.get("run_type") == "iteration":
                assert abs(r["loss"] - loss.item()) < 1e-4, (r["loss"], loss.item())
                assert abs(r["gradient_norm"] - norm) < 1e-3 * norm, (r["gradient_norm"], norm)
        poise = next(r["cpu_time"] for r in runs if r.get("aggregate_name") == "median")
        print(f"poise {poise:.0f} ms, ratio {torch_time / poise:.1f}")


if __name__ == "__main__":
    main()
