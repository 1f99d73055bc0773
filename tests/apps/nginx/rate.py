"""Requests per second against native nginx: a 4 KiB file, keep-alive, the same configuration.

Both servers run all the time and wrk measures them in alternation, so that a change of the machine's
speed meets both; medians are compared.
"""

import re
import statistics
import subprocess

from server import Nginx

RATE_BAR = 0.85
PATH = "/f4096.bin"


def wrk(port, seconds, connections=16):
    """Requests per second; raises RuntimeError when wrk saw an error or a bad status."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}{PATH}"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    if not rate or "Socket errors" in output or "Non-2xx" in output:
        raise RuntimeError("wrk reported: " + " ".join(output.split()))
    return float(rate.group(1))


def measure(servers, rounds, seconds):
    """The median rates of servers, measured in alternation after a warm-up each."""
    rates = [[] for _ in servers]
    for server in servers:
        wrk(server.port, 1)
    for _ in range(rounds):
        for server, list_of_rates in zip(servers, rates):
            list_of_rates.append(wrk(server.port, seconds))
    return [statistics.median(list_of_rates) for list_of_rates in rates]


def compare_rates(native, build, site, workers, bar, quick):
    """None when build reaches bar times native's rate, else what is wrong. Prints the figures."""
    servers = []
    try:
        for one in (native, build):
            servers.append(Nginx(one, site, workers).start())
        native_rate, rate = measure(servers, 3 if quick else 5, 1 if quick else 3)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        for server in servers:
            server.stop()
    ratio = rate / native_rate
    print(f"     {build.name}, {workers} workers: {rate:.0f} requests/s, native {native_rate:.0f}: {ratio:.2f}")
    return None if ratio >= bar else f"{ratio:.2f} of native, wanted {bar:.2f}"
