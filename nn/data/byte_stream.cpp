#include "nn/data/byte_stream.h"

#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <thread>

#include "core/error.h"

namespace slope::nn {
namespace {

constexpr size_t kChunk = size_t{1} << 18;
// Working memory of the xz decoder. Its archives are cut into blocks of up to 192 MiB (xz -9),
// which threads unpack side by side while their output fits; a dictionary may need 65 MiB.
constexpr uint64_t kXzMemory = uint64_t{512} << 20;

// Where packed bytes come from: a file, chunk by chunk, or memory.
class Source {
 public:
  explicit Source(const std::filesystem::path& path)
      : file_(std::fopen(path.c_str(), "rb"), std::fclose), name_(path.string()), buffer_(kChunk) {
    if (!file_) {
      throw DataError(
          concat(name_, ": cannot be opened: ", std::generic_category().message(errno), "."));
    }
  }
  explicit Source(std::string_view bytes) : file_(nullptr, std::fclose) {
    rest_ = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  }

  // What has not been taken yet; empty at the end.
  std::span<const uint8_t> peek() {
    if (rest_.empty() && file_) {
      const size_t got = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
      if (got == 0 && std::ferror(file_.get())) {
        throw DataError(
            concat(name_, ": cannot be read: ", std::generic_category().message(errno), "."));
      }
      rest_ = {buffer_.data(), got};
    }
    return rest_;
  }
  void take(size_t n) { rest_ = rest_.subspan(n); }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string name_;
  std::vector<uint8_t> buffer_;
  std::span<const uint8_t> rest_;
};

class PlainStream : public ByteStream {
 public:
  PlainStream(std::string name, Source source)
      : ByteStream(std::move(name)), source_(std::move(source)) {}

 private:
  size_t read_some(std::span<uint8_t> to) override {
    const auto from = source_.peek();
    const size_t n = std::min(from.size(), to.size());
    std::memcpy(to.data(), from.data(), n);
    source_.take(n);
    return n;
  }
  Source source_;
};

[[noreturn]] void throw_damaged(const ByteStream& stream, const std::string& reason) {
  throw DataError(
      concat(stream.name(), ": damaged after ", stream.offset(), " bytes: ", reason, "."));
}

class GzipStream : public ByteStream {
 public:
  GzipStream(std::string name, Source source)
      : ByteStream(std::move(name)), source_(std::move(source)) {
    // 16: a gzip wrapper, whose checksum is checked.
    if (inflateInit2(&state_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { inflateEnd(&state_); }
  bool packed() const override { return true; }

 private:
  size_t read_some(std::span<uint8_t> to) override {
    state_.next_out = to.data();
    state_.avail_out = static_cast<uInt>(std::min(to.size(), kChunk));
    const uInt wanted = state_.avail_out;
    while (state_.avail_out == wanted) {
      const auto from = source_.peek();
      if (ended_) {
        if (from.empty()) return 0;
        // A further member: `cat a.gz b.gz` is a gzip file.
        if (inflateReset(&state_) != Z_OK) throw_damaged(*this, "cannot go on");
        ended_ = false;
      }
      if (from.empty()) throw_damaged(*this, "truncated");
      state_.next_in = const_cast<Bytef*>(from.data());
      state_.avail_in = static_cast<uInt>(from.size());
      const int code = inflate(&state_, Z_NO_FLUSH);
      source_.take(from.size() - state_.avail_in);
      if (code == Z_STREAM_END)
        ended_ = true;
      else if (code != Z_OK && code != Z_BUF_ERROR)
        throw_damaged(*this, state_.msg ? state_.msg : "not gzip");
    }
    return wanted - state_.avail_out;
  }
  Source source_;
  z_stream state_{};
  bool ended_ = false;
};

class XzStream : public ByteStream {
 public:
  XzStream(std::string name, Source source)
      : ByteStream(std::move(name)), source_(std::move(source)) {
#if LZMA_VERSION >= 50040002  // 5.4.0: blocks are unpacked by several threads
    lzma_mt options{};
    options.flags = LZMA_CONCATENATED;
    options.threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    options.memlimit_threading = options.memlimit_stop = kXzMemory;
    const lzma_ret code = lzma_stream_decoder_mt(&state_, &options);
#else
    const lzma_ret code = lzma_stream_decoder(&state_, kXzMemory, LZMA_CONCATENATED);
#endif
    if (code != LZMA_OK) throw std::bad_alloc();
  }
  ~XzStream() override { lzma_end(&state_); }
  bool packed() const override { return true; }

 private:
  size_t read_some(std::span<uint8_t> to) override {
    state_.next_out = to.data();
    state_.avail_out = to.size();
    while (state_.avail_out == to.size() && !ended_) {
      const auto from = source_.peek();
      state_.next_in = from.data();
      state_.avail_in = from.size();
      const lzma_ret code = lzma_code(&state_, from.empty() ? LZMA_FINISH : LZMA_RUN);
      source_.take(from.size() - state_.avail_in);
      if (code == LZMA_STREAM_END)
        ended_ = true;
      else if (code != LZMA_OK)
        throw_damaged(*this, reason(code));
    }
    return to.size() - state_.avail_out;
  }
  static const char* reason(lzma_ret code) {
    switch (code) {
      case LZMA_BUF_ERROR:
        return "truncated";
      case LZMA_MEMLIMIT_ERROR:
        return "unpacking it needs more than 512 MiB";
      case LZMA_OPTIONS_ERROR:
        return "packed in a way that this build does not know";
      case LZMA_MEM_ERROR:
        return "out of memory";
      case LZMA_FORMAT_ERROR:
        return "something that is not xz follows";
      default:
        return "its checksum or structure is wrong";
    }
  }
  Source source_;
  lzma_stream state_ = LZMA_STREAM_INIT;
  bool ended_ = false;
};

std::unique_ptr<ByteStream> unpacked(Source source, const std::string& name) {
  constexpr uint8_t kGzip[] = {0x1f, 0x8b}, kXz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
  const auto first = source.peek();
  const auto starts_with = [&](std::span<const uint8_t> magic) {
    return first.size() >= magic.size() && std::equal(magic.begin(), magic.end(), first.begin());
  };
  if (starts_with(kGzip)) return std::make_unique<GzipStream>(name, std::move(source));
  if (starts_with(kXz)) return std::make_unique<XzStream>(name, std::move(source));
  return std::make_unique<PlainStream>(name, std::move(source));
}

}  // namespace

size_t ByteStream::read(std::span<uint8_t> to) {
  size_t got = 0;
  if (has_peeked_ && !to.empty()) {
    to[got++] = peeked_;
    has_peeked_ = false;
    ++offset_;
  }
  while (got < to.size()) {
    const size_t n = read_some(to.subspan(got));
    if (n == 0) break;
    got += n;
    offset_ += n;
  }
  return got;
}

std::vector<uint8_t> ByteStream::read_up_to(size_t n) {
  constexpr size_t kFirst = size_t{1} << 16, kLargest = size_t{1} << 24;
  std::vector<uint8_t> bytes;
  bytes.reserve(std::min(n, 4 * kLargest));  // not touched before it is filled
  while (bytes.size() < n) {
    const size_t at = bytes.size(), step = std::min(n - at, std::clamp(at, kFirst, kLargest));
    bytes.resize(at + step);
    const size_t got = read(std::span(bytes).subspan(at));
    bytes.resize(at + got);
    if (got < step) break;
  }
  return bytes;
}

bool ByteStream::at_end() {
  if (!has_peeked_) has_peeked_ = read_some({&peeked_, 1}) == 1;
  return !has_peeked_;
}

std::unique_ptr<ByteStream> open_file(const std::filesystem::path& path) {
  return unpacked(Source(path), path.string());
}

std::unique_ptr<ByteStream> open_bytes(std::string_view bytes, const std::string& name) {
  return unpacked(Source(bytes), name);
}

}  // namespace slope::nn
