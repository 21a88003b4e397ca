#include "meters/processor.h"

#include "check.h"
#include "core/text.h"
#include "fake_processor.h"

namespace wattle {
namespace {

std::string shown(std::string_view list) {
  const auto cpus = parse_cpu_list(list);
  if (!cpus) return "none";
  std::string text;
  for (const int cpu : *cpus) text += std::to_string(cpu) + " ";
  return text;
}

TEST(text_reads_lists_of_cpus) {
  CHECK_EQUAL(shown("0\n"), "0 ");
  CHECK_EQUAL(shown("0,28"), "0 28 ");
  CHECK_EQUAL(shown("0-3,8,10-11\n"), "0 1 2 3 8 10 11 ");
  CHECK_EQUAL(shown("\n"), "");
  CHECK_EQUAL(shown(""), "");
  CHECK_EQUAL(shown("16383\n"), "16383 ");
}

TEST(text_reads_no_cpus_from_garbage) {
  for (const char* text : {",",
                           "0,",
                           ",0",
                           "0,,1",
                           "1-0",
                           "0-",
                           "-1",
                           "0-1-2",
                           "0,0",
                           "3,1",
                           "0-3,2",
                           "0 1",
                           "0x1",
                           "a",
                           "0\n\n",
                           "0\n1",
                           "0-16384",
                           "16384",
                           "0-18446744073709551615",
                           "99999999999999999999999",
                           "1-99999999999999999999999",
                           "0-3:1/2",
                           " 0",
                           "0 \n",
                           "+1",
                           "0-+1"})
    CHECK_EQUAL(shown(text), "none");
  CHECK_EQUAL(shown(std::string_view("0\0\n", 3)), "none");
}

TEST(processor_reads_its_model_of_the_first_block_only) {
  const auto of = [](std::string_view text) {
    const ProcessorModel model = parse_processor_model(text);
    return std::to_string(static_cast<int>(model.vendor)) + " " + std::to_string(model.family) + " " +
           std::to_string(model.model);
  };
  CHECK_EQUAL(of("vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: 7\n\n"), "1 6 143");
  CHECK_EQUAL(of("vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"), "2 25 17");
  CHECK_EQUAL(of("vendor_id\t: HygonGenuine\ncpu family\t: 24\nmodel\t\t: 0\n"), "3 24 0");
  for (const char* text :
       {"", "\n\n", "vendor_id\t: GenuineIntel\n", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143",
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\n\nmodel\t\t: 143\n",
        "vendor_id\t: GenuineIntel\ncpu family\t: -6\nmodel\t\t: 143\n",
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 99999999999\n",
        "vendor_id GenuineIntel\ncpu family 6\nmodel 143\n", "CPU implementer\t: 0x41\n"})
    CHECK_EQUAL(of(text), "0 0 0");
}

TEST(processor_names_packages_and_cores_by_the_kernels_numbers) {
  test::Scratch scratch;
  write_model(scratch, "GenuineIntel", 6, 143);
  write_cpus(scratch, test::kTwoPackages);
  const Processor processor = read_processor(scratch.root(), scratch.root());
  CHECK_EQUAL(processor.cpus.size(), 8u);
  CHECK_EQUAL(processor.package_name(*processor.find(7)), "package-1");
  CHECK_EQUAL(processor.core_name(*processor.find(7)), "package-1/core-1");
  CHECK(processor.core_cpus(*processor.find(2)) == (std::vector<int>{2, 6}));
  CHECK(processor.package_cpus(*processor.find(0)) == (std::vector<int>{0, 1, 4, 5}));
  CHECK(processor.find(8) == nullptr);
}

TEST(processor_tells_dies_apart_only_where_they_have_counters) {
  test::Scratch scratch;
  write_cpus(scratch, {{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 0}});
  write_model(scratch, "GenuineIntel", 6, 85);
  const Processor intel = read_processor(scratch.root(), scratch.root());
  CHECK_EQUAL(intel.package_name(*intel.find(3)), "package-1-die-1");
  // The same number on two dies is two cores.
  CHECK_EQUAL(intel.core_name(*intel.find(3)), "package-1-die-1/core-3");
  write_model(scratch, "AuthenticAMD", 25, 17);
  const Processor amd = read_processor(scratch.root(), scratch.root());
  CHECK_EQUAL(amd.package_name(*amd.find(3)), "package-1");
  CHECK_EQUAL(amd.core_name(*amd.find(2)), "package-1/core-2");
  CHECK_EQUAL(amd.core_name(*amd.find(3)), "package-1/core-3");
  CHECK(amd.package_cpus(*amd.find(2)) == (std::vector<int>{2, 3}));
}

TEST(processor_leaves_out_cpus_that_make_no_sense) {
  test::Scratch scratch;
  write_model(scratch, "GenuineIntel", 6, 143);
  write_cpus(scratch, {{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}, {0, 0, 4}});
  const std::string root = "devices/system/cpu/";
  scratch.write(root + "cpu1/topology/physical_package_id", "-1\n");
  scratch.write(root + "cpu2/topology/physical_package_id", "2147483647\n");
  scratch.write(root + "cpu3/topology/physical_package_id", "");
  scratch.write(root + "cpu4/topology/core_id", "-1\n");
  scratch.remove(root + "cpu4/topology/die_id");
  const Processor processor = read_processor(scratch.root(), scratch.root());
  CHECK_EQUAL(processor.cpus.size(), 2u);
  CHECK_EQUAL(processor.find(4)->core, -1);
  CHECK_EQUAL(processor.find(4)->die, 0);
  CHECK(!processor.several_dies);
  scratch.write(root + "online", "0-4,garbage\n");
  CHECK(read_processor(scratch.root(), scratch.root()).cpus.empty());
  scratch.write(root + "online", std::string(1'000'000, '0'));
  CHECK(read_processor(scratch.root(), scratch.root()).cpus.empty());
}

}  // namespace
}  // namespace wattle
