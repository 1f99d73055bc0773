"""What is asserted of a running nginx: one function a behaviour, each given a started Fixture.

A case returns normally when the behaviour holds and raises when it does not. The quick set runs the same cases with fewer
repetitions.
"""

import os
import signal
import socket
import threading
import time

from client import Connection, ProtocolError, encode, fetch, multipart_ranges
from server import all_gone, process_table, wait_until

CASES = []


class Fixture:
    """What a case works on. fresh() gives another server of the same build and worker count."""

    def __init__(self, server, site, fresh, quick):
        self.server = server
        self.site = site
        self.fresh = fresh
        self.quick = quick

    @property
    def port(self):
        return self.server.port


def case(function):
    CASES.append(function)
    return function


def same(what, got, wanted):
    if got != wanted:
        if isinstance(got, bytes):
            where = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
            raise AssertionError(f"{what}: {len(got)} bytes, wanted {len(wanted)}; they differ at {where}")
        raise AssertionError(f"{what}: {got!r}, wanted {wanted!r}")


def parallel(count, work):
    """Run work(i) in count threads at once; returns the list of failures."""
    failures = []
    barrier = threading.Barrier(count)

    def run(index):
        try:
            barrier.wait(30)
            work(index)
        except Exception as error:  # whatever it was, the test failed
            failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def none_failed(failures):
    if failures:
        raise AssertionError(f"{len(failures)} failed, the first with {failures[0]}")


@case
def process_titles_name_master_and_workers(f):
    def title(pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").strip().decode(errors="replace")

    master = title(f.server.master)
    if not master.startswith("nginx: master process"):
        raise AssertionError(f"the master's title is {master!r}")
    # A worker sets its title after it has been forked.
    for pid in f.server.worker_pids():
        if not wait_until(lambda: title(pid).startswith("nginx: worker process"), 5):
            raise AssertionError(f"a worker's title is {title(pid)!r}")
    same("workers", len(f.server.worker_pids()), f.server.workers)


@case
def get_returns_each_file_byte_for_byte(f):
    for path, data in f.site.files.items():
        if f.quick and len(data) == f.site.LARGE and f.server.workers != 2:
            continue
        response = fetch(f.port, path)
        same(f"status of {path}", response.status, 200)
        same(f"length of {path}", int(response.headers["content-length"]), len(data))
        same(path, response.body, data)


@case
def head_has_the_length_and_no_body(f):
    with Connection(f.port) as connection:
        for path, data in f.site.files.items():
            response = connection.request("HEAD", path)
            same(f"status of {path}", response.status, 200)
            same(f"length of {path}", int(response.headers["content-length"]), len(data))
        # A body that was sent all the same would be read as this response.
        same("next", connection.request("GET", "/f100.bin").body, f.site.files["/f100.bin"])


@case
def errors_have_their_status(f):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/dir/", 403),
        ("GET", "/dir", 301),
        ("GET", "/../../etc/passwd", 400),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 400),
        ("GET", "/f4096.bin/below", 404),
        ("PUT", "/f4096.bin", 405),
        ("BREW", "/f4096.bin", 405),
    ):
        same(f"{method} {path}", fetch(f.port, path, method).status, status)
    with Connection(f.port) as connection:
        connection.send(b"GET / HTTP/1.1\r\n\r\n")  # no Host
        same("without Host", connection.response().status, 400)
    with Connection(f.port) as connection:
        connection.send(b"GET / NONSENSE\r\n\r\n")
        same("bad version", connection.response().status, 400)
    with Connection(f.port) as connection:
        connection.send(b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        same("long request line", connection.response().status, 414)


@case
def http_1_0_closes_after_the_body(f):
    with Connection(f.port) as connection:
        connection.send(b"GET /f4096.bin HTTP/1.0\r\n\r\n")
        same("body", connection.response().body, f.site.files["/f4096.bin"])
        same("closed", connection.at_end(), True)


@case
def conditional_get_returns_304(f):
    first = fetch(f.port, "/f4096.bin")
    for name, value in (("If-None-Match", first.headers["etag"]),
                        ("If-Modified-Since", first.headers["last-modified"])):
        same(name, fetch(f.port, "/f4096.bin", headers=[(name, value)]).status, 304)
    same("other etag", fetch(f.port, "/f4096.bin", headers=[("If-None-Match", '"x"')]).status, 200)
    same("If-Match", fetch(f.port, "/f4096.bin", headers=[("If-Match", '"x"')]).status, 412)


@case
def single_ranges(f):
    path = "/f1048576.bin"
    data = f.site.files[path]
    size = len(data)
    for text, low, high in (
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        ("4095-65536", 4095, 65537),
        (f"{size - 1}-", size - 1, size),
        ("500000-", 500000, size),
        ("-1", size - 1, size),
        ("-70000", size - 70000, size),
        (f"-{size * 2}", 0, size),
        (f"10-{size * 2}", 10, size),
    ):
        response = fetch(f.port, path, headers=[("Range", "bytes=" + text)])
        same(f"status of {text}", response.status, 206)
        same(f"content-range of {text}", response.headers["content-range"], f"bytes {low}-{high - 1}/{size}")
        same(f"range {text}", response.body, data[low:high])


@case
def multipart_range(f):
    path = "/f65536.bin"
    data = f.site.files[path]
    response = fetch(f.port, path, headers=[("Range", "bytes=0-99,4096-8191,-10")])
    same("status", response.status, 206)
    wanted = [(0, 100), (4096, 8192), (len(data) - 10, len(data))]
    same("parts", multipart_ranges(response),
         [(f"bytes {low}-{high - 1}/{len(data)}", data[low:high]) for low, high in wanted])


@case
def unsatisfiable_range_is_416_and_malformed_ignored(f):
    path = "/f4096.bin"
    response = fetch(f.port, path, headers=[("Range", "bytes=4096-5000")])
    same("status", response.status, 416)
    same("content-range", response.headers["content-range"], "bytes */4096")
    same("range of nothing", fetch(f.port, "/f0.bin", headers=[("Range", "bytes=0-")]).status in (200, 416), True)
    same("other unit", fetch(f.port, path, headers=[("Range", "lines=1-2")]).status, 200)


@case
def gzip_inflates_to_the_file(f):
    data = f.site.files["/page.html"]
    for _ in range(3):
        response = fetch(f.port, "/page.html", headers=[("Accept-Encoding", "gzip")])
        same("status", response.status, 200)
        same("encoding", response.headers.get("content-encoding"), "gzip")
        same("smaller", len(response.body) < len(data) // 2, True)
        same("body", response.unzipped(), data)
    plain = fetch(f.port, "/page.html")
    same("plain encoding", plain.headers.get("content-encoding"), None)
    same("plain", plain.body, data)
    # Only text/html is compressed by default.
    binary = fetch(f.port, "/f65536.bin", headers=[("Accept-Encoding", "gzip")])
    same("binary encoding", binary.headers.get("content-encoding"), None)


@case
def keep_alive_serves_many_requests_on_one_connection(f):
    with Connection(f.port) as connection:
        # keepalive_requests is 1000 by default: the last response says close.
        for number in range(1, 1001):
            path = ("/f4096.bin", "/f0.bin", "/f100.bin", "/index.html")[number % 4]
            response = connection.request("GET", path)
            same(f"request {number}", (response.status, response.body), (200, f.site.files[path]))
            same(f"connection of {number}", response.headers["connection"],
                 "close" if number == 1000 else "keep-alive")
        same("closed", connection.at_end(), True)


@case
def pipelined_requests_are_answered_in_order(f):
    paths = ["/f4096.bin", "/f0.bin", "/nothing", "/f65536.bin", "/f1.bin", "/page.html"] * 10
    with Connection(f.port) as connection:
        sender = threading.Thread(target=connection.send, args=(b"".join(encode("GET", p) for p in paths),))
        sender.start()
        for number, path in enumerate(paths):
            response = connection.response()
            if path == "/nothing":
                same(f"status of {number}", response.status, 404)
            else:
                same(f"response {number}", response.body, f.site.files[path])
        sender.join()


@case
def requests_split_into_bytes_are_understood(f):
    with Connection(f.port) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode("GET", "/f4096.bin"):
            connection.send(bytes([byte]))
        same("body", connection.response().body, f.site.files["/f4096.bin"])


@case
def slow_reader_gets_the_whole_large_file(f):
    path = f"/f{f.site.LARGE}.bin" if not f.quick else "/f1048576.bin"
    data = f.site.files[path]
    with Connection(f.port) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        connection.send(encode("GET", path))
        time.sleep(0.3)  # the server meets EAGAIN in sendfile and waits for epoll
        same("body", connection.response().body, data)


@case
def post_up_to_the_limit_is_passed_on_and_more_is_413(f):
    limit = 1 << 20  # client_max_body_size's default
    for size in (0, 1, 8192, 16384, 100000, limit - 1, limit):
        body = f.site.files["/f1048576.bin"][:size]
        response = fetch(f.port, "/post", "POST", body=body)
        same(f"status of {size} bytes", response.status, 200)
        same(f"echo of {size} bytes", response.body, body)
    with Connection(f.port) as connection:
        connection.send(f"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}\r\n\r\n".encode())
        same("status over the limit", connection.response().status, 413)
    same("post to a file", fetch(f.port, "/f100.bin", "POST", body=b"x" * 100).status, 405)
    with Connection(f.port) as connection:
        connection.send(b"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        same("chunked", connection.response().body, b"hello world")
    response = fetch(f.port, "/post", "POST", headers=[("Expect", "100-continue")], body=b"abc")
    same("after 100-continue", response.body, b"abc")


@case
def hundred_clients_at_once(f):
    def client(index):
        with Connection(f.port) as connection:
            for path in ("/f4096.bin", "/f1048576.bin" if index % 4 == 0 else "/f65536.bin", "/f0.bin"):
                same(path, connection.request("GET", path).body, f.site.files[path])

    for _ in range(1 if f.quick else 5):
        none_failed(parallel(100, client))


@case
def every_request_is_logged(f):
    for _ in range(20):
        fetch(f.port, "/f100.bin?logged")

    def lines():
        with open(f.server.access_log) as log:
            return [line for line in log if "?logged" in line]

    wait_until(lambda: len(lines()) >= 20, 5)
    same("lines", len(lines()), 20)
    for line in lines():
        if '"GET /f100.bin?logged HTTP/1.1" 200 100 ' not in line:
            raise AssertionError(f"log line {line!r}")


class Load:
    """Clients that fetch without pause, each request on a new connection, until stop()."""

    def __init__(self, f, clients=4):
        self.f = f
        self.stopping = False
        self.done = 0
        self.failures = []
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        paths = ("/f4096.bin", "/f65536.bin", "/index.html")
        number = 0
        while not self.stopping:
            path = paths[number % 3]
            number += 1
            try:
                response = fetch(self.f.port, path)
                same(path, (response.status, response.body), (200, self.f.site.files[path]))
                self.done += 1
            except (OSError, ProtocolError, AssertionError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


@case
def hup_reload_under_load_fails_no_request(f):
    load = Load(f)
    try:
        for number in range(2 if f.quick else 10):
            wait_until(lambda: load.done > 20 * (number + 1), 10)
            old = f.server.worker_pids()
            f.server.send(signal.SIGHUP)
            if not wait_until(
                lambda: len(f.server.worker_pids()) == f.server.workers
                and not set(old) & set(f.server.worker_pids()), 20):
                raise AssertionError(f"20 s after SIGHUP the workers are {f.server.worker_pids()}, were {old}")
    finally:
        load.stop()
    none_failed(load.failures)
    same("requests were made", load.done > 20, True)


@case
def usr1_reopens_the_logs(f):
    fetch(f.port, "/f100.bin?before")
    old = f.server.access_log + ".1"
    if not wait_until(lambda: "?before" in open(f.server.access_log).read(), 5):
        raise AssertionError("the request was not logged")
    os.rename(f.server.access_log, old)
    workers = f.server.worker_pids()
    f.server.send(signal.SIGUSR1)
    if not wait_until(lambda: os.path.exists(f.server.access_log), 5):
        raise AssertionError("no new log 5 s after SIGUSR1")

    def reopened():  # each worker reopens by itself, after the master
        return all(
            os.path.realpath(f"/proc/{pid}/fd/{fd}") != old
            for pid in workers for fd in os.listdir(f"/proc/{pid}/fd"))

    same("workers left the old log", wait_until(reopened, 5), True)
    for _ in range(10):
        fetch(f.port, "/f100.bin?after")
    same("logged", wait_until(lambda: open(f.server.access_log).read().count("?after") == 10, 5), True)
    same("old log", open(old).read().count("?after"), 0)
    same("workers", f.server.worker_pids(), workers)


@case
def killed_worker_is_replaced(f):
    for _ in range(1 if f.quick else 5):
        before = f.server.worker_pids()
        os.kill(before[0], signal.SIGKILL)
        if not wait_until(
            lambda: before[0] not in process_table() and len(f.server.worker_pids()) == f.server.workers, 10):
            raise AssertionError(f"workers were {before}, 10 s after SIGKILL {f.server.worker_pids()}")
        for _ in range(10):
            same("status", fetch(f.port, "/f4096.bin").status, 200)
    with open(f.server.error_log) as log:
        if "exited on signal 9" not in log.read():
            raise AssertionError("the master did not log that its worker exited on signal 9")


@case
def idle_workers_use_no_cpu(f):
    def ticks():
        total = 0
        for pid in [f.server.master] + f.server.worker_pids():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total

    before = ticks()
    time.sleep(1)
    used = ticks() - before
    if used > 10:
        raise AssertionError(f"idle for 1 s, they used {used} ticks of 10 ms")


@case
def quit_finishes_the_request_in_flight_and_leaves_no_process(f):
    server = f.fresh()
    path = f"/f{f.site.LARGE}.bin"
    with Connection(server.port) as connection:
        connection.send(encode("GET", path))
        connection.buffer = connection.socket.recv(1000)  # the response has begun
        processes = server.alive()
        server.send(signal.SIGQUIT)

        def refused():
            try:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
                return False
            except ConnectionRefusedError:
                return True

        same("new connections are refused", wait_until(refused, 10), True)
        same("body in flight", connection.response().body, f.site.files[path])
    same("no process left", wait_until(lambda: all_gone(processes), 10), True)
    same("pid file removed", os.path.exists(server.pid_file), False)


@case
def term_and_int_stop_at_once(f):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = f.fresh()
        same("status", fetch(server.port, "/f100.bin").status, 200)
        with Connection(server.port):  # an idle connection does not hold it up
            trouble = server.stop(number)
        if trouble:
            raise AssertionError(trouble)


@case
def start_stop_cycles(f):
    cycles = 3 if f.quick else 100
    for number in range(cycles):
        server = f.fresh()
        response = fetch(server.port, "/f4096.bin")
        same(f"cycle {number}", (response.status, response.body), (200, f.site.files["/f4096.bin"]))
        trouble = server.stop(signal.SIGQUIT)
        if trouble:
            raise AssertionError(f"cycle {number}: {trouble}")


@case
def error_log_holds_no_alert(f):
    """Runs last: nothing before may have made nginx log above `error` except the killed workers."""
    with open(f.server.error_log) as log:
        bad = [line.strip() for line in log
               if any(level in line for level in ("[emerg]", "[alert]", "[crit]"))
               and "exited on signal 9" not in line]
    if bad:
        raise AssertionError(f"{len(bad)} lines, the first: {bad[0]}")
