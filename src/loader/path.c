/*
 * path.c - finding files: the sysroot, PATH, and the runtime's own descriptors.
 *
 * The sysroot is a place to look first for absolute paths; what is not there comes from the host.
 * Resolution inside it is the kernel's (openat2 with RESOLVE_IN_ROOT): a symbolic link to /etc/x
 * means SYSROOT/etc/x, `..` stops at the sysroot, and there is no window between a check and its
 * use.
 */
#include "loader/loader.h"

#include "base/hostcall.h"

#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <asm/stat.h>

#define HIDDEN_MAX 8
#define USUAL_PATH "/usr/local/bin:/usr/bin:/bin"

static struct {
    int sysroot; /* descriptor + 1, so that zero-initialised means none */
    unsigned hidden_count;
    int hidden[HIDDEN_MAX];
} own;

/* ---- the runtime's descriptors ---- */

int64_t fd_hide(int fd) {
    if (own.hidden_count == HIDDEN_MAX)
        return -EMFILE;
    /* High, for the guest expects the lowest free numbers; below 1024, for the kernel's table grows
     * with the number. */
    struct rlimit limit = {1024, 1024};
    hostcall(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    uint64_t top = MIN(limit.rlim_cur, 1024u);
    uint64_t low = top > 32 ? top - 16 : 3;
    int64_t high = hostcall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, low);
    if (host_failed(high))
        return high;
    hostcall(__NR_close, fd);
    own.hidden[own.hidden_count++] = (int)high;
    return high;
}

bool fd_is_hidden(int fd) {
    for (unsigned i = 0; i < own.hidden_count; i++)
        if (own.hidden[i] == fd)
            return true;
    return false;
}

void fd_hidden_inherit(bool inherit) {
    for (unsigned i = 0; i < own.hidden_count; i++)
        hostcall(__NR_fcntl, own.hidden[i], F_SETFD, inherit ? 0 : FD_CLOEXEC);
}

/* ---- the sysroot ---- */

int sysroot_fd(void) {
    return own.sysroot - 1;
}

void sysroot_use(int fd) {
    int64_t hidden = fd_hide(fd);
    own.sysroot = (int)(host_failed(hidden) ? fd : hidden) + 1;
}

int64_t sysroot_open(const char *directory) {
    int64_t fd = hostcall(__NR_open, directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_failed(fd))
        return fd;
    /* Without openat2 nothing could be resolved safely: say so now, not as a missing library later.
     */
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int64_t probe = hostcall(__NR_openat2, fd, ".", &how, sizeof how);
    if (host_failed(probe)) {
        hostcall(__NR_close, fd);
        return probe;
    }
    hostcall(__NR_close, probe);
    sysroot_use((int)fd);
    return 0;
}

/*
 * Top-level names the sysroot does not have (/tmp, /proc, /home ...): most lookups end there, and
 * asking its directory for its change time is several times cheaper than openat2. Anything made or
 * renamed in it changes that time.
 */
#define ABSENT_MAX   16
#define ABSENT_BYTES 24
#define CLOCK_TICK_NS                                                                            \
    1000000000 /* two changes closer than the kernel's tick may have one time: wait well past it \
                */

static struct {
    uint32_t busy; /* taken by try only: who cannot have it asks the kernel (also after a fork that
                      froze it) */
    int64_t changed; /* nanoseconds: of the sysroot directory, when the names were noted */
    unsigned count;
    char names[ABSENT_MAX][ABSENT_BYTES];
} absent;

static int64_t now_ns(void) {
    struct timespec ts;
    hostcall(__NR_clock_gettime, CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + (int64_t)ts.tv_nsec;
}

/* The first component of an absolute path: its length, 0 if it is none of these. */
static unsigned top_level_name(char name[ABSENT_BYTES], const char *path) {
    while (*path == '/')
        path++;
    unsigned n = 0;
    for (; path[n] && path[n] != '/'; n++) {
        if (n == ABSENT_BYTES - 1)
            return 0;
        name[n] = path[n];
    }
    name[n] = 0;
    return strcmp(name, ".") && strcmp(name, "..") ? n : 0;
}

/* Is the path's top-level name known, or with `find_out` now found, to be absent from the sysroot?
 */
static bool top_level_absent(const char *path, bool find_out) {
    char name[ABSENT_BYTES];
    struct stat st;
    if (!top_level_name(name, path) || hostcall(__NR_fstat, sysroot_fd(), &st))
        return false;
    int64_t changed = (int64_t)st.st_ctime * 1000000000 + (int64_t)st.st_ctime_nsec;
    bool found = false;
    if (__atomic_exchange_n(&absent.busy, 1, __ATOMIC_ACQUIRE))
        return false;
    if (absent.changed != changed) {
        absent.count = 0;
        absent.changed = changed;
    }
    for (unsigned i = 0; i < absent.count && !found; i++)
        found = strcmp(absent.names[i], name) == 0;
    if (!found && find_out && absent.count < ABSENT_MAX && changed + CLOCK_TICK_NS < now_ns() &&
        hostcall(__NR_faccessat2, sysroot_fd(), name, 0, AT_SYMLINK_NOFOLLOW) == -ENOENT)
        str_copy(absent.names[absent.count++], name, ABSENT_BYTES);
    __atomic_store_n(&absent.busy, 0, __ATOMIC_RELEASE);
    return found;
}

int64_t sysroot_openat(const char *path, uint32_t flags, uint32_t mode) {
    if (!own.sysroot || path[0] != '/' || top_level_absent(path, false))
        return -ENOENT;
    struct open_how how = {.flags = flags & ~(uint32_t)O_CREAT, .resolve = RESOLVE_IN_ROOT};
    if ((flags & O_TMPFILE) == O_TMPFILE)
        how.mode = mode;
    if (flags & O_PATH) /* openat2 refuses what openat ignores (man 2 openat2) */
        how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int64_t fd = hostcall(__NR_openat2, sysroot_fd(), path, &how, sizeof how);
    if (!host_failed(fd) && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        hostcall(__NR_close, fd);
        return -EEXIST;
    }
    if (fd == -ENOENT)
        top_level_absent(path, true);
    return fd == -ENOTDIR ? -ENOENT : fd;
}

int64_t open_first(int dirfd, const char *path, uint32_t flags) {
    int64_t fd = sysroot_openat(path, flags, 0);
    return fd == -ENOENT ? hostcall(__NR_openat, dirfd, path, flags, 0) : fd;
}

/* ---- PATH ---- */

int64_t check_executable(int64_t fd) {
    struct stat st;
    int64_t error = hostcall(__NR_fstat, fd, &st);
    if (error)
        return error;
    if ((st.st_mode & 0170000) != 0100000 /* S_IFMT, S_IFREG */)
        return -EACCES;
    error = hostcall(__NR_faccessat2, fd, "", 1 /* X_OK */, AT_EMPTY_PATH | AT_EACCESS);
    if (error == -ENOSYS) /* before Linux 5.8 */
        error = st.st_mode & 0111 ? 0 : -EACCES;
    return error;
}

static int64_t check_command(const char *path) {
    int64_t fd = open_first(AT_FDCWD, path, O_PATH | O_CLOEXEC);
    if (host_failed(fd))
        return fd;
    int64_t error = check_executable(fd);
    hostcall(__NR_close, fd);
    return error;
}

int64_t find_command(char out[PATH_BYTES], const char *command, const char *path) {
    if (!*command)
        return -ENOENT;
    if (strchr(command, '/'))
        return str_copy(out, command, PATH_BYTES) < PATH_BYTES ? 0 : -ENAMETOOLONG;
    int64_t result = -ENOENT;
    for (const char *dir = path ? path : USUAL_PATH;; dir++) {
        const char *colon = strchr(dir, ':');
        int length = colon ? (int)(colon - dir) : (int)strlen(dir);
        /* An empty element is the current directory (POSIX XBD 8.3). */
        int wanted = length ? fmt(out, PATH_BYTES, "%.*s/%s", length, dir, command)
                            : fmt(out, PATH_BYTES, "./%s", command);
        int64_t error = wanted < PATH_BYTES ? check_command(out) : -ENAMETOOLONG;
        if (!error)
            return 0;
        if (error == -EACCES)
            result = -EACCES;
        if (!colon)
            return result;
        dir = colon;
    }
}
