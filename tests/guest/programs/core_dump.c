// SPDX-License-Identifier: Apache-2.0
/* A crash leaves an ELF core whose notes hold registers of both threads and whose segments hold
 * memory. */
#include <elf.h>
#include <fcntl.h>
#include <sys/procfs.h>
#include <sys/resource.h>

#include "guest_test.h"

static volatile uint64_t marker;
static uint64_t* heap;

static void* wait_for_ever(void* unused) {
  for (;;) pause();
  return NULL;
}

static void crash(const char* folder) {
  const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  pthread_t thread;
  CHECK(setrlimit(RLIMIT_CORE, &all) == 0 && chdir(folder) == 0);
  CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
  heap[0] = marker = 0x1122334455667788;
  __asm__ volatile("movq $0x5eed5eed, %%rbx\n\tud2" ::: "rbx");
}

static int count_threads(const char* notes, size_t bytes) {
  int threads = 0;
  for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes;) {
    const Elf64_Nhdr* const note = (const void*)(notes + at);
    const size_t data = at + sizeof *note + ((note->n_namesz + 3) & ~3u);
    if (note->n_type == NT_PRSTATUS) {
      const struct elf_prstatus* const status = (const void*)(notes + data);
      const uint64_t* const registers = (const uint64_t*)&status->pr_reg;
      if (threads++ == 0)
        CHECK(status->pr_cursig == SIGILL && registers[5] == 0x5eed5eed); /* rbx */
    }
    at = data + ((note->n_descsz + 3) & ~3u);
  }
  return threads;
}

static void examine(const char* path) {
  Elf64_Ehdr head;
  Elf64_Phdr part;
  static char notes[1 << 20];
  uint64_t word = 0;
  const int fd = open(path, O_RDONLY);
  CHECK(fd >= 0 && pread(fd, &head, sizeof head, 0) == sizeof head);
  CHECK(memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_type == ET_CORE &&
        head.e_machine == EM_X86_64);
  for (int i = 0; i < head.e_phnum; i++) {
    CHECK(pread(fd, &part, sizeof part, (off_t)(head.e_phoff + (size_t)i * sizeof part)) ==
          sizeof part);
    if (part.p_type == PT_NOTE) {
      CHECK(part.p_filesz <= sizeof notes);
      CHECK(pread(fd, notes, part.p_filesz, (off_t)part.p_offset) == (ssize_t)part.p_filesz);
      CHECK_EQ(count_threads(notes, part.p_filesz), 2);
    } else if ((uintptr_t)heap >= part.p_vaddr && (uintptr_t)heap < part.p_vaddr + part.p_filesz) {
      pread(fd, &word, sizeof word, (off_t)(part.p_offset + ((uintptr_t)heap - part.p_vaddr)));
    }
  }
  CHECK_EQ(word, 0x1122334455667788);
}

int main(int argc, char** argv) {
  char pattern[256], folder[] = "/tmp/core_dump.XXXXXX", path[64];
  gt_begin(argc, argv);
  gt_read_file("/proc/sys/kernel/core_pattern", pattern, sizeof pattern);
  if (strcmp(pattern, "core\n") != 0) gt_skip("core_pattern is not 'core'");
  heap = gt_map(GT_PAGE);
  CHECK(mkdtemp(folder));
  const pid_t child = gt_fork();
  if (child == 0) crash(folder);
  const int status = gt_wait(child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL && WCOREDUMP(status));
  snprintf(path, sizeof path, "%s/core", folder);
  if (access(path, F_OK) != 0) snprintf(path, sizeof path, "%s/core.%d", folder, child);
  examine(path);
  unlink(path), rmdir(folder);
  return gt_ok();
}
