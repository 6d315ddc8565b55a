// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The control protocol: encoding of messages as lines, and the channel that carries them. What the
// verbs mean is the business of worker.cc and session.cc.
#include "tools/bench/control.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace ringknet::bench {
namespace {

// Longer than any line the program writes; a longer one comes from something else that found the
// port.
constexpr std::size_t kLineLengthMax = 65536;

bool plain(char character) {
  return (character > ' ' && character < 127 && character != '%' && character != '=');
}

std::string encode(std::string_view text) {
  std::string encoded;
  for (const char character : text) {
    if (plain(character)) {
      encoded += character;
    } else {
      encoded += fmt::format("%{:02x}", static_cast<unsigned char>(character));
    }
  }
  return encoded;
}

std::string decode(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned value = 0;
    if (text[at] == '%' && at + 2 < text.size() + 0 &&
        std::from_chars(&text[at + 1], &text[at + 1] + 2, value, 16).ec == std::errc()) {
      decoded += static_cast<char>(value);
      at += 2;
    } else {
      decoded += text[at];
    }
  }
  return decoded;
}

}  // namespace

Failure failure_from_errno(const std::string& what) {
  return Failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

int poll_timeout(Instant deadline) {
  const Duration left = deadline - Clock::now();
  if (left <= Duration::zero()) {
    return 0;
  }
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

Message& Message::set(const std::string& key, std::string_view text) {
  fields_[key] = text;
  return *this;
}

Message& Message::set(const std::string& key, std::int64_t number) {
  fields_[key] = fmt::to_string(number);
  return *this;
}

Message& Message::set(const std::string& key, Duration duration) {
  return set(key, static_cast<std::int64_t>(duration.count()));
}

const std::string& Message::text(const std::string& key) const {
  const auto found = fields_.find(key);
  if (found == fields_.end()) {
    throw Failure(
        fmt::format("the message '{}' came without '{}': the two ends of knet-bench are "
                    "of different versions",
                    verb_, key));
  }
  return found->second;
}

std::int64_t Message::number(const std::string& key) const {
  const std::string& digits = text(key);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Failure(
        fmt::format("the message '{}' came with {}={}, which is no number", verb_, key, digits));
  }
  return value;
}

Duration Message::duration(const std::string& key) const {
  return Duration(number(key));
}

std::string Message::line() const {
  std::string line = verb_;
  for (const auto& [key, value] : fields_) {
    line += fmt::format(" {}={}", key, encode(value));
  }
  return line + '\n';
}

Message Message::parse(std::string_view line) {
  const auto next_word = [&line] {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
  };
  Message message{std::string(next_word())};
  while (!line.empty()) {
    const std::string_view word = next_word();
    const std::size_t equals = word.find('=');
    if (equals != std::string_view::npos) {
      message.set(std::string(word.substr(0, equals)), decode(word.substr(equals + 1)));
    }
  }
  return message;
}

void ControlChannel::send(const Message& message) {
  const std::string line = message.line();
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t sent = ::send(descriptor_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      // The other end is gone; receive() says so in its own time, with whatever it had left to say.
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::optional<Message> ControlChannel::take_line() {
  const std::size_t end = received_.find('\n');
  if (end == std::string::npos) {
    return std::nullopt;
  }
  Message message = Message::parse(std::string_view(received_).substr(0, end));
  received_.erase(0, end + 1);
  return message;
}

std::optional<Message> ControlChannel::receive() {
  std::array<char, 4096> buffer;
  while (!closed_) {
    if (auto message = take_line()) {
      return message;
    }
    const ssize_t length = ::recv(descriptor_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(length));
      closed_ = received_.size() > kLineLengthMax && received_.find('\n') == std::string::npos;
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
      closed_ = true;
    } else if (errno == EAGAIN) {
      return std::nullopt;
    }
  }
  return take_line();
}

std::optional<Message> ControlChannel::receive_until(Instant deadline) {
  while (true) {
    if (auto message = receive(); message || closed_) {
      return message;
    }
    pollfd waiting{descriptor_.get(), POLLIN, 0};
    const int timeout = poll_timeout(deadline);
    if (timeout == 0) {
      return std::nullopt;
    }
    ::poll(&waiting, 1, timeout);
  }
}

}  // namespace ringknet::bench
