#!/bin/sh
# setup.sh demo|test|bench|lint|fuzz: brings what that verb needs on a Debian machine with Node and git, and nothing else.
# It says what it will install before it does; without root or apt it prints the one line to run, and exits 1.
# What is there already costs a second.
set -eu
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*"; }
die() {
  printf '[setup] %s\n' "$*" >&2
  exit 1
}

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
missing=
# need COMMAND PACKAGE: the package is missing where the command is.
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
# need_file PATTERN... PACKAGE: the package is missing where no file of the patterns is there.
need_file() {
  for candidate in "$@"; do
    [ -e "$candidate" ] && return
  done
  missing="$missing $candidate"
}

need_compiler() {
  need g++ g++
  need make make
  need python3 python3
}

need_cluster() {
  need munged munge
  need_file /usr/lib/*/libmunge.so.2 /usr/lib64/libmunge.so.2 libmunge2
  need slurmctld slurmctld
  need slurmd slurmd
  need slurmdbd slurmdbd
  need sbatch slurm-client
  need mariadbd mariadb-server-core
  need mariadb-install-db mariadb-server-core
  # mariadb-install-db calls it; the package of the server only recommends it.
  need my_print_defaults mariadb-client-core
}

need_tests() {
  need_file /usr/lib/postgresql/*/bin/postgres postgresql
  need shellcheck shellcheck
  need valgrind valgrind
}

need_linters() {
  need shellcheck shellcheck
  need luacheck lua-check
  need clang-format clang-format
}

need_fuzzer() {
  need clang++ clang
  need_file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-14-dev
  need cmake cmake
  need make make
}

# Debian starts a daemon as soon as it is installed. Ours run by hand, in folders of their own, so no service may start.
install_without_starting() {
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || say 'apt-get update failed; trying with the package lists that are here'
  # shellcheck disable=SC2086 # a list of package names
  apt-get install -y -qq --no-install-recommends $missing >"$install_log" 2>&1 || {
    tail -n 20 "$install_log" >&2
    die "apt-get install failed; its whole output is in $install_log"
  }
}

packages() {
  # shellcheck disable=SC2086 # a list of package names
  missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
  [ -n "${missing% }" ] || return 0
  line="apt-get install -y --no-install-recommends $missing"
  command -v apt-get >/dev/null 2>&1 || die "this needs, by their Debian names: $missing. Install them, then run this again."
  [ "$(id -u)" -eq 0 ] || die "packages are missing and only root can install them. Run: sudo $line"
  say "installing (no service will be started): $missing"
  install_log=$(mktemp)
  install_without_starting
  rm -f "$install_log"
}

node_is_new_enough() {
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 12) ? 0 : 1)'
}

# newer_than STAMP PATH...: something below the paths is newer than the stamp, or the stamp is not there.
newer_than() {
  stamp=$1
  shift
  [ -e "$stamp" ] || return 0
  [ -n "$(find "$@" -newer "$stamp" -print 2>/dev/null | head -n 1)" ]
}

dependencies() {
  if newer_than node_modules/.package-lock.json package-lock.json; then
    say 'npm ci (libraries, no install scripts)'
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    # npm may keep an older time: this says that the libraries are those of the lock file as it is now.
    touch node_modules/.package-lock.json
  fi
}

native() {
  say 'native part'
  node scripts/build-native.mjs
}

typescript() {
  if newer_than build/.typescript src sql scripts package.json package-lock.json tsconfig.json tsconfig.build.json ||
    [ ! -e dist/bin/wattle.js ]; then
    say 'TypeScript'
    npm run --silent build:ts
    mkdir -p build
    touch build/.typescript
  fi
}

verb=${1:-}
node_is_new_enough 2>/dev/null || die 'Node 20.12 or newer is needed; see https://nodejs.org'
case $verb in
  demo)
    need_compiler
    need_cluster
    ;;
  bench)
    need_compiler
    need_cluster
    need valgrind valgrind
    ;;
  test)
    need_compiler
    need_cluster
    need_tests
    ;;
  lint) need_linters ;;
  fuzz) need_fuzzer ;;
  *) die 'usage: setup.sh demo|test|bench|lint|fuzz' ;;
esac
packages
[ "$verb" = fuzz ] && exit 0
dependencies
[ "$verb" = lint ] && exit 0
native
typescript
