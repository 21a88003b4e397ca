#!/bin/sh
# bench/gpu/run.sh FOLDER [LIBRARY]: the nvml meter against a known load on this machine's GPU, in under 150 s.
# Needs Python 3 with torch, and build/gpu/nvml_truth (bench/gpu/build.sh makes it, here or elsewhere). FOLDER gets the
# readings, the phases of the load, and the figures as Markdown and JSON lines.
# WATTLE_LOAD gives options to load.py, such as `--dry --scale 0.2` for a try without a GPU.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: bench/gpu/run.sh FOLDER [LIBRARY]}
truth=$here/../../build/gpu/nvml_truth
mkdir -p "$out"
[ -x "$truth" ] || sh "$here/build.sh"

"$truth" "$out" ${2:+"$2"} &
reader=$!
trap 'kill "$reader" 2>/dev/null || :' EXIT
# It first times its calls, without a load.
waited=0
while [ ! -s "$out/readings.csv" ] && [ $waited -lt 30 ] && kill -0 $reader 2>/dev/null; do
  sleep 1
  waited=$((waited + 1))
done
# shellcheck disable=SC2086
timeout 125 python3 "$here/load.py" ${WATTLE_LOAD:-} >"$out/phases.jsonl"
kill -TERM $reader
wait $reader
trap - EXIT
python3 "$here/analyse.py" "$out"
