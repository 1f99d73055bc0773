"""The demonstration: Debian's arm64 nginx under elfuse, with its default master/worker configuration.

Starts it, shows its processes, compares every byte it serves, measures it beside native nginx, stops it
gracefully. Exits non-zero if anything was wrong. ./demo prepares what this needs.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from client import Connection, ProtocolError, fetch  # noqa: E402
from rate import measure  # noqa: E402
from server import Build, Nginx, Site, become_reaper, descendants  # noqa: E402


def fetch_everything(port, site):
    """Gets each file on new and on kept connections; returns (responses, bytes, what was wrong)."""
    count = total = 0
    wrong = []
    with Connection(port) as kept:
        for path, data in site.files.items():
            for response in (fetch(port, path), kept.request("GET", path)):
                count += 1
                total += len(response.body)
                if response.status != 200 or response.body != data:
                    wrong.append(f"{path}: status {response.status}, {len(response.body)} of {len(data)} bytes")
    zipped = fetch(port, "/page.html", headers=[("Accept-Encoding", "gzip")])
    if zipped.headers.get("content-encoding") != "gzip" or zipped.unzipped() != site.files["/page.html"]:
        wrong.append("/page.html does not inflate to the file")
    if fetch(port, "/nothing").status != 404:
        wrong.append("/nothing is not 404")
    return count + 2, total, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--elfuse", required=True)
    parser.add_argument("--runner", help="in place of elfuse --sysroot {root}")
    options = parser.parse_args()
    cache = os.path.abspath(options.cache)
    arm64 = os.path.join(cache, "debian-arm64")
    amd64 = os.path.join(cache, "debian-amd64")
    runner = options.runner or f"{shlex.quote(os.path.abspath(options.elfuse))} --sysroot {{root}}"

    become_reaper()
    site = Site()
    guest = Build("arm64", arm64, arm64, [word.replace("{root}", arm64) for word in shlex.split(runner)])
    native = Build("native", amd64, amd64, [])
    native.use_own_libraries(site.folder + "/native-libraries")
    server, reference = Nginx(guest, site, None), Nginx(native, site, None)
    wrong = []
    try:
        print("$", shlex.join(server.command()), flush=True)
        begin = time.monotonic()
        server.start()
        start_ms = (time.monotonic() - begin) * 1000
        print(f"serving on http://127.0.0.1:{server.port}/ after {start_ms:.0f} ms; its processes:", flush=True)
        pids = ",".join(map(str, [server.master] + server.worker_pids()))
        time.sleep(0.1)  # a new worker has yet to set its title
        subprocess.run(["ps", "-o", "pid,ppid,user:12,args", "-p", pids], check=True)

        count, total, wrong = fetch_everything(server.port, site)
        print(f"fetched {count} responses, {total / 2**20:.0f} MiB: "
              f"{'every byte is right' if not wrong else f'{len(wrong)} WRONG'}", flush=True)

        reference.start()
        native_rate, rate = measure([reference, server], 3, 1)
        print(f"4 KiB page, keep-alive: {rate:.0f} requests/s, native nginx {native_rate:.0f} "
              f"({rate / native_rate:.2f})", flush=True)

        trouble = server.stop(signal.SIGQUIT)
        if trouble:
            wrong.append(f"graceful stop: {trouble}")
        reference.stop()
        left = descendants(os.getpid())
        if left:
            wrong.append(f"{len(left)} processes are left")
        print(f"stopped gracefully, {len(left)} processes left")
    except (RuntimeError, OSError, ProtocolError, subprocess.SubprocessError) as error:
        wrong.append(f"{error}{server.diagnosis()}")
    finally:
        for pid in descendants(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        site.remove()

    for line in wrong:
        print(f"wrong: {line}")
    if wrong:
        print("demo: FAILED")
        return 1
    print(f"demo: ok: arm64 nginx, {server.workers} workers, {count} responses byte-identical, "
          f"{rate:.0f} requests/s ({rate / native_rate:.2f} of native)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
