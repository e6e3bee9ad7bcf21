// A disk and a clock that do as they are told, for a program that is started with this library before libc (LD_PRELOAD).
//
// FAULTS_CONTROL names a file of three 64-bit numbers, which this process maps and others write:
//   room      0: there is room; 1: no file may grow; 2: nothing can be written
//   sync_ms   how much longer a sync takes
//   clock_s   how far the wall clock is off
// "The disk" is every regular file. The clock of the lease (CLOCK_BOOTTIME) and all monotonic ones are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 0, NO_GROWTH = 1, NO_WRITES = 2 };
struct control { int64_t room, sync_ms, clock_s; };
static struct control quiet;
static volatile struct control *told = &quiet;

#define REAL(name) ({ static __typeof__(&name) found; if (!found) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); found; })

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int fd = path ? REAL(open)(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) told = mapped;
    close(fd);
}

// Whether a file of this descriptor may be made as long as this.
static int has_room(int fd, off64_t end) {
    int64_t room = told->room;
    struct stat64 file;
    if (room == ROOM || fstat64(fd, &file) != 0 || !S_ISREG(file.st_mode)) return 1;
    if (room == NO_GROWTH && end <= file.st_size) return 1;
    errno = ENOSPC;
    return 0;
}

static int has_room_here(int fd, size_t len) {
    if (told->room == ROOM) return 1;
    int flags = fcntl(fd, F_GETFL);
    off64_t at = flags >= 0 && (flags & O_APPEND) ? INT64_MAX / 2 : lseek64(fd, 0, SEEK_CUR);
    return at < 0 || has_room(fd, at + (off64_t)len);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    return has_room_here(fd, len) ? REAL(write)(fd, bytes, len) : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t len = 0;
    for (int i = 0; i < count; i++) len += parts[i].iov_len;
    return has_room_here(fd, len) ? REAL(writev)(fd, parts, count) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    return has_room(fd, at + (off64_t)len) ? REAL(pwrite64)(fd, bytes, len, at) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite64(fd, bytes, len, at); }

// Taking bytes away never needs room.
static int may_be_long(int fd, off64_t len) {
    struct stat64 file;
    return told->room == ROOM || fstat64(fd, &file) != 0 || len <= file.st_size || has_room(fd, len);
}

int ftruncate64(int fd, off64_t len) { return may_be_long(fd, len) ? REAL(ftruncate64)(fd, len) : -1; }
int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

int fallocate64(int fd, int mode, off64_t at, off64_t len) {
    return has_room(fd, at + len) ? REAL(fallocate64)(fd, mode, at, len) : -1;
}
int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }

int posix_fallocate64(int fd, off64_t at, off64_t len) {
    return has_room(fd, at + len) ? REAL(posix_fallocate64)(fd, at, len) : ENOSPC;
}
int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }

// A new file needs room for its name.
static int may_be_opened(const char *path, int flags) {
    if (told->room == ROOM || !(flags & O_CREAT) || access(path, F_OK) == 0) return 1;
    errno = ENOSPC;
    return 0;
}

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        mode_t mode = 0;                                                       \
        if (flags & (O_CREAT | O_TMPFILE)) {                                   \
            va_list rest;                                                      \
            va_start(rest, flags);                                             \
            mode = va_arg(rest, mode_t);                                       \
            va_end(rest);                                                      \
        }                                                                      \
        return may_be_opened(path, flags) ? REAL(name)(path, flags, mode) : -1; \
    }
OPEN(open)
OPEN(open64)

static void take_time(void) {
    int64_t ms = told->sync_ms;
    if (ms <= 0) return;
    struct timespec left = {ms / 1000, (ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

int fsync(int fd) {
    take_time();
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    take_time();
    return REAL(fdatasync)(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = REAL(clock_gettime)(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += told->clock_s;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = REAL(gettimeofday)(now, zone);
    if (!failed) now->tv_sec += told->clock_s;
    return failed;
}

time_t time(time_t *into) {
    time_t now = REAL(time)(NULL) + told->clock_s;
    if (into) *into = now;
    return now;
}
