// Who and where the process is: uname, personality, credentials, groups, capabilities, /proc
// entries.
#include "check.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

TEST(uname_names_the_machine) {
    struct utsname u;
    memset(&u, 0xa5, sizeof u);
    CHECK_EQ(uname(&u), 0);
    CHECK_STR(u.sysname, "Linux");
#ifdef __aarch64__
    CHECK_STR(u.machine, "aarch64");
#else
    CHECK_STR(u.machine, "x86_64");
#endif
    int major, minor;
    CHECK_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
    CHECK(major >= 4);
    char host[65];
    CHECK_EQ(gethostname(host, sizeof host), 0);
    CHECK_STR(host, u.nodename);
    CHECK(strlen(u.version) > 0 && strlen(u.domainname) < 65);
    CHECK_ERRNO(syscall(SYS_sethostname, "x", -1), EINVAL + (geteuid() != 0) * (EPERM - EINVAL));
}

TEST(personality_round_trips) {
    int now = personality(0xffffffff);
    CHECK_EQ(now & 0xff, PER_LINUX);
    CHECK_EQ(personality(now | ADDR_NO_RANDOMIZE), now);
    CHECK_EQ(personality(0xffffffff), now | ADDR_NO_RANDOMIZE);
    pid_t pid = CHILD(CHECK_EQ(personality(0xffffffff), now | ADDR_NO_RANDOMIZE));
    CHECK_EXITS(pid, 0);
}

TEST(own_ids_agree) {
    uid_t r, e, s;
    gid_t rg, eg, sg;
    CHECK_EQ(getresuid(&r, &e, &s), 0);
    CHECK_EQ(getresgid(&rg, &eg, &sg), 0);
    CHECK(r == getuid() && e == geteuid() && rg == getgid() && eg == getegid());
    CHECK_EQ(r, getauxval(AT_UID));
    CHECK_EQ(e, getauxval(AT_EUID));
    CHECK_EQ(rg, getauxval(AT_GID));
    CHECK_EQ(getauxval(AT_SECURE), 0);
    CHECK_EQ(setfsuid(-1), (int)e);
    CHECK_EQ(setfsgid(-1), (int)eg);
    CHECK(getpid() > 0 && getppid() > 0 && gettid() == getpid());
}

TEST(setuid_family_as_root) {
    if (geteuid() != 0)
        SKIP("needs root");
    pid_t pid = CHILD({
        uid_t r, e, s;
        CHECK_EQ(setresuid(100, 200, 300), 0);
        CHECK(getresuid(&r, &e, &s) == 0 && r == 100 && e == 200 && s == 300);
        CHECK_EQ(seteuid(300), 0);
        CHECK_EQ(geteuid(), 300);
        CHECK_ERRNO(setresuid(-1, 0, -1), EPERM);
        CHECK_ERRNO(setuid(0), EPERM);
        CHECK_EQ(setreuid(300, 100), 0);
        CHECK(getuid() == 300 && geteuid() == 100);
    });
    CHECK_EXITS(pid, 0);
    pid = CHILD({
        gid_t groups[4] = {11, 22, 33}, got[8];
        CHECK_EQ(setgroups(3, groups), 0);
        CHECK_EQ(getgroups(0, NULL), 3);
        CHECK_EQ(getgroups(8, got), 3);
        CHECK(got[0] == 11 && got[1] == 22 && got[2] == 33);
        CHECK_ERRNO(getgroups(2, got), EINVAL);
        CHECK_ERRNO(getgroups(-1, got), EINVAL);
        CHECK_ERRNO(setgroups(70000, groups), EINVAL);
        CHECK_EQ(setresgid(5, 6, 7), 0);
        CHECK(getgid() == 5 && getegid() == 6);
        CHECK_EQ(setgid(9), 0);
        CHECK(getgid() == 9 && getegid() == 9);
        CHECK_EQ(setuid(1234), 0);
        CHECK(getuid() == 1234 && geteuid() == 1234);
        CHECK_ERRNO(setuid(0), EPERM);
        CHECK_ERRNO(setgid(0), EPERM);
        CHECK_ERRNO(setgroups(1, groups), EPERM);
        CHECK_ERRNO(open("/etc/shadow", O_RDONLY), EACCES);
        pid_t inner = CHILD(CHECK_EQ(getuid(), 1234));
        CHECK_EXITS(inner, 0);
    });
    CHECK_EXITS(pid, 0);
    CHECK_EQ(geteuid(), 0);
    pid = CHILD({
        write_file("private", "x", 0600);
        chmod(".", 0755);
        CHECK_EQ(setfsuid(4321), 0);
        CHECK_ERRNO(open("private", O_RDONLY), EACCES);
        CHECK_EQ(setfsuid(0), 4321);
        close(CHECK_OK(open("private", O_RDONLY)));
    });
    CHECK_EXITS(pid, 0);
}

TEST(capabilities) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    CHECK_EQ(syscall(SYS_capget, &head, data), 0);
    if (geteuid() == 0)
        CHECK(data[0].effective & 1);
    struct __user_cap_header_struct bad = {0x12345, 0};
    CHECK_ERRNO(syscall(SYS_capget, &bad, data), EINVAL);
    CHECK_EQ(bad.version, _LINUX_CAPABILITY_VERSION_3); // told which one to use
    pid_t pid = CHILD({
        memset(data, 0, sizeof data);
        CHECK_EQ(syscall(SYS_capset, &head, data), 0);
        CHECK_ERRNO(chroot("."), EPERM);
        data[0].effective = data[0].permitted = 1;
        CHECK_ERRNO(syscall(SYS_capset, &head, data), EPERM);
    });
    CHECK_EXITS(pid, 0);
}

static int read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY);
    if (fd == -1)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n;
}

TEST(proc_self_status) {
    QEMU_WRONG("shows its own threads, and files of its own under fd");
    char text[8192], line[64];
    CHECK(read_text("/proc/self/status", text, sizeof text) > 0);
    snprintf(line, sizeof line, "Pid:\t%d\n", getpid());
    CHECK(strstr(text, line) != NULL);
    snprintf(line, sizeof line, "PPid:\t%d\n", getppid());
    CHECK(strstr(text, line) != NULL);
    CHECK(strstr(text, "Threads:\t1\n") != NULL);
    int fd = open("/proc/self/stat", O_RDONLY);
    CHECK(read(fd, text, sizeof text) > 0);
    CHECK_EQ(atoi(text), getpid());
    snprintf(line, sizeof line, "/proc/%d/fd/%d", getpid(), fd);
    char target[64] = "";
    CHECK(readlink(line, target, sizeof target - 1) > 0);
    CHECK(strstr(target, "/stat") != NULL);
}

TEST(proc_self_auxv_is_the_programs) {
    uint64_t auxv[128];
    int fd = open("/proc/self/auxv", O_RDONLY);
    ssize_t n = read(fd, auxv, sizeof auxv);
    REQUIRE(n > 0 && n % 16 == 0);
    int seen = 0;
    for (ssize_t i = 0; i < n / 8; i += 2) {
        if (auxv[i] == AT_PHDR || auxv[i] == AT_ENTRY || auxv[i] == AT_RANDOM ||
            auxv[i] == AT_EXECFN || auxv[i] == AT_PLATFORM || auxv[i] == AT_PAGESZ ||
            auxv[i] == AT_PHNUM) {
            CHECK_EQ(auxv[i + 1], getauxval(auxv[i]));
            seen++;
        }
    }
    CHECK_EQ(seen, 7);
    CHECK_EQ(auxv[n / 8 - 2], AT_NULL);
}

TEST(proc_cpuinfo_is_of_this_machine) {
    static char text[1 << 16];
    CHECK(read_text("/proc/cpuinfo", text, sizeof text) > 0);
    CHECK(strstr(text, "processor\t: 0") != NULL);
#ifdef __aarch64__
    QEMU_WRONG("version 7.2 shows the host's");
    CHECK(strstr(text, "CPU implementer\t: 0x") != NULL);
    CHECK(strstr(text, "Features\t: fp asimd") != NULL);
    CHECK(strstr(text, "CPU architecture: 8") != NULL);
    CHECK(strstr(text, "GenuineIntel") == NULL && strstr(text, "AuthenticAMD") == NULL);
#else
    CHECK(strstr(text, "vendor_id") != NULL);
#endif
}

TEST(sysinfo_and_random) {
    struct sysinfo info;
    memset(&info, 0xff, sizeof info);
    CHECK_EQ(sysinfo(&info), 0);
    CHECK(info.uptime >= 0 && info.procs > 0 && info.mem_unit > 0);
    CHECK(info.totalram >= info.freeram && info.totalram > 0);
    unsigned char a[32] = {0}, b[32] = {0};
    CHECK_EQ(getrandom(a, sizeof a, 0), 32);
    CHECK_EQ(getrandom(b, sizeof b, GRND_NONBLOCK), 32);
    CHECK(memcmp(a, b, 32) != 0);
    CHECK_ERRNO(getrandom(a, 1, 0x1000), EINVAL);
    CHECK_EQ(getentropy(a, 32), 0);
}

#ifdef __aarch64__
TEST(registers_linux_emulates_for_programs) {
    // Documentation/arm64/cpu-feature-registers.rst: readable when HWCAP_CPUID is set.
    uint64_t v;
    __asm__("mrs %0, ctr_el0" : "=r"(v));
    CHECK(v >> 31 & 1);
    CHECK((v & 0xf) >= 2 && (v >> 16 & 0xf) >= 2); // line sizes of at least 16 bytes
    __asm__("mrs %0, dczid_el0" : "=r"(v));
    CHECK((v & 0xf) <= 9);
    uint64_t frequency, t1, t2;
    __asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
    CHECK(frequency >= 1000000 && frequency <= 10000000000);
    int64_t start = now_ns();
    __asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(t1));
    sleep_ms(50);
    __asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(t2));
    double seconds = (double)(t2 - t1) / frequency, real = (now_ns() - start) / 1e9;
    CHECK(seconds > 0.045 && seconds <= real * 1.05 + 0.001);
    __asm__ volatile("msr tpidr_el0, %0" ::"r"((uint64_t)__builtin_thread_pointer()));
    if (getauxval(AT_HWCAP) & 1 << 11) {
        __asm__("mrs %0, midr_el1" : "=r"(v));
        CHECK((v >> 16 & 0xf) == 0xf);
        __asm__("mrs %0, id_aa64isar0_el1" : "=r"(v));
        // Consistent with HWCAP: CRC32 bit 7, atomics bit 8.
        CHECK_EQ((v >> 16 & 0xf) != 0, (getauxval(AT_HWCAP) >> 7 & 1));
        CHECK_EQ((v >> 20 & 0xf) >= 2, (getauxval(AT_HWCAP) >> 8 & 1));
        __asm__("mrs %0, id_aa64pfr0_el1" : "=r"(v));
        CHECK((v & 0xf) != 0);
    }
}
#endif
