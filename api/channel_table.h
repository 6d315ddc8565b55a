// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which descriptor the application has for each channel, readable from every thread without a lock:
// knet_send and knet_recv write to and read from that descriptor themselves, past the engine. The
// engine's own view of a channel is older when one is opened and younger when one is closed: a
// channel is entered here after the engine has it, and taken out before the engine closes the
// descriptor, so that no call can hit a descriptor number that has been reused.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <utility>

#include "api/pins.h"
#include "engine/base/ids.h"

namespace ringknet {

class ChannelTable {
  struct Entry {
    std::atomic<int> fd = kClosed;
    std::atomic<bool> is_socket = false;
    Pins pins;
  };

 public:
  // While it lives, the descriptor is not closed by the library. Empty if the channel is not open.
  class Use {
   public:
    explicit Use(Entry& entry) : entry_(&entry) {
      entry.pins.enter();
      fd_ = entry.fd.load();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { entry_->pins.leave(); }

    explicit operator bool() const { return fd_ != kClosed; }
    int fd() const { return fd_; }
    bool is_socket() const { return entry_->is_socket.load(); }

   private:
    Entry* entry_;
    int fd_;
  };

  Use use(Channel channel) { return Use(entries_[raw(channel)]); }

  void open(Channel channel, int fd, bool is_socket) {
    Entry& entry = entries_[raw(channel)];
    entry.is_socket.store(is_socket);
    entry.fd.store(fd);
  }

  // Takes the descriptor out and waits for the calls that use it; none of them blocks. Nothing if
  // it is not there.
  std::optional<Channel> close(int fd) {
    for (std::size_t index = 0; index < entries_.size(); ++index) {
      int expected = fd;
      if (entries_[index].fd.compare_exchange_strong(expected, kClosed)) {
        entries_[index].pins.wait_until_empty();
        return Channel(index);
      }
    }
    return {};
  }

  std::optional<int> fd(Channel channel) const {
    const int fd = entries_[raw(channel)].fd.load();
    return fd == kClosed ? std::nullopt : std::optional(fd);
  }

  std::optional<Channel> channel(int fd) const {
    for (std::size_t index = 0; index < entries_.size(); ++index) {
      if (entries_[index].fd.load() == fd) {
        return Channel(index);
      }
    }
    return {};
  }

 private:
  static constexpr int kClosed = -1;

  std::array<Entry, kChannelCount> entries_;
};

}  // namespace ringknet
