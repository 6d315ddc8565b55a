// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One member of a process group of corosync (libcpg) for the system tests: floods the group with
// numbered, checksummed messages and keeps the books of what is delivered: counts, an order digest,
// the longest pause. It is driven by command lines on standard input and tells everything as
// "event ..." lines, so that whoever drives it never has to sleep. It judges only the bytes of a
// message and the numbers of its sender: what should have happened is for the test to know.
//
//   send STREAM COUNT MIN MAX RATE WINDOW
//                                    COUNT messages (0: until `stop`) of MIN..MAX bytes, RATE a
//                                    second (0: as fast as corosync takes them), never more than
//                                    WINDOW bytes (0: any) of its own that it has not seen again
//   stop                             ends the sending after the message at hand
//   mark NUMBER COUNT                a message at whose delivery, when it is the COUNT-th of that
//                                    NUMBER, every member tells its book and begins a new one:
//                                    books between marks are comparable, as all members see the
//                                    marks at the same place of the order
#define _POSIX_C_SOURCE 200809L
#include <corosync/cpg.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  kNodesMax = 64,
  kLineMax = 4096,
  kMessageMax = 8 << 20,
  kBusyMilliseconds = 1,
  kSendsPerTurn = 64
};

static const uint64_t kPrime = 0x9e3779b97f4a7c15;

struct header {
  uint64_t checksum;  // of all that follows it
  uint32_t kind;
  uint32_t sender;
  uint32_t stream;
  uint32_t index;
  uint32_t size;
  uint32_t count;  // how many marks of that index there will be
};

enum { kData = 1, kMark = 2 };

struct source {
  uint32_t stream;
  uint32_t next;
};

// What was delivered since the last mark. Only the delivering thread touches it.
struct book {
  uint64_t messages;
  uint64_t bytes;
  uint64_t digest;
  uint64_t gaps;  // messages that are not the next of their sender's stream
  uint64_t corrupt;
  double since;
  double last;
  double pause;
  double pause_at;
};

// What is being sent. Only the main thread touches it.
struct job {
  bool active;
  uint32_t stream;
  uint32_t index;
  uint32_t count;
  uint32_t min;
  uint32_t max;
  uint32_t rate;
  uint32_t window;
  uint64_t handed_out;  // bytes
  double since;
  uint64_t busy;  // how often corosync asked to try again
};

static cpg_handle_t group_handle;
static uint32_t own_id;
static struct source sources[kNodesMax];
static struct book book;
static struct job job;
static atomic_uint_least64_t own_delivered;  // bytes of the own job that came back
static _Alignas(8) unsigned char message[kMessageMax];

static void say(const char* format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char* format, ...) {
  char line[kLineMax];
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

static void fail(const char* what, cs_error_t error) {
  say("event error %s: %d", what, (int)error);
  _exit(2);
}

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t mix(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * kPrime;
  return sum ^ (sum >> 29);
}

// Sensitive to the place of every byte; the size is part of it.
static uint64_t checksum_of(const unsigned char* bytes, size_t size) {
  uint64_t sum = size;
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    sum = mix(sum, word);
  }
  for (; size > 0; ++bytes, --size) {
    sum = mix(sum, *bytes);
  }
  return sum;
}

// --- the books

static void tell_book(uint32_t mark, double now) {
  say("event mark %u messages=%" PRIu64 " bytes=%" PRIu64 " digest=%016" PRIx64 " gaps=%" PRIu64
      " corrupt=%" PRIu64 " span=%.6f pause=%.6f pause_at=%.6f",
      mark, book.messages, book.bytes, book.digest, book.gaps, book.corrupt, now - book.since,
      book.pause, book.pause_at);
  memset(&book, 0, sizeof book);
  book.since = now;
  book.last = now;
}

static void note_pause(double now) {
  if (now - book.last > book.pause) {
    book.pause = now - book.last;
    book.pause_at = book.last - book.since;
  }
  book.last = now;
}

static void take_mark(const struct header* header, double now) {
  static uint32_t number, count;
  count = number == header->index ? count + 1 : 1;
  number = header->index;
  if (count == header->count) {
    tell_book(number, now);
  }
}

static void note_order(const struct header* header) {
  struct source* source = &sources[header->sender % kNodesMax];
  uint32_t expected = source->stream == header->stream ? source->next : 0;
  book.gaps += header->index != expected;
  source->stream = header->stream;
  source->next = header->index + 1;
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name* name, uint32_t node,
                       uint32_t process, void* bytes, size_t size) {
  (void)handle;
  (void)name;
  (void)process;
  double now = clock_seconds();
  note_pause(now);
  struct header header;
  bool good = size >= sizeof header;
  if (good) {
    memcpy(&header, bytes, sizeof header);
    good = header.size == size && header.sender == node &&
           header.checksum == checksum_of((unsigned char*)bytes + 8, size - 8);
  }
  if (!good) {
    ++book.corrupt;
    return;
  }
  if (header.kind == kMark) {
    take_mark(&header, now);
    return;
  }
  if (node == own_id) {
    atomic_fetch_add(&own_delivered, size);
  }
  ++book.messages;
  book.bytes += size;
  book.digest = mix(book.digest, header.checksum);
  note_order(&header);
}

// --- membership

static void on_group(cpg_handle_t handle, const struct cpg_name* name,
                     const struct cpg_address* members, size_t member_count,
                     const struct cpg_address* left, size_t left_count,
                     const struct cpg_address* joined, size_t joined_count) {
  (void)handle;
  (void)name;
  (void)left;
  (void)left_count;
  (void)joined;
  (void)joined_count;
  char text[kLineMax / 2] = "";
  size_t used = 0;
  for (size_t i = 0; i < member_count && used < sizeof text - 16; ++i) {
    used += (size_t)snprintf(text + used, 16, " %u", members[i].nodeid);
  }
  say("event group%s", text);
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t member_count,
                    const uint32_t* members) {
  (void)handle;
  char text[kLineMax / 2] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < member_count && used < sizeof text - 16; ++i) {
    used += (size_t)snprintf(text + used, 16, " %u", members[i]);
  }
  say("event ring %u.%" PRIu64 "%s", ring.nodeid, ring.seq, text);
}

static void* deliver_all(void* unused) {
  (void)unused;
  cs_error_t result = cpg_dispatch(group_handle, CS_DISPATCH_BLOCKING);
  fail("dispatch", result);
  return NULL;
}

// --- sending

static bool multicast(size_t size) {
  struct header* header = (struct header*)message;
  header->sender = own_id;
  header->size = (uint32_t)size;
  header->checksum = checksum_of(message + 8, size - 8);
  struct iovec part = {message, size};
  cs_error_t result = cpg_mcast_joined(group_handle, CPG_TYPE_AGREED, &part, 1);
  if (result == CS_ERR_TRY_AGAIN) {
    return false;
  }
  if (result != CS_OK) {
    fail("mcast", result);
  }
  return true;
}

static void end_job(void) {
  say("event sent %u %u busy=%" PRIu64 " span=%.6f", job.stream, job.index, job.busy,
      clock_seconds() - job.since);
  job.active = false;
}

// Sends one message if its time has come; how many milliseconds to wait before the next try.
static int send_next(void) {
  if (job.rate != 0) {
    double early = job.since + (double)job.index / job.rate - clock_seconds();
    if (early > 0) {
      return 1 + (int)(early * 1e3);
    }
  }
  uint64_t on_the_way = job.handed_out - atomic_load(&own_delivered);
  if (job.window != 0 && on_the_way != 0 && on_the_way + job.max > job.window) {
    return kBusyMilliseconds;
  }
  uint64_t chance = mix(mix(own_id, job.stream), job.index);
  size_t size = job.min + chance % (job.max - job.min + 1);
  struct header* header = (struct header*)message;
  header->kind = kData;
  header->stream = job.stream;
  header->index = job.index;
  // What lies behind the header differs from message to message in one word of each 4 KiB.
  for (size_t place = sizeof *header; place + 8 <= size; place += 4096) {
    chance = mix(chance, place);
    memcpy(message + place, &chance, 8);
  }
  if (!multicast(size)) {
    ++job.busy;
    return kBusyMilliseconds;
  }
  job.handed_out += size;
  if (++job.index == job.count) {
    end_job();
  }
  return 0;
}

static void send_mark(uint32_t number, uint32_t count) {
  struct header* header = (struct header*)message;
  header->kind = kMark;
  header->index = number;
  header->count = count;
  while (!multicast(sizeof *header)) {
    poll(NULL, 0, kBusyMilliseconds);
  }
}

static void run_command(const char* line) {
  uint32_t stream, count, min, max, rate, window;
  if (sscanf(line, "send %u %u %u %u %u %u", &stream, &count, &min, &max, &rate, &window) == 6 &&
      min >= sizeof(struct header) && min <= max && max <= kMessageMax) {
    job = (struct job){.active = true,
                       .stream = stream,
                       .count = count,
                       .min = min,
                       .max = max,
                       .rate = rate,
                       .window = window,
                       .handed_out = atomic_load(&own_delivered),
                       .since = clock_seconds()};
  } else if (sscanf(line, "mark %u %u", &stream, &count) == 2) {
    send_mark(stream, count);
  } else if (strcmp(line, "stop") == 0) {
    if (job.active) {
      end_job();
    }
  } else {
    say("event error bad command: %s", line);
  }
}

// Reads what there is on standard input and runs every whole line. False at its end.
static bool read_commands(void) {
  static char text[kLineMax];
  static size_t used;
  ssize_t got = read(STDIN_FILENO, text + used, sizeof text - 1 - used);
  if (got <= 0) {
    return got < 0 && errno == EINTR;
  }
  used += (size_t)got;
  text[used] = 0;
  char* line = text;
  for (char* end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = 0;
    run_command(line);
  }
  used = strlen(line);
  memmove(text, line, used + 1);
  return true;
}

static void join_group(void) {
  cpg_model_v1_data_t model = {CPG_MODEL_V1, on_deliver, on_group, on_ring,
                               CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF};
  cs_error_t result =
      cpg_model_initialize(&group_handle, CPG_MODEL_V1, (cpg_model_data_t*)&model, NULL);
  if (result != CS_OK) {
    fail("initialize", result);
  }
  uint32_t atomic_max = 0;
  result = cpg_local_get(group_handle, &own_id);
  if (result == CS_OK) {
    result = cpg_max_atomic_msgsize_get(group_handle, &atomic_max);
  }
  struct cpg_name name = {8, "ringknet"};
  if (result == CS_OK) {
    result = cpg_join(group_handle, &name);
  }
  if (result != CS_OK) {
    fail("join", result);
  }
  say("event ready %u %u", own_id, atomic_max);
}

int main(void) {
  join_group();
  book.since = book.last = clock_seconds();
  pthread_t deliverer;
  if (pthread_create(&deliverer, NULL, deliver_all, NULL) != 0) {
    fail("thread", CS_ERR_NO_RESOURCES);
  }
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  for (int wait = -1;;) {
    if (poll(&input, 1, wait) > 0 && !read_commands()) {
      _exit(0);
    }
    wait = -1;
    for (int i = 0; job.active && i < kSendsPerTurn; ++i) {
      wait = send_next();
      if (wait > 0) {
        break;
      }
    }
  }
}
