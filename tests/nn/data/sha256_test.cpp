// SHA-256 against the examples of FIPS 180-4 and the sums that other programs give.
#include "nn/data/sha256.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace slope::nn;

namespace {

std::string sum(const std::string& text, size_t step) {
  Sha256 sha;
  const std::span all(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  for (size_t at = 0; at < all.size(); at += step)
    sha.add(all.subspan(at, std::min(step, all.size() - at)));
  return sha.finish();
}

}  // namespace

TEST_CASE("sha256: known sums, however the bytes come") {
  for (const size_t step : {size_t{1}, size_t{63}, size_t{1000}, size_t{2'000'000}}) {
    CHECK(sum("", step) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sum("abc", step) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", step) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  }
  CHECK(sum(std::string(1'000'000, 'a'), 4096) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
