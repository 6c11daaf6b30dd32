#!/usr/bin/env python3
"""The step of learner_benchmark.cpp in PyTorch: eager, one thread, on the CPU, in float.

    benchmarks/peers/learner_torch.py [BENCHMARK]

BENCHMARK is the built learner_benchmark. It is run first: both must find the same loss and norm of the gradient on the
same contexts, parameters and actions, then the medians and their ratio are printed. Actions of the first step are drawn
by Gumbel-max from the same addresses (Philox4x32-10), later ones by torch.multinomial."""

import json
import math
import statistics
import subprocess
import sys
import time

import torch

SAMPLES, SIZES = 256, [4, 64, 64, 2]


def philox(counter, key):
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def gumbels(index, seed=1):
    block = philox([0, index, 0, 0], seed)
    words = [block[0] | block[1] << 32, block[2] | block[3] << 32]
    return [-math.log(-math.log(((w >> 12) * 2 + 1) * 2.0**-53)) for w in words]


def network():
    layers, k = [], 0
    for inputs, outputs in zip(SIZES, SIZES[1:]):
        layer = torch.nn.Linear(inputs, outputs)
        for p in (layer.weight, layer.bias):
            values = [0.2 * math.sin(1.3 * (k + j) + 0.1) for j in range(p.numel())]
            p.data = torch.tensor(values).reshape(p.shape)
            k += p.numel()
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


class Learner:
    def __init__(self):
        self.x = torch.tensor([math.sin(0.7 * i) for i in range(4 * SAMPLES)]).reshape(SAMPLES, 4)
        self.net = network()
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def sample(self):
        return torch.multinomial(torch.softmax(self.net(self.x), 1), 1)

    def sample_as_poise(self):
        noise = torch.tensor([gumbels(i) for i in range(SAMPLES)])
        return (self.net(self.x) + noise).argmax(1, keepdim=True)

    def step(self, sample):
        with torch.no_grad():
            actions = sample()
            advantage = self.x.gather(1, actions)[:, 0]
        log_p = torch.log_softmax(self.net(self.x), 1)
        log_pi = log_p.gather(1, actions)[:, 0]
        ratio = torch.exp(log_pi - log_pi.detach())
        loss = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss


def main():
    torch.set_num_threads(1)
    learner = Learner()
    loss = learner.step(learner.sample_as_poise).item()
    norm = math.sqrt(sum((p.grad.double() ** 2).sum().item() for p in learner.net.parameters()))
    print(f"loss {loss:.6e}, norm of the gradient {norm:.6f}")

    poise = None
    if len(sys.argv) > 1:
        command = [sys.argv[1], "--benchmark_filter=float", "--benchmark_format=json", "--benchmark_repetitions=5"]
        runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["benchmarks"]
        for r in runs:
            if r.get("run_type") == "iteration":
                assert abs(r["loss"] - loss) < 1e-4 * abs(loss), (r["loss"], loss)
                assert abs(r["gradient_norm"] - norm) < 1e-4 * norm, (r["gradient_norm"], norm)
        median = {r["run_name"]: r["cpu_time"] for r in runs if r.get("aggregate_name") == "median"}
        poise = median["learner_step/float"]
        print(f"poise {poise:.0f} us, by hand with Eigen {median['step_by_hand/float']:.0f} us")

    times = []
    for i in range(400):
        start = time.process_time()
        learner.step(learner.sample)
        times.append(1e6 * (time.process_time() - start))
    torch_time = statistics.median(times[100:])
    print(f"torch {torch.__version__}, one thread: {torch_time:.0f} us")
    if poise:
        print(f"ratio {torch_time / poise:.1f}")


if __name__ == "__main__":
    main()
