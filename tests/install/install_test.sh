#!/usr/bin/env bash
# Installs slope into an empty folder, then builds and runs a user's project with it: tests/install.
# usage: install_test.sh SOURCE_DIR BUILD_DIR CXX_COMPILER CMAKE_GENERATOR CMAKE_MAKE_PROGRAM
set -euo pipefail
source_dir=$1 build_dir=$2 compiler=$3 generator=$4 make_program=$5

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build_dir" --prefix "$work/slope" >"$work/install.log" ||
  { cat "$work/install.log"; exit 1; }

cmake -S "$source_dir/tests/install" -B "$work/build" -G "$generator" \
  -DCMAKE_MAKE_PROGRAM="$make_program" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$work/slope" \
  >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" 2>&1
"$work/build/consumer"
