# SPDX-License-Identifier: Apache-2.0
# cmake -DCORE=dsm/core -P check_core_includes.cmake: fails if the core includes anything but itself, base/types.h and
# these standard headers, none of which does I/O, tells the time or starts a thread.
cmake_minimum_required(VERSION 3.25)
set(allowed algorithm array bit cstddef cstdint cstdlib memory optional span utility vector)
file(GLOB sources ${CORE}/*.h ${CORE}/*.cc)
list(LENGTH sources count)
if(count LESS 10)
  message(FATAL_ERROR "only ${count} files found in ${CORE}")
endif()
foreach(source ${sources})
  file(STRINGS ${source} lines REGEX "^ *# *include")
  foreach(line ${lines})
    string(REGEX REPLACE "^ *# *include *[<\"]([^>\"]*)[>\"].*" "\\1" header "${line}")
    if(NOT header IN_LIST allowed AND NOT header MATCHES "^(dsm/core/[a-z_]+|base/types)\\.h$")
      message(SEND_ERROR "${source} includes ${header}")
    endif()
  endforeach()
endforeach()
