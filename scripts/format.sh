#!/usr/bin/env bash
# Formats every C++ file of the tree; with --check only says which ones need it. Layout differs between
# versions of clang-format, so only version 14 (Debian 12) counts.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=
for candidate in clang-format-14 clang-format; do
  if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
    tool=$candidate
    break
  fi
done
if [[ -z $tool ]]; then
  echo "SKIPPED: format: clang-format 14 is not installed (Debian: apt-get install clang-format)"
  exit 77
fi

folders=()
for folder in core autograd nn ode backends apps tests bench; do
  [[ -d $folder ]] && folders+=("$folder")
done
mapfile -t files < <(find "${folders[@]}" slope.h -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) | sort)

if [[ ${1:-} != --check ]]; then
  "$tool" -i "${files[@]}"
  exit
fi
bad=$({ "$tool" --dry-run -Werror "${files[@]}" 2>&1 || true; } | sed -nE 's/^([^:]+):[0-9]+:[0-9]+: .*/\1/p' | sort -u)
if [[ -n $bad ]]; then
  echo "not formatted:"
  echo "$bad"
  echo "Run scripts/format.sh."
  exit 1
fi
echo "${#files[@]} files checked"
