// SPDX-License-Identifier: Apache-2.0
// A dynamic C++ program: threads, exceptions over frames, iostream, futures.
#include <atomic>
#include <future>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>

static int checked(int n) {
  if (n % 3 == 0) throw std::runtime_error("third");
  return n;
}

int main() {
  std::atomic<long> total{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&total] {
      for (int i = 0; i < 10000; i++) total++;
    });
  for (auto& thread : threads) thread.join();
  int caught = 0;
  for (int i = 0; i < 300; i++) try {
      checked(i);
    } catch (const std::exception&) {
      caught++;
    }
  auto future = std::async(std::launch::async, [] { return 42; });
  std::cout << "c++ total=" << total << " caught=" << caught << " future=" << future.get() << std::endl;
}
