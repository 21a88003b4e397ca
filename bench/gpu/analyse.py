"""Joins what nvml_truth.cc read with the phases of load.py: per phase the joules of the counter, of the integrated
instantaneous power and of the integrated average power; how often each value changes; and over how long the powers
are means. Writes result.md and result.jsonl into the folder and prints both."""

import bisect
import csv
import json
import statistics
import sys
from pathlib import Path

# At a phase's begin the average power still shows what was before.
SETTLE_NS = 1_500_000_000
VALUES = ("counter_uj", "instant_w", "average_w", "usage_w")


def read(folder):
    with open(folder / "readings.csv") as file:
        rows = [
            {key: (float(value) if value else None) for key, value in row.items() if key != "mono_ns"}
            | {"mono_ns": int(row["mono_ns"])}
            for row in csv.DictReader(file)
            if None not in row.values()
        ]
    lines = lambda name: [json.loads(line) for line in (folder / name).read_text().splitlines() if line.strip()]
    return rows, lines("phases.jsonl"), lines("calls.jsonl")


def changes(rows, key, start_ns=0, end_ns=float("inf")):
    """Times at which the value changed, and what to."""
    found, last = [], None
    for row in rows:
        if not start_ns <= row["mono_ns"] < end_ns or row[key] is None:
            continue
        if last is not None and row[key] != last:
            found.append((row["mono_ns"], row[key]))
        last = row[key]
    return found


class Cumulative:
    """A counter that moves in steps: between two of them a straight line."""

    def __init__(self, rows, key):
        points = changes(rows, key)
        self.times = [time for time, _ in points]
        self.values = [value for _, value in points]

    def at(self, ns):
        after = bisect.bisect_left(self.times, ns)
        if after == 0 or after == len(self.times):
            return None
        t0, t1 = self.times[after - 1 : after + 1]
        v0, v1 = self.values[after - 1 : after + 1]
        return v0 + (v1 - v0) * (ns - t0) / (t1 - t0)

    def joules(self, start_ns, end_ns):
        start, end = self.at(start_ns), self.at(end_ns)
        return None if start is None or end is None else (end - start) / 1e6


def inside(rows, phase):
    """Every poll of a phase, so that values count by how long they stood."""
    return [row for row in rows if phase["start_ns"] + SETTLE_NS <= row["mono_ns"] < phase["end_ns"]]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def window_from_step(rows, key, before, during):
    """The mean over a window answers to a step with a ramp as long as the window."""
    low = percentile([r[key] for r in rows if before["start_ns"] <= r["mono_ns"] < before["end_ns"] and r[key]], 0.5)
    late = (during["start_ns"] + during["end_ns"]) // 2
    high = percentile([r[key] for r in rows if late <= r["mono_ns"] < during["end_ns"] and r[key]], 0.5)
    if low is None or high is None or high - low < 20:
        return None
    crossed = {}
    for row in rows:
        if row["mono_ns"] < during["start_ns"] or row[key] is None:
            continue
        for share in (0.1, 0.9):
            if share not in crossed and row[key] >= low + share * (high - low):
                crossed[share] = row["mono_ns"]
    return (crossed[0.9] - crossed[0.1]) / 0.8 / 1e9 if len(crossed) == 2 else None


def window_from_wave(rows, key, wave, slow):
    """The mean over a window flattens a square wave: its variance tells by how much (windows up to half a beat)."""
    levels, seen = ([r[key] for r in inside(rows, phase) if r[key] is not None] for phase in (slow, wave))
    if len(levels) < 200 or len(seen) < 200:
        return None
    amplitude = percentile(levels, 0.9) - percentile(levels, 0.1)
    if amplitude < 20:
        return None
    share = 4 * statistics.pvariance(seen) / amplitude**2
    return max(0.0, 0.75 * (1 - share)) / wave["hz"]


def percent(value, reference):
    return None if value is None or not reference else 100 * (value / reference - 1)


def shown(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def main(folder):
    rows, phases, calls = read(folder)
    gpu, calls = calls[0], calls[1:]
    results, lines = [], [f"## {gpu['gpu']}, limit {gpu['power_limit_w']:.0f} W", ""]

    counters = {key: Cumulative(rows, key) for key in ("counter_uj", "instant_uj", "average_uj", "booked_uj")}
    lines += ["| phase | s | counter J | mean W | instant | average | booked | latest value, 5 % to 95 % |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    measured = [phase for phase in phases if phase["phase"] != "rest"]
    for phase in measured:
        # Whole seconds, so that the waves are cut at the same point of a beat at both ends.
        start = phase["start_ns"] + SETTLE_NS
        end = start + (phase["end_ns"] - 200_000_000 - start) // 1_000_000_000 * 1_000_000_000
        if end <= start:
            continue
        joules = {key: counter.joules(start, end) for key, counter in counters.items()}
        counted, seconds = joules["counter_uj"], (end - start) / 1e9
        instant = [row["instant_w"] for row in inside(rows, phase) if row["instant_w"] is not None]
        result = {
            "figure": "phase",
            "phase": phase["phase"],
            "seconds": round(seconds, 3),
            "counter_j": counted,
            "watts": counted / seconds if counted else None,
            "instant_percent": percent(joules["instant_uj"], counted),
            "average_percent": percent(joules["average_uj"], counted),
            "booked_percent": percent(joules["booked_uj"], counted),
            "instant_p5_w": percentile(instant, 0.05),
            "instant_p95_w": percentile(instant, 0.95),
            "products": phase["products"],
        }
        results.append(result)
        lines.append(
            f"| {phase['phase']} | {seconds:.1f} | {shown(counted)} | {shown(result['watts'])} "
            f"| {shown(result['instant_percent'], 2)} % | {shown(result['average_percent'], 2)} % "
            f"| {shown(result['booked_percent'], 2)} % "
            f"| {shown(result['instant_p5_w'], 0)} to {shown(result['instant_p95_w'], 0)} W |"
        )

    lines += ["", "| value | changes every (median) | 5 % | 95 % |", "| --- | ---: | ---: | ---: |"]
    for key in VALUES:
        gaps = []
        for phase in measured:
            times = [time for time, _ in changes(rows, key, phase["start_ns"], phase["end_ns"])]
            gaps += [(b - a) / 1e6 for a, b in zip(times, times[1:])]
        if not gaps:
            continue
        low, middle, high = (percentile(gaps, share) for share in (0.05, 0.5, 0.95))
        results.append({"figure": "update", "value": key, "p5_ms": low, "p50_ms": middle, "p95_ms": high})
        lines.append(f"| {key} | {middle:.0f} ms | {low:.0f} ms | {high:.0f} ms |")

    named = {phase["phase"]: phase for phase in phases}
    lines += ["", "| power | mean over, from the step to full load | mean over, from the wave of 7.3 Hz |", "| --- | ---: | ---: |"]
    for key in ("instant_w", "average_w", "usage_w"):
        step = window_from_step(rows, key, named["idle"], named["full"])
        wave = window_from_wave(rows, key, named["square 7.3 Hz"], named["square 1 Hz"])
        results.append({"figure": "window", "value": key, "step_s": step, "wave_s": wave})
        ms = lambda value: "" if value is None else f"{1000 * value:.0f} ms"
        lines.append(f"| {key} | {ms(step)} | {ms(wave)} |")

    lines += ["", "| call | median | 90 % | longest |", "| --- | ---: | ---: | ---: |"]
    for call in calls:
        lines.append(f"| {call['call']} | {call['p50_us']} us | {call['p90_us']} us | {call['max_us']} us |")
    polls = [row["poll_us"] for row in rows]
    loaded = {"call": "poll of the meter, under load", "times": len(polls), "max_us": max(polls)}
    loaded |= {"p50_us": percentile(polls, 0.5), "p90_us": percentile(polls, 0.9)}
    lines.append(f"| {loaded['call']} | {loaded['p50_us']} us | {loaded['p90_us']} us | {loaded['max_us']} us |")
    results += [{"figure": "call"} | call for call in calls + [loaded]]

    text = "\n".join(lines) + "\n"
    (folder / "result.md").write_text(text)
    (folder / "result.jsonl").write_text("".join(json.dumps({"gpu": gpu["gpu"]} | result) + "\n" for result in results))
    print(text)
    print((folder / "result.jsonl").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
