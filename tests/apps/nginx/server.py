"""Starts, watches and stops one nginx: native, or an arm64 build under a runner.

The configuration is Debian's own nginx.conf and default site with nothing changed but paths, the port,
the number of workers, and one location that passes POSTs to the test's own server. Servers run as
daemons, as they do by default; this process makes itself the reaper of orphans, so that every process
a server leaves behind is found.
"""

import ctypes
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
START_TIMEOUT_S = 30


def become_reaper():
    """Orphaned descendants become our children (man 2 prctl)."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_table():
    """A dict of pid: (ppid, state) of all processes."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    state, ppid = stat.read().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            table[int(name)] = (int(ppid), state)
    return table


def descendants(of, table=None):
    """The live processes below `of`; zombies that are ours are reaped on the way."""
    table = process_table() if table is None else table
    found, todo = [], [of]
    while todo:
        parent = todo.pop()
        for pid, (ppid, state) in table.items():
            if ppid != parent:
                continue
            if state == "Z":
                if parent == os.getpid():
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass
                continue
            found.append(pid)
            todo.append(pid)
    return found


def wait_until(condition, timeout_s, step_s=0.01):
    """True as soon as condition() is; False after timeout_s."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step_s)
    return True


def all_gone(pids):
    """True when none of pids runs; reaps those that are ours."""
    table = process_table()
    descendants(os.getpid(), table)
    return all(table.get(pid, (0, "Z"))[1] == "Z" for pid in pids)


class Build:
    """An nginx binary and how to run it. root holds its libraries; conf_root Debian's nginx-common."""

    def __init__(self, name, root, conf_root, runner):
        self.name = name
        self.root = root
        self.conf_root = conf_root
        self.binary = os.path.join(root, "usr/sbin/nginx")
        self.runner = runner  # [] when native
        self.environment = dict(os.environ)
        self.has_tls = name != "musl"

    def use_own_libraries(self, folder):
        """A native build uses the cached libraries, except glibc, so the host need not have them."""
        os.makedirs(folder, exist_ok=True)
        for below in ("lib", "usr/lib"):
            path = os.path.join(self.root, below, "x86_64-linux-gnu")
            for name in os.listdir(path):
                if re.match(r"lib(pcre2-8|ssl|crypto|z|crypt)\.so\.\d+$", name):
                    link = os.path.join(folder, name)
                    if not os.path.lexists(link):
                        os.symlink(os.path.join(path, name), link)
        self.environment["LD_LIBRARY_PATH"] = folder


class Site:
    """The served files, the same for every server of a run, in a world-readable temporary folder."""

    SIZES = (0, 1, 100, 4096, 65535, 65536, 1 << 20)
    LARGE = 64 << 20

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="elfuse-nginx-")
        os.chmod(self.folder, 0o755)
        self.root = os.path.join(self.folder, "www")
        os.mkdir(self.root)
        self.files = {}
        rng = random.Random(1)
        for size in self.SIZES + (self.LARGE,):
            self._add(f"f{size}.bin", rng.randbytes(size))
        words = [bytes(rng.choices(b"etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(500)]
        page = b"<html><body>" + b" ".join(rng.choices(words, k=40000)) + b"</body></html>\n"
        self._add("page.html", page)
        self._add("index.html", b"<html><body>It works under elfuse.</body></html>\n")
        os.mkdir(os.path.join(self.root, "dir"))

    def _add(self, name, data):
        self.files["/" + name] = data
        with open(os.path.join(self.root, name), "wb") as file:
            file.write(data)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx:
    """One server. start() raises RuntimeError with the server's own words when it does not serve.

    workers None keeps the stock configuration's `auto`: one for each processor.
    """

    instances = 0

    def __init__(self, build, site, workers, backend_port=9):
        Nginx.instances += 1
        self.build = build
        self.stock_workers = workers is None
        self.workers = os.cpu_count() if workers is None else workers
        self.port = free_port()
        self.folder = os.path.join(site.folder, f"{build.name}-{self.workers}-{Nginx.instances}")
        os.makedirs(self.folder + "/sites")
        os.mkdir(self.folder + "/tmp")
        self.pid_file = self.folder + "/nginx.pid"
        self.access_log = self.folder + "/access.log"
        self.error_log = self.folder + "/error.log"
        self.master = None
        self._configure(site, backend_port)

    def _configure(self, site, backend_port):
        etc = os.path.join(self.build.conf_root, "etc/nginx")
        with open(etc + "/nginx.conf") as file:
            conf = file.read()
        replacements = [
            ("worker_processes auto;",
             f"worker_processes {'auto' if self.stock_workers else self.workers};"),
            ("/run/nginx.pid", self.pid_file),
            ("/var/log/nginx", self.folder),
            ("/etc/nginx/mime.types", etc + "/mime.types"),
            ("/etc/nginx/modules-enabled/", self.folder + "/modules/"),
            ("/etc/nginx/conf.d/", self.folder + "/conf.d/"),
            ("/etc/nginx/sites-enabled/", self.folder + "/sites/"),
        ]
        temporary = "".join(
            f"\t{kind}_temp_path {self.folder}/tmp/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        replacements.append(("http {\n", "http {\n" + temporary))
        for old, new in replacements:
            if old not in conf:
                raise RuntimeError(f"nginx.conf has changed: it lacks {old!r}")
            conf = conf.replace(old, new)
        if not self.build.has_tls:
            conf = re.sub(r"^\s*ssl_.*$", "", conf, flags=re.M)
        try:
            pwd.getpwnam("www-data")
        except KeyError:
            conf = conf.replace("user www-data;", "user nobody;")
        self.conf = self.folder + "/nginx.conf"
        with open(self.conf, "w") as file:
            file.write(conf)

        with open(etc + "/sites-available/default") as file:
            default = file.read()
        default = default.replace("listen 80 default_server", f"listen 127.0.0.1:{self.port} default_server")
        default = default.replace("listen [::]:80 default_server;", "")
        default = default.replace("root /var/www/html;", f"root {site.root};")
        default = default.replace(
            "server_name _;",
            f"server_name _;\n\tlocation /post {{ proxy_pass http://127.0.0.1:{backend_port}; }}",
        )
        with open(self.folder + "/sites/default", "w") as file:
            file.write(default)

    def command(self, *more):
        return [*self.build.runner, self.build.binary, "-c", self.conf, "-p", self.folder,
                "-e", self.error_log, *more]

    def start(self):
        output = self.folder + "/output"
        with open(output, "ab") as sink:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=sink,
                                       stderr=subprocess.STDOUT, env=self.build.environment)
        try:
            status = process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"did not become a daemon in {START_TIMEOUT_S} s{self.diagnosis()}")
        if status != 0:
            raise RuntimeError(f"start failed with status {status}{self.diagnosis()}")
        if not wait_until(self._is_up, START_TIMEOUT_S):
            raise RuntimeError(f"not serving after {START_TIMEOUT_S} s{self.diagnosis()}")
        return self

    def _is_up(self):
        try:
            with open(self.pid_file) as file:
                self.master = int(file.read())
        except (FileNotFoundError, ValueError):
            return False
        return len(self.worker_pids()) == self.workers

    def worker_pids(self):
        """The live children of the master."""
        return sorted(pid for pid, (ppid, state) in process_table().items()
                      if ppid == self.master and state != "Z")

    def alive(self):
        """Processes of this server that still exist (it is the only one below us when asked)."""
        table = process_table()
        entry = table.get(self.master)
        if entry is None or entry[1] == "Z":
            descendants(os.getpid(), table)
            return []
        return [self.master] + descendants(self.master, table)

    def send(self, number):
        os.kill(self.master, number)

    def stop(self, number=signal.SIGQUIT, timeout_s=20):
        """Ends the server; returns None, or what was left of it (then killed)."""
        if self.master is None:
            return "it was not running"
        processes = self.alive()
        if not processes:
            return "the master had ended"
        self.send(number)

        trouble = None
        if not wait_until(lambda: all_gone(processes), timeout_s):
            table = process_table()
            left = [pid for pid in processes if table.get(pid, (0, "Z"))[1] != "Z"]
            trouble = f"{len(left)} processes left {timeout_s} s after signal {number}"
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            wait_until(lambda: all_gone(processes), 5)
        elif os.path.exists(self.pid_file):
            trouble = "the pid file was left behind"
        self.master = None
        return trouble

    def diagnosis(self):
        """The last words of the server, for a failure message."""
        words = ""
        for path in (self.folder + "/output", self.error_log):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    lines = file.read().splitlines()[-12:]
                words += "".join(f"\n      | {line}" for line in lines)
        return words
