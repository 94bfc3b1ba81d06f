/* Put in front of libc (LD_PRELOAD): calls on files fail with EIO while a control file says so, and a journal tells
 * what reached the disk.
 *
 * FAULTS_CONTROL  the control file: a line with words, a line with a folder. While it is there, the calls that a word
 *                 stands for fail for everything in the folder. A write that fails has written its first half.
 * FAULTS_JOURNAL  gets a record for each call that matters for what a power cut leaves: what is written, how long the
 *                 file becomes, which sync went well and which did not, which file is new.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
    uint64_t what, inode, offset, length;
};

/* Whether calls of this name fail for the path now. */
static int fails(const char *word, const char *path) {
    const char *control = getenv("FAULTS_CONTROL");
    int fd = control == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    char text[PATH_MAX + 256];
    ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *folder = strchr(text, '\n');
    if (folder == NULL)
        return 0;
    *folder++ = 0;
    folder[strcspn(folder, "\n")] = 0;
    size_t folder_length = strlen(folder);
    if (strncmp(path, folder, folder_length) != 0 || (path[folder_length] != '/' && path[folder_length] != 0))
        return 0;
    char *rest = NULL;
    for (char *each = strtok_r(text, " ", &rest); each != NULL; each = strtok_r(NULL, " ", &rest))
        if (strcmp(each, word) == 0)
            return 1;
    return 0;
}

static int fails_fd(const char *word, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/')
        return 0;
    path[length] = 0;
    return fails(word, path);
}

static int broken(void) {
    errno = EIO;
    return -1;
}

static void note(char what, int fd, uint64_t offset, const void *bytes, size_t length) {
    static int journal = -1;
    const char *path = getenv("FAULTS_JOURNAL");
    struct stat file;
    if (path == NULL || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
        return;
    int saved = errno;
    int opened = __atomic_load_n(&journal, __ATOMIC_ACQUIRE);
    if (opened < 0) {
        opened = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        __atomic_store_n(&journal, opened, __ATOMIC_RELEASE);
    }
    struct record record = {(uint64_t)what, file.st_ino, offset, length};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)bytes, bytes == NULL ? 0 : length}};
    if (syscall(SYS_writev, opened, parts, 2) < 0)
        abort();
    errno = saved;
}

/* Positioned writes are the only ones that carry data; the bytes are gathered so that the journal can have them. */
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    size_t length = 0, at = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    char *bytes = malloc(length + 1);
    if (bytes == NULL)
        return broken();
    for (int i = 0; i < count; i++) {
        memcpy(bytes + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    int bad = fails_fd("write", fd);
    if (bad)
        length /= 2;
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (written > 0)
        note('W', fd, (uint64_t)offset, bytes, (size_t)written);
    free(bytes);
    return bad ? broken() : written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    struct iovec part = {(void *)bytes, length};
    return pwritev64(fd, &part, 1, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return fails_fd("write", fd) ? broken() : syscall(SYS_write, fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_fd("write", fd) ? broken() : syscall(SYS_writev, fd, parts, count);
}

int ftruncate64(int fd, off64_t length) {
    if (fails_fd("write", fd))
        return broken();
    int done = (int)syscall(SYS_ftruncate, fd, length);
    if (done == 0)
        note('T', fd, 0, NULL, (size_t)length);
    return done;
}

static int synced(int fd, long call) {
    int bad = fails_fd("sync", fd);
    int done = bad ? -1 : (int)syscall(call, fd);
    note(done == 0 ? 'S' : 'B', fd, 0, NULL, 0);
    return bad ? broken() : done;
}

int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && fails("open", path))
        return broken();
    int is_new = (flags & O_CREAT) != 0 && faccessat(dir, path, F_OK, 0) != 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && is_new)
        note('N', fd, 0, NULL, 0);
    return fd;
}

#define OPENED(dir)                                                                                                    \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                                          \
    va_end(rest);                                                                                                      \
    return opened(dir, path, flags, mode)

int open(const char *path, int flags, ...) {
    OPENED(AT_FDCWD);
}

int open64(const char *path, int flags, ...) {
    OPENED(AT_FDCWD);
}

int openat64(int dir, const char *path, int flags, ...) {
    OPENED(dir);
}

int rename(const char *from, const char *to) {
    return fails("rename", to) ? broken() : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdir(const char *path, mode_t mode) {
    return fails("mkdir", path) ? broken() : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
