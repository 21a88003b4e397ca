// The part of NVML's C interface that the meter uses, declared from its public reference: no header of NVIDIA's is
// needed to build. Every function is found by name at run time, so an older library only lacks what it does not have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace wattle::nvml {

// A GPU or a MIG instance, as the library names it. Ends to be valid with the library's initialisation.
using Handle = void*;

// What functions return, as far as it matters here.
enum Code : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kTimeout = 10,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kVersionMismatch = 18,  // of library and kernel module
  kNoData = 21,
  kUnknown = 999,
};

// Milliwatts: the mean over a second, and the sensor's latest value.
inline constexpr uint32_t kFieldPowerAverage = 185;
inline constexpr uint32_t kFieldPowerInstant = 186;

enum ValueType : int {
  kDouble = 0,
  kUint = 1,
  kUlong = 2,
  kUlonglong = 3,
  kLonglong = 4,
  kInt = 5,
  kUshort = 6,
};

union Value {
  double real;
  int32_t int32;
  uint32_t uint32;
  uint64_t uint64;
  int64_t int64;
  uint16_t uint16;
};

// One question, and its answer: a call can be good although a field in it is not.
struct FieldValue {
  uint32_t field = 0;
  uint32_t scope = 0;
  int64_t timestamp_us = 0;
  int64_t latency_us = 0;
  int32_t type = kUint;
  int32_t code = kUnknown;
  Value value{};
};
static_assert(sizeof(FieldValue) == 40 && offsetof(FieldValue, type) == 24 && offsetof(FieldValue, value) == 32);

struct PciInfo {
  std::array<char, 16> short_bus_id;
  uint32_t domain, bus, device, device_id, subsystem_id;
  std::array<char, 32> bus_id;
};
static_assert(sizeof(PciInfo) == 68);

struct Memory {
  uint64_t total = 0, free = 0, used = 0;
};
static_assert(sizeof(Memory) == 24);

struct Utilization {
  uint32_t gpu = 0, memory = 0;  // percent
};
static_assert(sizeof(Utilization) == 8);

struct Attributes {
  uint32_t multiprocessors = 0, copy_engines = 0, decoders = 0, encoders = 0, jpeg_engines = 0, ofa_engines = 0;
  uint32_t gpu_instance_slices = 0, compute_instance_slices = 0;
  uint64_t memory_mib = 0;
};
static_assert(sizeof(Attributes) == 40);

struct Process {
  uint32_t pid = 0;
  uint64_t memory = 0;
  uint32_t gpu_instance = 0, compute_instance = 0;
};
static_assert(sizeof(Process) == 24);

// Null: the library does not have it.
struct Api {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(uint32_t*) = nullptr;
  int (*handle_by_index)(uint32_t, Handle*) = nullptr;
  int (*handle_by_uuid)(const char*, Handle*) = nullptr;
  int (*uuid)(Handle, char*, uint32_t) = nullptr;
  // The rest is optional.
  int (*name)(Handle, char*, uint32_t) = nullptr;
  int (*pci_info)(Handle, PciInfo*) = nullptr;
  int (*total_energy)(Handle, unsigned long long*) = nullptr;  // mJ since the driver was loaded
  int (*power_usage)(Handle, uint32_t*) = nullptr;             // mW
  int (*field_values)(Handle, int, FieldValue*) = nullptr;
  int (*power_limit_range)(Handle, uint32_t*, uint32_t*) = nullptr;  // mW
  int (*enforced_power_limit)(Handle, uint32_t*) = nullptr;          // mW
  int (*utilization)(Handle, Utilization*) = nullptr;
  int (*memory)(Handle, Memory*) = nullptr;
  int (*compute_processes)(Handle, uint32_t*, Process*) = nullptr;
  int (*graphics_processes)(Handle, uint32_t*, Process*) = nullptr;
  int (*mps_processes)(Handle, uint32_t*, Process*) = nullptr;
  int (*mig_mode)(Handle, uint32_t*, uint32_t*) = nullptr;
  int (*max_mig_devices)(Handle, uint32_t*) = nullptr;
  int (*mig_device)(Handle, uint32_t, Handle*) = nullptr;
  int (*gpu_instance_id)(Handle, uint32_t*) = nullptr;
  int (*compute_instance_id)(Handle, uint32_t*) = nullptr;
  int (*attributes)(Handle, Attributes*) = nullptr;
};

}  // namespace wattle::nvml
