// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A fixed set of equal buffers for sendmmsg(2) and recvmmsg(2), so that the application's share of
// the CPU time stays small next to the library's, the same for all libraries.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace ringknet::bench {

class Batch {
 public:
  // As many buffers as make sense for this size: enough to spread the system call, little enough to
  // stay in the cache.
  explicit Batch(std::size_t buffer_size)
      : buffer_size_(buffer_size),
        count_(std::clamp<std::size_t>(kBytesMax / buffer_size, kCountMin, kCountMax)),
        bytes_(buffer_size * count_),
        vectors_(count_),
        headers_(count_) {
    for (std::size_t at = 0; at < count_; ++at) {
      vectors_[at] = {&bytes_[at * buffer_size], buffer_size};
      headers_[at].msg_hdr.msg_iov = &vectors_[at];
      headers_[at].msg_hdr.msg_iovlen = 1;
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::span<std::byte> buffer(std::size_t at) {
    return {&bytes_[at * buffer_size_], buffer_size_};
  }
  // What recvmmsg has stored in a buffer.
  [[nodiscard]] std::span<const std::byte> received(std::size_t at) {
    return buffer(at).first(std::min<std::size_t>(headers_[at].msg_len, buffer_size_));
  }

  // Number of messages moved, or -1 with errno, as the system calls give it.
  int send(int descriptor, std::size_t from) {
    return ::sendmmsg(descriptor, &headers_[from], static_cast<unsigned>(count_ - from),
                      MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  int receive(int descriptor) {
    return ::recvmmsg(descriptor, headers_.data(), static_cast<unsigned>(count_), MSG_DONTWAIT,
                      nullptr);
  }

 private:
  static constexpr std::size_t kBytesMax = 262144;
  static constexpr std::size_t kCountMin = 4;
  static constexpr std::size_t kCountMax = 64;

  std::size_t buffer_size_;
  std::size_t count_;
  std::vector<std::byte> bytes_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> headers_;
};

}  // namespace ringknet::bench
