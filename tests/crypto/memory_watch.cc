// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The global operators new and delete of the crypto tests. Memory comes from malloc, so sanitizers
// still see every block.
#include "tests/crypto/memory_watch.h"

#include <malloc.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

constexpr std::size_t kSecretsMax = 64;
constexpr std::size_t kSecretSize = ringknet::MemoryWatch::kSecretSize;

std::atomic<bool> watching{false};
std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> found{0};
std::array<std::array<std::byte, kSecretSize>, kSecretsMax> secrets;
std::size_t secret_count = 0;

void* allocate(std::size_t size, std::size_t alignment) {
  if (watching)
    ++allocations;
  void* memory = alignment > alignof(std::max_align_t)
                     ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                     : std::malloc(size);
  if (memory == nullptr)
    throw std::bad_alloc();
  return memory;
}

void give_back(void* memory) {
  if (watching && memory != nullptr) {
    const std::size_t size = malloc_usable_size(memory);
    for (std::size_t i = 0; i < secret_count; ++i) {
      if (size >= kSecretSize && memmem(memory, size, secrets[i].data(), kSecretSize) != nullptr)
        ++found;
    }
  }
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size, 0);
}
void* operator new[](std::size_t size) {
  return allocate(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}

namespace ringknet {

MemoryWatch::MemoryWatch() {
  ::secret_count = 0;
  ::allocations = 0;
  ::found = 0;
  ::watching = true;
}

MemoryWatch::~MemoryWatch() {
  ::watching = false;
}

void MemoryWatch::look_for(ConstBytes secret) {
  if (secret.size() < kSecretSize || secret_count == kSecretsMax)
    std::abort();
  std::memcpy(secrets[secret_count++].data(), secret.data(), kSecretSize);
}

std::size_t MemoryWatch::allocations() const {
  return ::allocations;
}

std::size_t MemoryWatch::secrets_found() const {
  return found;
}

}  // namespace ringknet
