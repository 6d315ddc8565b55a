// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writing, reading and checking; the sizes; what is counted.
#include "tests/faults/pair.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <thread>

namespace ringknet::test {
namespace {

constexpr std::array<std::size_t, 7> kSizes{100, 1400, 60, 5000, 30000, 700, 65536};
constexpr std::size_t kMarkerSize = 16;
// Nothing overtakes by more, where one message is repeated and others are not.
constexpr std::chrono::milliseconds kLate{300};

constexpr std::chrono::milliseconds kIdle{200};
// In that time ten PINGs go each way on each link, and each is answered: a wake-up for each that
// leaves, comes, and is answered. An engine that spins enters tens of thousands of times.
constexpr std::uint64_t kIdleEntersMax = 800;
constexpr std::chrono::milliseconds kIdleCpuMax{100};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif
// What the allocator keeps for itself; an engine has megabytes.
constexpr std::int64_t kMemoryAllowance = 64 * 1024;

std::chrono::nanoseconds thread_cpu() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Waits until all links have found an MTU that is far from the smallest: loopback's.
bool mtus_found(Recorder& client) {
  return client.wait([](const Recorder& recorder) {
    return std::ranges::any_of(recorder.events(), [](const Event& event) {
      return event.kind == Event::Kind::kDataMtu && event.mtu > 9000;
    });
  });
}

std::size_t entries(const char* path) {
  std::size_t count = 0;
  if (DIR* folder = opendir(path); folder != nullptr) {
    while (readdir(folder) != nullptr)
      ++count;
    closedir(folder);
  }
  return count;
}

bool readable_within(int fd, std::chrono::milliseconds patience) {
  pollfd state{fd, POLLIN, 0};
  return poll(&state, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace

FaultyNode::Prepared::Prepared(Injector& injector, unsigned submissions, unsigned completions) {
  injector.shrink_ring(submissions, completions);
  injector.use_for_next_engine();
}

FaultyNode::FaultyNode(unsigned id, unsigned submissions, unsigned completions)
    : prepared_(injector_, submissions, completions), node_(id) {}

bool Stream::write_one(std::size_t size) {
  missing_.insert(++last_);
  return write_message(from_, pattern(size, last_));
}

bool Stream::write(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (!write_one(kSizes[last_ % kSizes.size()]))
      return false;
  }
  return true;
}

bool Stream::write_marker() {
  return write_one(kMarkerSize);
}

void Stream::read(std::chrono::milliseconds patience) {
  std::vector<std::byte> message(kMessageSizeMax + 1);
  while (!complete() && readable_within(to_, patience)) {
    const ssize_t size = ::read(to_, message.data(), message.size());
    REQUIRE(size > 0);
    take(ConstBytes(message).first(static_cast<std::size_t>(size)));
  }
}

void Stream::take(ConstBytes message) {
  std::uint32_t number = 0;
  REQUIRE(message.size() >= sizeof(number));
  std::memcpy(&number, message.data(), sizeof(number));
  CAPTURE(number);
  const std::vector<std::byte> expected = pattern(message.size(), number);
  CHECK(std::equal(message.begin(), message.end(), expected.begin(), expected.end()));
  // Also a message that was given up may come late, but once.
  CHECK(missing_.erase(number) + lost_.erase(number) == 1);
}

std::size_t Stream::give_up() {
  const std::size_t count = missing_.size();
  lost_.merge(missing_);
  missing_.clear();
  return count;
}

Pair::Pair(unsigned links, unsigned submissions, unsigned completions)
    : a_(1, submissions, completions),
      b_(2, submissions, completions),
      fd_a_(a_.node().open_channel(0)),
      fd_b_(b_.node().open_channel(0)),
      there_(fd_a_, fd_b_),
      back_(fd_b_, fd_a_) {
  REQUIRE(join(a_.node(), b_.node(), links));
  // One link takes over what another was given only when it carries packets as large.
  for (FaultyNode* node : {&a_, &b_})
    REQUIRE(mtus_found(node->node().client()));
}

std::size_t Pair::run_through_fault(unsigned count) {
  std::size_t lost = 0;
  for (Stream* stream : {&there_, &back_})
    REQUIRE(stream->write(count));
  const auto until = std::chrono::steady_clock::now() + kRecovery;
  for (Stream* stream : {&there_, &back_}) {
    bool recovered = false;
    while (!recovered && std::chrono::steady_clock::now() < until) {
      REQUIRE(stream->write_marker());
      const std::uint32_t marker = stream->last();
      stream->read(kLate);
      recovered = stream->arrived(marker);
    }
    CHECK(recovered);
    lost += stream->give_up();
  }
  for (FaultyNode* node : {&a_, &b_})
    node->inject([](Injector& injector) { injector.stop(); });
  for (Stream* stream : {&there_, &back_}) {
    REQUIRE(stream->write(20));
    stream->read(std::chrono::milliseconds(2000));
    CHECK(stream->missing() == 0);
  }
  return lost;
}

void Pair::check_idle() {
  const auto count = [](FaultyNode& node) {
    return node.inject([](const Injector& injector) {
      return Idle{.enters = injector.enters(), .cpu = thread_cpu()};
    });
  };
  const std::array before{count(a_), count(b_)};
  std::this_thread::sleep_for(kIdle);  // a measure of time: nothing is to happen in it
  const std::array after{count(a_), count(b_)};
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(after[i].enters - before[i].enters <= kIdleEntersMax);
    CHECK((after[i].cpu - before[i].cpu).count() <= std::chrono::nanoseconds(kIdleCpuMax).count());
  }
}

Belongings belongings() {
  const struct mallinfo2 info = mallinfo2();
  return {.descriptors = entries("/proc/self/fd"),
          .threads = entries("/proc/self/task"),
          .memory = static_cast<std::int64_t>(info.uordblks + info.hblkhd)};
}

void check_nothing_left(const std::function<void()>& body) {
  Pair().run_through_fault(20);
  const Belongings before = belongings();
  body();
  // A thread that has been joined may be seen for a moment more.
  const auto until = std::chrono::steady_clock::now() + kRecovery;
  while (belongings().threads > before.threads && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  const Belongings after = belongings();
  CHECK(after.descriptors == before.descriptors);
  CHECK(after.threads == before.threads);
  if (!kSanitized)
    CHECK(after.memory - before.memory <= kMemoryAllowance);
}

std::string error_name(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

}  // namespace ringknet::test
