// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The smallest service that embeds the library by knet.hpp: it drives the handle itself and sends
// itself a message.
#include <cstdio>
#include <knet.hpp>
#include <string_view>

namespace {

constexpr std::string_view kText = "hello";

int failed(const char* what, std::error_code error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto handle = knet::Handle::create({.self = knet::HostId(1), .caller_driven = true});
  if (!handle) {
    return failed("handle", handle.error());
  }
  bool received = false;
  auto channel = handle->open_channel([&](const knet::Message& message) {
    const std::string_view text(reinterpret_cast<const char*>(message.bytes.data()),
                                message.bytes.size());
    received = text == kText && message.source == knet::HostId(1);
  });
  const auto host = handle->add_host(knet::HostId(1));
  const auto here = knet::address("127.0.0.1", 5405);
  if (!channel || !host || !here) {
    return failed("channel or host", channel ? host.error() : channel.error());
  }
  const auto link = host->add_link(knet::LinkId(0), *here, *here, KNET_TRANSPORT_LOOPBACK);
  if (!link || link->enable() || handle->set_forwarding(true)) {
    return failed("link", link.error());
  }
  if (const auto error = channel->send(std::as_bytes(std::span(kText)))) {
    return failed("send", error);
  }
  for (int turn = 0; turn < 1000 && !received; ++turn) {
    if (const auto error = handle->run_once(std::chrono::milliseconds(1))) {
      return failed("run_once", error);
    }
  }
  if (!received) {
    std::fputs("the message did not come\n", stderr);
    return 1;
  }
  const std::error_code closed = channel->close();
  return closed ? failed("close", closed) : 0;
}
