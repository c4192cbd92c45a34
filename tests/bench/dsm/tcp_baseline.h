// SPDX-License-Identifier: Apache-2.0
// What the same machine does without Pando: TCP over loopback between two processes.
#pragma once

#include <cstdint>
#include <vector>

namespace pando::bench {

// Nanoseconds of each round trip: 16 bytes there, 4 KiB back, both ends blocking.
std::vector<uint64_t> tcp_round_trips(int count);
// Bytes per second of one stream.
double tcp_stream_bytes_per_second(uint64_t bytes);

}  // namespace pando::bench
