#!/bin/sh
# Builds build/gpu/nvml_truth, which runs on any x86-64 Linux with the C library of this machine or a later one.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build/gpu
g++ -std=c++20 -O2 -fno-exceptions -Wall -Wextra -Wshadow -pthread -static-libstdc++ -static-libgcc -Inative \
  bench/gpu/nvml_truth.cc native/core/accumulator.cc native/meters/nvml.cc native/meters/nvml_library.cc \
  native/meters/nvml_read.cc -o build/gpu/nvml_truth -ldl
