/*
 * The plainest sampler there could be, which ours is compared with: waits for an absolute time, reads each counter,
 * keeps nothing. `plain_loop RATE_HZ SECONDS lateness|- SOURCE...` prints one line of JSON. A SOURCE is a file, or
 * `perf:CONFIG@CPU`, an event of the kernel's software PMU. Taking the lateness costs a clock reading per tick, so it
 * is only taken where it is asked for.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define MOST_SOURCES 64

static int64_t clock_ns(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int open_source(const char* source) {
  struct perf_event_attr attributes;
  unsigned long long config;
  int cpu;
  if (sscanf(source, "perf:%lli@%d", (long long*)&config, &cpu) != 2) return open(source, O_RDONLY);
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = config;
  return (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, 0);
}

static int compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  if (argc < 5 || argc - 4 > MOST_SOURCES) return 2;
  const int64_t period_ns = NS_PER_S / atol(argv[1]);
  const int64_t ticks = atol(argv[1]) * atol(argv[2]);
  const int count = argc - 4;
  int perf[MOST_SOURCES], sources[MOST_SOURCES];
  for (int i = 0; i < count; i++) {
    perf[i] = strncmp(argv[i + 4], "perf:", 5) == 0;
    sources[i] = open_source(argv[i + 4]);
    if (sources[i] < 0) {
      perror(argv[i + 4]);
      return 1;
    }
  }
  int64_t* late_ns = strcmp(argv[3], "cost") != 0 ? calloc((size_t)ticks, sizeof *late_ns) : NULL;
  const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
  if (strcmp(argv[3], "realtime") == 0 && sched_setscheduler(0, SCHED_FIFO, &lowest) != 0) perror("realtime");

  char buffer[64];
  const int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  int64_t deadline_ns = clock_ns(CLOCK_MONOTONIC);
  for (int64_t tick = 0; tick < ticks; tick++) {
    deadline_ns += period_ns;
    const struct timespec until = {deadline_ns / NS_PER_S, deadline_ns % NS_PER_S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    if (late_ns != NULL) late_ns[tick] = clock_ns(CLOCK_MONOTONIC) - deadline_ns;
    for (int i = 0; i < count; i++) {
      const ssize_t length =
          perf[i] ? read(sources[i], buffer, sizeof buffer) : pread(sources[i], buffer, sizeof buffer, 0);
      if (length <= 0) return 1;
    }
  }
  printf("{\"ticks\": %lld, \"cpuNs\": %lld", (long long)ticks,
         (long long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns));
  if (late_ns != NULL) {
    qsort(late_ns, (size_t)ticks, sizeof *late_ns, compare);
    int64_t overdue = 0;
    while (overdue < ticks && late_ns[ticks - 1 - overdue] >= period_ns) overdue++;
    printf(", \"p50Us\": %.3f, \"p99Us\": %.3f, \"overdue\": %lld", (double)late_ns[ticks / 2] / 1e3,
           (double)late_ns[ticks - 1 - ticks / 100] / 1e3, (long long)overdue);
  }
  printf("}\n");
  return 0;
}
