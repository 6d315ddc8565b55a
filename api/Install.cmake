# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What `cmake --install` puts where: both libraries, the headers, libknet.pc and the CMake package `knet`.

include(CMakePackageConfigHelpers)

# The prefix is said relative to libknet.pc itself, so that an installed tree can be moved, or installed with --prefix.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE prefix_from_pkgconfig)
configure_file("${PROJECT_SOURCE_DIR}/cmake/libknet.pc.in" "${PROJECT_BINARY_DIR}/libknet.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/libknet.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES libknet.h libknet_ext.h knet.hpp TYPE INCLUDE)
install(TARGETS knet_static ARCHIVE)
install(TARGETS knet_shared EXPORT knet-targets LIBRARY)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/knet")
install(EXPORT knet-targets NAMESPACE knet:: DESTINATION "${package_folder}" FILE knet-config.cmake)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/knet-config-version.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/knet-config-version.cmake" DESTINATION "${package_folder}")
