#!/bin/sh
# run.sh demo|test|bench|lint|fuzz [ARGUMENTS]: what `npm run demo`, `npm test`, `npm run bench`, `npm run lint` and
# `npm run fuzz` do.
set -eu
cd "$(dirname "$0")/.."
verb=${1:-}
[ $# -gt 0 ] && shift
sh scripts/setup.sh "$verb"

# check NAME COMMAND...: runs a check; one that fails does not hide the next.
failed=
check() {
  name=$1
  shift
  printf '== %s\n' "$name"
  "$@" || failed="$failed $name"
}

jest() {
  NODE_OPTIONS="${NODE_OPTIONS:-} --experimental-vm-modules --disable-warning=ExperimentalWarning" \
    node node_modules/jest/bin/jest.js "$@"
}

# The real cluster keeps both cores of a small machine busy for minutes, so it runs by itself, after all the others.
# Those run two at a time, with emulated nodes and compilers among them: one that fails then runs once more by itself, as
# time may have been short. What is broken fails again, and both runs are in the output.
test_all() {
  rm -f build/test-*.json
  set -- build/test-rest.json build/test-cluster.json
  jest --testPathIgnorePatterns '<rootDir>/test/cluster/' --json --outputFile=build/test-rest.json || {
    node scripts/count-tests.mjs --failed build/test-rest.json >build/failed-suites
    printf '== once more, by themselves:\n'
    cat build/failed-suites
    set -- "$1" build/test-again.json "$2"
    xargs -r node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js \
      --runInBand --json --outputFile=build/test-again.json --runTestsByPath <build/failed-suites || :
  }
  jest --runInBand --testPathPatterns test/cluster/ --json --outputFile=build/test-cluster.json || :
  node scripts/count-tests.mjs "$@"
}

lint() {
  check eslint eslint .
  check prettier prettier --check --log-level=warn .
  check types tsc -p tsconfig.json --noEmit
  check knip knip
  git ls-files '*.c' '*.cc' '*.h' >build/lint-files
  check clang-format xargs -r clang-format --dry-run -Werror <build/lint-files
  git ls-files 'scripts/*.sh' .ci/run slurm/prolog slurm/epilog 'slurm/*.sh' 'test/*.sh' 'bench/*.sh' >build/lint-files
  check shellcheck xargs -r shellcheck <build/lint-files
  git ls-files '*.lua' >build/lint-files
  check luacheck xargs -r luacheck --quiet <build/lint-files
  rm -f build/lint-files
  [ -z "$failed" ] || {
    printf 'lint failed:%s\n' "$failed" >&2
    return 1
  }
}

PATH=$PWD/node_modules/.bin:$PATH
mkdir -p build
case $verb in
  demo)
    node scripts/bundle-dev.mjs demo
    exec node build/demo/main.js "$@"
    ;;
  bench)
    node scripts/bundle-dev.mjs bench
    exec node build/bench/main.js "$@"
    ;;
  test)
    if [ $# -gt 0 ]; then jest "$@"; else test_all; fi
    ;;
  lint) lint ;;
  fuzz) exec node scripts/fuzz.mjs "$@" ;;
esac
