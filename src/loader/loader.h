/*
 * loader.h - from a file name to a guest that can start: finding and checking the file, mapping it,
 * the initial stack with the auxiliary vector, the guest's vDSO, and what the host is told about
 * the process.
 *
 * Who calls what: start_guest (src/main.c) uses all of it once; the execve handler uses
 * exec_resolve; the memory system calls use place_file; signal delivery uses vdso_sigreturn.
 */
#ifndef ELFUSE_LOADER_H
#define ELFUSE_LOADER_H

#include "base/base.h"
#include "engine/cpu.h"

#define PATH_BYTES 4096

/* ---- what the host kernel gave this process (start.c) ---- */
struct host_start {
    int argc;
    char **argv, **envp;
    const uint64_t *auxv; /* pairs, ends with AT_NULL */
    guest_addr stack;     /* argc: the guest's stack goes below */
};
void host_start_read(struct host_start *s, uint64_t *initial_stack);
/* The value of an auxv entry of the host, or fallback. */
uint64_t host_auxv(const struct host_start *s, uint64_t type, uint64_t fallback);

/* ---- descriptors of the runtime (path.c) ---- */
/*
 * Moves fd to a high, close-on-exec number and remembers it as the runtime's own. Returns the new
 * number or -errno (fd is then still open). The guest's close, dup2, dup3 and close_range leave
 * hidden descriptors alone.
 */
int64_t fd_hide(int fd);
bool fd_is_hidden(int fd);
/* Makes the hidden descriptors survive (or not) an exec of the runtime itself. */
void fd_hidden_inherit(bool inherit);

/* ---- finding files (path.c) ---- */
/* Opens the sysroot directory once. Returns 0 or -errno. */
int64_t sysroot_open(const char *directory);
/* Takes over an open sysroot directory. */
void sysroot_use(int fd);
int sysroot_fd(void); /* -1: none */
/*
 * Opens an absolute path inside the sysroot, as openat(2). Symbolic links and `..` cannot leave it.
 * With O_CREAT only a file that exists is opened. -ENOENT when it is not there, the path is not
 * absolute, or there is no sysroot: look on the host.
 */
int64_t sysroot_openat(const char *path, uint32_t flags, uint32_t mode);
/* openat(2) that looks in the sysroot first. */
int64_t open_first(int dirfd, const char *path, uint32_t flags);
/*
 * Where a command is: itself when it holds a slash, else the first executable of the directories of
 * `path` (NULL: the usual ones), looked for in the sysroot first. Returns 0, -ENOENT, or -EACCES
 * when only unusable ones were found.
 */
int64_t find_command(char out[PATH_BYTES], const char *command, const char *path);
/* 0 when fd is a regular file this process may execute, else Linux's error. */
int64_t check_executable(int64_t fd);

/* ---- what executing a file comes to (exec.c) ---- */
#define SCRIPT_LINE_BYTES 256 /* BINPRM_BUF_SIZE */
#define SCRIPT_DEPTH      5   /* interpreters that are scripts themselves */

/* `#!` line: name and optional argument point into line, which is changed. Returns 0 or -ENOEXEC.
 */
int script_parse(char line[SCRIPT_LINE_BYTES], const char **name, const char **argument);

struct exec_plan {
    int fd;            /* the ELF file that runs, close-on-exec */
    bool x86_64;       /* the host runs it */
    bool from_sysroot; /* fd, or a script on the way to it, was found in the sysroot */
    int depth;         /* scripts on the way */
    /* The strings that stand before the caller's argv[1]; none (0): argv as it is. The last is the
     * script's path. */
    int prefix_count;
    const char *prefix[2 * (SCRIPT_DEPTH + 1) + 1];
    const char *path;    /* the path given: AT_EXECFN and the process's name come from it */
    const char *why;     /* after -ENOEXEC: what is wrong with the file, a phrase */
    const char *culprit; /* after an error: the path it is about */
    char script_path[PATH_BYTES]; /* of a file given by descriptor: /dev/fd/N/... */
    char interp_path[PATH_BYTES]; /* of the ELF file: the culprit when it cannot be used */
    char line[SCRIPT_DEPTH + 1][SCRIPT_LINE_BYTES];
};

/*
 * Opens what execveat(dirfd, path, flags) would execute and follows `#!` lines. `path` stays
 * referenced. Returns 0 with plan->fd open, or Linux's error (-ENOENT, -EACCES, -ENOEXEC, -ELOOP,
 * -ENOTDIR ...).
 */
int64_t exec_resolve(struct exec_plan *plan, int dirfd, const char *path, int flags);
/*
 * Runs an x86-64 program in place of this process; argv is the original one, or what plan->prefix
 * makes of it. Returns only on failure: -errno.
 */
int64_t exec_native(const struct exec_plan *plan, int dirfd, char *const *argv,
                    char *const *final_argv, char *const *envp, int flags);

/* ---- where file mappings go (place.c) ---- */
enum place_window { PLACE_PROGRAM, PLACE_LIBRARY };
/*
 * The address where a mapping of `bytes` of this file should go when the guest does not say: the
 * same in every process of this host as long as the file does not change. attempt 0, 1, ... give
 * further candidates for when it is taken. 0 when the file cannot be identified. The result is
 * aligned to align (a power of two).
 */
guest_addr place_file(int fd, uint64_t bytes, uint64_t align, enum place_window window,
                      unsigned attempt);
/* Reserves [address, address+bytes) as PROT_NONE in one of those places, else anywhere: address or
 * -errno. */
int64_t place_reserve(int fd, uint64_t bytes, uint64_t align, enum place_window window);

/* ---- loading (load.c) ---- */
struct program {
    guest_addr start;  /* first pc: the interpreter's entry, or the program's */
    guest_addr entry;  /* AT_ENTRY */
    guest_addr phdr;   /* AT_PHDR */
    uint16_t phnum;    /* AT_PHNUM */
    guest_addr interp; /* AT_BASE; 0 without an interpreter */
    guest_addr brk;    /* first break */
    guest_addr start_code, end_code, start_data, end_data;
    bool stack_executable;
    /* stack.c */
    guest_addr sp, arg_start, arg_end, env_start, env_end, auxv;
    uint64_t auxv_bytes;
    char exe_path[PATH_BYTES]; /* what readlink("/proc/self/exe") says */
};
extern struct program program; /* the one running in this process */

/* Maps the AArch64 program in fd and its interpreter. name is for messages. Dies with one line when
 * that cannot be done. */
void load_program(struct program *p, int fd, const char *name);

/* ---- initial stack and identity (stack.c) ---- */
/* Writes arguments, environment and auxv below `top` as arm64 Linux lays them out; returns SP. Dies
 * when too big. */
guest_addr build_stack(struct program *p, const struct host_start *host, guest_addr top,
                       char *const *argv, char *const *envp, const char *execfn);
/* Tells the host kernel (ps, /proc/PID/cmdline, maps, brk) about the guest: best effort. fd: the
 * program's file. */
void publish_process(const struct program *p, int fd, const char *execfn);

/* ---- the guest's vDSO (guestvdso.c) ---- */
extern guest_addr vdso_base;      /* AT_SYSINFO_EHDR */
extern guest_addr vdso_sigreturn; /* where a signal handler returns to */
void vdso_map(const struct host_start *host);
bool vdso_contains(guest_addr address);
/* A helper_fn: executes the HLT of the guest vDSO whose 16-bit immediate is `immediate`
 * (translate/hypercall.h). */
void vdso_hypercall(struct cpu *cpu, uint64_t immediate);

#endif
