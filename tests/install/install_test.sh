#!/usr/bin/env bash
# Installs slope into an empty folder and builds a user's project with it: tests/install, and the C++
# example of the README (its first ```cpp block with a main function).
# usage: install_test.sh SOURCE_DIR BUILD_DIR CXX_COMPILER CMAKE_GENERATOR CMAKE_MAKE_PROGRAM
set -euo pipefail
source_dir=$1 build_dir=$2 compiler=$3 generator=$4 make_program=$5

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build_dir" --prefix "$work/slope" >"$work/install.log" ||
  { cat "$work/install.log"; exit 1; }

example=
if [[ -f $source_dir/README.md ]]; then
  awk '/^```cpp/ { inside = 1; text = ""; next }
       /^```/ { if (inside && text ~ /int main\(/) { printf "%s", text; exit } inside = 0 }
       inside { text = text $0 "\n" }' "$source_dir/README.md" >"$work/example.cpp"
  [[ -s $work/example.cpp ]] || { echo "README.md has no C++ example with a main function"; exit 1; }
  example=$work/example.cpp
fi

cmake -S "$source_dir/tests/install" -B "$work/build" -G "$generator" \
  -DCMAKE_MAKE_PROGRAM="$make_program" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$work/slope" -DEXAMPLE="$example" \
  >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" 2>&1
"$work/build/consumer"
[[ -z $example ]] || "$work/build/example"
