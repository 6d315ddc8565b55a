// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How the controller and its workers talk: lines of text over a stream socket, a socket pair on one
// machine and TCP between two. One line is one message: a verb and then key=value words, with
// blanks and the like written as %XX. Readable in strace, the same on every machine, and slow
// enough that nobody is tempted to send payload this way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tools/bench/common.h"

namespace ringknet::bench {

class Message {
 public:
  Message() = default;
  explicit Message(std::string verb) : verb_(std::move(verb)) {}

  [[nodiscard]] const std::string& verb() const { return verb_; }
  // The same fields under another verb.
  [[nodiscard]] Message renamed(const std::string& verb) const {
    Message message = *this;
    message.verb_ = verb;
    return message;
  }

  Message& set(const std::string& key, std::string_view text);
  Message& set(const std::string& key, std::int64_t number);
  Message& set(const std::string& key, Duration duration);

  // A missing or malformed field is a Failure: both ends are the same program.
  [[nodiscard]] const std::string& text(const std::string& key) const;
  [[nodiscard]] std::int64_t number(const std::string& key) const;
  [[nodiscard]] Duration duration(const std::string& key) const;

  [[nodiscard]] std::string line() const;
  static Message parse(std::string_view line);

 private:
  std::string verb_;
  std::map<std::string, std::string> fields_;
};

// One end of the conversation; owns the descriptor.
class ControlChannel {
 public:
  ControlChannel() = default;
  explicit ControlChannel(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  // True once the other end has gone; what it had sent can still be received.
  [[nodiscard]] bool closed() const { return closed_; }

  void send(const Message& message);
  // The next message that is already here; never waits.
  std::optional<Message> receive();
  // Waits for a message or the end of the conversation, at most until the deadline.
  std::optional<Message> receive_until(Instant deadline);

 private:
  std::optional<Message> take_line();

  Descriptor descriptor_;
  std::string received_;
  bool closed_ = false;
};

// Milliseconds for poll(2), rounded up so that a wait never ends just before its deadline; 0 once
// it has passed.
int poll_timeout(Instant deadline);

}  // namespace ringknet::bench
