// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One node of the interop tests. It is built once, against the header of Debian's libknet1 1.25,
// and runs on whichever libknet.so.1 the loader finds, which it names in its first line. It is
// driven by command lines on standard input; it answers each with one line ("ok ..." or "error
// ...") and reports what happens by itself as "event ..." lines, so that whoever drives it never
// has to sleep. It judges nothing but the bytes of messages: what should have happened is for the
// test to know.
//
// This half has the loop, the callbacks and the events; the commands are in peer_commands.c.
#define _POSIX_C_SOURCE 200809L
#include "peer_node.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kSendsPerTurn = 64, kReceivesPerTurn = 256, kLineMax = 4096, kWatchMilliseconds = 10 };

void say(const char* format, ...) {
  char line[kReplySizeMax + 64];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof line - 2) {
    length = (int)sizeof line - 2;
  }
  line[length++] = '\n';
  if (write(STDOUT_FILENO, line, (size_t)length) != length) {
    _exit(3);
  }
}

double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// --- callbacks, called from the library's threads

static void on_sock(void* data, int datafd, int8_t channel, uint8_t tx_rx, int error, int number) {
  (void)data;
  (void)datafd;
  say("event sock %d %s %d %d", channel, tx_rx == KNET_NOTIFY_TX ? "tx" : "rx", error, number);
}

static void on_host(void* data, knet_node_id_t host, uint8_t reachable, uint8_t remote,
                    uint8_t external) {
  (void)data;
  say("event host %u %s%s", host, reachable ? "up" : "down",
      remote != 0 || external != 0 ? " remote-or-external" : "");
}

static void on_mtu(void* data, unsigned int data_mtu) {
  (void)data;
  say("event mtu %u", data_mtu);
}

// Both directions decide by the message's own header, as corosync does.
static int filter(void* data, const unsigned char* bytes, ssize_t size, uint8_t tx_rx,
                  knet_node_id_t this_host, knet_node_id_t source, int8_t* channel,
                  knet_node_id_t* hosts, size_t* host_count, bool addressed) {
  const struct node* node = data;
  struct message message;
  const bool known = size > 0 && message_peek(bytes, (size_t)size, &message);
  const bool tiny = known && message.size < kMessageHeaderSize;
  if (!known || this_host != node->id || (tx_rx == KNET_NOTIFY_TX && source != node->id) ||
      (!tiny && source != message.sender)) {
    say("event filter-mismatch %s size %zd this %u source %u channel %d",
        tx_rx == KNET_NOTIFY_TX ? "tx" : "rx", size, this_host, source, *channel);
    return -1;
  }
  if (!addressed || message.destination == kBroadcast) {
    *host_count = 0;
    return 1;
  }
  hosts[0] = message.destination;
  *host_count = 1;
  return 0;
}

static int filter_addressed(void* data, const unsigned char* bytes, ssize_t size, uint8_t tx_rx,
                            knet_node_id_t this_host, knet_node_id_t source, int8_t* channel,
                            knet_node_id_t* hosts, size_t* host_count) {
  return filter(data, bytes, size, tx_rx, this_host, source, channel, hosts, host_count, true);
}

static int filter_broadcast(void* data, const unsigned char* bytes, ssize_t size, uint8_t tx_rx,
                            knet_node_id_t this_host, knet_node_id_t source, int8_t* channel,
                            knet_node_id_t* hosts, size_t* host_count) {
  return filter(data, bytes, size, tx_rx, this_host, source, channel, hosts, host_count, false);
}

int install_filter(struct node* node, const char* mode) {
  if (strcmp(mode, "off") == 0) {
    return knet_handle_enable_filter(node->handle, NULL, NULL);
  }
  return knet_handle_enable_filter(
      node->handle, node, strcmp(mode, "addressed") == 0 ? filter_addressed : filter_broadcast);
}

int install_callbacks(struct node* node) {
  if (knet_handle_enable_sock_notify(node->handle, node, on_sock) != 0 ||
      knet_host_enable_status_change_notify(node->handle, node, on_host) != 0) {
    return -1;
  }
  return knet_handle_enable_pmtud_notify(node->handle, node, on_mtu);
}

// --- sending and receiving, in the loop

void check_goal(struct stream_log* stream) {
  if (stream->awaited && stream->goal_left == 0) {
    stream->awaited = false;
    say("event goal %u %u %d", stream->sender, stream->stream, stream->channel);
  }
}

static void receive(struct node* node, int channel) {
  static unsigned char buffer[kMessageSizeMax];
  for (int i = 0; i < kReceivesPerTurn; ++i) {
    const ssize_t size = knet_recv(node->handle, (char*)buffer, sizeof buffer, (int8_t)channel);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (size <= 0) {
      say("event receive-failed %d %zd %d", channel, size, size < 0 ? errno : 0);
      return;
    }
    struct stream_log* stream = message_log_enter(&node->log, channel, buffer, (size_t)size);
    if (stream == NULL) {
      say("event corrupt %d size %zd", channel, size);
    } else {
      check_goal(stream);
    }
  }
}

// Sends until `end`, a full socket, or a turn's worth.
static void send_some(struct node* node, struct send_job* job, uint32_t end) {
  static unsigned char buffer[kMessageSizeMax];
  for (int i = 0; i < kSendsPerTurn && job->next < end; ++i) {
    job->message.index = job->next;
    message_write(&job->message, job->channel, buffer);
    const ssize_t sent =
        knet_send(node->handle, (char*)buffer, job->message.size, (int8_t)job->channel);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (sent != (ssize_t)job->message.size) {
      say("event send-failed %d %zd %d", job->channel, sent, sent < 0 ? errno : 0);
    }
    ++job->next;
  }
}

static uint32_t stream_due(struct send_job* job) {
  const double now = clock_seconds();
  const double due = (now - job->paced_since) * job->rate;
  const uint32_t end = job->paced_from + (uint32_t)due;
  if (end > job->next + kSendsPerTurn) {
    // This process had to wait: to make up for it in one go would flood the receiver.
    job->paced_since = now;
    job->paced_from = job->next;
    return job->next;
  }
  return end < job->end ? end : job->end;
}

static void watch_links(struct node* node) {
  for (size_t i = 0; i < node->link_count; ++i) {
    struct watched_link* watched = &node->links[i];
    struct knet_link_status status;
    if (knet_link_get_status(node->handle, watched->host, watched->link, &status, sizeof status)) {
      continue;
    }
    if (status.connected != watched->connected || status.mtu != watched->mtu) {
      watched->connected = status.connected;
      watched->mtu = status.mtu;
      say("event link %u %u %d %u", watched->host, watched->link, status.connected, status.mtu);
    }
    watched->pings = status.stats.rx_ping_packets;
    if (watched->awaited_pings != 0 && watched->pings >= watched->awaited_pings) {
      watched->awaited_pings = 0;
      say("event pinged %u %u", watched->host, watched->link);
    }
  }
}

// The library's log records go to standard error, which the driver keeps for its failure report.
static void drain_log(struct node* node) {
  struct knet_log_msg record;
  while (read(node->log_pipe[0], &record, sizeof record) == (ssize_t)sizeof record) {
    fprintf(stderr, "%.3f %s %s: %s\n", clock_seconds(),
            knet_log_get_loglevel_name(record.msglevel),
            knet_log_get_subsystem_name(record.subsystem), record.msg);
  }
}

// --- commands in

static void run_line(struct node* node, char* line) {
  char* words[kWordsMax];
  int count = 0;
  char* rest = NULL;
  for (char* word = strtok_r(line, " ", &rest); word != NULL && count < kWordsMax;
       word = strtok_r(NULL, " ", &rest)) {
    words[count++] = word;
  }
  if (count == 0) {
    return;
  }
  node->reply[0] = '\0';
  errno = 0;
  switch (run_command(node, count, words)) {
    case kDone:
      say("ok%s%s", node->reply[0] != '\0' ? " " : "", node->reply);
      break;
    case kDeferred:
      break;
    case kFailed:
      say("error %d %s: %s %s", errno, words[0], strerror(errno), node->reply);
      break;
  }
}

// Runs the complete lines of the input, up to one whose answer has to wait.
static void run_input(struct node* node, char* input, size_t* length) {
  char* end = NULL;
  while (!node->batch.active && (end = memchr(input, '\n', *length)) != NULL) {
    *end = '\0';
    run_line(node, input);
    const size_t used = (size_t)(end - input) + 1;
    *length -= used;
    memmove(input, input + used, *length);
  }
}

static void read_input(char* input, size_t* length) {
  const ssize_t size = read(STDIN_FILENO, input + *length, kLineMax - *length);
  if (size == 0 || *length + (size_t)(size > 0 ? size : 0) == kLineMax) {
    _exit(0);  // whoever drove this node is gone (or sends what is no line)
  }
  *length += size > 0 ? (size_t)size : 0;
}

static void turn(struct node* node, char* input, size_t* length) {
  struct pollfd polled[KNET_DATAFD_MAX + 2];
  int channels[KNET_DATAFD_MAX];
  nfds_t count = 0;
  for (int channel = 0; channel < KNET_DATAFD_MAX; ++channel) {
    if (node->datafds[channel] > 0) {
      const bool sends = (node->batch.active && node->batch.channel == channel);
      channels[count] = channel;
      polled[count++] = (struct pollfd){.fd = node->datafds[channel],
                                        .events = (short)(POLLIN | (sends ? POLLOUT : 0))};
    }
  }
  const nfds_t channel_count = count;
  polled[count++] = (struct pollfd){.fd = node->log_pipe[0], .events = POLLIN};
  polled[count++] = (struct pollfd){.fd = node->batch.active ? -1 : STDIN_FILENO, .events = POLLIN};
  if (poll(polled, count, node->stream.active ? 1 : kWatchMilliseconds) < 0 && errno != EINTR) {
    _exit(4);
  }
  for (nfds_t i = 0; i < channel_count; ++i) {
    if (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) {
      receive(node, channels[i]);
    }
  }
  if (node->batch.active) {
    send_some(node, &node->batch, node->batch.end);
    if (node->batch.next == node->batch.end) {
      node->batch.active = false;
      say("ok");
    }
  }
  if (node->stream.active) {
    send_some(node, &node->stream, stream_due(&node->stream));
    if (node->stream.next == node->stream.end) {
      node->stream.active = false;
      say("event streamed %u", node->stream.message.stream);
    }
  }
  watch_links(node);
  drain_log(node);
  if (polled[count - 1].revents != 0) {
    read_input(input, length);
  }
  run_input(node, input, length);
}

// The path of the libknet.so.1 that this process has mapped, by the kernel's account.
static void library_path(char* path, size_t size) {
  char line[4096];
  FILE* maps = fopen("/proc/self/maps", "r");
  snprintf(path, size, "unknown");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    char* found = strchr(line, '/');
    if (found != NULL && strstr(found, "libknet.so") != NULL) {
      found[strcspn(found, "\n")] = '\0';
      snprintf(path, size, "%.900s", found);
      break;
    }
  }
  if (maps != NULL) {
    fclose(maps);
  }
}

int main(void) {
  static struct node node;
  static char input[kLineMax];
  size_t length = 0;
  char path[1024];
  signal(SIGPIPE, SIG_IGN);
  if (pipe(node.log_pipe) != 0 || fcntl(node.log_pipe[0], F_SETFL, O_NONBLOCK) != 0 ||
      fcntl(node.log_pipe[1], F_SETFL, O_NONBLOCK) != 0) {
    return 2;
  }
  library_path(path, sizeof path);
  say("event ready %s", path);
  for (;;) {
    turn(&node, input, &length);
  }
}
