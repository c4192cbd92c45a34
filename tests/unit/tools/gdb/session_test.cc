// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/session.h"

#include <random>

#include "tests/unit/tools/gdb/simulated_machine.h"
#include "tests/catch.h"

namespace pando::gdb {

namespace {

using Catch::Matchers::ContainsSubstring;

// A debugger without acknowledgements: asks, gets the payloads of the answers.
class Debugger {
 public:
  explicit Debugger(uint16_t vcpus) : machine(vcpus), session(machine, {}, [this](std::string_view b) { out += b; }) {
    session.on_bytes(encode_packet("QStartNoAckMode"));
    session.on_bytes("+");
    out.clear();
  }
  std::vector<std::string> ask_all(std::string_view packet) {
    out.clear();
    session.on_bytes(encode_packet(packet));
    return answers();
  }
  std::vector<std::string> answers() {
    PacketDecoder decoder;
    std::vector<std::string> list;
    for (const char c : std::exchange(out, {}))
      if (auto item = decoder.push(static_cast<uint8_t>(c))) list.push_back(item->payload);
    return list;
  }
  std::string ask(std::string_view packet) {
    const auto list = ask_all(packet);
    return list.size() == 1 ? list[0] : "answers: " + std::to_string(list.size());
  }

  test::SimulatedMachine machine;
  std::string out;
  Session session;
};

}  // namespace

TEST_CASE("gdb session: acknowledgements: every packet gets one until GDB asks for none") {
  test::SimulatedMachine machine(1);
  std::string out;
  Session session(machine, {}, [&](std::string_view b) { out += b; });
  session.on_bytes("$qC#b4");
  CHECK(out == "+$QC1#c5");
  session.on_bytes("-");
  CHECK(out == "+$QC1#c5$QC1#c5");
  out.clear();
  session.on_bytes("$qC#b5");
  CHECK(out == "-");
  out.clear();
  session.on_bytes(encode_packet("QStartNoAckMode"));
  CHECK(out == "+$OK#9a");
  session.on_bytes("+");
  out.clear();
  session.on_bytes("$qC#b4");
  CHECK(out == "$QC1#c5");
}

TEST_CASE("gdb session: threads: every virtual CPU with its node") {
  Debugger gdb(3);
  CHECK(gdb.ask("qfThreadInfo") == "m1,2,3");
  CHECK(gdb.ask("qsThreadInfo") == "l");
  const std::string xml = gdb.ask("qXfer:threads:read::0,3000");
  CHECK_THAT(xml, ContainsSubstring("<thread id=\"2\" core=\"1\" name=\"cpu1 (node b)\">&lt;idle&gt; &amp;"));
  CHECK(from_hex(gdb.ask("qThreadExtraInfo,3")) == "cpu2 (node a): <idle> & \"x\"");
  CHECK(gdb.ask("T3") == "OK");
  CHECK(gdb.ask("T4") == "E03");
  CHECK(gdb.ask("Hg4") == "E03");
}

TEST_CASE("gdb session: documents: come in pieces that add up") {
  Debugger gdb(1);
  std::string text;
  for (size_t at = 0;; at += 100) {
    char packet[80];
    std::snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,64", at);
    const std::string piece = gdb.ask(packet);
    REQUIRE_FALSE(piece.empty());
    text += piece.substr(1);
    if (piece[0] == 'l') break;
  }
  CHECK(text == target_description());
  CHECK(gdb.ask("qXfer:features:read:target.xml:ffffffffffffffff,64") == "l");
  CHECK(gdb.ask("qXfer:features:read:other.xml:0,64") == "E00");
}

TEST_CASE("gdb session: registers: of the selected CPU, read and written") {
  Debugger gdb(2);
  CHECK(gdb.ask("Hg2") == "OK");
  CHECK(gdb.ask("g") == all_registers_hex(gdb.machine.registers[1]));
  CHECK(gdb.ask("p10") == *register_hex(gdb.machine.registers[1], 16));
  CHECK(gdb.ask("P0=0102030405060708") == "OK");
  CHECK(gdb.machine.registers[1].general[0] == 0x0807060504030201);
  CHECK(gdb.machine.registers[0].general[0] == 0x1000);
  CHECK(gdb.ask("P0=01") == "E16");
  CHECK(gdb.ask("p1000") == "E16");
}

TEST_CASE("gdb session: memory: read to where it ends, written in hexadecimal and binary") {
  Debugger gdb(1);
  CHECK(gdb.ask("M60000010,3:616263") == "OK");
  CHECK(gdb.ask("m60000010,4") == "61626300");
  CHECK(gdb.ask("X60000010,0:") == "OK");
  CHECK(gdb.ask("X60000010,2:}$") == "OK");
  CHECK(gdb.ask("m60000010,3") == "7d2463");
  CHECK(gdb.ask("m6000fffe,10") == "0000");
  CHECK(gdb.ask("m0,10") == "E0e");
  CHECK(gdb.ask("M60000010,4:6162") == "E16");
  CHECK(gdb.ask("M6000ffff,2:6162") == "E0e");
  CHECK(gdb.ask("m60000000,ffffffffffffffff").size() == kPacketMax);
}

TEST_CASE("gdb session: breakpoints: software and hardware ones are set, watchpoints are not known") {
  Debugger gdb(1);
  CHECK(gdb.ask("Z0,60000100,1") == "OK");
  CHECK(gdb.machine.breakpoints.count(0x60000100) == 1);
  CHECK(gdb.ask("z0,60000100,1") == "OK");
  CHECK(gdb.machine.breakpoints.empty());
  CHECK(gdb.ask("Z0,10,1") == "E0e");
  // One of each at the same place: the last one takes it out.
  CHECK(gdb.ask("Z0,60000100,1") == "OK");
  CHECK(gdb.ask("Z1,60000100,1") == "OK");
  CHECK(gdb.ask("z0,60000100,1") == "OK");
  CHECK(gdb.machine.breakpoints.count(0x60000100) == 1);
  CHECK(gdb.ask("z1,60000100,1") == "OK");
  CHECK(gdb.machine.breakpoints.empty());
  for (const char* other : {"Z2,60000100,4", "Z3,60000100,4", "Z4,60000100,4"})
    CHECK(gdb.ask(other).empty());
}

TEST_CASE("gdb session: vCont: the leftmost action of a thread holds, threads without one stay") {
  Debugger gdb(3);
  CHECK(gdb.ask("vCont?") == "vCont;c;C;s;S");
  CHECK(gdb.ask_all("vCont;s:2;c").empty());
  REQUIRE(gdb.machine.resumed.size() == 3);
  CHECK(gdb.machine.resumed[0].action == Action::Continue);
  CHECK(gdb.machine.resumed[1].action == Action::Step);
  CHECK(gdb.session.state() == Session::State::Running);
  gdb.machine.stop = StopEvent{StopReason::Step, VcpuId(1)};
  gdb.session.on_target_event();
  CHECK(gdb.answers() == std::vector<std::string>{"T05thread:2;"});
  CHECK(gdb.ask_all("vCont;s:3").empty());
  REQUIRE(gdb.machine.resumed.size() == 1);
  CHECK(gdb.machine.resumed[0].vcpu == VcpuId(2));
}

TEST_CASE("gdb session: vCont that makes no sense: is refused and starts nothing") {
  Debugger gdb(2);
  for (const char* bad : {"vCont;", "vCont;x", "vCont;c:zz", "vCont;c:7", "vCont;;c", "vCont;t:1"}) {
    CHECK(gdb.ask(bad) == "E16");
    CHECK(gdb.session.state() == Session::State::Stopped);
  }
  CHECK(gdb.machine.resumed.empty());
}

TEST_CASE("gdb session: breakpoint hit by another CPU: the reply names it and it is selected") {
  Debugger gdb(2);
  gdb.ask_all("c");
  CHECK(gdb.ask("g") == "E10");
  gdb.machine.stop = StopEvent{StopReason::Breakpoint, VcpuId(1)};
  gdb.session.on_target_event();
  CHECK(gdb.answers() == std::vector<std::string>{"T05thread:2;swbreak:;"});
  CHECK(gdb.ask("qC") == "QC2");
  CHECK(gdb.ask("g") == all_registers_hex(gdb.machine.registers[1]));
}

TEST_CASE("gdb session: Ctrl-C: reaches a running machine, not a stopped one") {
  Debugger gdb(1);
  gdb.session.on_bytes("\x03");
  CHECK(gdb.machine.interrupts == 0);
  gdb.ask_all("vCont;c");
  gdb.session.on_bytes("\x03");
  CHECK(gdb.machine.interrupts == 1);
  gdb.machine.stop = StopEvent{};
  gdb.session.on_target_event();
  CHECK(gdb.answers() == std::vector<std::string>{"T02thread:1;"});
}

TEST_CASE("gdb session: end of the guest: is told with its status") {
  Debugger gdb(1);
  gdb.ask_all("vCont;c");
  gdb.machine.stop = StopEvent{StopReason::Ended, VcpuId(0), 7};
  gdb.session.on_target_event();
  CHECK(gdb.answers() == std::vector<std::string>{"W07"});
}

TEST_CASE("gdb session: stop with something to say: the user sees it before the stop") {
  Debugger gdb(2);
  gdb.ask_all("vCont;c");
  gdb.machine.stop = StopEvent{StopReason::Dead, VcpuId(1), 0, "the VMM is gone"};
  gdb.session.on_target_event();
  CHECK(gdb.answers() == std::vector<std::string>{"O" + to_hex("the VMM is gone\n"), "T09thread:2;"});
}

TEST_CASE("gdb session: a machine that can only be read: resume is refused") {
  Debugger gdb(1);
  gdb.machine.read_only = true;
  CHECK_THAT(gdb.ask("vCont;c"), ContainsSubstring("E.the guest has ended"));
  CHECK(gdb.session.state() == Session::State::Stopped);
}

TEST_CASE("gdb session: detach and kill: end the session") {
  Debugger a(1);
  CHECK(a.ask("D") == "OK");
  CHECK(a.machine.detached);
  CHECK(a.session.state() == Session::State::Over);
  CHECK(a.ask_all("g").empty());
  Debugger b(1);
  CHECK(b.ask_all("k").empty());
  CHECK(b.machine.killed);
}

TEST_CASE("gdb session: monitor: long answers come as several packets") {
  Debugger gdb(1);
  const std::string text(kPacketMax, 'a');
  std::string joined;
  const auto answers = gdb.ask_all("qRcmd," + to_hex(text.substr(0, kPacketMax / 2 - 10)));
  REQUIRE(answers.size() >= 2);
  CHECK(answers.back() == "OK");
  for (size_t i = 0; i + 1 < answers.size(); ++i) joined += *from_hex(answers[i].substr(1));
  CHECK(joined == "you said " + text.substr(0, kPacketMax / 2 - 10) + "\n");
  CHECK(gdb.ask("qRcmd,6") == "E16");
}

TEST_CASE("gdb session: packets GDB knows and we do not: get the empty answer") {
  Debugger gdb(1);
  for (const char* packet : {"vMustReplyEmpty", "qTStatus", "qOffsets", "!", "R00", "vFile:setfs:0", "QNonStop:1"})
    CHECK(gdb.ask(packet).empty());
}

// Mutates real packets: whatever comes, the engine answers within bounds and keeps its state machine.
TEST_CASE("gdb session: hostile packets: bounded answers, no crash") {
  const char* const seeds[] = {"?",     "g",        "G00",       "p10",          "P10=00",          "m60000000,10",
                               "M60000000,2:0102", "X60000000,2:ab", "Z0,60000100,1", "z0,60000100,1",   "Hg2",
                               "T1",    "vCont;s:1;c", "vCont?",  "c",            "s",               "qC",
                               "qfThreadInfo", "qThreadExtraInfo,1", "qXfer:threads:read::0,fff", "qRcmd,68656c70",
                               "qXfer:features:read:target.xml:0,fff", "qSupported:multiprocess+", "QStartNoAckMode"};
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    Debugger gdb(2);
    const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    for (int i = 0; i < 200; ++i) {
      std::string packet = seeds[below(std::size(seeds))];
      for (size_t n = below(4); n > 0; --n) {
        const size_t at = below(packet.size() + 1);
        switch (below(4)) {
          case 0: packet.insert(at, 1, static_cast<char>(below(256))); break;
          case 1: packet = packet.substr(0, at); break;
          case 2: packet += packet; break;
          default: if (at < packet.size()) packet[at] = static_cast<char>(below(256));
        }
      }
      std::string raw = encode_packet(packet);
      if (below(8) == 0) raw[below(raw.size())] = static_cast<char>(below(256));
      gdb.out.clear();
      gdb.session.on_bytes(raw);
      REQUIRE(gdb.out.size() < 4 * kPacketMax);
      if (gdb.session.state() == Session::State::Running && below(2)) {
        gdb.machine.stop = StopEvent{StopReason::Step, VcpuId(1)};
        gdb.session.on_target_event();
        REQUIRE(gdb.session.state() == Session::State::Stopped);
      }
    }
  }
}

}  // namespace pando::gdb
