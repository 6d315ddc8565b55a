// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Starting workers and getting rid of them, seen from the controller (or, on a far machine, the
// listener). A worker never outlives the process that started it, however that one ends.
#pragma once

#include <sys/types.h>

#include <deque>
#include <string>

#include "tools/bench/control.h"

namespace ringknet::bench {

struct WorkerStart {
  bool own_namespace = false;
  std::string library_folder;  // for LD_LIBRARY_PATH; empty to leave that as it is
  bool plugins = false;        // the library is going to look for its plug-ins
};

// Starts this program again as a worker that is controlled through the descriptor.
pid_t start_worker(const WorkerStart& start, const Descriptor& control);

// The folder that LD_LIBRARY_PATH has to name to get this library: PATH of --against, checked.
std::string library_folder(const std::string& path);

// A node that the controller talks to: a process here, or one behind a TCP connection.
class WorkerProcess {
 public:
  // name is for sentences: "node 1".
  WorkerProcess(std::string name, const WorkerStart& start);
  WorkerProcess(std::string name, Descriptor connection);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] ControlChannel& control() { return control_; }

  // What happened to it, as the end of a sentence; called when the control channel has ended.
  std::string fate();

  std::deque<Message> inbox;

 private:
  std::string name_;
  pid_t pid_ = -1;
  ControlChannel control_;
};

}  // namespace ringknet::bench
