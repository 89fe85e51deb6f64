/* A disk that is full while the file exists that PGMIG_TEST_FULL names: then no file can grow, as on a real one. To be
 * preloaded into a server of the tests (LD_PRELOAD). Files that have their size already can be written to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Whether the file would have to grow for these bytes. */
static int is_full(int fd, off64_t at, size_t length) {
  static const char *flag;
  struct stat64 file;
  if (!flag) flag = getenv("PGMIG_TEST_FULL");
  if (!flag || access(flag, F_OK) != 0) return 0;
  return fstat64(fd, &file) == 0 && S_ISREG(file.st_mode) && at + (off64_t)length > file.st_size;
}

static ssize_t full(void) {
  errno = ENOSPC;
  return -1;
}

#define NEXT(name) \
  static __typeof__(&name) next; \
  if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t length) {
  NEXT(write);
  int error = errno;
  off64_t at = lseek64(fd, 0, SEEK_CUR);
  errno = error;
  return at >= 0 && is_full(fd, at, length) ? full() : next(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  NEXT(pwrite);
  return is_full(fd, at, length) ? full() : next(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  NEXT(pwrite64);
  return is_full(fd, at, length) ? full() : next(fd, bytes, length, at);
}

static size_t length_of(const struct iovec *parts, int count) {
  size_t length = 0;
  for (int part = 0; part < count; part++) length += parts[part].iov_len;
  return length;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  NEXT(pwritev);
  return is_full(fd, at, length_of(parts, count)) ? full() : next(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  NEXT(pwritev64);
  return is_full(fd, at, length_of(parts, count)) ? full() : next(fd, parts, count, at);
}

int posix_fallocate(int fd, off_t at, off_t length) {
  NEXT(posix_fallocate);
  return is_full(fd, at, (size_t)length) ? ENOSPC : next(fd, at, length);
}

int posix_fallocate64(int fd, off64_t at, off64_t length) {
  NEXT(posix_fallocate64);
  return is_full(fd, at, (size_t)length) ? ENOSPC : next(fd, at, length);
}
