// SPDX-License-Identifier: Apache-2.0
// Recordings put together by hand: two nodes "a" and "b" with 1024 pages each.
#pragma once

#include <string>

#include "proto/observe.pb.h"

namespace pando::observe::test {

constexpr uint64_t kMm = 7;  // "victim", pid 42

inline v1::Recording two_nodes() {
  v1::Recording r;
  r.set_cluster("two");
  r.set_duration_ns(2'000'000'000);
  for (uint32_t id = 0; id < 2; ++id) {
    v1::RecordedNode* node = r.add_nodes();
    node->set_id(id);
    node->set_name(id == 0 ? "a" : "b");
    for (v1::StatusReply* s : {node->mutable_before(), node->mutable_after()}) {
      s->set_page_first(1024 * id);
      s->set_pages_home(1024);
    }
    node->mutable_before()->set_monotonic_ns(1'000'000'000);
    node->mutable_after()->set_monotonic_ns(3'000'000'000);
  }
  v1::AddressSpace* space = r.mutable_nodes(0)->mutable_spaces()->add_spaces();
  space->set_mm(kMm);
  space->set_pid(42);
  space->set_comm("victim");
  return r;
}

struct Touch {
  uint32_t node;
  uint64_t page;
  uint64_t address;
  uint64_t rip;
  bool write = true;
  uint64_t mm = kMm;  // 0: the kernel
  uint64_t wait_ns = 100'000;
};

inline void touch(v1::Recording& r, const Touch& t, int times = 1) {
  v1::RecordedNode* node = r.mutable_nodes(static_cast<int>(t.node));
  for (int i = 0; i < times; ++i) {
    v1::FaultRecord* f = node->add_faults();
    f->set_sequence(static_cast<uint64_t>(node->faults_size()));
    f->set_monotonic_ns(1'000'000'000 + node->faults_size() * 1'000'000);
    f->set_page(t.page);
    f->set_address(t.address);
    f->set_rip(t.rip);
    f->set_mm(t.mm);
    f->set_user(t.mm != 0);
    f->set_write(t.write);
    f->set_wait_ns(t.wait_ns);
    f->set_vcpu(t.node);
  }
}

inline void code(v1::Recording& r, uint64_t rip, const std::string& bytes) {
  v1::RecordedCode* c = r.add_code();
  c->set_mm(kMm);
  c->set_rip(rip);
  c->set_bytes(bytes);
}

}  // namespace pando::observe::test
