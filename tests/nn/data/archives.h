// Makes what the readers of data files read: gzip and xz packing, tar archives.
#pragma once

#include <doctest/doctest.h>
#include <lzma.h>
#include <zlib.h>

#include <string>
#include <vector>

namespace slope::test {

inline std::string gzip(const std::string& bytes) {
  z_stream state{};
  REQUIRE(deflateInit2(&state, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&state, bytes.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&state, Z_FINISH) == Z_STREAM_END);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

inline std::string xz(const std::string& bytes) {
  std::string packed(lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t size = 0;
  REQUIRE(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr,
                                  reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                  reinterpret_cast<uint8_t*>(packed.data()), &size,
                                  packed.size()) == LZMA_OK);
  packed.resize(size);
  return packed;
}

inline std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512);
  return bytes;
}

// A header of 512 bytes with a sound checksum.
inline std::string tar_header(const std::string& path, const std::string& size_field,
                              char type = '0', const std::string& prefix = "") {
  std::string h(512, '\0');
  h.replace(0, path.size(), path);
  h.replace(100, 8, "0000644\0", 8);
  h.replace(124, size_field.size(), size_field);
  h.replace(148, 8, "        ");
  h[156] = type;
  h.replace(257, 8, std::string("ustar\00000", 8));
  h.replace(345, prefix.size(), prefix);
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  h.replace(148, 7, std::string(text, 7));
  return h;
}

inline std::string octal(size_t n) {
  char text[16];
  std::snprintf(text, sizeof text, "%011zo", n);
  return text;
}

inline std::string tar_entry(const std::string& path, const std::string& content, char type = '0',
                             const std::string& prefix = "") {
  return tar_header(path, octal(content.size()), type, prefix) + padded(content);
}

inline const std::string kTarEnd(1024, '\0');

}  // namespace slope::test
