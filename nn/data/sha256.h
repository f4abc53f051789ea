// SHA-256 (FIPS 180-4): whether a data file is the published one.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace slope::nn {

class Sha256 {
 public:
  void add(std::span<const uint8_t> bytes);
  // Of everything added so far, as 64 hexadecimal digits. Nothing may be added afterwards.
  std::string finish();

 private:
  void mix_block();

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  size_t filled_ = 0;    // bytes in block_
  uint64_t length_ = 0;  // bytes in all
};

// Of a whole file. DataError where it cannot be read.
std::string file_sha256(const std::filesystem::path& file);

}  // namespace slope::nn
