"""A known load on one GPU: idle, a full matrix product, and square waves of it. One JSON line per phase, with its
begin and end in CLOCK_MONOTONIC ns. `--dry` computes nothing; `--scale F` shortens every phase."""

import argparse
import json
import time

SIZE = 8192
# Name, seconds, beats per second of the wave (0: none), whether there is work at all. The odd one is not in step with
# sensors that refresh ten times a second, so it shows them from every side.
PHASES = [
    ("idle", 8, 0, False),
    ("full", 15, 0, True),
    ("rest", 3, 0, False),
    ("square 1 Hz", 14, 1, True),
    ("rest", 2, 0, False),
    ("square 5 Hz", 14, 5, True),
    ("rest", 2, 0, False),
    ("square 7.3 Hz", 10, 7.3, True),
    ("rest", 2, 0, False),
    ("square 20 Hz", 14, 20, True),
    ("rest", 2, 0, False),
]


def sleep_until(monotonic_ns):
    while (left := monotonic_ns - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)


class Matrices:
    def __init__(self):
        import torch

        self.torch = torch
        self.a = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
        self.b = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
        self.out = torch.empty_like(self.a)
        self.until(time.monotonic_ns() + 2_000_000_000)

    def until(self, monotonic_ns):
        """Multiplies until then; two products are in flight, so the GPU never waits and stops within one."""
        done = [self.torch.cuda.Event() for _ in range(2)]
        count = 0
        while time.monotonic_ns() < monotonic_ns:
            if count >= len(done):
                done[count % 2].synchronize()
            self.torch.mm(self.a, self.b, out=self.out)
            done[count % 2].record()
            count += 1
        self.torch.cuda.synchronize()
        return count


class Nothing:
    def until(self, monotonic_ns):
        sleep_until(monotonic_ns)
        return 0


def run(work, seconds, beats, busy):
    """Returns how many products were computed, and for how long the GPU was at it."""
    begin = time.monotonic_ns()
    end = begin + int(seconds * 1e9)
    if not busy:
        sleep_until(end)
        return 0, 0.0
    period = int(1e9 / beats) if beats else end - begin
    high = period // 2 if beats else period
    products, busy_ns = 0, 0
    for beat in range(begin, end, period):
        started = time.monotonic_ns()
        products += work.until(min(beat + high, end))
        busy_ns += time.monotonic_ns() - started
        sleep_until(min(beat + period, end))
    return products, busy_ns / 1e9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    work = Nothing() if options.dry else Matrices()
    time.sleep(2 * options.scale)
    for name, seconds, beats, busy in PHASES:
        start_ns = time.monotonic_ns()
        products, busy_s = run(work, seconds * options.scale, beats, busy)
        phase = {"phase": name, "start_ns": start_ns, "end_ns": time.monotonic_ns(), "hz": beats}
        phase |= {"products": products, "busy_s": round(busy_s, 3)}
        print(json.dumps(phase), flush=True)


if __name__ == "__main__":
    main()
