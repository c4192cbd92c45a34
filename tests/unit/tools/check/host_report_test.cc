// SPDX-License-Identifier: Apache-2.0
#include "tools/check/host_report.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::check;

TEST_CASE("check: host report: this host is described") {
  const v1::HostReport report = report_host({"127.0.0.1", 0});
  CHECK(report.machine() == "x86_64");
  CHECK_FALSE(report.kernel_release().empty());
  CHECK(report.cpus() >= 1);
  CHECK(report.cpu_flags_size() > 10);
  CHECK(report.memory_total_bytes() >= report.memory_available_bytes());
  CHECK(report.memory_available_bytes() > 0);
  CHECK(report.listen_error().empty());
  CHECK(report.unix_ns() > 0);
  const bool works = report.userfaultfd_error().empty();
  CHECK((report.userfaultfd_features() != 0) == works);
}

TEST_CASE("check: host report: a port in use and a foreign address are found by trying") {
  const UniqueFd busy(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(busy.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(busy.get(), 1) == 0);
  REQUIRE(::getsockname(busy.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  CHECK(report_host({"127.0.0.1", ntohs(address.sin_port)}).listen_error() ==
        "Address already in use");
  CHECK(report_host({"192.0.2.1", 0}).listen_error() == "Cannot assign requested address");
}

TEST_CASE("check: host report: kernel texts") {
  CHECK(parse_cpu_flags("processor\t: 0\nflags\t\t: sse2 avx sse2\nbugs\t: x\n") ==
        std::vector<std::string>{"avx", "sse2"});
  CHECK(parse_cpu_flags("").empty());
  CHECK(parse_cpu_flags("\nflags").empty());
  CHECK(parse_meminfo("MemTotal:  16 kB\nMemAvailable:   8 kB\n", "MemAvailable") == 8192);
  CHECK(parse_meminfo("MemTotal:  16 kB\n", "MemTotal") == 16384);
  CHECK(parse_meminfo("MemTotal:  16 kB\n", "MemFree") == 0);
  CHECK(parse_meminfo("MemFree:", "MemFree") == 0);
}
