// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/latency.h"

#include <memory>

#include "tests/catch.h"

using namespace pando::dsm;

TEST_CASE("latency histogram: quantiles lie within an eighth above the true value") {
  auto h = std::make_unique<LatencyHistogram>();
  for (uint64_t ns = 1; ns <= 100'000; ++ns) h->add(ns);
  CHECK(h->count() == 100'000);
  CHECK(h->max() == 100'000);
  for (const double share : {0.1, 0.5, 0.9, 0.99}) {
    const auto exact = static_cast<double>(100'000) * share;
    CHECK(static_cast<double>(h->quantile(share)) >= exact * 0.99);
    CHECK(static_cast<double>(h->quantile(share)) <= exact * 1.14);
  }
}

TEST_CASE("latency histogram: extreme values: counted, not lost") {
  auto h = std::make_unique<LatencyHistogram>();
  h->add(0);
  h->add(~uint64_t{0});
  CHECK(h->count() == 2);
  CHECK(h->quantile(0.0) == 0);
}
