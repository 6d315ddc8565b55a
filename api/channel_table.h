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
#include "engine/ring/descriptor.h"

namespace ringknet {

class ChannelTable {
  static constexpr int kClosed = -1;

  struct Entry {
    std::atomic<int> fd = kClosed;
    std::atomic<DescriptorKind> kind = DescriptorKind::kOther;
    Pins pins;
  };

 public:
  // While it lives, the descriptor is not closed by the library. Empty if the channel is not open.
  class Use {
   public:
    explicit Use(Entry& entry) : entry_(&entry) {
      // Calls on a closed channel stay out: whoever closed it waits for those inside.
      if (entry.fd.load() == kClosed)
        return;
      hold_.enter(entry.pins);
      fd_ = entry.fd.load();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    explicit operator bool() const { return fd_ != kClosed; }
    int fd() const { return fd_; }
    DescriptorKind kind() const { return entry_->kind.load(); }

   private:
    Pins::Hold hold_;
    Entry* entry_;
    int fd_ = kClosed;
  };

  Use use(Channel channel) { return Use(entries_[raw(channel)]); }

  void open(Channel channel, int fd, DescriptorKind kind) {
    Entry& entry = entries_[raw(channel)];
    entry.kind.store(kind);
    entry.fd.store(fd);
  }

  // Whether the calling thread is using the descriptor, in a call further out.
  bool used_by_this_thread(int fd) const {
    const std::optional<Channel> found = channel(fd);
    return found && entries_[raw(*found)].pins.held_by_this_thread();
  }

  // Takes the descriptor out and waits for the calls that use it; none of them blocks. Nothing if
  // it is not there. Not for a thread that uses it.
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
  std::array<Entry, kChannelCount> entries_;
};

}  // namespace ringknet
