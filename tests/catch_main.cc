// SPDX-License-Identifier: Apache-2.0
// main() of every unit test program; Catch2 v3 brings its own in Catch2::Catch2WithMain.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
