// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/console_hub.h"

#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

TEST_CASE("console hub: a reader that comes late: gets the backlog of its ports in order, then the end") {
  ConsoleHub hub;
  hub.append(0, "one ");
  hub.append(1, "other port");
  hub.append(0, "two");
  ConsoleHub::Cursor cursor;
  v1::ConsoleOutput output;
  REQUIRE(hub.next(cursor, output) == ConsoleHub::Next::Got);
  CHECK(output.data() == "one two");
  CHECK(hub.next(cursor, output) == ConsoleHub::Next::Nothing);
  hub.close();
  CHECK(hub.next(cursor, output) == ConsoleHub::Next::Closed);
}

TEST_CASE("console hub: more output than is kept: the reader is told how much it missed") {
  ConsoleHub hub;
  const std::string block(64 << 10, 'x');
  for (int i = 0; i < 40; ++i) hub.append(0, block);
  ConsoleHub::Cursor cursor;
  v1::ConsoleOutput output;
  uint64_t seen = 0, dropped = 0;
  while (hub.next(cursor, output) == ConsoleHub::Next::Got) {
    seen += output.data().size();
    dropped += output.dropped_bytes();
  }
  CHECK(seen + dropped == 40 * block.size());
  CHECK(seen <= 1 << 20);
}

TEST_CASE("console hub: a port that does not exist: ignored") {
  ConsoleHub hub;
  hub.append(9, "x");
  ConsoleHub::Cursor cursor;
  v1::ConsoleOutput output;
  cursor.ports = ~0u;
  CHECK(hub.next(cursor, output) == ConsoleHub::Next::Nothing);
}
