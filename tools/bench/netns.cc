// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Namespaces by unshare(2), devices by rtnetlink: one socket per request, each request acknowledged
// by the kernel.
#include "tools/bench/netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tools/bench/common.h"

namespace ringknet::bench {
namespace {

using HardwareAddress = std::array<std::uint8_t, 6>;

// Device addresses are derived from the last byte of the IPv4 address, so each end knows the
// other's without asking.
constexpr HardwareAddress kNobody = {0x02, 0x6b, 0x6e, 0x00, 0xff, 0xff};

HardwareAddress hardware_address(const in_addr& address) {
  const std::uint32_t number = ntohl(address.s_addr);
  return {0x02,
          0x6b,
          0x6e,
          0x00,
          static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

in_addr parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) {
    throw Failure(fmt::format("{} is no IPv4 address", text));
  }
  return address;
}

int device_index(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) {
    throw failure_from_errno(fmt::format("no network device {}", name));
  }
  return static_cast<int>(index);
}

// One rtnetlink request, built in place.
class Request {
 public:
  template <typename Body>
  Request(std::uint16_t type, unsigned flags, const Body& body) : bytes_(NLMSG_HDRLEN) {
    header_.nlmsg_type = type;
    header_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&body, sizeof body);
  }

  void attribute(std::uint16_t type, const void* data, std::size_t length) {
    const std::size_t start = open(type);
    append(data, length);
    close(start);
  }
  void attribute(std::uint16_t type, const std::string& text) {
    attribute(type, text.c_str(), text.size() + 1);
  }
  void attribute(std::uint16_t type, std::uint32_t number) {
    attribute(type, &number, sizeof number);
  }
  // Everything up to the matching close() is inside this attribute.
  std::size_t open(std::uint16_t type) {
    const std::size_t start = bytes_.size();
    const rtattr empty{0, type};
    append(&empty, sizeof empty);
    return start;
  }
  void close(std::size_t start) {
    const auto length = static_cast<unsigned short>(bytes_.size() - start);
    std::memcpy(&bytes_[start], &length, sizeof length);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void append(const void* data, std::size_t length) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), from, from + length);
  }

  void carry_out(const std::string& what) {
    header_.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket.open() || ::send(socket.get(), bytes_.data(), bytes_.size(), 0) < 0) {
      throw failure_from_errno(what);
    }
    std::array<std::byte, 4096> answer;
    const ssize_t length = ::recv(socket.get(), answer.data(), answer.size(), 0);
    nlmsghdr answer_header{};
    nlmsgerr error{};
    if (length < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof error.error)) {
      throw failure_from_errno(what);
    }
    std::memcpy(&answer_header, answer.data(), sizeof answer_header);
    std::memcpy(&error.error, &answer[NLMSG_HDRLEN], sizeof error.error);
    if (answer_header.nlmsg_type != NLMSG_ERROR || error.error != 0) {
      errno = -error.error;
      throw failure_from_errno(what);
    }
  }

 private:
  nlmsghdr header_{};
  std::vector<std::byte> bytes_;
};

void write_file(const char* path, const std::string& text) {
  const Descriptor file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file.open() || ::write(file.get(), text.data(), text.size()) < 0) {
    throw failure_from_errno(fmt::format("cannot write {}", path));
  }
}

// What a worker is going to need, tried in a process of its own.
void try_namespaces(bool user_first) {
  if (user_first) {
    enter_user_namespace();
  }
  enter_network_namespace();
  create_veth("probe", 1500, ::getpid());
}

// Empty on success, else the reason.
std::string try_in_child(bool user_first) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw failure_from_errno("no pipe");
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    throw failure_from_errno("fork failed");
  }
  if (child == 0) {
    try {
      try_namespaces(user_first);
    } catch (const Failure& failure) {
      const std::string reason = failure.what();
      const ssize_t written = ::write(writer.get(), reason.data(), reason.size());
      ::_exit(written < 0 ? 2 : 1);
    }
    ::_exit(0);
  }
  writer.reset(-1);
  std::array<char, 1024> text;
  const ssize_t length = ::read(reader.get(), text.data(), text.size());
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status == 0) {
    return "";
  }
  return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length))
                    : "the attempt died";
}

}  // namespace

NamespaceProbe probe_namespaces() {
  const std::string direct = try_in_child(false);
  if (direct.empty()) {
    return {NamespaceAccess::kDirect, ""};
  }
  const std::string user_first = try_in_child(true);
  if (user_first.empty()) {
    return {NamespaceAccess::kUserFirst, direct};
  }
  return {NamespaceAccess::kUnavailable, user_first};
}

void enter_user_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) {
    throw failure_from_errno("no user namespace");
  }
  // The kernel wants this before an unprivileged process may map its group.
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", fmt::format("0 {} 1", user));
  write_file("/proc/self/gid_map", fmt::format("0 {} 1", group));
}

void enter_network_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) {
    throw failure_from_errno("no network namespace");
  }
}

void create_veth(const std::string& name, unsigned mtu, pid_t other) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  const bool elsewhere = other != ::getpid();
  request.attribute(IFLA_IFNAME, name);
  request.attribute(IFLA_MTU, mtu);
  const std::size_t info = request.open(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, "veth", 4);
  const std::size_t data = request.open(IFLA_INFO_DATA);
  const std::size_t peer = request.open(VETH_INFO_PEER);
  const ifinfomsg peer_device{};
  request.append(&peer_device, sizeof peer_device);
  request.attribute(IFLA_IFNAME, elsewhere ? name : name + "-peer");
  request.attribute(IFLA_MTU, mtu);
  if (elsewhere) {
    request.attribute(IFLA_NET_NS_PID, static_cast<std::uint32_t>(other));
  }
  request.close(peer);
  request.close(data);
  request.close(info);
  request.carry_out("no veth device");
}

void set_device_up(const std::string& name) {
  ifinfomsg device{};
  device.ifi_index = device_index(name);
  device.ifi_flags = IFF_UP;
  device.ifi_change = IFF_UP;
  Request(RTM_NEWLINK, 0, device).carry_out(fmt::format("cannot set {} up", name));
}

void add_address(const std::string& name, const std::string& address, unsigned prefix_length) {
  const in_addr number = parse_address(address);
  ifinfomsg device{};
  device.ifi_index = device_index(name);
  Request hardware(RTM_NEWLINK, 0, device);
  hardware.attribute(IFLA_ADDRESS, hardware_address(number).data(), HardwareAddress().size());
  hardware.carry_out(fmt::format("cannot set the hardware address of {}", name));

  ifaddrmsg body{};
  body.ifa_family = AF_INET;
  body.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
  body.ifa_index = static_cast<std::uint32_t>(device.ifi_index);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body);
  request.attribute(IFA_LOCAL, &number, sizeof number);
  request.attribute(IFA_ADDRESS, &number, sizeof number);
  request.carry_out(fmt::format("cannot give {} to {}", address, name));
}

void set_neighbour_reachable(const std::string& name, const std::string& address, bool reachable) {
  const in_addr number = parse_address(address);
  const HardwareAddress hardware = reachable ? hardware_address(number) : kNobody;
  ndmsg body{};
  body.ndm_family = AF_INET;
  body.ndm_ifindex = device_index(name);
  body.ndm_state = NUD_PERMANENT;
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body);
  request.attribute(NDA_DST, &number, sizeof number);
  request.attribute(NDA_LLADDR, hardware.data(), hardware.size());
  request.carry_out(fmt::format("cannot set the neighbour {} on {}", address, name));
}

}  // namespace ringknet::bench
