# SPDX-License-Identifier: Apache-2.0
"""python3: multiprocessing with a pool, shared memory, locks and queues; threads; subprocess."""
import multiprocessing
import subprocess
import threading


def square(n):
    return n * n


def add(value, rounds):
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


def main():
    with multiprocessing.Pool(4) as pool:
        squares = sum(pool.map(square, range(2000), chunksize=20))
    value = multiprocessing.Value("l", 0)
    workers = [multiprocessing.Process(target=add, args=(value, 500)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(n)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = subprocess.run(["sh", "-c", "echo child; exit 5"], capture_output=True, text=True, check=False)
    print(f"python squares={squares} value={value.value} threads={sorted(found) == list(range(20))} "
          f"{child.stdout.strip()}={child.returncode}")


if __name__ == "__main__":
    main()
