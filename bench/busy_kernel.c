/*
 * A job that computes and does nothing else: one process per core, each multiplying small matrices ROUNDS times.
 * `busy_kernel ROUNDS` prints how many nanoseconds passed until the last was done. Without ROUNDS: works until killed.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE 96

static void work(long rounds) {
  static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      a[i][j] = 1.0 / (i + j + 1);
      b[i][j] = i == j ? 1 : 0;
    }
  }
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < SIZE; i++) {
      for (int k = 0; k < SIZE; k++) {
        for (int j = 0; j < SIZE; j++) c[i][j] += a[i][k] * b[k][j];
      }
    }
  }
  volatile double used = c[SIZE / 2][SIZE / 2];
  (void)used;
}

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? atol(argv[1]) : LONG_MAX;
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < cores; i++) {
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      work(rounds);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) continue;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
  return 0;
}
