// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The line commands of peer_node; see peer_node.c. Each is a thin cover of one or a few libknet
// calls, so that a test reads as the calls an application would make. Nothing here waits.
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_node.h"

static void reply(struct node* node, const char* format, ...) __attribute__((format(printf, 2, 3)));

static void reply(struct node* node, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(node->reply, sizeof node->reply, format, arguments);
  va_end(arguments);
}

static uint16_t host_of(const char* word) {
  return (uint16_t)strtoul(word, NULL, 10);
}

static uint8_t small_of(const char* word) {
  return (uint8_t)strtoul(word, NULL, 10);
}

static uint32_t number_of(const char* word) {
  return (uint32_t)strtoul(word, NULL, 10);
}

static enum command_result result_of(int status) {
  return status == 0 ? kDone : kFailed;
}

static enum command_result invalid(struct node* node, const char* why) {
  errno = EINVAL;
  reply(node, "(%s)", why);
  return kFailed;
}

// new ID [LOG-LEVEL]
static enum command_result command_new(struct node* node, int count, char** words) {
  node->id = host_of(words[1]);
  const uint8_t level = count > 2 ? small_of(words[2]) : KNET_LOG_WARN;
  node->handle = knet_handle_new(node->id, node->log_pipe[1], level);
  return node->handle == NULL ? kFailed : result_of(install_callbacks(node));
}

// channel CHANNEL: opens it with a descriptor made by the library
static enum command_result command_channel(struct node* node, int count, char** words) {
  (void)count;
  int8_t channel = (int8_t)number_of(words[1]);
  int datafd = 0;
  if (channel < 0 || channel >= KNET_DATAFD_MAX) {
    return invalid(node, "no such channel");
  }
  if (knet_handle_add_datafd(node->handle, &datafd, &channel) != 0) {
    return kFailed;
  }
  node->datafds[channel] = datafd;
  return kDone;
}

// forward 0|1
static enum command_result command_forward(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_handle_setfwd(node->handle, number_of(words[1])));
}

// host HOST
static enum command_result command_host(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_host_add(node->handle, host_of(words[1])));
}

// policy HOST passive|active|rr
static enum command_result command_policy(struct node* node, int count, char** words) {
  static const char* const kPolicies[] = {"passive", "active", "rr"};
  (void)count;
  for (uint8_t policy = 0; policy < 3; ++policy) {
    if (strcmp(words[2], kPolicies[policy]) == 0) {
      return result_of(knet_host_set_policy(node->handle, host_of(words[1]), policy));
    }
  }
  return invalid(node, "unknown policy");
}

// link HOST LINK udp|loopback ADDRESS PORT dynamic
// link HOST LINK udp|loopback ADDRESS PORT ADDRESS PORT
static enum command_result command_link(struct node* node, int count, char** words) {
  const uint16_t host = host_of(words[1]);
  const uint8_t link = small_of(words[2]);
  const bool dynamic = strcmp(words[6], "dynamic") == 0;
  const uint8_t transport =
      knet_get_transport_id_by_name(strcmp(words[3], "udp") == 0 ? "UDP" : "LOOPBACK");
  struct sockaddr_storage source;
  struct sockaddr_storage destination;
  memset(&source, 0, sizeof source);
  memset(&destination, 0, sizeof destination);
  if (knet_strtoaddr(words[4], words[5], &source, sizeof source) != 0) {
    return invalid(node, "source address");
  }
  if (!dynamic &&
      (count < 8 || knet_strtoaddr(words[6], words[7], &destination, sizeof destination) != 0)) {
    return invalid(node, "destination address");
  }
  if (node->link_count == kWatchedLinksMax) {
    return invalid(node, "too many links to watch");
  }
  if (knet_link_set_config(node->handle, host, link, transport, &source,
                           dynamic ? NULL : &destination, 0) != 0) {
    return kFailed;
  }
  node->links[node->link_count++] =
      (struct watched_link){.host = host, .link = link, .connected = -1};
  return kDone;
}

// timers HOST LINK INTERVAL TIMEOUT PRECISION PONG-COUNT
static enum command_result command_timers(struct node* node, int count, char** words) {
  (void)count;
  const uint16_t host = host_of(words[1]);
  const uint8_t link = small_of(words[2]);
  if (knet_link_set_ping_timers(node->handle, host, link, (time_t)number_of(words[3]),
                                (time_t)number_of(words[4]), number_of(words[5])) != 0) {
    return kFailed;
  }
  return result_of(knet_link_set_pong_count(node->handle, host, link, small_of(words[6])));
}

// prio HOST LINK PRIORITY
static enum command_result command_prio(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_link_set_priority(node->handle, host_of(words[1]), small_of(words[2]),
                                          small_of(words[3])));
}

// enable HOST LINK 0|1
static enum command_result command_enable(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_link_set_enable(node->handle, host_of(words[1]), small_of(words[2]),
                                        number_of(words[3])));
}

// mtu IFACE-MTU: 0 = discovery
static enum command_result command_mtu(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_handle_pmtud_set(node->handle, number_of(words[1])));
}

// mtu_interval SECONDS
static enum command_result command_mtu_interval(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_handle_pmtud_setfreq(node->handle, number_of(words[1])));
}

// filter off|broadcast|addressed
static enum command_result command_filter(struct node* node, int count, char** words) {
  (void)count;
  return result_of(install_filter(node, words[1]));
}

// The job of: CHANNEL STREAM FIRST COUNT SIZE DESTINATION (broadcast, or a node)
static bool parse_job(const struct node* node, char** words, struct send_job* job) {
  const bool broadcast = strcmp(words[5], "broadcast") == 0;
  *job = (struct send_job){.active = true,
                           .channel = (int)number_of(words[0]),
                           .message = {.sender = node->id,
                                       .destination = broadcast ? kBroadcast : host_of(words[5]),
                                       .stream = (uint16_t)number_of(words[1]),
                                       .size = number_of(words[4])},
                           .next = number_of(words[2]),
                           .end = number_of(words[2]) + number_of(words[3])};
  return job->message.size > 0 && job->message.size <= kMessageSizeMax && job->end <= kIndexMax;
}

// send CHANNEL STREAM FIRST COUNT SIZE DESTINATION: answered when all is handed to the library
static enum command_result command_send(struct node* node, int count, char** words) {
  (void)count;
  if (!parse_job(node, words + 1, &node->batch)) {
    node->batch.active = false;
    return invalid(node, "size or count");
  }
  return kDeferred;
}

// stream CHANNEL STREAM FIRST COUNT SIZE DESTINATION RATE: sends at a pace, until done or `stop`
static enum command_result command_stream(struct node* node, int count, char** words) {
  (void)count;
  struct send_job* job = &node->stream;
  job->active = false;
  if (!parse_job(node, words + 1, job) || number_of(words[7]) == 0) {
    job->active = false;
    return invalid(node, "size, count or rate");
  }
  job->rate = number_of(words[7]);
  job->paced_from = job->next;
  job->paced_since = clock_seconds();
  return kDone;
}

// progress: the index that `stream` sends next
static enum command_result command_progress(struct node* node, int count, char** words) {
  (void)count;
  (void)words;
  reply(node, "next=%u", node->stream.next);
  return kDone;
}

// stop: ends `stream`, answers its next index
static enum command_result command_stop(struct node* node, int count, char** words) {
  node->stream.active = false;
  return command_progress(node, count, words);
}

// send_sync CHANNEL STREAM INDEX SIZE DESTINATION
static enum command_result command_send_sync(struct node* node, int count, char** words) {
  static unsigned char buffer[kMessageSizeMax];
  char one[] = "1";
  char* job_words[] = {words[1], words[2], words[3], one, words[4], words[5]};
  struct send_job job;
  (void)count;
  if (!parse_job(node, job_words, &job)) {
    return invalid(node, "size or index");
  }
  job.message.index = job.next;
  message_write(&job.message, job.channel, buffer);
  return result_of(
      knet_send_sync(node->handle, (char*)buffer, job.message.size, (int8_t)job.channel));
}

// goal SENDER STREAM CHANNEL FROM TO: one event, now or when all of FROM .. TO - 1 are there
static enum command_result command_goal(struct node* node, int count, char** words) {
  (void)count;
  struct stream_log* stream =
      message_log_find(&node->log, host_of(words[1]), host_of(words[2]), (int)number_of(words[3]));
  if (stream == NULL) {
    return invalid(node, "the book is full");
  }
  stream_log_aim(stream, number_of(words[4]), number_of(words[5]));
  check_goal(stream);
  return kDone;
}

// seen SENDER STREAM CHANNEL FROM TO: what arrived, and how many of the indices FROM .. TO - 1
static enum command_result command_seen(struct node* node, int count, char** words) {
  (void)count;
  struct stream_log* stream =
      message_log_find(&node->log, host_of(words[1]), host_of(words[2]), (int)number_of(words[3]));
  if (stream == NULL) {
    return invalid(node, "the book is full");
  }
  reply(node, "present=%u unique=%u duplicates=%u reordered=%u corrupt=%u",
        stream_log_present(stream, number_of(words[4]), number_of(words[5])), stream->unique,
        stream->duplicates, stream->reordered, node->log.corrupt);
  return kDone;
}

// forget: empties the book of what arrived
static enum command_result command_forget(struct node* node, int count, char** words) {
  (void)count;
  (void)words;
  message_log_clear(&node->log);
  return kDone;
}

// status HOST LINK
static enum command_result command_status(struct node* node, int count, char** words) {
  struct knet_link_status s;
  (void)count;
  if (knet_link_get_status(node->handle, host_of(words[1]), small_of(words[2]), &s, sizeof s)) {
    return kFailed;
  }
  reply(node,
        "size=%zu enabled=%u connected=%u dynconnected=%u mtu=%u overhead=%u latency=%llu "
        "pong_last=%lld src=%s src_port=%s dst=%s dst_port=%s up=%u down=%u tx_data=%llu "
        "rx_data=%llu tx_ping=%llu rx_ping=%llu tx_pong=%llu rx_pong=%llu tx_errors=%llu",
        s.size, s.enabled, s.connected, s.dynconnected, s.mtu, s.proto_overhead, s.latency,
        (long long)s.pong_last.tv_sec, s.src_ipaddr, s.src_port,
        s.dst_ipaddr[0] ? s.dst_ipaddr : "-", s.dst_port[0] ? s.dst_port : "-", s.stats.up_count,
        s.stats.down_count, (unsigned long long)s.stats.tx_data_packets,
        (unsigned long long)s.stats.rx_data_packets, (unsigned long long)s.stats.tx_ping_packets,
        (unsigned long long)s.stats.rx_ping_packets, (unsigned long long)s.stats.tx_pong_packets,
        (unsigned long long)s.stats.rx_pong_packets, (unsigned long long)s.stats.tx_total_errors);
  return kDone;
}

// Copies a word into one of the configuration's name fields; false when it does not fit.
static bool put_name(char* field, size_t size, const char* word) {
  return snprintf(field, size, "%s", word) < (int)size;
}

// A small generator is enough for keys that protect nothing.
static void make_key(uint32_t seed, struct knet_handle_crypto_cfg* config) {
  uint32_t state = seed * 2654435761u + 1;
  for (unsigned int i = 0; i < config->private_key_len; ++i) {
    state = state * 1664525u + 1013904223u;
    config->private_key[i] = (unsigned char)(state >> 24);
  }
}

// crypto SLOT MODEL CIPHER HASH KEY-SEED [KEY-SIZE]: fills a slot; model none empties it
static enum command_result command_crypto(struct node* node, int count, char** words) {
  static struct knet_handle_crypto_cfg config;
  memset(&config, 0, sizeof config);
  config.private_key_len = count > 6 ? number_of(words[6]) : KNET_MIN_KEY_LEN;
  if (config.private_key_len > KNET_MAX_KEY_LEN ||
      !put_name(config.crypto_model, sizeof config.crypto_model, words[2]) ||
      !put_name(config.crypto_cipher_type, sizeof config.crypto_cipher_type, words[3]) ||
      !put_name(config.crypto_hash_type, sizeof config.crypto_hash_type, words[4])) {
    return invalid(node, "a name or the key is too long");
  }
  make_key(number_of(words[5]), &config);
  const int result = knet_handle_crypto_set_config(node->handle, &config, small_of(words[1]));
  if (result != 0) {
    reply(node, "result %d", result);
  }
  return result_of(result);
}

// use SLOT: 0 = clear
static enum command_result command_use(struct node* node, int count, char** words) {
  (void)count;
  return result_of(knet_handle_crypto_use_config(node->handle, small_of(words[1])));
}

// clear_traffic 0|1: whether packets that are not encrypted are let in
static enum command_result command_clear_traffic(struct node* node, int count, char** words) {
  (void)count;
  const uint8_t value = number_of(words[1]) != 0 ? KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC
                                                 : KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC;
  return result_of(knet_handle_crypto_rx_clear_traffic(node->handle, value));
}

// compress MODEL THRESHOLD LEVEL
static enum command_result command_compress(struct node* node, int count, char** words) {
  struct knet_handle_compress_cfg config;
  (void)count;
  memset(&config, 0, sizeof config);
  if (!put_name(config.compress_model, sizeof config.compress_model, words[1])) {
    return invalid(node, "the name is too long");
  }
  config.compress_threshold = number_of(words[2]);
  config.compress_level = (int)strtol(words[3], NULL, 10);
  return result_of(knet_handle_compress(node->handle, &config));
}

// compress_models: what the library lists
static enum command_result command_compress_models(struct node* node, int count, char** words) {
  struct knet_compress_info models[32];
  size_t model_count = 0;
  size_t length = 0;
  (void)count;
  (void)words;
  if (knet_get_compress_list(NULL, &model_count) != 0 ||
      model_count > sizeof models / sizeof models[0] ||
      knet_get_compress_list(models, &model_count) != 0) {
    return kFailed;
  }
  for (size_t i = 0; i < model_count && length < sizeof node->reply; ++i) {
    length += (size_t)snprintf(node->reply + length, sizeof node->reply - length, "%s%s",
                               i == 0 ? "" : " ", models[i].name);
  }
  return kDone;
}

// handle_stats
static enum command_result command_handle_stats(struct node* node, int count, char** words) {
  struct knet_handle_stats s;
  (void)count;
  (void)words;
  if (knet_handle_get_stats(node->handle, &s, sizeof s) != 0) {
    return kFailed;
  }
  reply(node,
        "size=%zu tx_uncompressed=%llu tx_compressed=%llu tx_compressed_from=%llu "
        "tx_compressed_to=%llu rx_compressed=%llu rx_compressed_to=%llu rx_compressed_from=%llu "
        "tx_crypt=%llu tx_crypt_overhead=%llu rx_crypt=%llu",
        s.size, (unsigned long long)s.tx_uncompressed_packets,
        (unsigned long long)s.tx_compressed_packets,
        (unsigned long long)s.tx_compressed_original_bytes,
        (unsigned long long)s.tx_compressed_size_bytes, (unsigned long long)s.rx_compressed_packets,
        (unsigned long long)s.rx_compressed_original_bytes,
        (unsigned long long)s.rx_compressed_size_bytes, (unsigned long long)s.tx_crypt_packets,
        (unsigned long long)s.tx_crypt_byte_overhead, (unsigned long long)s.rx_crypt_packets);
  return kDone;
}

// await_pings HOST LINK COUNT: one event when so many more PINGs have come in on the link
static enum command_result command_await_pings(struct node* node, int count, char** words) {
  (void)count;
  for (size_t i = 0; i < node->link_count; ++i) {
    struct watched_link* watched = &node->links[i];
    if (watched->host == host_of(words[1]) && watched->link == small_of(words[2])) {
      watched->awaited_pings = watched->pings + number_of(words[3]);
      return kDone;
    }
  }
  return invalid(node, "no such link");
}

// host_status HOST
static enum command_result command_host_status(struct node* node, int count, char** words) {
  struct knet_host_status status;
  (void)count;
  if (knet_host_get_status(node->handle, host_of(words[1]), &status) != 0) {
    return kFailed;
  }
  reply(node, "reachable=%u remote=%u external=%u", status.reachable, status.remote,
        status.external);
  return kDone;
}

// data_mtu
static enum command_result command_data_mtu(struct node* node, int count, char** words) {
  unsigned int mtu = 0;
  (void)count;
  (void)words;
  if (knet_handle_pmtud_get(node->handle, &mtu) != 0) {
    return kFailed;
  }
  reply(node, "mtu=%u", mtu);
  return kDone;
}

// free: takes everything down again in the order the API asks for
static enum command_result command_free(struct node* node, int count, char** words) {
  static knet_node_id_t hosts[KNET_MAX_HOST];
  size_t host_count = 0;
  (void)count;
  (void)words;
  node->link_count = 0;
  if (knet_host_get_host_list(node->handle, hosts, &host_count) != 0) {
    return kFailed;
  }
  for (size_t i = 0; i < host_count; ++i) {
    uint8_t links[KNET_MAX_LINK];
    size_t link_count = 0;
    if (knet_link_get_link_list(node->handle, hosts[i], links, &link_count) != 0) {
      return kFailed;
    }
    for (size_t k = 0; k < link_count; ++k) {
      if (knet_link_set_enable(node->handle, hosts[i], links[k], 0) != 0 ||
          knet_link_clear_config(node->handle, hosts[i], links[k]) != 0) {
        return kFailed;
      }
    }
    if (knet_host_remove(node->handle, hosts[i]) != 0) {
      return kFailed;
    }
  }
  if (knet_handle_free(node->handle) != 0) {
    return kFailed;
  }
  node->handle = NULL;
  memset(node->datafds, 0, sizeof node->datafds);
  return kDone;
}

// quit
static enum command_result command_quit(struct node* node, int count, char** words) {
  (void)node;
  (void)count;
  (void)words;
  _exit(0);
}

struct command {
  const char* name;
  int words_min;
  enum command_result (*run)(struct node* node, int count, char** words);
};

static const struct command kCommands[] = {
    {"new", 2, command_new},
    {"channel", 2, command_channel},
    {"forward", 2, command_forward},
    {"host", 2, command_host},
    {"policy", 3, command_policy},
    {"link", 7, command_link},
    {"timers", 7, command_timers},
    {"prio", 4, command_prio},
    {"enable", 4, command_enable},
    {"mtu", 2, command_mtu},
    {"mtu_interval", 2, command_mtu_interval},
    {"filter", 2, command_filter},
    {"send", 7, command_send},
    {"stream", 8, command_stream},
    {"progress", 1, command_progress},
    {"stop", 1, command_stop},
    {"send_sync", 6, command_send_sync},
    {"goal", 6, command_goal},
    {"seen", 6, command_seen},
    {"forget", 1, command_forget},
    {"status", 3, command_status},
    {"await_pings", 4, command_await_pings},
    {"host_status", 2, command_host_status},
    {"data_mtu", 1, command_data_mtu},
    {"crypto", 6, command_crypto},
    {"use", 2, command_use},
    {"clear_traffic", 2, command_clear_traffic},
    {"compress", 4, command_compress},
    {"compress_models", 1, command_compress_models},
    {"handle_stats", 1, command_handle_stats},
    {"free", 1, command_free},
    {"quit", 1, command_quit},
};

enum command_result run_command(struct node* node, int count, char** words) {
  for (size_t i = 0; i < sizeof kCommands / sizeof kCommands[0]; ++i) {
    if (strcmp(words[0], kCommands[i].name) == 0) {
      return count < kCommands[i].words_min ? invalid(node, "too few words")
                                            : kCommands[i].run(node, count, words);
    }
  }
  return invalid(node, "unknown command");
}
