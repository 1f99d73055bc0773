/*
 * execute.c - runs one batch under both sides at the same time.
 *
 * A side is a command line that runs an AArch64 program. It gets the runner, the case file and its
 * own result file, which is mapped here too. If it dies or makes no progress, the case it was in is
 * marked and it is started again behind that case.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tester.h"

#define MAX_RESTARTS 4096 /* per batch: then the rest stays "not run" */

struct side_run {
    const struct side *side;
    char result_path[256], log_path[256];
    struct batch_progress *progress;
    size_t result_bytes;
    pid_t pid; /* 0: finished */
    uint64_t last_seen;
    double last_change;
    unsigned restarts;
    bool failed;
};

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

void batch_init(struct batch *b, uint32_t capacity) {
    memset(b, 0, sizeof *b);
    b->capacity = capacity;
    b->repeat = 2;
    b->cases = calloc(capacity, sizeof *b->cases);
    for (int i = 0; i < 2; i++)
        b->results[i] = calloc(capacity, sizeof *b->results[i]);
    if (!b->cases || !b->results[0] || !b->results[1]) {
        perror("insn-test: memory for a batch");
        exit(2);
    }
}

void batch_free(struct batch *b) {
    free(b->cases);
    free(b->results[0]);
    free(b->results[1]);
}

static bool write_all(int fd, const void *data, size_t bytes) {
    const char *p = data;
    while (bytes) {
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        bytes -= n;
    }
    return true;
}

static bool write_case_file(const char *path, const struct batch *b) {
    struct batch_header header = {
        .magic = BATCH_MAGIC, .count = b->count, .flags = b->flags, .repeat = b->repeat};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool ok = fd >= 0 && write_all(fd, &header, sizeof header) &&
              write_all(fd, b->scratch, sizeof b->scratch) &&
              write_all(fd, b->cases, b->count * sizeof *b->cases);
    if (!ok)
        fprintf(stderr, "insn-test: cannot write %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool map_results(struct side_run *r, uint32_t count) {
    r->result_bytes = sizeof *r->progress + count * sizeof(struct insn_result);
    int fd = open(r->result_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, r->result_bytes) < 0) {
        fprintf(stderr, "insn-test: cannot make %s: %s\n", r->result_path, strerror(errno));
        return false;
    }
    r->progress = mmap(NULL, r->result_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return r->progress != MAP_FAILED;
}

static void start_side(struct side_run *r, const char *runner, const char *case_path,
                       uint64_t first) {
    char command[512], first_text[24];
    char *argv[24];
    int argc = 0;
    snprintf(command, sizeof command, "%s", r->side->command);
    for (char *word = strtok(command, " "); word && argc < 18; word = strtok(NULL, " "))
        argv[argc++] = word;
    snprintf(first_text, sizeof first_text, "%llu", (unsigned long long)first);
    argv[argc++] = (char *)runner;
    argv[argc++] = (char *)case_path;
    argv[argc++] = r->result_path;
    argv[argc++] = first_text;
    argv[argc] = NULL;
    r->last_seen = first;
    r->last_change = now_seconds();
    r->pid = fork();
    if (r->pid)
        return;
    int log = open(r->log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execvp(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void print_log(const struct side_run *r) {
    char line[256];
    FILE *f = fopen(r->log_path, "r");
    for (int i = 0; f && i < 5 && fgets(line, sizeof line, f); i++)
        fprintf(stderr, "    %s: %s", r->side->name, line);
    if (f)
        fclose(f);
}

/* The side's process ended or was killed for making no progress. */
static void side_ended(struct side_run *r, const struct executor *e, const char *case_path,
                       uint32_t count, int status, bool hung) {
    struct insn_result *results = (struct insn_result *)(r->progress + 1);
    uint64_t current = r->progress->current;
    r->pid = 0;
    if (r->progress->magic != BATCH_MAGIC) {
        fprintf(stderr, "insn-test: %s could not start the runner (wait status %#x)\n",
                r->side->name, status);
        print_log(r);
        r->failed = true;
        return;
    }
    if (current >= count)
        return;
    results[current].done = hung ? DONE_HUNG : DONE_CRASHED;
    results[current].signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    results[current].code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (current + 1 >= count || ++r->restarts > MAX_RESTARTS)
        return;
    start_side(r, e->runner, case_path, current + 1);
}

static void watch_side(struct side_run *r, const struct executor *e, const char *case_path,
                       uint32_t count) {
    int status;
    pid_t ended = waitpid(r->pid, &status, WNOHANG);
    if (ended == r->pid) {
        side_ended(r, e, case_path, count, status, false);
        return;
    }
    if (r->progress->current != r->last_seen) {
        r->last_seen = r->progress->current;
        r->last_change = now_seconds();
    } else if (now_seconds() - r->last_change > e->timeout_seconds) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &status, 0);
        side_ended(r, e, case_path, count, status, true);
    }
}

/* For the self-test: as if the subject computed a wrong X or V register for this row. */
static void inject_fault(enum a64_op row, const struct insn_case *c, struct insn_result *r) {
    for (unsigned i = 0; i < c->code_count; i++) {
        uint32_t w = c->code[c->code_first + i];
        if (a64_decode(w) == row && r->done == DONE) {
            r->after.x[a64_Rd(w) % 31] ^= 1;
            r->after.v[a64_Rd(w)][0] ^= 1;
            return;
        }
    }
}

static void undefined_result(const struct insn_case *c, struct insn_result *r) {
    memset(r, 0, sizeof *r);
    r->done = DONE;
    r->signal = SIGILL;
    r->code = ILL_ILLOPC;
    r->after = c->before;
    r->after.pc = CODE_BASE + c->slot_offset + c->code_first * 4;
    r->fault_address = r->after.pc;
    r->memory_hash = 0xcbf29ce484222325ull; /* of no changes, as the runner computes it */
}

bool batch_run(const struct executor *e, struct batch *b) {
    static unsigned serial;
    char case_path[256];
    struct side_run run[2] = {0};
    bool ok = true;
    serial++;
    snprintf(case_path, sizeof case_path, "%s/cases-%d-%u", e->work_directory, getpid(), serial);
    ok = write_case_file(case_path, b);
    for (int i = 0; ok && i < 2; i++) {
        struct side_run *r = &run[i];
        if (!e->side[i].command)
            continue;
        r->side = &e->side[i];
        snprintf(r->result_path, sizeof r->result_path, "%s/results-%d-%u-%d", e->work_directory,
                 getpid(), serial, i);
        snprintf(r->log_path, sizeof r->log_path, "%s/log-%d-%d", e->work_directory, getpid(), i);
        ok = map_results(r, b->count);
        if (ok)
            start_side(r, e->runner, case_path, 0);
    }
    while (run[0].pid || run[1].pid) {
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        for (int i = 0; i < 2; i++)
            if (run[i].pid)
                watch_side(&run[i], e, case_path, b->count);
    }
    for (int i = 0; i < 2; i++) {
        if (!e->side[i].command) {
            for (uint32_t j = 0; j < b->count; j++)
                undefined_result(&b->cases[j], &b->results[i][j]);
            continue;
        }
        ok = ok && !run[i].failed;
        if (run[i].progress && run[i].progress != MAP_FAILED) {
            memcpy(b->results[i], run[i].progress + 1, b->count * sizeof *b->results[i]);
            munmap(run[i].progress, run[i].result_bytes);
        }
        unlink(run[i].result_path);
        unlink(run[i].log_path);
    }
    unlink(case_path);
    if (e->inject)
        for (uint32_t i = 0; i < b->count; i++)
            inject_fault(e->inject, &b->cases[i], &b->results[1][i]);
    return ok;
}
