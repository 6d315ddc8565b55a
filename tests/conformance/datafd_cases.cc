// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about channels: opening with the library's and the application's descriptors, looking
// them up, removing them, and what the sock callback tells.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr int kClosed = 1000000;

struct Opened {
  int datafd;
  int8_t channel;
  Outcome outcome;
};

Opened open_with(Node& node, int datafd, int8_t channel) {
  Opened opened{datafd, channel, {}};
  opened.outcome =
      call([&] { return knet_handle_add_datafd(node, &opened.datafd, &opened.channel); });
  return opened;
}

int socket_type(int fd) {
  int type = -1;
  socklen_t size = sizeof(type);
  NEED(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0);
  return type;
}

}  // namespace

CONFORMANCE_CASE(add_datafd_arguments) {
  Node bare(Node::Bare{});
  int datafd = 0;
  int8_t channel = 0;
  CALL(fails(EINVAL), knet_handle_add_datafd(bare, nullptr, &channel));
  CALL(fails(EINVAL), knet_handle_add_datafd(bare, &datafd, nullptr));
  CALL(fails(EINVAL), knet_handle_add_datafd(bare, &datafd, &channel));  // no callback yet
  Node node;
  channel = KNET_DATAFD_MAX;
  CALL(fails(EINVAL), knet_handle_add_datafd(node, &datafd, &channel));
  channel = INT8_MAX;
  CALL(fails(EINVAL), knet_handle_add_datafd(node, &datafd, &channel));
  VALUE(0, datafd);
  VALUE(INT8_MAX, channel);
}

CONFORMANCE_CASE(add_datafd_order) {
  Node node;
  Ends user(Ends::sockets(SOCK_SEQPACKET));
  VALUE(kOk, open_with(node, user.first, 3).outcome);
  // The descriptor is looked at before the channel, the channel's bounds before both.
  VALUE(fails(EEXIST), open_with(node, user.first, 3).outcome);
  VALUE(fails(EEXIST), open_with(node, user.first, 4).outcome);
  VALUE(fails(EEXIST), open_with(node, user.first, -1).outcome);
  VALUE(fails(EINVAL), open_with(node, user.first, KNET_DATAFD_MAX).outcome);
  VALUE(fails(EBUSY), open_with(node, user.second, 3).outcome);
  VALUE(fails(EBUSY), open_with(node, 0, 3).outcome);
  VALUE(fails(EBUSY), open_with(node, kClosed, 3).outcome);
  VALUE(fails(EBADF), open_with(node, kClosed, 4).outcome);
}

CONFORMANCE_CASE(add_datafd_failures_leave_no_trace) {
  Node node;
  const Descriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const char* reason = "*channel stays as it was when knet_handle_add_datafd fails";
  Opened opened = open_with(node, kClosed, -1);
  VALUE(fails(EBADF), opened.outcome);
  VALUE(kClosed, opened.datafd);
  VALUE(differs(reason, -1, 0), opened.channel);
  opened = open_with(node, null, -1);
  VALUE(fails(EPERM), opened.outcome);
  VALUE(differs(reason, -1, 0), opened.channel);
  opened = open_with(node, null, 5);
  VALUE(fails(EPERM), opened.outcome);
  VALUE(5, opened.channel);
  int datafd = -7;
  CALL(fails(EINVAL), knet_handle_get_datafd(node, 5, &datafd));
  opened = open_with(node, 0, -1);
  VALUE(0, opened.channel);
}

CONFORMANCE_CASE(add_datafd_takes_the_lowest_channel) {
  Node node;
  for (int number = 0; number < KNET_DATAFD_MAX; ++number) {
    const Opened opened = open_with(node, 0, static_cast<int8_t>(-1 - number));
    VALUE(number, opened.channel);
  }
  const Opened full = open_with(node, 0, -1);
  VALUE(fails(EBUSY), full.outcome);
  VALUE(-1, full.channel);
  int datafd = 0;
  CALL(kOk, knet_handle_get_datafd(node, 7, &datafd));
  CALL(kOk, knet_handle_remove_datafd(node, datafd));
  VALUE(7, open_with(node, 0, -1).channel);
}

CONFORMANCE_CASE(pair_of_the_library) {
  Node node;
  const Opened opened = open_with(node, 0, -1);
  VALUE(kOk, opened.outcome);
  VALUE(true, opened.datafd > 0);
  VALUE(SOCK_SEQPACKET, socket_type(opened.datafd));
  VALUE(O_NONBLOCK, fcntl(opened.datafd, F_GETFL) & O_NONBLOCK);
  VALUE(FD_CLOEXEC, fcntl(opened.datafd, F_GETFD));
  CALL(kOk, knet_handle_remove_datafd(node, opened.datafd));
  VALUE(false, is_open(opened.datafd));
  const Opened negative = open_with(node, -1, -1);
  VALUE(kOk, negative.outcome);
  VALUE(true, negative.datafd > 0);
  VALUE(kOk, open_with(node, INT_MIN, -1).outcome);
}

CONFORMANCE_CASE(descriptors_of_the_application) {
  Node node;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Ends user(Ends::sockets(type));
    const Opened opened = open_with(node, user.first, -1);
    VALUE(kOk, opened.outcome);
    VALUE(static_cast<int>(user.first), opened.datafd);
    VALUE(O_NONBLOCK, fcntl(user.first, F_GETFL) & O_NONBLOCK);
    VALUE(FD_CLOEXEC, fcntl(user.first, F_GETFD));
    CALL(kOk, knet_handle_remove_datafd(node, user.first));
    VALUE(true, is_open(user.first));
  }
  Ends user(Ends::pipe());
  VALUE(kOk, open_with(node, user.first, -1).outcome);
  CALL(kOk, knet_handle_remove_datafd(node, user.first));
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  VALUE(kOk, open_with(node, udp, -1).outcome);
  CALL(kOk, knet_handle_remove_datafd(node, udp));
}

CONFORMANCE_CASE(remove_datafd_arguments) {
  Node node;
  const int datafd = node.open_channel();
  CALL(fails(EINVAL), knet_handle_remove_datafd(node, 0));
  CALL(fails(EINVAL), knet_handle_remove_datafd(node, -1));
  CALL(fails(EINVAL), knet_handle_remove_datafd(node, kClosed));
  CALL(kOk, knet_handle_remove_datafd(node, datafd));
  CALL(fails(EINVAL), knet_handle_remove_datafd(node, datafd));
}

CONFORMANCE_CASE(get_channel_arguments) {
  Node node;
  const int datafd = node.open_channel(9);
  int8_t channel = 77;
  CALL(fails(EINVAL), knet_handle_get_channel(node, 0, &channel));
  CALL(fails(EINVAL), knet_handle_get_channel(node, -1, &channel));
  CALL(fails(EINVAL), knet_handle_get_channel(node, datafd, nullptr));
  VALUE(77, channel);
  CALL(fails(EINVAL), knet_handle_get_channel(node, kClosed, &channel));
  VALUE(-1, channel);
  CALL(kOk, knet_handle_get_channel(node, datafd, &channel));
  VALUE(9, channel);
}

CONFORMANCE_CASE(get_datafd_arguments) {
  Node node;
  const int datafd = node.open_channel(9);
  int found = 77;
  CALL(fails(EINVAL), knet_handle_get_datafd(node, -1, &found));
  CALL(fails(EINVAL), knet_handle_get_datafd(node, KNET_DATAFD_MAX, &found));
  CALL(fails(EINVAL), knet_handle_get_datafd(node, 9, nullptr));
  CALL(fails(EINVAL), knet_handle_get_datafd(node, 8, &found));
  VALUE(77, found);
  CALL(kOk, knet_handle_get_datafd(node, 9, &found));
  VALUE(datafd, found);
}

CONFORMANCE_CASE(end_of_file_is_told) {
  Ends user(Ends::sockets(SOCK_SEQPACKET));
  Node node;
  const Opened opened = open_with(node, user.first, 2);
  VALUE(kOk, opened.outcome);
  user.second.close();
  NEED(node.sock.wait_for([](const SockEvent& event) {
    return event.direction == KNET_NOTIFY_TX && event.error == 0;
  }));
  const SockEvent event = node.sock.list().front();
  VALUE(static_cast<int>(user.first), event.datafd);
  VALUE(2, event.channel);
  VALUE(0, event.error_number);
  // A round trip through the library's thread: what it repeats has been repeated by then.
  NEED(knet_handle_setfwd(node, 0) == 0);
  VALUE(differs("end of file on a data descriptor is told once", true, false),
        node.sock.list().size() == 1);
  int8_t channel = 0;
  CALL(kOk, knet_handle_get_channel(node, user.first, &channel));  // taken until it is removed
  CALL(kOk, knet_handle_remove_datafd(node, user.first));
}

CONFORMANCE_CASE(remove_datafd_in_callback) {
  NOT_ON_PEER("knet_handle_remove_datafd inside the sock callback hangs") {
    Ends user(Ends::sockets(SOCK_SEQPACKET));
    Node node;
    VALUE(kOk, open_with(node, user.first, 0).outcome);
    std::atomic<bool> done{false};
    Outcome removed;
    Outcome added;
    node.inside_callback([&] {
      removed = call([&] { return knet_handle_remove_datafd(node, user.first); });
      added = open_with(node, 0, 0).outcome;
      done = true;
    });
    user.second.close();
    NEED(eventually([&] { return done.load(); }));
    VALUE(kOk, removed);
    VALUE(kOk, added);
  }
}

CONFORMANCE_CASE(getters_in_sock_callback) {
  Ends user(Ends::sockets(SOCK_SEQPACKET));
  Node node;
  VALUE(kOk, open_with(node, user.first, 0).outcome);
  std::atomic<bool> done{false};
  Outcome got;
  unsigned mtu = 0;
  node.inside_callback([&] {
    got = call([&] { return knet_handle_pmtud_get(node, &mtu); });
    done = true;
  });
  user.second.close();
  NEED(eventually([&] { return done.load(); }));
  VALUE(kOk, got);
  VALUE(482, mtu);
}

}  // namespace conformance
