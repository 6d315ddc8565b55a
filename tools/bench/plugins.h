// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The classic library loads encryption and compression from plug-ins in a folder whose absolute
// path is compiled in. One that was unpacked somewhere instead of being installed does not find
// them. This lets a worker process, and no other, see them where the library looks.
#pragma once

#include <string>

namespace ringknet::bench {

// For a library folder of the form ROOT/usr/lib/... with plug-ins in it: this process sees its
// files in /usr/lib/... too, besides those that are really there. Does nothing for other folders.
// Whether it worked shows when the library loads the plug-in; its message about that is the one to
// tell.
void show_plugins(const std::string& library_folder);

}  // namespace ringknet::bench
