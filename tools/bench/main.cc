// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet-bench: measures any libknet.so.1 through its public API. This is the entrance: it reads the
// options and becomes controller, listener or worker.
#include <fmt/format.h>

#include <cstdio>

#include "tools/bench/controller.h"
#include "tools/bench/far_machine.h"
#include "tools/bench/options.h"
#include "tools/bench/worker.h"

namespace ringknet::bench {
namespace {

int run(const Options& options) {
  switch (options.mode) {
    case Mode::kWorker:
      return run_worker(Descriptor(options.worker_descriptor), options.own_namespace);
    case Mode::kListen:
      return serve_far_machine(options);
    case Mode::kMeasure:
      return run_controller(options);
  }
  return 2;
}

}  // namespace
}  // namespace ringknet::bench

int main(int argc, char** argv) {
  try {
    return ringknet::bench::run(ringknet::bench::parse_options(argc, argv));
  } catch (const std::exception& failure) {
    fmt::print(stderr, "knet-bench: {}\n", failure.what());
    return 1;
  }
}
