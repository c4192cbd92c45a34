// SPDX-License-Identifier: Apache-2.0
// OpenJDK: compiled and run from source; thread pool, garbage collection, JIT, null pointer by SIGSEGV, monitors.
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Threads {
  static int counter;
  static final Object lock = new Object();

  static int length(String text) { return text.length(); }

  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    AtomicLong total = new AtomicLong();
    List<Future<?>> jobs = new ArrayList<>();
    for (int j = 0; j < 4; j++)
      jobs.add(pool.submit(() -> {
        for (int i = 0; i < 50000; i++) {
          total.incrementAndGet();
          synchronized (lock) { counter++; }
        }
      }));
    for (Future<?> job : jobs) job.get();
    pool.shutdown();
    long garbage = 0;
    for (int i = 0; i < 3000; i++) garbage += new byte[100000].length;
    int caught = 0;
    for (int i = 0; i < 20000; i++)
      try {
        length(i % 2 == 0 ? null : "x");
      } catch (NullPointerException e) {
        caught++;
      }
    System.out.println("java total=" + total + " counter=" + counter + " garbage=" + garbage + " caught=" + caught);
  }
}
