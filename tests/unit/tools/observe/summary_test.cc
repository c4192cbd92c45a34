// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/summary.h"

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

namespace {

void bucket(v1::StatusReply& s, const std::string& leg, uint64_t upper, uint64_t count) {
  v1::Histogram* h = s.latencies().empty() ? s.add_latencies() : s.mutable_latencies(0);
  h->set_name(leg);
  v1::HistogramBucket* b = h->add_buckets();
  b->set_upper_ns(upper);
  b->set_count(count);
}

}  // namespace

TEST_CASE("summary: rates are the growth of counters per second of the node's own clock") {
  v1::Recording r = two_nodes();
  v1::RecordedNode& a = *r.mutable_nodes(0);
  a.mutable_before()->set_vmm_cpu_ns(1'000'000'000);
  a.mutable_after()->set_vmm_cpu_ns(4'000'000'000);
  a.mutable_before()->set_faults_remote(100);
  a.mutable_after()->set_faults_remote(300);
  touch(r, {0, 5, 0x4c5000, 0x1000, true, kMm, 100'000}, 98);
  touch(r, {0, 5, 0x4c5000, 0x1000, true, kMm, 5'000'000}, 2);
  v1::PeerStatus* from_b = a.mutable_after()->add_peers();
  from_b->set_node(1);
  from_b->set_bytes_in(2 << 20);
  from_b->set_pages_in(100);
  const auto nodes = summarize(r);
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].guest_cpus == Approx(1.5));
  CHECK(nodes[0].faults_per_s == Approx(100));
  CHECK(nodes[0].wait_p50_ns == 100'000);
  CHECK(nodes[0].wait_p99_ns == 5'000'000);
  CHECK(nodes[0].bytes_in_per_s == Approx(1 << 20));
  CHECK(nodes[1].bytes_out_per_s == Approx(1 << 20));
  CHECK(traffic_of(r).at(0).pages == 100);
}

TEST_CASE("summary: a leg's histogram is what was added in the interval, over all nodes") {
  v1::Recording r = two_nodes();
  bucket(*r.mutable_nodes(0)->mutable_before(), "answer", 1000, 5);
  bucket(*r.mutable_nodes(0)->mutable_after(), "answer", 1000, 5);
  bucket(*r.mutable_nodes(0)->mutable_after(), "answer", 2000, 90);
  bucket(*r.mutable_nodes(1)->mutable_after(), "answer", 2000, 9);
  bucket(*r.mutable_nodes(1)->mutable_after(), "answer", 4000, 1);
  const auto h = leg_histogram(r, "answer");
  CHECK(h == std::map<uint64_t, uint64_t>{{2000, 99}, {4000, 1}});
  CHECK(quantile(h, 0.5) == 2000);
  CHECK(quantile(h, 0.99) == 4000);
  CHECK(quantile({}, 0.5) == 0);
}
