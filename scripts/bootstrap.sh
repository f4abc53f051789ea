#!/usr/bin/env bash
# Installs what building slope needs and this machine lacks: with apt on Debian and Ubuntu (through sudo
# when not root), elsewhere it prints the list. Does nothing, and needs no network, when all is there.
set -euo pipefail

# Programs, by the Debian package that brings them: one from elsewhere is as good.
programs=(g++:g++ cmake:cmake ninja:ninja-build)
libraries=(
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libstb-dev zlib1g-dev liblzma-dev doctest-dev
)
# slope works without these: its own convolution kernels, no benchmarks, no charts in reports. oneDNN
# loads OpenCL's library, whether or not there is a device for it.
optional=(libdnnl-dev ocl-icd-libopencl1 libbenchmark-dev libjs-chart.js)

list_for_others() {
  cat <<'LIST'
bootstrap: no apt here, so please install by hand:
  a C++20 compiler with OpenMP (g++ 12 or clang 14 and later), CMake 3.22 or later, Ninja
  CLI11, toml++, nlohmann-json, stb (stb_image.h, stb_image_write.h), zlib, liblzma, doctest
  optional: oneDNN 2.x (convolution), Google Benchmark (bench/), Chart.js 3 (charts in reports)
LIST
}

missing_programs=()
for entry in "${programs[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing_programs+=("${entry#*:}")
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  list_for_others
  if ((${#missing_programs[@]})); then
    echo "bootstrap: missing programs: ${missing_programs[*]}" >&2
    exit 1
  fi
  exit 0
fi

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

missing=("${missing_programs[@]}")
missing_optional=()
for package in "${libraries[@]}"; do
  installed "$package" || missing+=("$package")
done
for package in "${optional[@]}"; do
  installed "$package" || missing_optional+=("$package")
done
if ((${#missing[@]} + ${#missing_optional[@]} == 0)); then
  echo "bootstrap: everything is installed"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "bootstrap: not root and no sudo. As root: apt-get install ${missing[*]} ${missing_optional[*]}" >&2
    ((${#missing[@]} == 0)) # only optional ones missing: go on without them
    exit
  fi
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"; }

echo "bootstrap: installing ${missing[*]} ${missing_optional[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! apt update >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "bootstrap: apt-get update failed; trying with the lists that are here" >&2
fi
if ((${#missing[@]})) && ! apt install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "bootstrap: apt-get install failed: ${missing[*]}" >&2
  exit 1
fi
# One at a time: an architecture may lack one of them.
for package in "${missing_optional[@]}"; do
  apt install -y --no-install-recommends "$package" >"$log" 2>&1 ||
    echo "bootstrap: $package could not be installed; slope works without it"
done
echo "bootstrap: done"
