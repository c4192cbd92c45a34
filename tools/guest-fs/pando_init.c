// SPDX-License-Identifier: Apache-2.0
/*
 * Process 1 of Pando's guest images, linked statically as /init.
 *
 * Mounts the usual file systems, brings up lo and then does one of two things:
 *  - /pando/run/argv exists (NUL-separated; optional siblings env and cwd): runs that command with
 * hvc1 as standard input and output and hvc2 as standard error, reports its exit status (128 +
 * signal when killed, 126/127 when it cannot be executed) through /sys/hypervisor/pando/exit_status
 * and powers off;
 *  - otherwise: an interactive shell on hvc0; when it ends, power off.
 *
 * As process 1 it reaps orphans and forwards INT, TERM, HUP and QUIT to the command; USR2 powers
 * off, USR1 restarts, and TERM too when there is no command: busybox's reboot, which its shell prefers
 * to ours, sends that. Called as poweroff, halt or reboot it asks process 1 for that (with -f: does
 * it at once).
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "guest_abi/hypercall.h"

enum { kNotExecutable = 126, kNotFound = 127, kSignalBase = 128, kWordsMax = 4096 };
enum { kEndGuest = -1, kRestartGuest = -2 };
enum served { kCommand, kShell };
static const char kRunFolder[] = "/pando/run/";
static const char kStatusFile[] = "/sys/hypervisor/pando/exit_status";
static const time_t kOrderlySeconds = 2;

struct words {
  char* text;
  char* word[kWordsMax + 1];
  int count;
};

static int report_fd = STDERR_FILENO;

static void report(const char* what, const char* detail) {
  dprintf(report_fd, "pando-init: %s: %s\n", what, detail);
}

static void mount_one(const char* type, const char* where, unsigned long flags, const char* data) {
  mkdir(where, 0755);
  if (mount(type, where, type, flags, data) < 0 && errno != EBUSY) report(where, strerror(errno));
}

static void mount_all(void) {
  mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount_one("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount_one("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
  mount_one("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
  mount_one("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
  mount_one("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
  mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
  if (symlink("/proc/self/fd", "/dev/fd") < 0 && errno != EEXIST)
    report("/dev/fd", strerror(errno));
  symlink("/proc/self/fd/0", "/dev/stdin");
  symlink("/proc/self/fd/1", "/dev/stdout");
  symlink("/proc/self/fd/2", "/dev/stderr");
}

static void loopback_up(void) {
  struct ifreq request = {0};
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0) return; /* a kernel without IPv4 has no lo to bring up */
  strcpy(request.ifr_name, "lo");
  if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) report("lo", strerror(errno));
  }
  close(fd);
}

/* Reads a NUL-separated list; returns 0, or -1 with errno when the file cannot be read. */
static int read_words(const char* name, struct words* words) {
  char path[64];
  struct stat status;

  snprintf(path, sizeof path, "%s%s", kRunFolder, name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (fstat(fd, &status) < 0) return -1;
  words->text = calloc(1, (size_t)status.st_size + 1);
  if (!words->text || read(fd, words->text, (size_t)status.st_size) != status.st_size) return -1;
  close(fd);
  for (char* at = words->text; at < words->text + status.st_size && words->count < kWordsMax;
       at += strlen(at) + 1)
    words->word[words->count++] = at;
  return 0;
}

static int open_port(const char* path, int flags) {
  struct termios mode;
  const int fd = open(path, flags | O_NOCTTY);

  if (fd < 0) {
    report(path, strerror(errno));
    return -1;
  }
  if (tcgetattr(fd, &mode) == 0) {
    cfmakeraw(&mode);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    tcsetattr(fd, TCSANOW, &mode);
  }
  return fd;
}

static void unblock_signals(void) {
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Copies standard input from the port to a pipe, which unlike a terminal can end. Never returns. */
static void relay_input(int port, int to) {
  static unsigned char in[4096], out[sizeof in];
  int escaped = 0;
  ssize_t got;

  while ((got = read(port, in, sizeof in)) > 0) {
    size_t count = 0;
    int ended = 0;
    for (ssize_t i = 0; i < got && !ended; i++) {
      if (!escaped && in[i] == PANDO_STDIO_ESCAPE) {
        escaped = 1;
        continue;
      }
      if (escaped && in[i] == PANDO_STDIO_END)
        ended = 1;
      else
        out[count++] = in[i];
      escaped = 0;
    }
    for (size_t done = 0; done < count;) {
      const ssize_t n = write(to, out + done, count - done);
      if (n <= 0) _exit(0); /* the command does not read any more */
      done += (size_t)n;
    }
    if (ended) break;
  }
  _exit(0);
}

/* Gives the caller a pipe as standard input; a child of process 1 fills it. Before the command is
 * started. */
static int start_input(void) {
  int ends[2];
  const int port = open_port("/dev/hvc1", O_RDONLY | O_CLOEXEC);

  if (port < 0 || pipe2(ends, O_CLOEXEC) < 0) return -1;
  if (fork() == 0) {
    unblock_signals();
    close(ends[0]);
    relay_input(port, ends[1]);
  }
  close(port);
  close(ends[1]);
  return ends[0];
}

static void connect_ports(int input) {
  const int stdio = open_port("/dev/hvc1", O_WRONLY);
  const int error = open_port("/dev/hvc2", O_WRONLY);

  if (input >= 0) dup2(input, STDIN_FILENO);
  if (stdio >= 0) dup2(stdio, STDOUT_FILENO);
  if (error >= 0) dup2(error, STDERR_FILENO);
  if (stdio > STDERR_FILENO) close(stdio);
  if (error > STDERR_FILENO) close(error);
}

static void default_environment(void) {
  clearenv();
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/root", 1);
  setenv("TERM", "vt100", 1);
  setenv("LANG", "C.UTF-8", 1);
  setenv("USER", "root", 1);
}

/* The child: never returns. */
static void run_command(const struct words* argv, int input) {
  static struct words environment, folder;
  const char* where = "/root";

  setsid();
  connect_ports(input);
  unblock_signals();
  if (read_words("env", &environment) == 0)
    for (int i = 0; i < environment.count; i++) putenv(environment.word[i]);
  if (read_words("cwd", &folder) == 0 && folder.count) where = folder.word[0];
  if (chdir(where) < 0 && folder.count) {
    dprintf(STDERR_FILENO, "pando: cannot enter %s: %s\n", where, strerror(errno));
    _exit(kNotExecutable);
  }
  execvp(argv->word[0], argv->word);
  const int reason = errno;
  dprintf(STDERR_FILENO, "pando: cannot run %s: %s\n", argv->word[0], strerror(reason));
  _exit(reason == ENOENT ? kNotFound : kNotExecutable);
}

static void run_shell(void) {
  const int fd = open("/dev/hvc0", O_RDWR | O_NOCTTY);

  setsid();
  if (fd >= 0) {
    ioctl(fd, TIOCSCTTY, 1);
    for (int i = 0; i < 3; i++) dup2(fd, i);
    if (fd > STDERR_FILENO) close(fd);
  }
  unblock_signals();
  if (chdir("/root") < 0) report("/root", strerror(errno));
  execl("/bin/bash", "-bash", (char*)NULL);
  execl("/bin/sh", "-sh", (char*)NULL);
  report("/bin/sh", strerror(errno));
  _exit(kNotFound);
}

static time_t now_seconds(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

/* Ends every other process: asks first, then insists.  All of them descend from process 1, so no
 * child = nobody. */
static void end_all(void) {
  const time_t deadline = now_seconds() + kOrderlySeconds;
  const struct timespec second = {1, 0};
  sigset_t child;

  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  kill(-1, SIGTERM);
  kill(-1, SIGCONT);
  while (now_seconds() <= deadline) {
    pid_t pid;
    do pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0);
    if (pid < 0) return;
    sigtimedwait(&child, NULL, &second);
  }
  kill(-1, SIGKILL);
}

/* Returns the wait status of `child`, or kEndGuest, kRestartGuest when somebody asked process 1 for
 * that. */
static int reap_until(pid_t child, enum served served, const sigset_t* handled) {
  siginfo_t info;
  int status;

  for (;;) {
    const int signal_number = sigwaitinfo(handled, &info);
    if (signal_number < 0) continue; /* EINTR */
    if (signal_number == SIGUSR2) return kEndGuest;
    if (signal_number == SIGUSR1) return kRestartGuest;
    if (signal_number == SIGTERM && served == kShell) return kRestartGuest;
    if (signal_number != SIGCHLD) {
      kill(child, signal_number);
      continue;
    }
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == child) return status;
  }
}

static void write_status(int code) {
  const int fd = open(kStatusFile, O_WRONLY | O_CLOEXEC);

  if (fd < 0 || dprintf(fd, "%d\n", code) < 0) report(kStatusFile, strerror(errno));
  if (fd >= 0) close(fd);
}

static void drain_ports(void) {
  static const char* const ports[] = {"/dev/hvc1", "/dev/hvc2", "/dev/hvc0"};

  for (unsigned i = 0; i < sizeof ports / sizeof ports[0]; i++) {
    const int fd = open(ports[i], O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) continue;
    tcdrain(fd);
    close(fd);
  }
}

static void end_guest(int how) {
  drain_ports();
  sync();
  reboot(how);
  report("reboot", strerror(errno));
  for (;;) pause();
}

static int ask_process_one(int argc, char** argv, int how) {
  if (argc > 1 && strcmp(argv[1], "-f") == 0) {
    sync();
    reboot(how);
  } else if (kill(1, how == RB_AUTOBOOT ? SIGUSR1 : SIGUSR2) == 0) {
    return 0;
  }
  perror(argv[0]);
  return 1;
}

/* Runs the command or the shell; returns the command's exit code, kEndGuest or kRestartGuest. */
static int serve(const sigset_t* handled) {
  static struct words argv;
  const int command = read_words("argv", &argv) == 0 && argv.count > 0;
  const int input = command ? start_input() : -1;
  const pid_t child = fork();

  if (input >= 0 && child != 0) close(input);
  if (child < 0) {
    report("fork", strerror(errno));
    return kNotExecutable;
  }
  if (child == 0) {
    if (command) run_command(&argv, input);
    run_shell();
  }
  const int status = reap_until(child, command ? kCommand : kShell, handled);
  if (status < 0) return status;
  if (!command) return kEndGuest;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
}

static int boot_main(void) {
  static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
  sigset_t handled;

  sigemptyset(&handled);
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaddset(&handled, signals[i]);
  sigprocmask(SIG_BLOCK, &handled, NULL);
  mount_all();
  const int kernel_log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (kernel_log >= 0) report_fd = kernel_log;
  if (sethostname("pando", 5) < 0) report("hostname", strerror(errno));
  loopback_up();
  reboot(RB_DISABLE_CAD);
  default_environment();
  const int code = serve(&handled);
  if (code >= 0) write_status(code);
  end_all();
  end_guest(code == kRestartGuest ? RB_AUTOBOOT : RB_POWER_OFF);
  return 1;
}

int main(int argc, char** argv) {
  const char* const slash = strrchr(argv[0], '/');
  const char* const name = slash ? slash + 1 : argv[0];

  if (strcmp(name, "poweroff") == 0) return ask_process_one(argc, argv, RB_POWER_OFF);
  if (strcmp(name, "halt") == 0) return ask_process_one(argc, argv, RB_HALT_SYSTEM);
  if (strcmp(name, "reboot") == 0) return ask_process_one(argc, argv, RB_AUTOBOOT);
  if (getpid() == 1) return boot_main();
  fprintf(stderr, "pando-init is process 1 of a Pando guest and does nothing else\n");
  return 2;
}
