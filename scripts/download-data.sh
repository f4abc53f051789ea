#!/usr/bin/env bash
# Fetches data sets that do not come with slope and checks their SHA-256 sums.
# usage: scripts/download-data.sh [fashion-mnist|cifar10|all] [DIR]      (default: all, into data/)
# Afterwards DIR/fashion-mnist/*.gz and DIR/cifar-10-binary.tar.gz are there; `slope --data-dir DIR`, or
# no option at all for data/, finds them. What is there already and sound is left alone.
# SLOPE_MIRROR=ADDRESS fetches every file from ADDRESS/NAME instead.
set -euo pipefail

what=${1:-all}
folder=${2:-$(dirname "$0")/../data}

# fetch FILE ADDRESS SHA256
fetch() {
  local file=$1 address=$2 sum=$3
  if [[ -e $file ]] && sha256sum --status -c <<<"$sum  $file"; then
    echo "$file: is there, its checksum is right"
    return
  fi
  [[ -n ${SLOPE_MIRROR:-} ]] && address=$SLOPE_MIRROR/$(basename "$file")
  mkdir -p "$(dirname "$file")"
  echo "$file: fetching $address"
  if command -v curl >/dev/null; then
    curl --fail --location --silent --show-error --retry 3 --output "$file.part" "$address"
  elif command -v wget >/dev/null; then
    wget --quiet --tries=3 --output-document="$file.part" "$address"
  else
    echo "error: neither curl nor wget is installed" >&2
    exit 1
  fi
  if ! sha256sum --status -c <<<"$sum  $file.part"; then
    echo "error: $address: its SHA-256 sum is not $sum; nothing was kept" >&2
    rm -f "$file.part"
    exit 1
  fi
  mv "$file.part" "$file"
}

fashion_mnist() {
  local site=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
  while read -r name sum; do
    fetch "$folder/fashion-mnist/$name" "$site/$name" "$sum"
  done <<'LIST'
train-images-idx3-ubyte.gz 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84
train-labels-idx1-ubyte.gz a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845
t10k-images-idx3-ubyte.gz 346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073
t10k-labels-idx1-ubyte.gz 67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5
LIST
}

cifar10() {
  fetch "$folder/cifar-10-binary.tar.gz" https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz \
    c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
}

case $what in
  fashion-mnist) fashion_mnist ;;
  cifar10) cifar10 ;;
  all)
    fashion_mnist
    cifar10
    ;;
  *)
    echo "usage: scripts/download-data.sh [fashion-mnist|cifar10|all] [DIR]" >&2
    exit 2
    ;;
esac
